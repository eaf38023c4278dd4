"""An index, so that revocations that have expired are found without reading all of them."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add an index; older code goes on with it."""
    op.create_index("ix_revocation_expires_at", "revocation", ["expires_at"])
