"""Accounts and devices for the command line. Everything here blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import select

from callnet.accounts.past_calls import PastCallRow, row_of
from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.storage import changes, outbox, revoking
from callnet.storage.database import Database
from callnet.storage.history import past_calls
from callnet.storage.making import make
from callnet.storage.push import registrations
from callnet.storage.settings import NOTHING_SET, settings_of
from callnet.storage.tables import (
    account,
    account_device,
    auto_answer,
    blocked,
    call_history,
    contact,
    heard_until,
    one_time_code,
    push_registration,
    quiet_hours,
)
from callnet.storage_interfaces import Revocation


def provision(database: Database, phone: str, device_ids: Sequence[str], now: float, is_told: bool = False) -> None:
    """Make sure that an account and these devices of it exist. What is there is left as it is.

    :param is_told: whether a program of the operator's is to be told of devices that are made.
    """
    rows = [{"phone": phone, "device_id": device_id} for device_id in device_ids]
    with database.write() as connection:
        make(database, connection, [phone], rows, now if is_told else None)
        changes.note(connection, [phone], now)


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
    """How a device is woken when it sleeps."""

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
    calls: Sequence[PastCallRow]
    """The newest first."""
    untold: Sequence[Mapping[str, Any]]
    """What a program of the operator's is still to be told of it, the oldest first."""


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
        calls = [row_of(call) for call in past_calls(connection, phone)]
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


def delete(database: Database, phone: str, now: float, expires_at: float) -> bool:
    """Remove all that is kept of a phone, and revoke its tokens; tell whether there was anything.

    :param expires_at: from then on every token has expired that was issued until now.
    """
    with database.write() as connection:
        database.take_turns(connection, phone)  # first of all: who has the turn may wait for a row
        removed = 0
        for table, owner in (
            (contact, contact.c.owner),
            (blocked, blocked.c.owner),
            (quiet_hours, quiet_hours.c.phone),
            (call_history, call_history.c.phone),
            (heard_until, heard_until.c.phone),
            (auto_answer, auto_answer.c.owner),
            (one_time_code, one_time_code.c.phone),
            (push_registration, push_registration.c.phone),
            (account_device, account_device.c.phone),
            (account, account.c.phone),
        ):
            removed += connection.execute(table.delete().where(owner == phone)).rowcount
        removed += outbox.drop(connection, outbox.names(phone), now)
        everything = Revocation(DeviceAddress(phone, EVERY_DEVICE), expires_at, before=now)
        revoking.revoke(database, connection, everything, now)
    return removed > 0


def revoke(database: Database, revoked: Revocation, now: float) -> bool:
    """Revoke tokens; tell whether their device, or for ``*`` their phone, is known."""
    phone, device_id = revoked.device
    known = select(account.c.phone).where(account.c.phone == phone)
    if device_id != EVERY_DEVICE:
        row = account_device.c
        known = select(row.phone).where(row.phone == phone, row.device_id == device_id)
    with database.write() as connection:
        revoking.revoke(database, connection, revoked, now)
        return connection.execute(known).first() is not None
