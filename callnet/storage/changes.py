"""What has changed in the database that nodes remember: each looks every second, whoever has changed it.

The row of a change is written in the transaction that makes the change. Of two transactions the one with the
greater id may be the first to be seen, so each look goes back a little.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import Connection, insert, select
from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.storage.database import Database
from callnet.storage.sql import Run
from callnet.storage.tables import change
from callnet.storage_interfaces import IChanges

KEPT: Final = 600.0
"""Seconds for which a change can be seen."""
_SEEN_LATE: Final = 1000
"""So many changes may be seen before one that was begun earlier."""


def note(connection: Connection, phones: Iterable[str], now: float) -> None:
    """Write down, within a transaction, that something has changed about these phones."""
    connection.execute(change.delete().where(change.c.at < now - KEPT))
    rows = [{"phone": phone, "at": now} for phone in dict.fromkeys(phones)]
    if rows:
        connection.execute(insert(change), rows)


@implementer(IChanges)
class SqlChanges:
    """The changes that one node has not seen yet."""

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run
        self._newest = 0
        self._seen: frozenset[int] = frozenset()

    def new(self) -> Deferred[Collection[str]]:
        """See :meth:`IChanges.new`."""
        return self._run(self._new)

    def _new(self) -> Collection[str]:
        statement = select(change.c.id, change.c.phone).where(change.c.id > self._newest - _SEEN_LATE)
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        phones = dict.fromkeys(row.phone for row in rows if row.id not in self._seen)
        self._seen = frozenset(row.id for row in rows)
        self._newest = max(self._newest, *self._seen, 0)
        return phones
