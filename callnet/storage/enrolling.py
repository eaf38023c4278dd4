"""Enrolment in the database, for the daemon.

After a restart a whole village logs in at once. So devices that are known are not asked for again for a while,
and those that ask while the database is at work wait and are then looked up, and written, all together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, TypeAlias

from msgspec import Struct
from sqlalchemy import Connection, select, tuple_
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from callnet.errors import PhoneInvalid, Unavailable
from callnet.model import DeviceAddress
from callnet.storage import changes
from callnet.storage.database import Database
from callnet.storage.making import make
from callnet.storage.sql import Run
from callnet.storage.tables import account, account_device
from callnet.storage_interfaces import Enrolled, IAccounts

_TOGETHER: Final = 500
"""Devices that are looked up in one transaction, at most."""

_KNOWN: Final = 10_000
"""Devices that are remembered to be known."""
_KNOWN_FOR: Final = 300.0
"""Seconds after which a device is asked for again: somebody may have removed it from the database by hand."""


class _Question(Struct):
    """Somebody who waits for a device."""

    answer: Deferred[Enrolled | None]
    offer: bytes | None
    """What the device is offered if it is to be made; ``None``: it is not to be made."""


_Questions: TypeAlias = dict[DeviceAddress, list[_Question]]


class _Found(Struct):
    """What is in the database, of what was asked for."""

    devices: Mapping[DeviceAddress, Enrolled]
    phones: Collection[str]
    """Those of the phones without a device that was asked for that have an account."""


@implementer(IAccounts)
class SqlAccounts:
    """The accounts in a database.

    :param told_at: the time, in seconds since 1970, if a program of the operator's is told of devices that are made.
    """

    def __init__(
        self, database: Database, run: Run, clock: IReactorTime, told_at: Callable[[], float] | None = None
    ) -> None:
        self._told_at = told_at
        self._database = database
        self._run = run
        self._known = _Known(clock)
        self._waiting: _Questions = {}
        self._is_asking = False
        self._changed: set[str] = set()
        """Phones that have changed since the database was asked what it is at work on."""

    def enrol(self, address: DeviceAddress, offer: bytes) -> Deferred[Enrolled]:
        """See :meth:`IAccounts.enrol`."""
        return self._find(address, offer).addCallback(_must_be_there)

    def find(self, address: DeviceAddress) -> Deferred[Enrolled | None]:
        """See :meth:`IAccounts.find`."""
        return self._find(address, None)

    def claim(self, address: DeviceAddress, offered: bytes, now: float) -> Deferred[bool]:
        """See :meth:`IAccounts.claim`."""
        return self._run(self._claim, address, offered, now).addCallback(self._claimed, address)

    def offer(self, address: DeviceAddress, offer: bytes, now: float) -> Deferred[None]:
        """See :meth:`IAccounts.offer`."""
        return self._run(self._offer, address, offer, now).addCallback(lambda _: self.forget([address.phone]))

    def forget(self, phones: Iterable[str]) -> None:
        """Look these up again when they ask the next time: something has changed."""
        changed = set(phones)
        self._known.forget(changed)
        if self._is_asking:
            self._changed |= changed

    def _find(self, address: DeviceAddress, offer: bytes | None) -> Deferred[Enrolled | None]:
        known = self._known.get(address)
        if known is not None:
            return succeed(known)
        question = _Question(Deferred(), offer)
        self._waiting.setdefault(address, []).append(question)
        if not self._is_asking:
            self._ask()
        return question.answer

    # All that wait together

    def _ask(self) -> None:
        self._is_asking = True
        self._changed.clear()
        asked = {address: self._waiting.pop(address) for address in list(islice(self._waiting, _TOGETHER))}
        self._look_up(asked).addCallback(lambda _: self._go_on())

    def _go_on(self) -> None:
        self._is_asking = False
        if self._waiting:
            self._ask()

    def _look_up(self, asked: _Questions) -> Deferred[None]:
        # In order: two processes that write the same rows in another one would wait for each other.
        offers = {address: _first_offer(asked[address]) for address in sorted(asked)}
        return self._run(self._find_all, offers).addCallbacks(self._found, self._failed, (asked,), {}, (asked,))

    def _found(self, found: _Found, asked: _Questions) -> None:
        self._known.add({a: device for a, device in found.devices.items() if a.phone not in self._changed})
        for address, questions in asked.items():
            for question in questions:
                if address in found.devices or address.phone in found.phones or question.offer is not None:
                    question.answer.callback(found.devices.get(address))
                else:
                    question.answer.errback(PhoneInvalid("phone is not an account"))

    def _failed(self, failure: Failure, asked: _Questions) -> None:
        failed = list(asked.values())
        if failure.check(Unavailable):
            failed += self._waiting.values()  # they would only wait as long once more
            self._waiting = {}
        elif len(asked) > 1:
            for address, questions in asked.items():  # it is the fault of one of them
                self._look_up({address: questions})
            return
        for questions in failed:
            for question in questions:
                question.answer.errback(failure)

    # In the database's thread

    def _find_all(self, offers: Mapping[DeviceAddress, bytes | None]) -> _Found:
        with self._database.read() as connection:
            found = _read_devices(connection, list(offers))
            missing = {address: offer for address, offer in offers.items() if address not in found}
            unknown = {address.phone for address, offer in missing.items() if offer is None}
            phones = _read_phones(connection, unknown) if unknown else ()
        new = {address: offer for address, offer in missing.items() if offer is not None}
        if new:
            self._make(new)
            with self._database.read() as connection:  # another process may have been faster
                found |= _read_devices(connection, list(new))
        return _Found(found, phones)

    def _make(self, new: Mapping[DeviceAddress, bytes]) -> None:
        phones = dict.fromkeys(address.phone for address in new)
        rows = [
            {"phone": address.phone, "device_id": address.device_id, "offered": offer} for address, offer in new.items()
        ]
        with self._database.write() as connection:
            make(self._database, connection, phones, rows, None if self._told_at is None else self._told_at())

    def _offer(self, address: DeviceAddress, offer: bytes, now: float) -> None:
        row = account_device.c
        statement = account_device.update().where(row.phone == address.phone, row.device_id == address.device_id)
        with self._database.write() as connection:
            connection.execute(statement.values(offered=offer))
            changes.note(connection, [address.phone], now)

    def _claim(self, address: DeviceAddress, offered: bytes, now: float) -> bool:
        row = account_device.c
        statement = (
            account_device.update()
            .where(row.phone == address.phone, row.device_id == address.device_id, row.offered == offered)
            .values(secret=offered, offered=None)
        )
        with self._database.write() as connection:
            claimed = connection.execute(statement).rowcount > 0
            if claimed:
                changes.note(connection, [address.phone], now)
        return claimed

    def _claimed(self, claimed: bool, address: DeviceAddress) -> bool:
        self.forget([address.phone])
        return claimed


def _must_be_there(found: Enrolled | None) -> Enrolled:
    if found is None:
        raise Unavailable("the device was removed as soon as it was there")
    return found


def _first_offer(questions: Iterable[_Question]) -> bytes | None:
    return next((question.offer for question in questions if question.offer is not None), None)


def _read_devices(connection: Connection, addresses: Sequence[DeviceAddress]) -> dict[DeviceAddress, Enrolled]:
    row = account_device.c
    # SQLAlchemy keeps the values of the first statement of a kind for ever: they had better be none of ours.
    pairs = [(address.phone, address.device_id) for address in addresses]
    statement = select(row.phone, row.device_id, row.secret, row.offered).where(
        tuple_(row.phone, row.device_id).in_(pairs)
    )
    return {
        DeviceAddress(found.phone, found.device_id): Enrolled(found.secret, found.offered)
        for found in connection.execute(statement)
    }


def _read_phones(connection: Connection, phones: Iterable[str]) -> Collection[str]:
    return frozenset(connection.scalars(select(account.c.phone).where(account.c.phone.in_(sorted(phones)))))


class _Known:
    """Devices that were found in the database, or put in, not long ago."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._since: dict[DeviceAddress, tuple[float, Enrolled]] = {}

    def get(self, address: DeviceAddress) -> Enrolled | None:
        """What is known of a device, if it is."""
        known = self._since.get(address)
        return None if known is None or self._clock.seconds() - known[0] >= _KNOWN_FOR else known[1]

    def add(self, devices: Mapping[DeviceAddress, Enrolled]) -> None:
        """Remember these, and the others only if there is room."""
        now = self._clock.seconds()
        for address, device in devices.items():
            self._since.pop(address, None)
            self._since[address] = now, device
        while len(self._since) > _KNOWN:
            del self._since[next(iter(self._since))]

    def forget(self, phones: Collection[str]) -> None:
        """Forget all devices of these phones."""
        if phones:
            for address in [address for address in self._since if address.phone in phones]:
                del self._since[address]
