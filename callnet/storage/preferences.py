"""What the owners of phones want of calls to them, as the database has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Column, Connection, Select, Table, select, union
from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.preferences import Preferences, encode_names
from callnet.quiet_hours import QuietHours
from callnet.records import Policy
from callnet.storage.database import Database
from callnet.storage.sql import Run
from callnet.storage.tables import auto_answer, blocked, contact, quiet_hours
from callnet.storage_interfaces import IPreferenceRecords


@implementer(IPreferenceRecords)
class SqlPreferences:
    """All lists of each phone, and its quiet hours.

    :param contacts_only: whether nobody but contacts may call.
    """

    def __init__(self, database: Database, run: Run, contacts_only: bool) -> None:
        self._database = database
        self._run = run
        self._contacts_only = contacts_only

    def restricted(self, most: int) -> Deferred[Collection[str] | None]:
        """See :meth:`IPreferenceRecords.restricted`."""
        return self._run(self._restricted, most)

    def _restricted(self, most: int) -> Collection[str] | None:
        return None if self._contacts_only else self._owners(select(blocked.c.owner), select(quiet_hours.c.phone), most)

    def announced(self, most: int) -> Deferred[Collection[str] | None]:
        """See :meth:`IPreferenceRecords.announced`."""
        return self._run(self._owners, _owners_of_names(), select(auto_answer.c.owner), most)

    def _owners(self, some: Select[tuple[str]], others: Select[tuple[str]], most: int) -> Collection[str] | None:
        with self._database.read() as connection:
            rows = connection.execute(union(some, others).limit(most + 1)).all()
        return [str(row[0]) for row in rows] if len(rows) <= most else None

    def read(self, phones: Collection[str]) -> Deferred[Mapping[str, Preferences]]:
        """See :meth:`IPreferenceRecords.read`."""
        return self._run(self._read, frozenset(phones))

    def _read(self, phones: Collection[str]) -> Mapping[str, Preferences]:
        with self._database.read() as connection:
            refused = _lists(connection, blocked, blocked.c.phone, phones)
            answered = _lists(connection, auto_answer, auto_answer.c.phone, phones)
            names = _names(connection, phones)
            quiet = _quiet_hours(connection, phones)
        found: dict[str, Preferences] = {}
        for phone in phones:
            listed = names.get(phone, {})
            only = frozenset(listed) if self._contacts_only else None
            policy = Policy(frozenset(refused.get(phone, ())), only, quiet.get(phone))
            known = {other: name for other, name in listed.items() if name}
            found[phone] = Preferences(policy, frozenset(answered.get(phone, ())), encode_names(known))
        return found


def _owners_of_names() -> Select[tuple[str]]:
    return select(contact.c.owner).where(contact.c.name != "")


def _lists(connection: Connection, table: Table, other: Column[str], owners: Collection[str]) -> dict[str, list[str]]:
    statement = select(table.c.owner, other.label("other")).where(table.c.owner.in_(owners))
    lists: dict[str, list[str]] = {}
    for row in connection.execute(statement):
        lists.setdefault(row.owner, []).append(row.other)
    return lists


def _names(connection: Connection, owners: Collection[str]) -> dict[str, dict[str, str]]:
    """The names that each owner has for its contacts, be they empty."""
    row = contact.c
    statement = select(row.owner, row.contact, row.name).where(row.owner.in_(owners))
    names: dict[str, dict[str, str]] = {}
    for found in connection.execute(statement):
        names.setdefault(found.owner, {})[found.contact] = found.name
    return names


def _quiet_hours(connection: Connection, phones: Collection[str]) -> dict[str, QuietHours]:
    rows = connection.execute(select(quiet_hours).where(quiet_hours.c.phone.in_(phones)))
    return {row.phone: quiet_hours_of(row) for row in rows}


def quiet_hours_of(row: Any) -> QuietHours:
    """What a row of the table says."""
    return QuietHours(row.begins, row.ends, row.time_zone)
