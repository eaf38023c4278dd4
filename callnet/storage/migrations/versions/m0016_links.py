"""Links that ring."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.schema import text_of

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add a table; older code goes on without it, and lets no guests in."""
    op.create_table(
        "link",
        sa.Column("id", text_of(12), primary_key=True),
        sa.Column("phone", text_of(32), nullable=False, index=True),
        sa.Column("secret", text_of(22), nullable=False),
        sa.Column("name", text_of(64), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("begins", sa.Integer()),
        sa.Column("ends", sa.Integer()),
        sa.Column("time_zone", text_of(64)),
        sa.Column("expires_at", sa.Double()),
        sa.Column("calls_left", sa.Integer()),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double()),
    )
