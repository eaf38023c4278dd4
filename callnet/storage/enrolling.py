"""Enrolment in the database, for the daemon.

After a restart a whole village logs in at once. So devices that are known are not asked for again for a while,
and those that ask while the database is at work wait and are then looked up, and written, all together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Final

from sqlalchemy import select, tuple_
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from callnet.errors import Unavailable
from callnet.interfaces import IAccounts
from callnet.model import DeviceAddress
from callnet.storage.database import Database
from callnet.storage.sql import Run
from callnet.storage.tables import account, account_device

_TOGETHER: Final = 500
"""Devices that are enrolled in one transaction, at most."""

_KNOWN: Final = 10_000
"""Devices that are remembered to be known."""
_KNOWN_FOR: Final = 300.0
"""Seconds after which a device is asked for again: somebody may have removed it from the database."""


@implementer(IAccounts)
class SqlAccounts:
    """The accounts in a database."""

    def __init__(self, database: Database, run: Run, clock: IReactorTime) -> None:
        self._database = database
        self._run = run
        self._known = _Known(clock)
        self._waiting: dict[DeviceAddress, list[Deferred[None]]] = {}
        self._is_asking = False

    def enrol(self, address: DeviceAddress) -> Deferred[None]:
        """See :meth:`IAccounts.enrol`."""
        if address in self._known:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiting.setdefault(address, []).append(waiter)
        if not self._is_asking:
            self._ask()
        return waiter

    def _ask(self) -> None:
        self._is_asking = True
        asked = {address: self._waiting.pop(address) for address in list(islice(self._waiting, _TOGETHER))}
        self._enrol(asked).addCallback(lambda _: self._go_on())

    def _go_on(self) -> None:
        self._is_asking = False
        if self._waiting:
            self._ask()

    def _enrol(self, asked: dict[DeviceAddress, list[Deferred[None]]]) -> Deferred[None]:
        done = self._run(self._enrol_all, sorted(asked))
        return done.addCallbacks(self._enrolled, self._failed, (asked,), {}, (asked,))

    def _enrolled(self, _: None, asked: dict[DeviceAddress, list[Deferred[None]]]) -> None:
        self._known.add(asked)
        for waiters in asked.values():
            for waiter in waiters:
                waiter.callback(None)

    def _failed(self, failure: Failure, asked: dict[DeviceAddress, list[Deferred[None]]]) -> None:
        failed = list(asked.values())
        if failure.check(Unavailable):
            failed += self._waiting.values()  # they would only wait as long once more
            self._waiting = {}
        elif len(asked) > 1:
            for address, waiters in asked.items():  # it is the fault of one of them
                self._enrol({address: waiters})
            return
        for waiters in failed:
            for waiter in waiters:
                waiter.errback(failure)

    def _enrol_all(self, addresses: Sequence[DeviceAddress]) -> None:
        # In order: two processes that write the same rows in another one would wait for each other.
        device = account_device.c
        known = select(device.phone, device.device_id).where(tuple_(device.phone, device.device_id).in_(addresses))
        with self._database.read() as connection:
            found = {DeviceAddress(row.phone, row.device_id) for row in connection.execute(known)}
        rows = [{"phone": new.phone, "device_id": new.device_id} for new in addresses if new not in found]
        if not rows:
            return
        phones = dict.fromkeys(row["phone"] for row in rows)
        with self._database.write() as connection:
            connection.execute(self._database.insert_missing(account), [{"phone": phone} for phone in phones])
            connection.execute(self._database.insert_missing(account_device), rows)


class _Known:
    """Devices that were found in the database, or put in, not long ago."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._since: dict[DeviceAddress, float] = {}

    def __contains__(self, address: DeviceAddress) -> bool:
        since = self._since.get(address)
        return since is not None and self._clock.seconds() - since < _KNOWN_FOR

    def add(self, addresses: Collection[DeviceAddress]) -> None:
        """Remember these, and the others only if there is room."""
        now = self._clock.seconds()
        for address in addresses:
            self._since.pop(address, None)
            self._since[address] = now
        while len(self._since) > _KNOWN:
            del self._since[next(iter(self._since))]
