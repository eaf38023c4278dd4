"""PostgreSQL, as the contracts are run against it."""

from __future__ import annotations

from contextlib import closing
from functools import cache

from callnet.storage.database import Database
from harness import postgres
from tests.contract.databases import InThreads


class OnPostgresql(InThreads):
    """PostgreSQL, with several threads."""

    def make_url(self) -> str:
        """See the contract."""
        return postgres.new_database_url()

    def make_copy(self) -> Database:
        """See the contract."""
        return Database(postgres.new_database_url(_migrated()))


@cache
def _migrated() -> str:
    url = postgres.new_database_url()
    with closing(Database(url)) as database:
        database.upgrade()
    return url
