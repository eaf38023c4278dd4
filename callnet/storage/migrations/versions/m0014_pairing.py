"""Devices that wait to be let in by another device of a phone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add a table. Older code goes on without it."""
    op.create_table(
        "pairing",
        sa.Column("id", _text(32), primary_key=True),
        sa.Column("secret", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("code", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("name", _text(64), nullable=False),
        sa.Column("begun_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
        sa.Column("is_refused", sa.Boolean, nullable=False),
        sa.Column("phone", _text(32)),
        sa.Column("device_id", _text(50)),
    )


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
