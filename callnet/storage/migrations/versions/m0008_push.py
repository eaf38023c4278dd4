"""Push registrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add a table; older code goes on without it, and wakes nobody."""
    op.create_table(
        "push_registration",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("device_id", text_of(50), primary_key=True),
        sa.Column("kind", text_of(10), nullable=False),
        sa.Column("target", text_of(2048), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
