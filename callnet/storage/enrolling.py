"""Enrolment in the database, for the daemon.

After a restart a whole village logs in at once. So devices that are known are not asked for again for a while,
and those that ask while the database is at work wait and are then looked up, and written, all together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Final, TypeAlias

from msgspec import Struct
from sqlalchemy import Connection, and_, func, or_, select, tuple_
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.errors import CodeInvalid, DeviceInvalid, PhoneInvalid, TokenInvalid, Unavailable
from callnet.model import DeviceAddress, Topic
from callnet.storage import changes, codes, revoking
from callnet.storage.database import Database, Queries, Run
from callnet.storage.devices import make
from callnet.storage.revoking import Revocation
from callnet.storage.schema import account, account_device
from callnet.util.logger import Logger
from callnet.util.timers import EarliestTimer

log = Logger()

_TOGETHER: Final = 500
"""Devices that are looked up in one transaction, at most."""
_TOGETHER_FOR: Final = 0.25
"""Seconds for which uses of devices are gathered: a statement costs more than a connection does."""

UNUSED_FOR: Final = 7 * 86400.0
"""Seconds after which a device is forgotten at the earliest that a login has made and that was never used."""

OFFER_STANDS: Final = 10.0
"""Seconds after which an unused device may be offered another secret: less than a client waits for a lost answer, and
more than the offer of a login takes that is made at the same time."""

_USE_NOTED_EVERY: Final = 86400.0
"""Seconds after which a further use of a device is recorded."""

_KNOWN: Final = 10_000
"""Devices that are remembered to be known."""
_KNOWN_FOR: Final = 300.0
"""Seconds after which a device is asked for again: somebody may have removed it from the database by hand."""


class _Enough(DeviceInvalid):
    """A phone has the maximum number of devices that were not made by the operator, or of revocations."""

    def __init__(self) -> None:
        super().__init__("the phone has the maximum number of devices created by logins")


class Enrolled(Struct, frozen=True):
    """A known device."""

    secret: bytes | None = None
    """SHA-256 of the secret that its logins require, if it has one."""
    offered: bytes | None = None
    """SHA-256 of the secret that it was offered last, and has not used yet."""
    unused_since: float | None = None
    """When a login created it or was offered another secret, in seconds since 1970; ``None``: it was used since."""
    last_used_at: float = -inf
    """The last recorded use, in seconds since 1970."""


class _Question(Struct):
    """Somebody who waits for a device."""

    answer: Deferred[Enrolled | None]
    offer: bytes | None
    """The secret offered to the device if it is created; ``None``: it is not to be created."""


_Questions: TypeAlias = dict[DeviceAddress, list[_Question]]


class _Found(Struct):
    """The devices found in the database."""

    devices: Mapping[DeviceAddress, Enrolled]
    phones: Collection[str]
    """Those of the phones without a device that was asked for that have an account."""
    refused: Collection[DeviceAddress] = ()
    """Devices that were not made: their phones have enough."""
    forgotten: int = 0
    """The number of devices that were forgotten, since they were never used."""


class Newcomers(Struct, frozen=True):
    """Limits and lifetimes of devices that logins make."""

    now: Callable[[], float]
    """The time, in seconds since 1970."""
    most: Callable[[], int]
    """The most that a phone may have; 0: any number."""
    unused_for: float
    """Seconds after which one is forgotten that was never used; no token of it is valid any more then."""
    is_told: bool
    """True if a webhook is told of them."""


class SqlAccounts(Queries):
    """The accounts in a database."""

    def __init__(self, database: Database, run: Run, clock: IReactorTime, newcomers: Newcomers | None = None) -> None:
        self._newcomers = newcomers or Newcomers(clock.seconds, lambda: 0, UNUSED_FOR, False)
        self._used: dict[DeviceAddress, None] = {}
        """Devices that are used, of which that is still to be written down."""
        self._is_noting = False
        self.refused = 0
        """Devices that were not made, since their phones had enough."""
        self.forgotten = 0
        """Devices that were forgotten, since they were never used."""
        super().__init__(database, run)
        self._notes = EarliestTimer(clock, self._note_used)
        self._known = _Known(clock)
        self._waiting: _Questions = {}
        self._is_asking = False
        self._changed: set[str] = set()
        """Phones that have changed since the database was asked what it is at work on."""
        self._asked: Collection[str] = ()
        """The phones that it is at work on."""

    def enrol(self, address: DeviceAddress, offer: bytes) -> Deferred[Enrolled]:
        """Create the account of this phone and this device of it, unless they exist.

        Nothing is written for a known device.

        :param offer: the offer to a new device. If the answer names it, the device was created by this call.
        :raises callnet.errors.DeviceInvalid: the phone has the maximum number of devices created by logins.
        """
        return self._find(address, offer).addCallback(_must_be_there)

    def find(self, address: DeviceAddress) -> Deferred[Enrolled | None]:
        """Look for a device.

        :raises callnet.errors.PhoneInvalid: the phone is not known either.
        """
        return self._find(address, None)

    def claim(self, address: DeviceAddress, offered: bytes, now: float) -> Deferred[bool]:
        """Require the offered secret of a device from now on. Return whether it was still offered."""
        return self._run(self._claim, address, offered, now).addCallback(self._changed_one, address)

    def offer_again(self, address: DeviceAddress, known: Enrolled, offer: bytes) -> Deferred[bool]:
        """Offer another secret to a device that nobody has used: the login that was offered the last may have lost it.
        Return whether it is offered; not within :data:`OFFER_STANDS` of the last.
        """
        now = self._newcomers.now()
        if known.secret is not None or known.unused_since is None or now - known.unused_since < OFFER_STANDS:
            return succeed(False)
        return self._run(self._offer_again, address, known.offered, offer, now).addCallback(self._changed_one, address)

    def used(self, address: DeviceAddress) -> None:
        """Record that a device is used: it has connected, or logged in with its secret. The time is noted once a day.

        Devices created by logins and never used are forgotten. This does not wait, and a failed write is repeated at
        the next use.
        """
        known = self._known.get(address)
        lately = self._newcomers.now() - _USE_NOTED_EVERY
        if known is not None and known.unused_since is None and known.last_used_at > lately:
            return
        self._used[address] = None
        if not self._is_noting:
            self._is_noting = True
            self._notes.set_in(_TOGETHER_FOR)

    def stop(self) -> None:
        """Record no further use."""
        self._notes.stop()

    def _note_used(self) -> None:
        """Write it down, for all that have come meanwhile together."""
        some = list(islice(self._used, _TOGETHER))
        for address in some:
            del self._used[address]
        self._run(self._use, some).addCallbacks(self._noted, self._not_noted).addErrback(_failed)

    def _noted(self, phones: Collection[str]) -> None:
        self.forget(phones)
        self._is_noting = bool(self._used)
        if self._is_noting:
            self._notes.set_in(_TOGETHER_FOR)

    def _not_noted(self, failure: Failure) -> None:
        self._is_noting = False
        self._used.clear()
        failure.trap(Unavailable)

    def offer(self, address: DeviceAddress, offer: bytes, now: float) -> Deferred[None]:
        """Offer another secret to a known device; its current one is valid until this one is used."""
        return self._run(self._offer, address, offer, now).addCallback(lambda _: self.forget([address.phone]))

    def pair(
        self,
        pairing_id: str,
        address: DeviceAddress,
        label: str,
        is_revoked: Callable[[Sequence[Revocation]], bool],
    ) -> Deferred[bool]:
        """Make a device of one that waits (:mod:`callnet.storage.codes`), with the secret that it has; return whether
        it was made only now. That it was made before, by the same request, is no error.

        :param is_revoked: called in another thread with all revocations of the phone; returns whether the token of the
            request is revoked.
        :raises callnet.errors.TokenInvalid: it is.
        :raises callnet.errors.CodeInvalid: no such device waits any more, or it was removed since.
        :raises callnet.errors.DeviceInvalid: the phone has a device with this id, or the maximum number of devices
            created by logins.
        """
        paired = self._run(self._pair, pairing_id, address, label, is_revoked)
        return paired.addCallbacks(self._paired, self._not_paired)

    def _paired(self, made: tuple[bool, int]) -> bool:
        is_new, forgotten = made
        self.forgotten += forgotten
        return is_new

    def _not_paired(self, failure: Failure) -> Failure:
        self.refused += 1 if failure.check(_Enough) else 0
        return failure

    def forget(self, phones: Collection[str] | None) -> None:
        """Look these, or with ``None`` all, up again when they ask the next time: something has changed."""
        self._known.forget(phones)
        if self._is_asking:
            self._changed.update(self._asked if phones is None else phones)

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
        asked = {address: self._waiting.pop(address) for address in list(islice(self._waiting, _TOGETHER))}
        self._asked = {address.phone for address in asked}
        self._look_up(asked).addCallback(lambda _: self._go_on())

    def _go_on(self) -> None:
        self._is_asking = False
        self._asked = ()
        self._changed.clear()
        if self._waiting:
            self._ask()

    def _look_up(self, asked: _Questions) -> Deferred[None]:
        # In order: two processes that write the same rows in another one would wait for each other.
        offers = {address: _first_offer(asked[address]) for address in sorted(asked)}
        return self._run(self._find_all, offers).addCallbacks(self._found, self._failed, (asked,), {}, (asked,))

    def _found(self, found: _Found, asked: _Questions) -> None:
        self._known.add({a: device for a, device in found.devices.items() if a.phone not in self._changed})
        self.refused += len(found.refused)
        self.forgotten += found.forgotten
        for address, questions in asked.items():
            for question in questions:
                if address in found.refused:
                    question.answer.errback(_Enough())
                elif address in found.devices or address.phone in found.phones or question.offer is not None:
                    question.answer.callback(found.devices.get(address))
                else:
                    question.answer.errback(PhoneInvalid("phone has no account"))

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
        refused: Collection[DeviceAddress] = ()
        forgotten = 0
        if new:
            refused, forgotten = self._make(new)
            with self._database.read() as connection:  # another process may have been faster
                found |= _read_devices(connection, list(new))
        return _Found(found, phones, refused - found.keys() if refused else (), forgotten)

    def _make(self, new: Mapping[DeviceAddress, bytes]) -> tuple[set[DeviceAddress], int]:
        """Make these, and forget devices that were never used. Answers with what was not made, and how many were."""
        offers = {address: {"offered": offer} for address, offer in new.items()}
        forgotten = self._forget_unused(self._newcomers.now())
        with self._database.write() as connection:
            return self._admit(connection, offers), forgotten

    def _admit(
        self, connection: Connection, new: Mapping[DeviceAddress, Mapping[str, bytes | str]]
    ) -> set[DeviceAddress]:
        """Make these within a transaction; return those for which their phones have no room.

        :param new: columns of each device.
        """
        newcomers = self._newcomers
        now = newcomers.now()
        made = dict(new)
        room = self._room(connection, {address.phone for address in new}, now)
        for address in new:
            room[address.phone] -= 1
            if room[address.phone] < 0:
                del made[address]
        rows = [
            {**address._asdict(), **columns, "by_login": True, "unused_since": now} for address, columns in made.items()
        ]
        if rows:
            phones = dict.fromkeys(address.phone for address in made)
            make(self._database, connection, phones, rows, now if newcomers.is_told else None)
        return new.keys() - made.keys()

    def _pair(
        self,
        pairing_id: str,
        address: DeviceAddress,
        label: str,
        is_revoked: Callable[[Sequence[Revocation]], bool],
    ) -> tuple[bool, int]:
        """Return True if it was made only now, and the number of forgotten devices."""
        phone, now = address.phone, self._newcomers.now()
        forgotten = self._forget_unused(now)
        with self._database.write() as connection:
            self._database.take_turns(connection, phone)
            if is_revoked(revoking.of_phone(connection, phone, now)):
                raise TokenInvalid("the token was revoked")
            accepted = codes.accept(connection, pairing_id, address, now)
            if accepted is None:
                raise CodeInvalid("no such device waits any more; have it show a new code")
            secret, is_new = accepted
            if is_new and self._admit(connection, {address: {"secret": secret, "label": label}}):
                raise _Enough
            made = _read_devices(connection, [address]).get(address)
            if made is None or made.secret != secret:
                if is_new:
                    raise DeviceInvalid("the phone has another device with this device_id")
                raise CodeInvalid("the device was removed since; have it show a new code")
            if is_new:
                changes.note(connection, [phone], now, Topic.DEVICES)
            return is_new, forgotten

    def _forget_unused(self, now: float) -> int:
        """Forget them, in a transaction of its own: who waits for a phone's turn may hold no row of its devices."""
        row = account_device.c
        unused = row.unused_since < now - self._newcomers.unused_for
        with self._database.read() as connection:
            if connection.scalar(select(row.phone).where(unused).limit(1)) is None:
                return 0
        with self._database.write() as connection:
            phones = connection.scalars(account_device.delete().where(unused).returning(row.phone)).all()
            if phones:
                changes.note(connection, phones, now, Topic.DEVICES)
        return len(phones)

    def _room(self, connection: Connection, phones: Collection[str], now: float) -> dict[str, float]:
        """The number of further devices that each phone may have."""
        row, most, ordered = account_device.c, self._newcomers.most(), sorted(phones)
        for phone in ordered:
            self._database.take_turns(connection, phone)
        room: dict[str, float] = dict.fromkeys(phones, most or inf)
        if most:
            count = select(row.phone, func.count()).where(row.phone.in_(ordered), row.by_login).group_by(row.phone)
            room |= {phone: most - number for phone, number in connection.execute(count)}
        return room | dict.fromkeys(revoking.full(connection, ordered, now), 0.0)

    def _use(self, addresses: Collection[DeviceAddress]) -> Collection[str]:
        """Write down that these are used; the phones of those of which that was not known."""
        row = account_device.c
        now = self._newcomers.now()
        pairs = [(address.phone, address.device_id) for address in addresses]
        is_long_ago = or_(row.last_used_at.is_(None), row.last_used_at <= now - _USE_NOTED_EVERY)
        unnoted = tuple_(row.phone, row.device_id).in_(pairs) & or_(row.unused_since.is_not(None), is_long_ago)
        with self._database.read() as connection:
            phones = connection.scalars(select(row.phone).where(unnoted)).all()
        if phones:
            with self._database.write() as connection:
                connection.execute(account_device.update().where(unnoted).values(unused_since=None, last_used_at=now))
        return frozenset(phones)

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
            .values(secret=offered, offered=None, unused_since=None)
        )
        with self._database.write() as connection:
            claimed = connection.execute(statement).rowcount > 0
            if claimed:
                changes.note(connection, [address.phone], now, Topic.DEVICES)
        return claimed

    def _offer_again(self, address: DeviceAddress, offered: bytes | None, offer: bytes, now: float) -> bool:
        row = account_device.c
        is_as_known = and_(row.offered == offered, row.secret.is_(None), row.unused_since.is_not(None))
        statement = account_device.update().where(row.phone == address.phone, row.device_id == address.device_id)
        with self._database.write() as connection:
            made = connection.execute(statement.where(is_as_known).values(offered=offer, unused_since=now)).rowcount > 0
            if made:
                changes.note(connection, [address.phone], now)
        return made

    def _changed_one(self, has_changed: bool, address: DeviceAddress) -> bool:
        self.forget([address.phone])
        return has_changed


