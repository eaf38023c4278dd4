"""Revoked tokens in the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf, nextafter
from typing import Final, TypeAlias

from msgspec import Struct
from sqlalchemy import Connection, Row, Select, func, insert, select

from callnet.config.schema import TOKEN_LIFETIME_MAX
from callnet.model import EVERY_DEVICE, REVOCATIONS_MAX, REVOCATIONS_OF_DEVICE_MAX, DeviceAddress
from callnet.storage import changes
from callnet.storage.database import Database, Queries, Run, in_thread
from callnet.storage.schema import account, account_device, covered_by, push_registration, revocation, shared_time
from callnet.util.deferreds import as_deferred

_NAMED: Final = 1000
"""Phones that a statement names, at most: databases refuse one with tens of thousands, as an import may change."""
_PAGE: Final = 10_000
"""Rows that a statement reads, at most: of any number it would not come to its end in time."""
_MARGIN: Final = 2.0
"""Seconds after a revocation in which logins are still covered where it is not known yet: such a login may have gone by
a secret that was taken away at the same time. Where it is known, logins count as later than that."""

_row = revocation.c
_Columns: TypeAlias = tuple[int, str, str, float, str, float]


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


def revoke(
    database: Database, connection: Connection, revoked: Revocation, clock: Callable[[], float], lasts: float
) -> None:
    """Revoke tokens, within a transaction. Those that have expired since need not be remembered any more.

    Nor is a device woken any more of which any token is revoked: somebody else may have it.

    :param clock: the time of this machine, see :func:`shared_time`.
    :param lasts: seconds for which a token lasts, at most: those of all present ones of the device, if it has too many
        revocations.
    """
    device = revoked.device
    database.take_turns(connection, device.phone)
    _stop_waking(connection, device)
    _forget_expired(connection, clock)
    _insert(connection, revoked)
    of_device = select(func.count()).where(_row.phone == device.phone, _row.device_id == device.device_id)
    if (connection.scalar(of_device) or 0) > REVOCATIONS_OF_DEVICE_MAX:
        _revoke_all(connection, device, clock, lasts)
    changes.note(connection, [device.phone], clock())


def revoke_all(
    database: Database,
    connection: Connection,
    device: DeviceAddress,
    clock: Callable[[], float],
    lasts: float = TOKEN_LIFETIME_MAX,
) -> None:
    """Revoke all tokens that a device, or with ``*`` any device of a phone, has until now, within a transaction.

    :param clock: the time of this machine, see :func:`shared_time`.
    :param lasts: seconds for which a token lasts, at most.
    """
    database.take_turns(connection, device.phone)
    _stop_waking(connection, device)
    _forget_expired(connection, clock)
    _revoke_all(connection, device, clock, lasts)
    changes.note(connection, [device.phone], clock())


def is_known(connection: Connection, device: DeviceAddress) -> bool:
    """Tell whether there is such a device, or with ``*`` such a phone."""
    phone, device_id = device
    known = select(account.c.phone).where(account.c.phone == phone)
    if device_id != EVERY_DEVICE:
        row = account_device.c
        known = select(row.phone).where(row.phone == phone, row.device_id == device_id)
    return connection.execute(known).first() is not None


def _revoke_all(connection: Connection, device: DeviceAddress, clock: Callable[[], float], lasts: float) -> None:
    """Put one revocation in the place of all that are covered by it."""
    covered = covered_by(device, revocation)
    of_covered = func.max(_row.before).filter(covered), func.max(_row.expires_at).filter(covered)
    latest, longest, now = connection.execute(
        select(*of_covered, shared_time(connection, clock())).select_from(revocation)
    ).one()
    # Later than the last one, whatever the clock says: logins that followed it are covered now.
    before = now + _MARGIN if latest is None else max(now + _MARGIN, nextafter(latest, inf))
    connection.execute(revocation.delete().where(covered))
    _insert(connection, Revocation(device, max(before + lasts, longest or 0.0), before))


def full(connection: Connection, phones: Collection[str], now: float) -> Sequence[str]:
    """Those of these phones that have :data:`callnet.model.REVOCATIONS_MAX` revocations: logins make no device of them.

    :param now: see :func:`shared_time`.
    """
    valid = _row.phone.in_(phones) & (_row.expires_at >= shared_time(connection, now))
    counted = select(_row.phone).where(valid).group_by(_row.phone).having(func.count() >= REVOCATIONS_MAX)
    return connection.scalars(counted).all()


def _forget_expired(connection: Connection, clock: Callable[[], float]) -> None:
    """Forget those of all phones. This goes first: PostgreSQL locks rows in the order in which they are deleted."""
    connection.execute(revocation.delete().where(_row.expires_at < shared_time(connection, clock())))


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
    """Revoked tokens, on all nodes: of each device at most :data:`callnet.model.REVOCATIONS_OF_DEVICE_MAX`.

    Over the limit, the device must log in again.

    :param now: the time, in seconds since 1970.
    :param lasts: seconds for which a token lasts, at most.
    """

    def __init__(
        self, database: Database, run: Run, now: Callable[[], float], lasts: float = TOKEN_LIFETIME_MAX
    ) -> None:
        super().__init__(database, run)
        self._now = now
        self._lasts = lasts

    @in_thread
    def revoke(self, revoked: Revocation) -> None:
        """Revoke tokens, and notify every node."""
        with self._database.write() as connection:
            revoke(self._database, connection, revoked, self._now, self._lasts)

    @in_thread
    def revoke_all(self, device: DeviceAddress) -> bool:
        """Revoke all present tokens of a device, or with ``*`` of all devices of a phone, and notify every node; tell
        whether it is known.
        """
        with self._database.write() as connection:
            revoke_all(self._database, connection, device, self._now)
            return is_known(connection, device)

    @as_deferred
    async def revoked(self, phones: Collection[str] | None = None) -> Mapping[str, Sequence[Revocation]]:
        """Revocations of unexpired tokens, by phone. What is revoked meanwhile may be missing.

        :param phones: of these alone, each of which is in the answer; ``None``: of all.
        """
        named = phones if len(phones or ()) <= _NAMED else None
        found: dict[str, list[Revocation]] = {phone: [] for phone in phones or ()}
        after = -1
        while True:
            page, after = await self._page(named, after)
            for revoked in page:
                phone = revoked.device.phone
                if phones is None or phone in found:
                    found.setdefault(phone, []).append(revoked)
            if len(page) < _PAGE:
                return dict(found)

    @in_thread
    def _page(self, phones: Collection[str] | None, after: int) -> tuple[Sequence[Revocation], int]:
        """The revocations of the next rows after one, by their ids; and the id of the last."""
        with self._database.read() as connection:
            rows = connection.execute(_valid(connection, phones, self._now(), after).limit(_PAGE)).all()
        return [_as_revocation(row) for row in rows], rows[-1].id if rows else after


def of_phone(connection: Connection, phone: str, now: float) -> Sequence[Revocation]:
    """The revocations of a phone that have not expired. ``now``: see :func:`shared_time`."""
    return [_as_revocation(row) for row in connection.execute(_valid(connection, [phone], now))]


def _valid(connection: Connection, phones: Collection[str] | None, now: float, after: int = -1) -> Select[_Columns]:
    unexpired = (_row.id > after) & (_row.expires_at >= shared_time(connection, now))
    statement = select(_row.id, _row.phone, _row.device_id, _row.before, _row.jti, _row.expires_at).where(unexpired)
    if phones is not None:
        statement = statement.where(_row.phone.in_(phones))
    return statement.order_by(_row.id)


def _as_revocation(row: Row[_Columns]) -> Revocation:
    return Revocation(DeviceAddress(row.phone, row.device_id), row.expires_at, row.before, row.jti)
