"""Imports rows from the older server, and copies new ones back. Both can be repeated at any time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from callnet.accounts.enrolment import PhoneRule
from callnet.migration.older import Additions, Snapshot
from callnet.migration.report import Report
from callnet.migration.rows import MOVED, Judge, Kind, Refused, Row
from callnet.storage import moving
from callnet.storage.database import Database
from callnet.storage.moving import Key

BATCH: Final = 1000
"""Rows that are in memory at a time."""
WITHOUT_ACCOUNT: Final = {
    Kind.DEVICES: "no such account; created",
    Kind.CONTACTS: "no account for one of the two phones",
}


def take_over(older: Snapshot, database: Database | None, is_phone: PhoneRule, report: Report, trial: bool) -> None:
    """Put what the older server has into callnet's database. What is there is left as it is.

    :param database: ``None``: there is none yet, which a trial takes for an empty one.
    :param trial: change nothing.
    """
    for kind in Kind:
        judge = Judge(kind, is_phone)
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
