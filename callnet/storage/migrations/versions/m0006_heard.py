"""The time until which each device has heard of missed calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a table; older code goes on without it."""
    op.create_table(
        "heard_until",
        sa.Column("phone", _text(32), primary_key=True),
        sa.Column("device_id", _text(50), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
