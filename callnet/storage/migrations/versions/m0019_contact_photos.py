"""The photos that phones give their contacts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.schema import text_of

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add columns; older code goes on without them."""
    op.add_column("contact", sa.Column("photo_kind", text_of(4)))
    op.add_column("contact", sa.Column("photo_version", text_of(16)))
    op.add_column("contact", sa.Column("photo", sa.LargeBinary))
