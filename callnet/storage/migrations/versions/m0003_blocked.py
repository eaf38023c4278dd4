"""The blocked phones of each phone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a table; older code goes on without it, and blocks nobody."""
    op.create_table(
        "blocked",
        sa.Column("owner", _text(32), primary_key=True),
        sa.Column("phone", _text(32), primary_key=True),
    )


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
