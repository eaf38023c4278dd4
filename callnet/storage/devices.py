"""Devices in the database."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import Connection, case, func, select

from callnet.config.schema import TOKEN_LIFETIME_MAX
from callnet.model import EVERY_DEVICE, DeviceAddress, Topic
from callnet.storage import changes, outbox, revoking
from callnet.storage.contacts import Photo, Profile, photo_of, profile_of
from callnet.storage.database import Database, Queries, Run, in_thread
from callnet.storage.history import PastCall, drop, past_calls
from callnet.storage.links import links_of
from callnet.storage.preferences import NOTHING_SET, WhoMayCall, listed_phones, settings_of
from callnet.storage.push import registrations
from callnet.storage.schema import (
    account,
    account_device,
    auto_answer,
    blocked,
    contact,
    contacts_only,
    covered_by,
    heard_until,
    link,
    one_time_code,
    pairing,
    profile,
    push_registration,
    quiet_hours,
    quiet_until,
    rings_through,
    second_call_rings,
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
        changes.note(connection, [phone], now, Topic.DEVICES)
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
    label: str
    last_used_at: float | None
    """In seconds since 1970, to the day; ``None``: not known."""
    kiosk: bool = False
    auto_answers: bool = False


class Unlocking(Struct, frozen=True):
    """The outcome of a try to end a kiosk."""

    is_over: bool
    """It is none, or no more."""
    retry_after: int = 0
    """Seconds until a PIN is looked at again; 0: this one was, and is wrong."""


class SqlDevices(Queries):
    """The devices of a phone as its own devices see and change them. A change notifies every node.

    :param now: the time, in seconds since 1970.
    :param lasts: seconds for which a token lasts, at most.
    """

    _WRONG_PINS: Final = 5
    """The number of wrong PINs after which each needs a wait: ..."""
    _FIRST_WAIT: Final = 30
    """... the first one in seconds, ..."""
    _LONGEST_WAIT: Final = 3600
    """... and the longest: each takes twice as long as the one before."""

    def __init__(
        self, database: Database, run: Run, now: Callable[[], float], lasts: float = TOKEN_LIFETIME_MAX
    ) -> None:
        super().__init__(database, run)
        self._now = now
        self._lasts = lasts

    @in_thread
    def of(self, phone: str) -> Sequence[Device]:
        """The devices of a phone, by their ids."""
        with self._database.read() as connection:
            return _devices_of(connection, phone)

    @in_thread
    def rename(self, device: DeviceAddress, label: str) -> bool:
        """Give a device a label; return whether there is such a device."""
        renamed = account_device.update().where(covered_by(device, account_device)).values(label=label)
        with self._database.write() as connection:
            is_there = connection.execute(renamed).rowcount > 0
            changes.note(connection, [device.phone] if is_there else [], self._now(), Topic.DEVICES)
        return is_there

    @in_thread
    def configure(
        self,
        device: DeviceAddress,
        pin: Callable[[], bytes] | UnsetType | None,
        auto_answers: bool | UnsetType,
        by_itself: bool = False,
    ) -> bool:
        """Change settings of a device; return whether that was done: there is such a device, and it may.

        :param pin: makes, in a thread, the hash of the PIN that ends its kiosk from now on; ``None``: it is no kiosk.
        :param by_itself: that it asks itself: of a kiosk the PIN stays then.
        """
        is_pin_fixed = by_itself and pin is not UNSET
        if callable(pin):
            with self._database.read() as connection:
                if not _may_change(connection, device, is_pin_fixed):
                    return False
        hashed = pin() if callable(pin) else pin  # before the transaction: it takes time
        values: dict[str, Any] = {} if auto_answers is UNSET else {"auto_answers": auto_answers}
        if hashed is not UNSET:
            values |= {"kiosk_pin": hashed, "wrong_pins": None, "locked_until": None}
        with self._database.write() as connection:
            self._database.take_turns(connection, device.phone)  # first of all, as below
            if not _may_change(connection, device, is_pin_fixed):
                return False
            if values:
                connection.execute(account_device.update().where(covered_by(device, account_device)).values(values))
                changes.note(connection, [device.phone], self._now(), Topic.DEVICES)
        return True

    @in_thread
    def unlock(self, device: DeviceAddress, is_right: Callable[[bytes], bool]) -> Unlocking:
        """End the kiosk of a device if somebody has the right PIN. Many wrong ones need time.

        A try counts as a wrong one until it has proved right: so do those that come at the same time.

        :param is_right: tells, in a thread, whether their PIN has this hash.
        """
        kept = self._begin_to_unlock(device)
        if isinstance(kept, Unlocking):
            return kept
        return Unlocking(is_right(kept) and self._end_kiosk(device, kept))

    def _begin_to_unlock(self, device: DeviceAddress) -> bytes | Unlocking:
        """Count a try; returns the hash of the right PIN, or the outcome if no PIN is looked at."""
        row, of_device = account_device.c, covered_by(device, account_device)
        with self._database.write() as connection:
            self._database.take_turns(connection, device.phone)  # first of all, as below
            state = select(row.kiosk_pin, row.wrong_pins, row.locked_until).where(of_device)
            found = connection.execute(state).first()
            if found is None or found.kiosk_pin is None:
                return Unlocking(True)
            now = self._now()
            left = (found.locked_until or now) - now
            if left > 0:
                return Unlocking(False, math.ceil(left))
            tries = (found.wrong_pins or 0) + 1
            counted = {"wrong_pins": tries, "locked_until": now + self._wait_after(tries)}
            connection.execute(account_device.update().where(of_device).values(counted))
        kept: bytes = found.kiosk_pin
        return kept

    def _end_kiosk(self, device: DeviceAddress, kept: bytes) -> bool:
        """End the kiosk if the hash of its PIN is still this one; returns whether it is none any more."""
        row, of_device = account_device.c, covered_by(device, account_device)
        with self._database.write() as connection:
            self._database.take_turns(connection, device.phone)  # first of all, as below
            found = connection.execute(select(row.kiosk_pin).where(of_device)).first()
            if found is None or found.kiosk_pin is None:
                return True
            if found.kiosk_pin != kept:
                return False
            ended = {"kiosk_pin": None, "wrong_pins": None, "locked_until": None}
            connection.execute(account_device.update().where(of_device).values(ended))
            changes.note(connection, [device.phone], self._now(), Topic.DEVICES)
        return True

    def _wait_after(self, wrong: int) -> int:
        """The seconds until the next PIN is looked at, after this number of wrong ones."""
        if wrong < self._WRONG_PINS:
            return 0
        doublings = min(wrong - self._WRONG_PINS, 10)  # that is more than it takes to the longest
        return min(self._LONGEST_WAIT, self._FIRST_WAIT << doublings)

    @in_thread
    def log_out(self, device: DeviceAddress, secret: bytes) -> bool:
        """Revoke all tokens of a device, and its secret if it has one; return whether there is such a device.

        :param secret: SHA-256 of a secret that nobody knows, in the place of its own.
        """
        row = account_device.c
        had_one = row.secret.is_not(None) | row.offered.is_not(None)
        logged_out = account_device.update().where(covered_by(device, account_device))
        with self._database.write() as connection:
            self._database.take_turns(connection, device.phone)  # first of all, as below
            is_there = connection.execute(
                logged_out.values(secret=case((had_one, secret), else_=None), offered=None)
            ).rowcount
            if is_there:
                revoking.revoke_all(self._database, connection, device, self._now, self._lasts)
                changes.note(connection, [device.phone], self._now(), Topic.DEVICES)
        return is_there > 0

    @in_thread
    def remove(self, device: DeviceAddress) -> bool:
        """Remove a device, and revoke all its tokens; return whether there was such a device."""
        with self._database.write() as connection:
            self._database.take_turns(connection, device.phone)  # first of all, as below
            removed = connection.execute(account_device.delete().where(covered_by(device, account_device))).rowcount
            if removed:
                connection.execute(heard_until.delete().where(covered_by(device, heard_until)))
                revoking.revoke_all(self._database, connection, device, self._now, self._lasts)
                changes.note(connection, [device.phone], self._now(), Topic.DEVICES)
        return removed > 0


def _devices_of(connection: Connection, phone: str) -> Sequence[Device]:
    row = account_device.c
    has_secret, is_kiosk = row.secret.is_not(None), row.kiosk_pin.is_not(None)
    columns = row.device_id, has_secret, row.label, row.last_used_at, is_kiosk, row.auto_answers
    found = connection.execute(select(*columns).where(row.phone == phone).order_by(row.device_id))
    return [
        Device(device_id, bool(secret), label or "", last_used_at, bool(kiosk), auto_answers or False)
        for device_id, secret, label, last_used_at, kiosk, auto_answers in found
    ]


def _may_change(connection: Connection, device: DeviceAddress, is_pin_fixed: bool) -> bool:
    """Tell whether there is such a device and, if the PIN of a kiosk is not to change, whether it is none."""
    row = account_device.c
    found = connection.execute(select(row.kiosk_pin).where(covered_by(device, account_device))).first()
    return found is not None and not (is_pin_fixed and found.kiosk_pin is not None)


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
    profile: Profile
    photo: Photo | None
    contacts: Mapping[str, str]
    """Names, by phone."""
    favourites: Sequence[str]
    contact_photos: Mapping[str, Photo]
    """The photos that it has given its contacts, by phone."""
    blocked: Sequence[str]
    do_not_disturb: Mapping[str, str] | None
    do_not_disturb_until: float | None
    """Seconds since 1970."""
    auto_answer: Sequence[str]
    who_may_call: WhoMayCall
    rings_through: Sequence[str]
    second_call_rings: bool
    links: Sequence[Mapping[str, Any]]
    """The links that ring it, by name."""
    wake: Sequence[WakeRow]
    calls: Sequence[PastCall]
    """The newest first."""
    untold: Sequence[Mapping[str, Any]]
    """The undelivered webhook events about it, oldest first."""


def export(database: Database, phone: str) -> PersonalData | None:
    """All that is kept of a phone; ``None``: it has no account, nor any list."""
    listed = contact.c
    with database.read() as connection:
        known = connection.execute(select(account.c.phone).where(account.c.phone == phone)).first()
        devices = _devices_of(connection, phone)
        names = connection.execute(
            select(listed.contact, listed.name, listed.favourite, listed.photo_kind, listed.photo)
            .where(listed.owner == phone)
            .order_by(listed.contact)
        ).all()
        own, photo = profile_of(connection, phone), photo_of(connection, phone)
        refused = listed_phones(connection, blocked, phone)
        settings = settings_of(connection, phone)
        links = links_of(connection, phone)
        wake = registrations(connection, DeviceAddress(phone, EVERY_DEVICE))
        calls = past_calls(connection, phone)
        untold = [msgspec.json.decode(body) for body in outbox.bodies(connection, outbox.names(phone))]
    is_plain = settings == NOTHING_SET and own == Profile()
    if known is None and is_plain and not (names or refused or links or wake or calls or untold):
        return None
    return PersonalData(
        phone,
        devices,
        own,
        photo,
        {row.contact: row.name for row in names},
        [row.contact for row in names if row.favourite],
        {row.contact: Photo(row.photo_kind, row.photo) for row in names if row.photo is not None},
        refused,
        None if settings.quiet is None else settings.quiet.fields(),
        settings.quiet_until,
        settings.auto_answer,
        settings.who_may_call,
        settings.rings_through,
        settings.second_call_rings,
        [link.exported() for link in links],
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
            (quiet_until, quiet_until.c.phone),
            (rings_through, rings_through.c.owner),
            (second_call_rings, second_call_rings.c.phone),
            (heard_until, heard_until.c.phone),
            (auto_answer, auto_answer.c.owner),
            (contacts_only, contacts_only.c.phone),
            (link, link.c.phone),
            (profile, profile.c.phone),
            (one_time_code, one_time_code.c.phone),
            (pairing, pairing.c.phone),
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
    with database.write() as connection:
        revoking.revoke_all(database, connection, device, clock)
        return revoking.is_known(connection, device)
