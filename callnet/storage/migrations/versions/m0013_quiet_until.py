"""The time until which a phone does not ring."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add a table; older code goes on without it, and knows the quiet hours only."""
    op.create_table(
        "quiet_until",
        sa.Column("phone", _text(32), primary_key=True),
        sa.Column("until", sa.Double, nullable=False),
    )


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
