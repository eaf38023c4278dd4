"""PostgreSQL, as the contracts are run against it."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from typing import Final

from callnet.storage.database import Database
from callnet.storage.schema import metadata, schema_info
from harness import postgres
from tests.contract.databases import InThreads

_PATIENT: Final = "&connect_timeout=60&options=-c%20statement_timeout%3D60000"
"""Takes the place of the limits that callnet sets: a server is slow on a busy machine."""


class OnPostgresql(InThreads):
    """PostgreSQL, with several threads."""

    def make_url(self) -> str:
        """See the contract."""
        return postgres.new_database_url() + _PATIENT

    def make_migrated(self) -> Database:
        """See the contract. All tests share one database, and each empties it first: a copy costs far more."""
        database = Database(_migrated() + _PATIENT)
        with database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                if table is not schema_info:
                    connection.execute(table.delete())
            # Some tests know the ids that a new database gives.
            connection.exec_driver_sql("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")
        return database


@cache
def _migrated() -> str:
    url = postgres.new_database_url()
    with closing(Database(url)) as database:
        database.upgrade()
    return url
