"""Moving accounts and contacts between the older server and callnet, and the report of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from callnet.accounts.enrolment import PhoneRule
from callnet.migration.older import MOVED, Additions, Judge, Kind, Refused, Row, Snapshot, shown
from callnet.storage import moving
from callnet.storage.database import Database
from callnet.storage.moving import Key


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


BATCH: Final = 1000
"""Rows that are in memory at a time."""
WITHOUT_ACCOUNT: Final = {
    Kind.DEVICES: "no such account; created",
    Kind.CONTACTS: "no account for one of the two phones",
}


def take_over(older: Snapshot, database: Database | None, rule: PhoneRule, report: Report, trial: bool) -> None:
    """Put what the older server has into callnet's database. What is there is left as it is.

    :param database: ``None``: there is none yet, which a trial takes for an empty one.
    :param trial: change nothing.
    """
    for kind in Kind:
        judge = Judge(kind, rule)
        for rows in older.batches(kind, BATCH):
            keys = _accepted(kind, judge, rows, report)
            new = keys if database is None else moving.missing(database, MOVED[kind], keys)
            if new and database is not None and not trial:
                moving.add(database, MOVED[kind], new, time.time())
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
        for keys in moving.pages(database, MOVED[kind], BATCH):
            new = older.missing(kind, keys)
            refused = 0
            for key in () if trial else new:
                reason = older.add(kind, key)
                if reason is not None:
                    refused += 1
                    report.refused(kind, "", key, reason)
            report.read(kind, len(keys))
            report.moved(kind, len(new) - refused)
