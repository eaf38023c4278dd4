"""Devices that wait to be let in by another device of a phone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add a table. Older code goes on without it."""
    op.create_table(
        "pairing",
        sa.Column("id", text_of(32), primary_key=True),
        sa.Column("secret", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("code", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("name", text_of(64), nullable=False),
        sa.Column("begun_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
        sa.Column("is_refused", sa.Boolean, nullable=False),
        sa.Column("phone", text_of(32)),
        sa.Column("device_id", text_of(50)),
    )