def _failed(failure: Failure) -> None:
    log.failure("failed to record when devices were last used", failure)


def _must_be_there(found: Enrolled | None) -> Enrolled:
    if found is None:
        raise Unavailable("the device was removed while it logged in; try again")
    return found


def _first_offer(questions: Iterable[_Question]) -> bytes | None:
    return next((question.offer for question in questions if question.offer is not None), None)


def _read_devices(connection: Connection, addresses: Sequence[DeviceAddress]) -> dict[DeviceAddress, Enrolled]:
    row = account_device.c
    # SQLAlchemy keeps the values of the first statement of a kind forever: they had better be none of ours.
    pairs = [(address.phone, address.device_id) for address in addresses]
    statement = select(row.phone, row.device_id, row.secret, row.offered, row.unused_since, row.last_used_at).where(
        tuple_(row.phone, row.device_id).in_(pairs)
    )
    return {
        DeviceAddress(found.phone, found.device_id): Enrolled(
            found.secret,
            found.offered,
            found.unused_since,
            -inf if found.last_used_at is None else found.last_used_at,
        )
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
        """The cached device, if any."""
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

    def forget(self, phones: Collection[str] | None) -> None:
        """Forget all devices of these phones, or with ``None`` of all."""
        if phones is None:
            self._since.clear()
        elif phones:
            for address in [address for address in self._since if address.phone in phones]:
                del self._since[address]
