"""The blocked phones of each phone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a table; older code goes on without it, and blocks nobody."""
    op.create_table(
        "blocked",
        sa.Column("owner", text_of(32), primary_key=True),
        sa.Column("phone", text_of(32), primary_key=True),
    )
