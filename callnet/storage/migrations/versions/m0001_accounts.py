"""Accounts, their devices, and contacts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table("account", sa.Column("phone", _text(32), primary_key=True))
    op.create_table(
        "account_device",
        sa.Column("phone", _text(32), sa.ForeignKey("account.phone"), primary_key=True),
        sa.Column("device_id", _text(50), primary_key=True),
    )
    op.create_table(
        "contact",
        sa.Column("owner", _text(32), primary_key=True),
        sa.Column("contact", _text(32), primary_key=True),
        sa.Column("name", _text(64), nullable=False),
    )
    schema_info = op.create_table("schema_info", sa.Column("oldest_code", sa.Integer, nullable=False))
    op.bulk_insert(schema_info, [{"oldest_code": 1}])


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
