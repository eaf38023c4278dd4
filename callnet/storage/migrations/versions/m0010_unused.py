"""The devices created by logins, and their last use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add columns and an index; older code goes on without them, and its devices are not counted."""
    op.add_column("account_device", sa.Column("by_login", sa.Boolean))
    op.add_column("account_device", sa.Column("unused_since", sa.Double))
    is_set = sa.text("unused_since IS NOT NULL")
    op.create_index(
        "account_device_unused", "account_device", ["unused_since"], sqlite_where=is_set, postgresql_where=is_set
    )
