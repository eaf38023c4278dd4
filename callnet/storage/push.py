"""Push registrations in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, select
from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.accounts.ports import IPushRegistrations, PushKind, PushRegistration, Revocation
from callnet.model import DeviceAddress
from callnet.storage import changes, revoking
from callnet.storage.database import Database
from callnet.storage.tables import Run, account_device, covered_by, push_registration

_row = push_registration.c


@implementer(IPushRegistrations)
class SqlPushRegistrations:
    """The registrations, for the daemon."""

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run

    def put(self, registration: PushRegistration, is_revoked: Callable[[Sequence[Revocation]], bool]) -> Deferred[bool]:
        """See :meth:`IPushRegistrations.put`."""
        return self._run(self._put, registration, is_revoked)

    def _put(self, registration: PushRegistration, is_revoked: Callable[[Sequence[Revocation]], bool]) -> bool:
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
            connection.execute(self._database.insert_or_replace(push_registration), [row])
            of_device = covered_by(registration.device, account_device)
            connection.execute(account_device.update().where(of_device).values(unused_since=None))
            changes.note(connection, [phone], registration.created_at)
        return True

    def of(self, address: DeviceAddress) -> Deferred[Sequence[PushRegistration]]:
        """See :meth:`IPushRegistrations.of`."""
        return self._run(self._of, address)

    def _of(self, address: DeviceAddress) -> Sequence[PushRegistration]:
        with self._database.read() as connection:
            return registrations(connection, address)

    def forget(self, device: DeviceAddress, now: float) -> Deferred[None]:
        """See :meth:`IPushRegistrations.forget`."""
        return self._run(self._delete, device.phone, covered_by(device, push_registration), now)

    def drop(self, registration: PushRegistration, now: float) -> Deferred[None]:
        """See :meth:`IPushRegistrations.drop`."""
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


def registrations(connection: Connection, address: DeviceAddress) -> Sequence[PushRegistration]:
    """The result of :meth:`IPushRegistrations.of`."""
    statement = select(push_registration).where(covered_by(address, push_registration)).order_by(_row.device_id)
    return [_as_registration(row) for row in connection.execute(statement)]


def _as_registration(row: Any) -> PushRegistration:
    return PushRegistration(DeviceAddress(row.phone, row.device_id), PushKind(row.kind), row.target, row.created_at)
