"""Secrets of devices, revoked tokens, one-time codes, and the list of phones about which something has changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns and tables; older code goes on without them."""
    op.add_column("account_device", sa.Column("secret", sa.LargeBinary(32)))
    op.add_column("account_device", sa.Column("offered", sa.LargeBinary(32)))
    op.create_table(
        "revocation",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("phone", text_of(32), nullable=False, index=True),
        sa.Column("device_id", text_of(50), nullable=False),
        sa.Column("before", sa.Double),
        sa.Column("jti", text_of(255)),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_table(
        "one_time_code",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
    )
    op.create_table(
        "change",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("phone", text_of(32), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
