"""Secrets of devices, revoked tokens, one-time codes, and the list of phones about which something has changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns and tables; older code goes on without them."""
    op.add_column("account_device", sa.Column("secret", sa.LargeBinary(32)))
    op.add_column("account_device", sa.Column("offered", sa.LargeBinary(32)))
    op.create_table(
        "revocation",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("phone", _text(32), nullable=False, index=True),
        sa.Column("device_id", _text(50), nullable=False),
        sa.Column("before", sa.Double),
        sa.Column("jti", _text(255)),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_table(
        "one_time_code",
        sa.Column("phone", _text(32), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
    )
    op.create_table(
        "change",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("phone", _text(32), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
