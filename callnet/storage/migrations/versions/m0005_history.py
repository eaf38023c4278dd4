"""The history of calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a table; older code goes on without it, and writes down nothing."""
    op.create_table(
        "call_history",
        sa.Column("phone", _text(32), primary_key=True),
        sa.Column("started_at", sa.Double, primary_key=True),
        sa.Column("room_id", _text(32), primary_key=True),
        sa.Column("incoming", sa.Boolean, primary_key=True),
        sa.Column("device_id", _text(50), nullable=False),
        sa.Column("peer_phone", _text(32), nullable=False),
        sa.Column("peer_device_id", _text(50), nullable=False),
        sa.Column("answered_at", sa.Double),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("outcome", _text(20), nullable=False),
        sa.Column("auto_answered", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("call_history_age", "call_history", ["started_at"])


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
