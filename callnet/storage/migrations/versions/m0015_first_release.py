"""The schema of 1.0.0rc1, the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callnet.storage.schema import text_of

revision = "0015"
down_revision = None


def upgrade() -> None:
    """Make the tables from which the later migrations go on."""
    _accounts()
    _logins()
    _contacts()
    _settings()
    _history()
    _deliveries()
    schema_info = op.create_table("schema_info", sa.Column("oldest_code", sa.Integer, nullable=False))
    op.bulk_insert(schema_info, [{"oldest_code": 1}])


def _accounts() -> None:
    op.create_table("account", sa.Column("phone", text_of(32), primary_key=True))
    op.create_table(
        "account_device",
        sa.Column("phone", text_of(32), sa.ForeignKey("account.phone"), primary_key=True),
        sa.Column("device_id", text_of(50), primary_key=True),
        sa.Column("secret", sa.LargeBinary(32)),
        sa.Column("offered", sa.LargeBinary(32)),
        sa.Column("by_login", sa.Boolean),
        sa.Column("unused_since", sa.Double),
        sa.Column("label", text_of(64)),
        sa.Column("last_used_at", sa.Double),
    )
    _index_where_set("account_device_unused", "account_device", "unused_since", ["unused_since"])
    op.create_table(
        "profile",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("name", text_of(64), nullable=False),
        sa.Column("photo", sa.LargeBinary),
        sa.Column("photo_kind", text_of(4)),
        sa.Column("photo_version", text_of(16)),
        sa.Column("changed_at", sa.Double, nullable=False),
    )
    op.create_table(
        "change",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("phone", text_of(32), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("topic", text_of(10)),
        sqlite_autoincrement=True,
    )


def _logins() -> None:
    op.create_table(
        "revocation",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("phone", text_of(32), nullable=False, index=True),
        sa.Column("device_id", text_of(50), nullable=False),
        sa.Column("before", sa.Double),
        sa.Column("jti", text_of(255)),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
    )
    op.create_table(
        "one_time_code",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
    )
    op.create_table(
        "pairing",
        sa.Column("id", text_of(32), primary_key=True),
        sa.Column("secret", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("code", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("name", text_of(64), nullable=False),
        sa.Column("begun_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
        sa.Column("is_refused", sa.Boolean, nullable=False),
        sa.Column("phone", text_of(32)),
        sa.Column("device_id", text_of(50)),
    )


def _contacts() -> None:
    op.create_table(
        "contact",
        sa.Column("owner", text_of(32), primary_key=True),
        sa.Column("contact", text_of(32), primary_key=True),
        sa.Column("name", text_of(64), nullable=False),
        sa.Column("favourite", sa.Boolean),
        sa.Column("is_dismissed", sa.Boolean),
    )
    op.create_index("contact_contact", "contact", ["contact"])
    _pairs_of_phones("blocked")
    op.create_table("contacts_only", sa.Column("phone", text_of(32), primary_key=True))


def _settings() -> None:
    op.create_table(
        "quiet_hours",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("begins", sa.Integer, nullable=False),
        sa.Column("ends", sa.Integer, nullable=False),
        sa.Column("time_zone", text_of(64), nullable=False),
    )
    op.create_table(
        "quiet_until",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("until", sa.Double, nullable=False),
    )
    _pairs_of_phones("rings_through")
    op.create_table("second_call_rings", sa.Column("phone", text_of(32), primary_key=True))
    _pairs_of_phones("auto_answer")


def _history() -> None:
    op.create_table(
        "past_call",
        sa.Column("started_at", sa.Double, primary_key=True),
        sa.Column("room_id", text_of(32), primary_key=True),
        sa.Column("caller_phone", text_of(32), nullable=False),
        sa.Column("caller_device_id", text_of(50), nullable=False),
        sa.Column("caller_outcome", text_of(20)),
        sa.Column("asked_device_id", text_of(50), nullable=False),
        sa.Column("callee_phone", text_of(32), nullable=False),
        sa.Column("callee_device_id", text_of(50), nullable=False),
        sa.Column("callee_room_id", text_of(32), nullable=False),
        sa.Column("callee_outcome", text_of(20)),
        sa.Column("answered_at", sa.Double),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("auto_answered", sa.Boolean, nullable=False),
    )
    for side in ("caller", "callee"):
        _index_where_set(f"past_call_{side}", "past_call", f"{side}_outcome", [f"{side}_phone", "started_at"])
    op.create_table(
        "call_history",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("started_at", sa.Double, primary_key=True),
        sa.Column("room_id", text_of(32), primary_key=True),
        sa.Column("incoming", sa.Boolean, primary_key=True),
        sa.Column("device_id", text_of(50), nullable=False),
        sa.Column("peer_phone", text_of(32), nullable=False),
        sa.Column("peer_device_id", text_of(50), nullable=False),
        sa.Column("answered_at", sa.Double),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("outcome", text_of(20), nullable=False),
        sa.Column("auto_answered", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("call_history_age", "call_history", ["started_at"])
    op.create_table(
        "heard_until",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("device_id", text_of(50), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )


def _deliveries() -> None:
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
        _index_where_set(f"outbox_{column}", "outbox", column, [column])
    op.create_table(
        "push_registration",
        sa.Column("phone", text_of(32), primary_key=True),
        sa.Column("device_id", text_of(50), primary_key=True),
        sa.Column("kind", text_of(10), nullable=False),
        sa.Column("target", text_of(2048), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )


def _pairs_of_phones(name: str) -> None:
    op.create_table(
        name,
        sa.Column("owner", text_of(32), primary_key=True),
        sa.Column("phone", text_of(32), primary_key=True),
    )


def _index_where_set(name: str, table: str, column: str, indexed: list[str]) -> None:
    is_set = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, table, indexed, sqlite_where=is_set, postgresql_where=is_set)
