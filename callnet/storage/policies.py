"""Who may call which phone, as the database has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Column, Connection, Table, select
from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.interfaces import IPolicyRecords
from callnet.records import ANYONE, Policy
from callnet.storage.database import Database
from callnet.storage.sql import Run
from callnet.storage.tables import blocked, contact


@implementer(IPolicyRecords)
class SqlPolicies:
    """The block lists, and the contact lists if only contacts may call.

    :param contacts_only: whether they alone may.
    """

    def __init__(self, database: Database, run: Run, contacts_only: bool) -> None:
        self._database = database
        self._run = run
        self._contacts_only = contacts_only

    def restricted(self, most: int) -> Deferred[Collection[str] | None]:
        """See :meth:`IPolicyRecords.restricted`."""
        return self._run(self._restricted, most)

    def _restricted(self, most: int) -> Collection[str] | None:
        if self._contacts_only:
            return None
        with self._database.read() as connection:
            owners = connection.scalars(select(blocked.c.owner).distinct().limit(most + 1)).all()
        return owners if len(owners) <= most else None

    def read(self, phones: Collection[str]) -> Deferred[Mapping[str, Policy]]:
        """See :meth:`IPolicyRecords.read`."""
        return self._run(self._read, frozenset(phones))

    def _read(self, phones: Collection[str]) -> Mapping[str, Policy]:
        with self._database.read() as connection:
            refused = _lists(connection, blocked, blocked.c.phone, phones)
            listed = _lists(connection, contact, contact.c.contact, phones) if self._contacts_only else None
        return {
            phone: _policy(refused.get(phone, ()), None if listed is None else listed.get(phone, ()))
            for phone in phones
        }


def _lists(connection: Connection, table: Table, other: Column[str], owners: Collection[str]) -> dict[str, list[str]]:
    statement = select(table.c.owner, other.label("other")).where(table.c.owner.in_(owners))
    lists: dict[str, list[str]] = {}
    for row in connection.execute(statement):
        lists.setdefault(row.owner, []).append(row.other)
    return lists


def _policy(refused: Collection[str], listed: Collection[str] | None) -> Policy:
    if listed is None:
        return Policy(frozenset(refused)) if refused else ANYONE
    return Policy(frozenset(refused), frozenset(listed))
