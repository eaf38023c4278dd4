"""The time until which each device has heard of missed calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a table; older code goes on without it."""
    op.create_table(
        "heard_until",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("device_id", text_of(50), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
