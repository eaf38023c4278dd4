"""Revoked tokens in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, Row, Select, insert, select
from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.model import DeviceAddress
from callnet.storage import changes
from callnet.storage.database import Database
from callnet.storage.sql import Run
from callnet.storage.tables import covered_by, push_registration, revocation
from callnet.storage_interfaces import IRevocations, Revocation

_NAMED: Final = 1000
"""Phones that a statement names, at most: databases refuse one with tens of thousands, as an import may change."""


def revoke(database: Database, connection: Connection, revoked: Revocation, now: float) -> None:
    """Revoke tokens, within a transaction. Those that have expired since need not be remembered any more.

    Nor is a device woken any more of which any token is revoked: somebody else may have it.
    """
    database.take_turns(connection, revoked.device.phone)
    connection.execute(push_registration.delete().where(covered_by(revoked.device, push_registration)))
    connection.execute(revocation.delete().where(revocation.c.expires_at < now))
    row = {
        "phone": revoked.device.phone,
        "device_id": revoked.device.device_id,
        "before": revoked.before,
        "jti": revoked.jti,
        "expires_at": revoked.expires_at,
    }
    connection.execute(insert(revocation), [row])
    changes.note(connection, [revoked.device.phone], now)


@implementer(IRevocations)
class SqlRevocations:
    """Revoked tokens, for the daemon."""

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run

    def revoke(self, revoked: Revocation, now: float) -> Deferred[None]:
        """See :meth:`IRevocations.revoke`."""
        return self._run(self._revoke, revoked, now)

    def _revoke(self, revoked: Revocation, now: float) -> None:
        with self._database.write() as connection:
            revoke(self._database, connection, revoked, now)

    def revoked(
        self, now: float, phones: Collection[str] | None = None
    ) -> Deferred[Mapping[str, Sequence[Revocation]]]:
        """See :meth:`IRevocations.revoked`."""
        return self._run(self._revoked, now, phones)

    def _revoked(self, now: float, phones: Collection[str] | None) -> Mapping[str, Sequence[Revocation]]:
        with self._database.read() as connection:
            rows = connection.execute(_valid(now, phones if len(phones or ()) <= _NAMED else None)).all()
        found: dict[str, list[Revocation]] = {phone: [] for phone in phones or ()}
        for row in rows:
            if phones is None or row.phone in found:
                found.setdefault(row.phone, []).append(_as_revocation(row))
        return found


def of_phone(connection: Connection, phone: str, now: float) -> Sequence[Revocation]:
    """What is revoked of a phone and has not expired."""
    return [_as_revocation(row) for row in connection.execute(_valid(now, [phone]))]


def _valid(now: float, phones: Collection[str] | None) -> Select[tuple[str, str, float, str, float]]:
    row = revocation.c
    statement = select(row.phone, row.device_id, row.before, row.jti, row.expires_at).where(row.expires_at >= now)
    return statement if phones is None else statement.where(row.phone.in_(phones))


def _as_revocation(row: Row[tuple[str, str, float, str, float]]) -> Revocation:
    return Revocation(DeviceAddress(row.phone, row.device_id), row.expires_at, row.before, row.jti)
