"""Push registrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add a table; older code goes on without it, and wakes nobody."""
    op.create_table(
        "push_registration",
        sa.Column("phone", _text(32), primary_key=True),
        sa.Column("device_id", _text(50), primary_key=True),
        sa.Column("kind", _text(10), nullable=False),
        sa.Column("target", _text(2048), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
