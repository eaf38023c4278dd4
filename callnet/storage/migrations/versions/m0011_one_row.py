"""One row a call in the history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add a table. Older code goes on with ``call_history``, which newer code reads as well."""
    op.create_table(
        "past_call",
        sa.Column("started_at", sa.Double, primary_key=True),
        sa.Column("room_id", text_of(32), primary_key=True),
        sa.Column("caller_phone", text_of(32), nullable=False),
        sa.Column("caller_device_id", text_of(50), nullable=False),
        sa.Column("caller_outcome", text_of(20)),
        sa.Column("asked_device_id", text_of(50), nullable=False),
        sa.Column("callee_phone", text_of(32), nullable=False),
        sa.Column("callee_device_id", text_of(50), nullable=False),
        sa.Column("callee_room_id", text_of(32), nullable=False),
        sa.Column("callee_outcome", text_of(20)),
        sa.Column("answered_at", sa.Double),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("auto_answered", sa.Boolean, nullable=False),
    )
    for side in ("caller", "callee"):
        is_kept = sa.text(f"{side}_outcome IS NOT NULL")
        op.create_index(
            f"past_call_{side}",
            "past_call",
            [f"{side}_phone", "started_at"],
            sqlite_where=is_kept,
            postgresql_where=is_kept,
        )
