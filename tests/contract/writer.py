"""One of several processes that write to one database at once: ``python -m tests.contract.writer URL NAME ROUNDS``."""

from __future__ import annotations

import sys

from twisted.internet.task import Clock

from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.database import Database
from callnet.storage.enrolling import SqlAccounts
from tests.support.immediate import run_at_once

SHARED = "13651884967"
"""A phone whose devices and contacts all of them write."""


def write(url: str, name: str, rounds: int) -> None:
    """Start as a daemon does, log devices in, put contacts in and take them out, end; all of it again and again."""
    for number in range(rounds):
        database = Database(url)
        database.upgrade()
        database.close()
        for phone, device in ((f"{name}{number}", "tv"), (SHARED, f"{name}{number}"), (SHARED, "tv")):
            accounts = SqlAccounts(database, run_at_once, Clock())  # which knows none of them
            failures: list[object] = []
            accounts.enrol(DeviceAddress(phone, device), b"o" * 32).addErrback(failures.append)
            assert not failures, failures
            contacts.add(database, [Pair(SHARED, phone, name), Pair(phone, SHARED)], 0.0, [Pair(SHARED, "1", name)])
        assert contacts.remove(database, SHARED, f"{name}{number}", 0.0)
        contacts.pairs_of(database, SHARED)
        database.close()


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
