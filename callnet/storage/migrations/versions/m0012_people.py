"""Profiles, favourites, labels of devices, and who may call each phone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add tables, columns and an index. Older code goes on without them, and lets any phone call."""
    op.create_table(
        "profile",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("name", text_of(64), nullable=False),
        sa.Column("photo", sa.LargeBinary),
        sa.Column("photo_kind", text_of(4)),
        sa.Column("photo_version", text_of(16)),
        sa.Column("changed_at", sa.Double, nullable=False),
    )
    op.create_table("contacts_only", sa.Column("phone", text_of(32), primary_key=True))
    op.add_column("contact", sa.Column("favourite", sa.Boolean))
    op.add_column("contact", sa.Column("is_dismissed", sa.Boolean))
    op.create_index("contact_contact", "contact", ["contact"])
    op.add_column("account_device", sa.Column("label", text_of(64)))
    op.add_column("account_device", sa.Column("last_used_at", sa.Double))
    op.add_column("change", sa.Column("topic", text_of(10)))
