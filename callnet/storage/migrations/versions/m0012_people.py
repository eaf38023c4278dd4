"""Profiles, favourites, labels of devices, and who may call each phone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add tables, columns and an index. Older code goes on without them, and lets any phone call."""
    op.create_table(
        "profile",
        sa.Column("phone", _text(32), primary_key=True),
        sa.Column("name", _text(64), nullable=False),
        sa.Column("photo", sa.LargeBinary),
        sa.Column("photo_kind", _text(4)),
        sa.Column("photo_version", _text(16)),
        sa.Column("changed_at", sa.Double, nullable=False),
    )
    op.create_table("contacts_only", sa.Column("phone", _text(32), primary_key=True))
    op.add_column("contact", sa.Column("favourite", sa.Boolean))
    op.add_column("contact", sa.Column("is_dismissed", sa.Boolean))
    op.create_index("contact_contact", "contact", ["contact"])
    op.add_column("account_device", sa.Column("label", _text(64)))
    op.add_column("account_device", sa.Column("last_used_at", sa.Double))
    op.add_column("change", sa.Column("topic", _text(10)))


def _text(longest: int) -> sa.String:
    return sa.String(longest).with_variant(sa.String(longest, collation="C"), "postgresql")
