"""Codes that let devices in, in the database, so that every node knows them: one-time codes, and those of pairings.

Of a pairing, secret and code are known by their SHA-256. That hides a secret, which is random; a code could be found by
trying all, but is worth nothing without a device of a phone, and after minutes.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, case, func, select, update

from callnet.errors import RateLimited
from callnet.model import DeviceAddress
from callnet.storage.database import Database, Queries, Run, in_thread
from callnet.storage.schema import one_time_code, pairing, shared_time

_HOUR: Final = 3600.0


class SqlCodes(Queries):
    """The newest one-time code of each phone, and its number of guesses. Times are seconds since 1970."""

    @in_thread
    def put(self, phone: str, digest: bytes, now: float, valid_for: float, most: int) -> bool:
        """Store a code in the place of the previous one; return whether that is within the limit.

        :param most: the maximum number of codes for a phone in an hour.
        """
        row = one_time_code.c
        with self._database.write() as connection:
            self._database.take_turns(connection, phone)
            time = shared_time(connection, now)
            connection.execute(one_time_code.delete().where(row.since < time - _HOUR, row.expires_at < time))
            sent = connection.execute(
                select(row.since, row.sent).where(row.phone == phone, row.since >= time - _HOUR)
            ).first()
            if sent is not None and sent.sent >= most:
                return False
            new = self._database.insert_or_replace(one_time_code).values(
                phone=phone,
                digest=digest,
                expires_at=time + valid_for,
                tries=0,
                since=time if sent is None else sent.since,
                sent=1 if sent is None else sent.sent + 1,
            )
            connection.execute(new)
        return True

    @in_thread
    def try_(self, phone: str, now: float, most: int) -> bytes | None:
        """Count a guess, and return the stored code; ``None``: there is no valid one, or it had the most guesses."""
        row = one_time_code.c
        with self._database.write() as connection:
            statement = (
                update(one_time_code)
                .where(row.phone == phone, row.expires_at > shared_time(connection, now), row.tries < most)
                .values(tries=row.tries + 1)
            )
            if not connection.execute(statement).rowcount:
                return None
            kept: bytes | None = connection.scalar(select(row.digest).where(row.phone == phone))
            return kept

    @in_thread
    def spend(self, phone: str, digest: bytes) -> bool:
        """Invalidate a code; return whether it was valid until now."""
        row = one_time_code.c
        statement = (
            update(one_time_code)
            .where(row.phone == phone, row.digest == digest, row.expires_at > 0)
            .values(digest=b"", expires_at=0.0)
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount > 0


_TOLD_FOR: Final = 120.0
"""Seconds for which a device can still hear the answer, once it was told it: it may have been lost on the way."""
_FULL_FOR: Final = 60
"""Seconds after which to try again if too many wait."""

_pairing = pairing.c
_is_open: Final = _pairing.phone.is_(None) & ~_pairing.is_refused


class NewPairing(Struct, frozen=True):
    """A device that begins to wait."""

    id: str
    secret: bytes
    """SHA-256 of the secret that it will have."""
    code: bytes
    """SHA-256 of the letters that it shows."""
    name: str
    """The name that it gives itself."""


class OpenPairing(Struct, frozen=True):
    """A device that waits."""

    id: str
    name: str
    age: float
    """Seconds since it began to."""


class PairingState(Struct, frozen=True):
    """The state of a device that waits."""

    is_refused: bool
    device: DeviceAddress | None
    """The device that it is now; ``None``: none yet."""


class SqlPairings(Queries):
    """Devices that wait.

    :param most: the maximum number that is remembered at once.
    """

    def __init__(self, database: Database, run: Run, most: int) -> None:
        super().__init__(database, run)
        self._most = most

    @in_thread
    def begin(self, new: NewPairing, now: float, valid_for: float) -> bool:
        """Let a device wait; return whether its code was free.

        :raises RateLimited: (the Deferred) too many wait.
        """
        with self._database.write(may_be_lost=True) as connection:
            time = shared_time(connection, now)
            connection.execute(pairing.delete().where(_pairing.expires_at <= time))
            if (connection.scalar(select(func.count()).select_from(pairing)) or 0) >= self._most:
                raise RateLimited("too many devices wait to be paired", _FULL_FOR)
            insert = self._database.insert_missing(pairing).values(**_columns(new, time, valid_for))
            return connection.scalar(insert.returning(_pairing.id)) is not None

    @in_thread
    def look(self, code: bytes, now: float) -> OpenPairing | None:
        """The device that waits and shows a code."""
        with self._database.read() as connection:
            time = shared_time(connection, now)
            wanted = select(_pairing.id, _pairing.name, (time - _pairing.begun_at).label("age"))
            found = connection.execute(
                wanted.where(_pairing.code == code, _pairing.expires_at > time, _is_open)
            ).first()
        return None if found is None else OpenPairing(found.id, found.name, found.age)

    @in_thread
    def refuse(self, pairing_id: str, now: float) -> bool | None:
        """Refuse a device; return whether it is refused only now. ``None``: no such device waits."""
        with self._database.write() as connection:
            time = shared_time(connection, now)
            this = (_pairing.id == pairing_id, _pairing.expires_at > time)
            statement = pairing.update().where(*this, _is_open).values(is_refused=True, expires_at=_told_until(time))
            if connection.execute(statement).rowcount:
                return True
            again = select(_pairing.id).where(*this, _pairing.is_refused)
            return None if connection.scalar(again) is None else False

    @in_thread
    def state(self, secret: bytes, now: float) -> PairingState | None:
        """The state of the device with a secret; ``None``: it is not known, or no more.

        A device that is told that it is let in is not known for much longer.
        """
        with self._database.read() as connection:
            time = shared_time(connection, now)
            lasts = (_pairing.expires_at > time + _TOLD_FOR).label("lasts")
            wanted = select(_pairing.is_refused, _pairing.phone, _pairing.device_id, lasts)
            found = connection.execute(wanted.where(_pairing.secret == secret, _pairing.expires_at > time)).first()
        if found is None:
            return None
        if found.phone is not None and found.lasts:
            with self._database.write() as connection:
                until = shared_time(connection, now) + _TOLD_FOR
                told = pairing.update().where(_pairing.secret == secret, _pairing.expires_at > until)
                connection.execute(told.values(expires_at=until))
        device = None if found.phone is None else DeviceAddress(found.phone, found.device_id)
        return PairingState(found.is_refused, device)


def accept(connection: Connection, pairing_id: str, device: DeviceAddress, now: float) -> tuple[bytes, bool] | None:
    """Have a device that waits be this one, within a transaction.

    :param now: see :func:`shared_time`.
    :return: the SHA-256 of its secret, and whether it is this device only now; ``None``: no such device waits.
    """
    time = shared_time(connection, now)
    this = (_pairing.id == pairing_id, _pairing.expires_at > time)
    taken = pairing.update().where(*this, _is_open).values(**device._asdict(), expires_at=_told_until(time))
    secret = connection.scalar(taken.returning(_pairing.secret))
    if secret is not None:
        return secret, True
    again = select(_pairing.secret).where(*this, _pairing.phone == device.phone, _pairing.device_id == device.device_id)
    secret = connection.scalar(again)
    return None if secret is None else (secret, False)


def invite(database: Database, new: NewPairing, device: DeviceAddress, now: float, valid_for: float) -> None:
    """Let in a device that has not begun to wait yet: whoever asks with its secret is told that it is this device.

    :raises callnet.errors.Unavailable: the database cannot be reached.
    """
    with database.write() as connection:
        time = shared_time(connection, now)
        connection.execute(
            pairing.delete().where((_pairing.phone == device.phone) & (_pairing.device_id == device.device_id))
        )
        connection.execute(pairing.insert().values(**_columns(new, time, valid_for), **device._asdict()))


def _columns(new: NewPairing, begun_at: ColumnElement[float], valid_for: float) -> dict[str, Any]:
    """The columns of a device that begins to wait."""
    times = {"begun_at": begun_at, "expires_at": begun_at + valid_for}
    return {"id": new.id, "secret": new.secret, "code": new.code, "name": new.name, "is_refused": False, **times}


def _told_until(time: ColumnElement[float]) -> ColumnElement[float]:
    """The time from which an answer that is given now may be forgotten."""
    told = time + _TOLD_FOR
    return case((_pairing.expires_at > told, _pairing.expires_at), else_=told)
