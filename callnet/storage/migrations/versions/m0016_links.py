"""Links that ring."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add a table; older code goes on without it, and lets no guests in."""
    op.create_table(
        "link",
        sa.Column("id", _text(12), primary_key=True),
        sa.Column("phone", _text(32), nullable=False, index=True),
        sa.Column("secret", _text(22), nullable=False),
        sa.Column("name", _text(64), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("begins", sa.Integer()),
        sa.Column("ends", sa.Integer()),
        sa.Column("time_zone", _text(64)),
        sa.Column("expires_at", sa.Double()),
        sa.Column("calls_left", sa.Integer()),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double()),
    )


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
