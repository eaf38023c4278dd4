"""Which schema a database has, whether this code may use it, and how it is brought up to date.

Each migration is numbered: ``0001``, ``0002``, and so on. The *level* of the code is the number of the
newest migration that it brings. Migrations only add, so older code usually works on with a newer
schema, and nodes can be upgraded one by one. Where it does not, the migration raises
``schema_info.oldest_code`` to the level of the oldest code that does.
"""

from __future__ import annotations

from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text

from callnet.errors import StartError
from callnet.storage.tables import schema_info

SETTING: Final = "database.url"

_SCRIPTS = "callnet.storage:migrations"

ADVISORY_LOCK: Final = 0x63616C6C6E6574
"""``callnet``: whoever upgrades holds this lock of PostgreSQL."""


def code_level() -> int:
    """The number of the newest migration that this code brings."""
    head = ScriptDirectory.from_config(_configuration()).get_current_head()
    return int(head or 0)


def database_level(connection: Connection) -> int:
    """The number of the newest migration that was done; 0: the database is new."""
    revision = MigrationContext.configure(connection).get_current_revision()
    try:
        return int(revision or 0)
    except ValueError:
        raise StartError(f"{SETTING}: the tables in this database are not those of callnet") from None


def upgrade(connection: Connection) -> None:
    """Bring the schema up to date, in the transaction that ``connection`` is in.

    On SQLite that must be a writing transaction, which nobody else can have at the same time; on
    PostgreSQL this waits until nobody else upgrades.

    :raises StartError: the database needs newer code.
    """
    if connection.dialect.name == "postgresql":
        # Others may take their time with it, which is no reason to fail.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    if database_level(connection) < code_level():
        command.upgrade(_configuration(connection), "head")
    else:
        check(connection)


def check(connection: Connection) -> None:
    """Make sure that this code may use the database as it is.

    :raises StartError: the schema is too old, or needs newer code.
    """
    theirs, ours = database_level(connection), code_level()
    if theirs < ours:
        raise StartError(
            f"{SETTING}: the database is at level {theirs} and this code needs {ours}; run: callnet database upgrade"
        )
    oldest = connection.scalar(select(schema_info.c.oldest_code)) or 0
    if oldest > ours:
        raise StartError(
            f"{SETTING}: the database needs newer code: level {oldest}, and this is {ours}; install a newer callnet"
        )


def _configuration(connection: Connection | None = None) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", _SCRIPTS)
    configuration.attributes["connection"] = connection
    return configuration
