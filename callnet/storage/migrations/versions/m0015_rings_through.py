"""The exceptions from quiet hours."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add two tables; older code goes on without them, and knows no exceptions from the quiet hours."""
    op.create_table(
        "rings_through",
        sa.Column("owner", _text(32), primary_key=True),
        sa.Column("phone", _text(32), primary_key=True),
    )
    op.create_table("second_call_rings", sa.Column("phone", _text(32), primary_key=True))


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
