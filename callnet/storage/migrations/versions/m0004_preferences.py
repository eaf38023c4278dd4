"""The quiet hours of each phone, and the callers that its devices may answer automatically."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.tables import text_of

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add two tables; older code goes on without them: phones ring at all times."""
    op.create_table(
        "quiet_hours",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("begins", sa.Integer, nullable=False),
        sa.Column("ends", sa.Integer, nullable=False),
        sa.Column("time_zone", text_of(64), nullable=False),
    )
    op.create_table(
        "auto_answer",
        sa.Column("owner", text_of(32), primary_key=True),
        sa.Column("phone", text_of(32), primary_key=True),
    )
