"""Moving accounts, devices and contacts between the older server and callnet, and the report of it.

Everything here blocks, and nothing holds more than one batch in memory.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Column, select, tuple_

from callnet.accounts.enrolment import PhoneRule
from callnet.migration.older import Additions, Judge, Key, Kind, Refused, Row, Snapshot, shown
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.database import Database
from callnet.storage.devices import make
from callnet.storage.schema import account, account_device, contact

BATCH: Final = 1000
"""Rows that are in memory at a time."""
WITHOUT_ACCOUNT: Final = {
    Kind.DEVICES: "no such account; created",
    Kind.CONTACTS: "no account for one of the two phones",
}
_COLUMNS: Final[dict[Kind, tuple[Column[str], ...]]] = {
    Kind.ACCOUNTS: (account.c.phone,),
    Kind.DEVICES: (account_device.c.phone, account_device.c.device_id),
    Kind.CONTACTS: (contact.c.owner, contact.c.contact),
}
"""The columns of a key in callnet's tables."""


class Report:
    """Counts, and tells. It keeps no rows.

    :param tell: writes a line about one row.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._read: Counter[Kind] = Counter()
        self._moved: Counter[Kind] = Counter()
        self._refused: Counter[tuple[Kind, str]] = Counter()
        self._noted: Counter[tuple[Kind, str]] = Counter()

    def read(self, kind: Kind, rows: int) -> None:
        """Rows read."""
        self._read[kind] += rows

    def moved(self, kind: Kind, rows: int) -> None:
        """Rows added."""
        self._moved[kind] += rows

    def refused(self, kind: Kind, place: str, values: Sequence[object], reason: str) -> None:
        """A row stays behind."""
        self._refused[kind, reason] += 1
        self._tell(f"{kind}: {place}{shown(kind, values)}: rejected: {reason}")

    def noted(self, kind: Kind, place: str, values: Sequence[object], what: str) -> None:
        """There is something about a row that is taken."""
        self._noted[kind, what] += 1
        self._tell(f"{kind}: {place}{shown(kind, values)}: {what}")

    @property
    def is_complete(self) -> bool:
        """True if no row was rejected."""
        return not self._refused

    def lines(self, moved: str) -> Iterator[str]:
        """The counts.

        :param moved: what was done with rows that were not there yet, such as ``imported``.
        """
        for kind in Kind:
            refused = sum(number for (of, _), number in self._refused.items() if of is kind)
            there = self._read[kind] - self._moved[kind] - refused
            numbers = f"{self._moved[kind]} {moved}, {there} already present, {refused} rejected"
            yield f"{kind}: {self._read[kind]} read, {numbers}"
            for counted, word in ((self._refused, "rejected: "), (self._noted, "")):
                for (of, text), number in counted.items():
                    if of is kind:
                        yield f"    {number} {word}{text}"


def take_over(older: Snapshot, database: Database | None, rule: PhoneRule, report: Report, trial: bool) -> None:
    """Put what the older server has into callnet's database. What is there is left as it is.

    :param database: ``None``: there is none yet, which a trial takes for an empty one.
    :param trial: change nothing.
    """
    for kind in Kind:
        judge = Judge(kind, rule)
        for rows in older.batches(kind, BATCH):
            keys = _accepted(kind, judge, rows, report)
            new = keys if database is None else missing(database, kind, keys)
            if new and database is not None and not trial:
                add(database, kind, new, time.time())
            report.read(kind, len(rows))
            report.moved(kind, len(new))


def _accepted(kind: Kind, judge: Judge, rows: Sequence[Row], report: Report) -> Sequence[Key]:
    keys = []
    for row in rows:
        verdict = judge.judge(row)
        if isinstance(verdict, Refused):
            report.refused(kind, f"{row.place}, ", row.values, verdict.reason)
            continue
        keys.append(verdict)
        if not row.has_accounts:
            report.noted(kind, f"{row.place}, ", row.values, WITHOUT_ACCOUNT[kind])
    return keys


def give_back(database: Database | None, older: Additions, report: Report, trial: bool) -> None:
    """Add to the older server's database what it has not. Nothing is changed there, and nothing removed.

    :param database: ``None``: there is none yet.
    :param trial: change nothing; then it is not known what the older server would refuse.
    """
    if database is None:
        return
    for kind in Kind:
        for keys in pages(database, kind, BATCH):
            new = older.missing(kind, keys)
            refused = 0
            for key in () if trial else new:
                reason = older.add(kind, key)
                if reason is not None:
                    refused += 1
                    report.refused(kind, "", key, reason)
            report.read(kind, len(keys))
            report.moved(kind, len(new) - refused)


def missing(database: Database, kind: Kind, keys: Collection[Key]) -> Sequence[Key]:
    """Those of ``keys`` that callnet does not have, in the same order. It costs least if they are neighbours."""
    columns = _COLUMNS[kind]
    # Not by whole keys: of a thousand pairs PostgreSQL makes a thousand conditions.
    of_phones = columns[0].in_({key[0] for key in keys})
    with database.read() as connection:
        there = set(map(tuple, connection.execute(select(*columns).where(of_phones))))
    return [key for key in keys if key not in there]


def add(database: Database, kind: Kind, keys: Sequence[Key], now: float) -> None:
    """Add rows to callnet's, all or none; what is there is left as it is. A device without an account gets one."""
    if kind is Kind.CONTACTS:
        contacts.add(database, (), now, missing=[Pair(*key) for key in keys])
        return
    rows: list[dict[str, Any]] = [{"phone": key[0], "device_id": key[1]} for key in keys if kind is Kind.DEVICES]
    with database.write() as connection:
        make(database, connection, dict.fromkeys(key[0] for key in keys), rows, None)


def pages(database: Database, kind: Kind, size: int) -> Iterator[Sequence[Key]]:
    """All rows that callnet has, in order, in pages."""
    columns = _COLUMNS[kind]
    key, last = tuple_(*columns), None
    while True:
        statement = select(*columns).order_by(*columns).limit(size)
        if last is not None:
            statement = statement.where(key > tuple_(*last))
        with database.read() as connection:
            page = [tuple(row) for row in connection.execute(statement)]
        if not page:
            return
        yield page
        last = page[-1]
