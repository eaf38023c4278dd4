"""Push registrations in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, select
from twisted.internet.defer import Deferred

from callnet.model import DeviceAddress
from callnet.storage import changes, revoking
from callnet.storage.database import Queries, in_thread
from callnet.storage.revoking import Revocation
from callnet.storage.schema import account_device, covered_by, push_registration

_row = push_registration.c


class PushKind(StrEnum):
    """The waking service of a device, by its name on the wire (protocol §1)."""

    WEBHOOK = "webhook"
    """The operator's gateway."""
    WEBPUSH = "webpush"
    """The push service of its browser."""


class PushRegistration(Struct, frozen=True):
    """A device's registration to be woken."""

    device: DeviceAddress
    kind: PushKind
    target: str
    """At most :data:`callnet.model.PUSH_TARGET_MAX` characters, for the service that wakes the device."""
    created_at: float
    """Seconds since 1970."""


class SqlPushRegistrations(Queries):
    """The registrations of devices to be woken, at most one for each device, and for each target of Web Push: a browser
    has one subscription, whoever has logged in there. A gateway's targets can be guessed, and take no device's place.

    A revocation of a device's tokens removes its own.
    """

    @in_thread
    def put(self, registration: PushRegistration, is_revoked: Callable[[Sequence[Revocation]], bool]) -> bool:
        """Store a registration in the place of the device's last one, and of others with its Web Push target; return
        whether that was done.

        :param is_revoked: called in another thread with all revocations of the phone; returns whether the token of the
            request is revoked. If so nothing is done: a revocation at the same time leaves no registration.
        """
        phone, device_id = registration.device
        row = {
            "phone": phone,
            "device_id": device_id,
            "kind": registration.kind.value,
            "target": registration.target,
            "created_at": registration.created_at,
        }
        with self._database.write() as connection:
            self._database.take_turns(connection, phone)
            if is_revoked(revoking.of_phone(connection, phone, registration.created_at)):
                return False
            if registration.kind is PushKind.WEBPUSH:
                self._database.take_turns(connection, registration.target)
                self._take(connection, registration.device, registration.target, registration.created_at)
            connection.execute(self._database.insert_or_replace(push_registration), [row])
            of_device = covered_by(registration.device, account_device)
            connection.execute(account_device.update().where(of_device).values(unused_since=None))
            changes.note(connection, [phone], registration.created_at)
        return True

    @in_thread
    def renew(self, device: DeviceAddress, old: str, target: str, now: float) -> bool:
        """Put another Web Push target in the place of a device's; return whether it had the old one."""
        same = covered_by(device, push_registration) & _is_web_push(old)
        with self._database.write() as connection:
            self._database.take_turns(connection, target)  # first of all: who has the turn may wait for the row
            if not connection.execute(push_registration.update().where(same).values(target=target)).rowcount:
                return False
            self._take(connection, device, target, now)
        return True

    def _take(self, connection: Connection, device: DeviceAddress, target: str, now: float) -> None:
        """Remove the registrations of other devices with a Web Push target, whose turn the caller has taken."""
        others = _is_web_push(target) & ~covered_by(device, push_registration)
        removed = connection.scalars(push_registration.delete().where(others).returning(_row.phone)).all()
        changes.note(connection, removed, now)

    @in_thread
    def of(self, address: DeviceAddress) -> Sequence[PushRegistration]:
        """The registrations of a device, or for ``*`` of all devices of a phone, by device id."""
        with self._database.read() as connection:
            return registrations(connection, address)

    def forget(self, device: DeviceAddress, now: float) -> Deferred[None]:
        """Remove the registration of a device."""
        return self._run(self._delete, device.phone, covered_by(device, push_registration), now)

    def drop(self, registration: PushRegistration, now: float) -> Deferred[None]:
        """Remove a registration, unless the device has made another one since."""
        same = (
            covered_by(registration.device, push_registration)
            & (_row.kind == registration.kind.value)
            & (_row.target == registration.target)
            & (_row.created_at == registration.created_at)
        )
        return self._run(self._delete, registration.device.phone, same, now)

    def _delete(self, phone: str, which: ColumnElement[bool], now: float) -> None:
        with self._database.write() as connection:
            if connection.execute(push_registration.delete().where(which)).rowcount:
                changes.note(connection, [phone], now)


def _is_web_push(target: str) -> ColumnElement[bool]:
    return (_row.kind == PushKind.WEBPUSH.value) & (_row.target == target)


def registrations(connection: Connection, address: DeviceAddress) -> Sequence[PushRegistration]:
    """The result of :meth:`SqlPushRegistrations.of`."""
    statement = select(push_registration).where(covered_by(address, push_registration)).order_by(_row.device_id)
    return [_as_registration(row) for row in connection.execute(statement)]


def _as_registration(row: Any) -> PushRegistration:
    return PushRegistration(DeviceAddress(row.phone, row.device_id), PushKind(row.kind), row.target, row.created_at)
