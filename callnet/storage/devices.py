"""Devices in the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, select

from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.storage import changes, outbox, revoking
from callnet.storage.database import Database
from callnet.storage.history import PastCall, drop, past_calls
from callnet.storage.preferences import NOTHING_SET, settings_of
from callnet.storage.push import registrations
from callnet.storage.tables import (
    account,
    account_device,
    auto_answer,
    blocked,
    contact,
    heard_until,
    one_time_code,
    push_registration,
    quiet_hours,
)


def make(
    database: Database,
    connection: Connection,
    phones: Iterable[str],
    devices: Iterable[Mapping[str, Any]],
    told_at: float | None,
) -> None:
    """Make sure, within a transaction, that these are there. What is there already is left as it is.

    :param devices: rows of devices of these phones.
    :param told_at: the time, if a program of the operator's is to be told of devices that are made.
    """
    connection.execute(database.insert_missing(account), [{"phone": phone} for phone in phones])
    rows = list(devices)
    if not rows:
        return
    insert, row = database.insert_missing(account_device), account_device.c
    if told_at is None:
        connection.execute(insert, rows)
        return
    made = connection.execute(insert.returning(row.phone, row.device_id), rows)
    outbox.put(database, connection, [outbox.enrolled(DeviceAddress(*device), told_at) for device in made], told_at)


def provision(
    database: Database,
    phone: str,
    device_ids: Sequence[str],
    now: float,
    is_told: bool = False,
    secrets: Mapping[str, bytes] | None = None,
) -> Collection[str]:
    """Make sure that an account and these devices of it exist. What is there is left as it is.

    :param is_told: whether a program of the operator's is to be told of devices that are made.
    :param secrets: SHA-256 of the secret that each device needs if it is made now; ``None``: they need none.
    :return: the devices that have the secret given here, since they were made now.
    """
    given = secrets or {}
    rows = [{"phone": phone, "device_id": device_id, "secret": given.get(device_id)} for device_id in device_ids]
    with database.write() as connection:
        make(database, connection, [phone], rows, now if is_told else None)
        changes.note(connection, [phone], now)
        row = account_device.c
        kept = connection.execute(select(row.device_id, row.secret).where(row.phone == phone)).all()
    return {
        found.device_id for found in kept if found.secret is not None and found.secret == given.get(found.device_id)
    }


def devices_without_secret(database: Database) -> int:
    """The number of devices that need no secret."""
    row = account_device.c
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(account_device).where(row.secret.is_(None))) or 0


def set_secret(database: Database, address: DeviceAddress, secret: bytes | None, now: float) -> bool:
    """Let a device need this secret from now on, or none; tell whether there is such a device.

    :param secret: its SHA-256.
    """
    row = account_device.c
    of_device = (row.phone == address.phone, row.device_id == address.device_id)
    with database.write() as connection:
        changed = connection.execute(account_device.update().where(*of_device).values(secret=secret, offered=None))
        changes.note(connection, [address.phone], now)
        return changed.rowcount > 0


class Device(Struct, frozen=True):
    """One device of a phone."""

    device_id: str
    has_secret: bool


class WakeRow(Struct, frozen=True):
    """The push registration of a device."""

    device_id: str
    kind: str
    target: str
    created_at: float
    """Seconds since 1970."""


class PersonalData(Struct, frozen=True):
    """All that is kept of a phone, but what others have in their own lists."""

    phone: str
    devices: Sequence[Device]
    contacts: Mapping[str, str]
    """Names, by phone."""
    blocked: Sequence[str]
    do_not_disturb: Mapping[str, str] | None
    auto_answer: Sequence[str]
    wake: Sequence[WakeRow]
    calls: Sequence[PastCall]
    """The newest first."""
    untold: Sequence[Mapping[str, Any]]
    """The undelivered webhook events about it, oldest first."""


def export(database: Database, phone: str) -> PersonalData | None:
    """All that is kept of a phone; ``None``: it has no account, nor any list."""
    device, listed = account_device.c, contact.c
    with database.read() as connection:
        known = connection.execute(select(account.c.phone).where(account.c.phone == phone)).first()
        devices = connection.execute(
            select(device.device_id, device.secret).where(device.phone == phone).order_by(device.device_id)
        ).all()
        names = connection.execute(
            select(listed.contact, listed.name).where(listed.owner == phone).order_by(listed.contact)
        ).all()
        refused = connection.scalars(
            select(blocked.c.phone).where(blocked.c.owner == phone).order_by(blocked.c.phone)
        ).all()
        settings = settings_of(connection, phone)
        wake = registrations(connection, DeviceAddress(phone, EVERY_DEVICE))
        calls = past_calls(connection, phone)
        untold = [msgspec.json.decode(body) for body in outbox.bodies(connection, outbox.names(phone))]
    if known is None and not (names or refused or wake or calls or untold) and settings == NOTHING_SET:
        return None
    return PersonalData(
        phone,
        [Device(row.device_id, row.secret is not None) for row in devices],
        {row.contact: row.name for row in names},
        list(refused),
        None if settings.quiet is None else settings.quiet.fields(),
        settings.auto_answer,
        [WakeRow(one.device.device_id, one.kind, one.target, one.created_at) for one in wake],
        calls,
        untold,
    )


def delete(database: Database, phone: str, clock: Callable[[], float]) -> bool:
    """Remove all that is kept of a phone, and revoke its tokens; tell whether there was anything.

    :param clock: the time of this machine, see :func:`shared_time`.
    """
    with database.write() as connection:
        database.take_turns(connection, phone)  # first of all: who has the turn may wait for a row
        removed = drop(connection, phone)
        for table, owner in (
            (contact, contact.c.owner),
            (blocked, blocked.c.owner),
            (quiet_hours, quiet_hours.c.phone),
            (heard_until, heard_until.c.phone),
            (auto_answer, auto_answer.c.owner),
            (one_time_code, one_time_code.c.phone),
            (push_registration, push_registration.c.phone),
            (account_device, account_device.c.phone),
            (account, account.c.phone),
        ):
            removed += connection.execute(table.delete().where(owner == phone)).rowcount
        removed += outbox.drop(connection, outbox.names(phone), clock())
        revoking.revoke_all(database, connection, DeviceAddress(phone, EVERY_DEVICE), clock)
    return removed > 0


def revoke(database: Database, device: DeviceAddress, clock: Callable[[], float]) -> bool:
    """Revoke all tokens that a device, or with ``*`` any device of a phone, has until now; tell whether it is known.

    :param clock: the time of this machine, see :func:`shared_time`.
    """
    phone, device_id = device
    known = select(account.c.phone).where(account.c.phone == phone)
    if device_id != EVERY_DEVICE:
        row = account_device.c
        known = select(row.phone).where(row.phone == phone, row.device_id == device_id)
    with database.write() as connection:
        revoking.revoke_all(database, connection, device, clock)
        return connection.execute(known).first() is not None
