"""Counters that last for longer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Give the ids of rows that come and go 64 bits, as in SQLite they have; older code goes on with them."""
    if op.get_bind().dialect.name == "sqlite":
        return
    for table in ("change", "revocation"):
        op.alter_column(table, "id", type_=sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=False)
        op.execute(sa.text(f"ALTER SEQUENCE {table}_id_seq AS bigint"))
