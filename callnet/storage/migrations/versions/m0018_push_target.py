"""Push registrations by their target."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add an index; older code goes on without it. A B-tree of PostgreSQL takes no texts as long as a target."""
    op.create_index("push_registration_target", "push_registration", ["target"], postgresql_using="hash")
