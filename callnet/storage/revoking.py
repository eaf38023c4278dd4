"""Revoked tokens in the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf, nextafter
from typing import Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select

from callnet.config.schema import TOKEN_LIFETIME_MAX
from callnet.model import EVERY_DEVICE, REVOCATIONS_MAX, DeviceAddress
from callnet.storage import changes
from callnet.storage.database import Database, Queries, Run, in_thread
from callnet.storage.schema import covered_by, push_registration, revocation, shared_time

_NAMED: Final = 1000
"""Phones that a statement names, at most: databases refuse one with tens of thousands, as an import may change."""
_MARGIN: Final = 2.0
"""Seconds after a revocation in which logins are still covered where it is not known yet: such a login may have gone by
a secret that was taken away at the same time. Where it is known, logins count as later than that."""

_row = revocation.c


class Revocation(Struct, frozen=True):
    """Revoked, unexpired tokens. Times are seconds since 1970."""

    device: DeviceAddress
    """The device of the tokens; ``*``: every device of the phone."""
    expires_at: float
    """The time at which all of them have expired."""
    before: float | None = None
    """Tokens of earlier logins are revoked, by the clock of :class:`SqlChanges`."""
    sid: str | None = None
    """Tokens of the login session with this id are revoked."""


def revoke(database: Database, connection: Connection, revoked: Revocation, clock: Callable[[], float]) -> None:
    """Revoke tokens, within a transaction. Those that have expired since need not be remembered any more.

    Nor is a device woken any more of which any token is revoked: somebody else may have it.

    :param clock: the time of this machine, see :func:`shared_time`.
    """
    phone = revoked.device.phone
    database.take_turns(connection, phone)
    _stop_waking(connection, revoked.device)
    connection.execute(revocation.delete().where(_row.expires_at < shared_time(connection, clock())))
    _insert(connection, revoked)
    _collapse(connection, phone, clock)
    changes.note(connection, [phone], clock())


def revoke_all(database: Database, connection: Connection, device: DeviceAddress, clock: Callable[[], float]) -> None:
    """Revoke all tokens that a device, or with ``*`` any device of a phone, has until now, within a transaction.

    :param clock: the time of this machine, see :func:`shared_time`.
    """
    database.take_turns(connection, device.phone)
    _stop_waking(connection, device)
    _revoke_all(connection, device, clock)
    changes.note(connection, [device.phone], clock())


def _revoke_all(connection: Connection, device: DeviceAddress, clock: Callable[[], float]) -> None:
    """Put one revocation in the place of all that are covered by it."""
    covered = covered_by(device, revocation)
    latest, now = connection.execute(
        select(func.max(_row.before).filter(covered), shared_time(connection, clock())).select_from(revocation)
    ).one()
    # Later than the last one, whatever the clock says: logins that followed it are covered now.
    before = now + _MARGIN if latest is None else max(now + _MARGIN, nextafter(latest, inf))
    connection.execute(revocation.delete().where(covered))
    _insert(connection, Revocation(device, before + TOKEN_LIFETIME_MAX, before))


def _collapse(connection: Connection, phone: str, clock: Callable[[], float]) -> None:
    """See to it that not too many are left of a phone: the device with most of them is to log in again."""
    number = func.count().label("number")
    of_devices = (
        select(_row.device_id, number).where(_row.phone == phone).group_by(_row.device_id).order_by(number.desc())
    )
    while True:
        counts = connection.execute(of_devices).all()
        if sum(of_device.number for of_device in counts) <= REVOCATIONS_MAX:
            return
        most = counts[0]
        device_id = most.device_id if most.number > 1 else EVERY_DEVICE
        _revoke_all(connection, DeviceAddress(phone, device_id), clock)


def _insert(connection: Connection, revoked: Revocation) -> None:
    row = {
        "phone": revoked.device.phone,
        "device_id": revoked.device.device_id,
        "before": revoked.before,
        "jti": revoked.sid,
        "expires_at": revoked.expires_at,
    }
    connection.execute(insert(revocation), [row])


def _stop_waking(connection: Connection, device: DeviceAddress) -> None:
    connection.execute(push_registration.delete().where(covered_by(device, push_registration)))


class SqlRevocations(Queries):
    """Revoked tokens, on all nodes: of each phone at most :data:`callnet.model.REVOCATIONS_MAX`.

    Over the limit, the device that has most of them must log in again.

    :param now: the time, in seconds since 1970.
    """

    def __init__(self, database: Database, run: Run, now: Callable[[], float]) -> None:
        super().__init__(database, run)
        self._now = now

    @in_thread
    def revoke(self, revoked: Revocation) -> None:
        """Revoke tokens, and notify every node."""
        with self._database.write() as connection:
            revoke(self._database, connection, revoked, self._now)

    @in_thread
    def revoke_all(self, device: DeviceAddress) -> None:
        """Revoke all present tokens of a device, or with ``*`` of all devices of a phone, and notify every node."""
        with self._database.write() as connection:
            revoke_all(self._database, connection, device, self._now)

    @in_thread
    def revoked(self, phones: Collection[str] | None = None) -> Mapping[str, Sequence[Revocation]]:
        """Revocations of unexpired tokens, by phone.

        :param phones: of these alone, each of which is in the answer; ``None``: of all.
        """
        with self._database.read() as connection:
            time = shared_time(connection, self._now())
            rows = connection.execute(_valid(time, phones if len(phones or ()) <= _NAMED else None)).all()
        found: dict[str, list[Revocation]] = {phone: [] for phone in phones or ()}
        for row in rows:
            if phones is None or row.phone in found:
                found.setdefault(row.phone, []).append(_as_revocation(row))
        return dict(found)


def of_phone(connection: Connection, phone: str, now: float) -> Sequence[Revocation]:
    """The revocations of a phone that have not expired. ``now``: see :func:`shared_time`."""
    return [_as_revocation(row) for row in connection.execute(_valid(shared_time(connection, now), [phone]))]


def _valid(time: ColumnElement[float], phones: Collection[str] | None) -> Select[tuple[str, str, float, str, float]]:
    statement = select(_row.phone, _row.device_id, _row.before, _row.jti, _row.expires_at)
    statement = statement.where(_row.expires_at >= time)
    return statement if phones is None else statement.where(_row.phone.in_(phones))


def _as_revocation(row: Row[tuple[str, str, float, str, float]]) -> Revocation:
    return Revocation(DeviceAddress(row.phone, row.device_id), row.expires_at, row.before, row.jti)
