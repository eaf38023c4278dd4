"""The settings of one device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add columns for the kiosk and automatic answers; older code goes on without them."""
    op.add_column("account_device", sa.Column("kiosk_pin", sa.LargeBinary(48)))
    op.add_column("account_device", sa.Column("wrong_pins", sa.Integer))
    op.add_column("account_device", sa.Column("locked_until", sa.Double))
    op.add_column("account_device", sa.Column("auto_answers", sa.Boolean))
