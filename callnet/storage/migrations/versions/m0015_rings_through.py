"""The exceptions from quiet hours."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add two tables; older code goes on without them, and knows no exceptions from the quiet hours."""
    op.create_table(
        "rings_through",
        sa.Column("owner", text_of(32), primary_key=True),
        sa.Column("phone", text_of(32), primary_key=True),
    )
    op.create_table("second_call_rings", sa.Column("phone", text_of(32), primary_key=True))
