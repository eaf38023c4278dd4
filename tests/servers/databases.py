"""PostgreSQL, as the contracts are run against it."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from typing import Final

from callnet.storage.database import Database
from harness import postgres
from tests.contract.databases import InThreads

_PATIENT: Final = "&connect_timeout=60&options=-c%20statement_timeout%3D60000"
"""Takes the place of the limits that callnet sets: a server is slow on a busy machine."""


class OnPostgresql(InThreads):
    """PostgreSQL, with several threads."""

    def make_url(self) -> str:
        """See the contract."""
        return postgres.new_database_url() + _PATIENT

    def make_copy(self) -> Database:
        """See the contract."""
        return Database(postgres.new_database_url(_migrated()) + _PATIENT)


@cache
def _migrated() -> str:
    url = postgres.new_database_url()
    with closing(Database(url)) as database:
        database.upgrade()
    return url
