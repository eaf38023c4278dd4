"""Webhook events that wait for delivery."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add a table; older code goes on without it, and tells the operator's programs nothing."""
    op.create_table(
        "outbox",
        sa.Column("id", text_of(32), primary_key=True),
        sa.Column("event", text_of(20), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("phone", text_of(32)),
        sa.Column("peer_phone", text_of(32)),
        sa.Column("due_at", sa.Double),
        sa.Column("done_at", sa.Double),
        sa.Column("died_at", sa.Double),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("failure", text_of(60), nullable=False),
        sqlite_with_rowid=False,
    )
    for column in ("due_at", "done_at", "died_at"):
        is_set = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"outbox_{column}", "outbox", [column], sqlite_where=is_set, postgresql_where=is_set)
