"""The schema of a database: its level, its compatibility with this code, and its upgrade.

Each migration is numbered: ``0015`` makes the schema of the first release, and ``0016`` and so on change it. The
*level* of the code is the number of the newest migration that it brings. Migrations only add, so older code usually
works on with a newer schema, and nodes can be upgraded one by one. Where it does not, the migration raises
``schema_info.oldest_code`` to the level of the oldest code that does. A new database is not migrated: it gets
the tables as the newest migration leaves them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, select, text

from callnet.errors import StartError
from callnet.storage.tables import metadata, schema_info

SETTING: Final = "database.url"

_MIGRATIONS: Final = Path(__file__).parent / "migrations"

_FIRST_RELEASE: Final = 15
"""The level of 1.0.0rc1, the first release. What was made by code from before it cannot be migrated any more."""

_OLDEST_CODE: Final = 1
"""The value that the migrations leave in ``schema_info.oldest_code``."""

_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's table with the number of the newest migration that was done."""

ADVISORY_LOCK: Final = 0x63616C6C6E6574
"""``callnet``: whoever upgrades holds this lock of PostgreSQL."""


def code_level() -> int:
    """The number of the newest migration that this code brings."""
    return max(int(path.name[1:5]) for path in (_MIGRATIONS / "versions").glob("m*.py"))


def database_level(connection: Connection) -> int:
    """The number of the newest migration that was done; 0: the database is new.

    :raises StartError: it is not callnet's, or older than the first release.
    """
    revision = connection.scalar(select(_version)) if inspect(connection).has_table(_version.name) else None
    try:
        level = int(revision or 0)
    except ValueError:
        raise StartError(f"{SETTING}: this database belongs to another program; name an empty one") from None
    if 0 < level < _FIRST_RELEASE:
        raise StartError(
            f"{SETTING}: schema level {level} is older than the first release; "
            "run `callnet database upgrade` of callnet 1.0.0rc1, then this version"
        )
    return level


def upgrade(connection: Connection) -> None:
    """Bring the schema up to date, in the transaction that ``connection`` is in.

    On SQLite that must be a writing transaction, which nobody else can have at the same time; on
    PostgreSQL this waits until nobody else upgrades.

    :raises StartError: the database needs newer code, or is too old.
    """
    if connection.dialect.name == "postgresql":
        # Another upgrade may take long: do not time out.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    level = database_level(connection)
    if level == 0:
        _make(connection)
    elif level < code_level():
        migrate(connection)
    else:
        check(connection)


def check(connection: Connection) -> None:
    """Make sure that this code may use the database as it is.

    :raises StartError: the schema is too old, or needs newer code.
    """
    theirs, ours = database_level(connection), code_level()
    if theirs < ours:
        raise StartError(
            f"{SETTING}: schema level {theirs} is older than this version needs ({ours}); run: callnet database upgrade"
        )
    oldest = connection.scalar(select(schema_info.c.oldest_code)) or 0
    if oldest > ours:
        raise StartError(
            f"{SETTING}: the database needs schema level {oldest}, but this version has {ours}; install a newer callnet"
        )


def migrate(connection: Connection, to: str = "head") -> None:
    """Do the migrations that the database has not seen, in the transaction that ``connection`` is in.

    :param to: the number of the last of them.
    """
    # Nearly all starts find nothing to migrate, and importing Alembic is a tenth of one.
    from alembic import command
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", "callnet.storage:migrations")
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, to)


def _make(connection: Connection) -> None:
    """Leave a new database as the migrations would."""
    metadata.create_all(connection, checkfirst=False)
    _version.create(connection, checkfirst=False)
    connection.execute(_version.insert().values(version_num=f"{code_level():04}"))
    connection.execute(schema_info.insert().values(oldest_code=_OLDEST_CODE))
