"""The time until which a phone does not ring."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add a table; older code goes on without it, and knows the quiet hours only."""
    op.create_table(
        "quiet_until",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("until", sa.Double, nullable=False),
    )
