"""The calls that versions before the first release wrote down."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Remove them: no code shows or removes them any more. The first release reads their table, and never writes it."""
    op.execute(sa.text("DELETE FROM call_history"))
