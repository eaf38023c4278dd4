"""Accounts, their devices, and contacts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table("account", sa.Column("phone", text_of(32), primary_key=True))
    op.create_table(
        "account_device",
        sa.Column("phone", text_of(32), sa.ForeignKey("account.phone"), primary_key=True),
        sa.Column("device_id", text_of(50), primary_key=True),
    )
    op.create_table(
        "contact",
        sa.Column("owner", text_of(32), primary_key=True),
        sa.Column("contact", text_of(32), primary_key=True),
        sa.Column("name", text_of(64), nullable=False),
    )
    schema_info = op.create_table("schema_info", sa.Column("oldest_code", sa.Integer, nullable=False))
    op.bulk_insert(schema_info, [{"oldest_code": 1}])
