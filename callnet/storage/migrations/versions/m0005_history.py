"""The history of calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a table; older code goes on without it, and writes down nothing."""
    op.create_table(
        "call_history",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("started_at", sa.Double, primary_key=True),
        sa.Column("room_id", text_of(32), primary_key=True),
        sa.Column("incoming", sa.Boolean, primary_key=True),
        sa.Column("device_id", text_of(50), nullable=False),
        sa.Column("peer_phone", text_of(32), nullable=False),
        sa.Column("peer_device_id", text_of(50), nullable=False),
        sa.Column("answered_at", sa.Double),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("outcome", text_of(20), nullable=False),
        sa.Column("auto_answered", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("call_history_age", "call_history", ["started_at"])
