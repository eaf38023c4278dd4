"""Contact lists in the database, for the daemon: its statements run where ``run`` runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from sqlalchemy import Select, exists, func, select, tuple_
from twisted.internet.defer import Deferred

from callnet.model import CONTACTS_MAX, DeviceAddress, Topic
from callnet.storage import changes, contacts
from callnet.storage.database import Database
from callnet.storage.profiles import Profile, is_visible
from callnet.storage.tables import Run, account_device, blocked, contact, profile

ADDED_MAX: Final = 100
"""The most phones that a phone is shown because they list it."""


class Contact(Struct, frozen=True):
    """One device of a contact. ``name`` is the contact's name in the list."""

    phone: str
    device_id: str
    name: str = ""


class Person(Struct, frozen=True):
    """A contact, as the list's owner sees it."""

    phone: str
    name: str
    """The owner's name for it."""
    profile: Profile
    """Its own profile, empty if the owner may not see it."""
    is_favourite: bool
    is_blocked: bool
    """True if the owner blocks it."""
    devices: Sequence[str]
    """The ids of the devices that the owner may see."""


class Adder(Struct, frozen=True):
    """A phone that lists another one."""

    phone: str
    profile: Profile


class SqlContacts:
    """The contacts and blocked phones of each phone, for the daemon. A phone may be one without the other.

    A change of a list notifies every node; one without effect does not. Times are seconds since 1970.

    :param mutual: show only devices of phones that list the asker, too.
    """

    def __init__(self, database: Database, run: Run, mutual: bool = False) -> None:
        self._database = database
        self._run = run
        self._mutual = mutual

    def contacts_of(
        self, phone: str, after: DeviceAddress | None = None, limit: int | None = None
    ) -> Deferred[Sequence[Contact]]:
        """One entry for each device of each contact, by phone, then by device id, in the order of Unicode.

        A contact without a device has no entry.

        :param after: leave out the entries up to this one; it need not be there any more.
        :param limit: the maximum number of entries; ``None``: all.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        return self._run(self._contacts_of, phone, after, limit)

    def _contacts_of(self, phone: str, after: DeviceAddress | None, limit: int | None) -> Sequence[Contact]:
        with self._database.read() as connection:
            rows = connection.execute(_devices_of_contacts(phone, after, limit, self._mutual))
            return [Contact(row.phone, row.device_id, row.name) for row in rows]

    def people(self, phone: str, after: str | None = None, limit: int | None = None) -> Deferred[Sequence[Person]]:
        """The contacts of a phone, by phone, in the order of Unicode, with devices or without.

        :param after: leave out the phones up to this one.
        :param limit: the maximum number of contacts; ``None``: all.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        return self._run(self._people, phone, after, limit)

    def _people(self, phone: str, after: str | None, limit: int | None) -> Sequence[Person]:
        row = contact.c
        statement = (
            select(
                row.contact,
                row.name,
                row.favourite,
                profile.c.name.label("own_name"),
                profile.c.photo_version,
                exists().where(blocked.c.owner == phone, blocked.c.phone == row.contact).label("is_blocked"),
            )
            .select_from(contact)
            .outerjoin(profile, (profile.c.phone == row.contact) & is_visible(profile.c.phone, phone, self._mutual))
            .where(row.owner == phone)
            .order_by(row.contact)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(row.contact > after)
        devices: dict[str, list[str]] = {}
        with self._database.read() as connection:
            found = connection.execute(statement).all()
            if found:
                shown = account_device.c.phone.between(found[0].contact, found[-1].contact)
                all_devices = _devices_of_contacts(phone, None, None, self._mutual).where(shown)
                for device in connection.execute(all_devices):
                    devices.setdefault(device.phone, []).append(device.device_id)
        return [
            Person(
                each.contact,
                each.name,
                Profile(each.own_name or "", each.photo_version),
                bool(each.favourite),
                bool(each.is_blocked),
                devices.get(each.contact, ()),
            )
            for each in found
        ]

    def added(self, phone: str) -> Deferred[Sequence[Adder]]:
        """Phones that list this one, and that it neither lists, nor blocks, nor has dismissed: the first
        :data:`ADDED_MAX`, by phone. Those that block it are left out.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        return self._run(self._added, phone)

    def _added(self, phone: str) -> Sequence[Adder]:
        row, back = contact.c, contact.alias().c
        statement = (
            select(row.owner, profile.c.name, profile.c.photo_version)
            .select_from(contact)
            .outerjoin(profile, profile.c.phone == row.owner)
            .where(
                row.contact == phone,
                func.coalesce(row.is_dismissed, False).is_(False),
                ~exists().where(back.owner == phone, back.contact == row.owner),
                ~exists().where(blocked.c.owner == phone, blocked.c.phone == row.owner),
                ~exists().where(blocked.c.owner == row.owner, blocked.c.phone == phone),
            )
            .order_by(row.owner)
            .limit(ADDED_MAX)
        )
        with self._database.read() as connection:
            return [
                Adder(found.owner, Profile(found.name or "", found.photo_version))
                for found in connection.execute(statement)
            ]

    def dismiss(self, phone: str, other: str, now: float) -> Deferred[None]:
        """Leave a phone out of :meth:`added`, until it removes this one from its list.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        return self._run(self._dismiss, phone, other, now)

    def _dismiss(self, phone: str, other: str, now: float) -> None:
        row = contact.c
        new = func.coalesce(row.is_dismissed, False).is_(False)
        dismissed = contact.update().where(row.owner == other, row.contact == phone, new).values(is_dismissed=True)
        with self._database.write() as connection:
            if connection.execute(dismissed).rowcount:
                changes.note(connection, [phone], now, Topic.ADDED)

    def add(
        self, owner: str, phone: str, name: str | None, now: float, favourite: bool | None = None
    ) -> Deferred[None]:
        """Add a phone to the list of ``owner``.

        :param name: the owner's name for it; ``None``: unchanged.
        :param favourite: whether it is one of its favourites; ``None``: unchanged.
        :raises callnet.errors.DataInvalid: it is not there, and :data:`callnet.model.CONTACTS_MAX` others are.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        return self._run(self._add, owner, phone, name, now, favourite)

    def _add(self, owner: str, phone: str, name: str | None, now: float, favourite: bool | None) -> None:
        row = contact.c
        given = {key: value for key, value in (("name", name), ("favourite", favourite)) if value is not None}
        with self._database.write() as connection:
            self._database.take_turns(connection, owner)
            of_pair = select(row.name, row.favourite).where(row.owner == owner, row.contact == phone)
            known = connection.execute(of_pair).first()
            if known is None:
                contacts.require_room(connection, contact, owner, CONTACTS_MAX)
            elif name in (None, known.name) and favourite in (None, bool(known.favourite)):
                return
            # The command line takes no turns: it may have put the phone in just now.
            insert = (
                self._database.insert_or_replace(contact, *given) if given else self._database.insert_missing(contact)
            )
            connection.execute(insert, {"name": "", **given, "owner": owner, "contact": phone})
            if known is None:
                contacts.note_pairs(connection, [(owner, phone)], now)
            else:
                changes.note(connection, [owner], now, Topic.CONTACTS)

    def remove(self, owner: str, phone: str, now: float) -> Deferred[None]:
        """Remove a phone from the list of ``owner``. A blocked phone stays blocked.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        return self._run(contacts.remove, self._database, owner, phone, now).addCallback(_say_nothing)

    def block(self, owner: str, phone: str, now: float) -> Deferred[None]:
        """Block a phone for ``owner``. A contact stays in the list.

        :raises callnet.errors.DataInvalid: it is not blocked, and :data:`callnet.model.BLOCKED_MAX` others are.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        return self._run(contacts.block, self._database, owner, phone, now)

    def unblock(self, owner: str, phone: str, now: float) -> Deferred[None]:
        """Unblock a phone for ``owner``.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        return self._run(contacts.unblock, self._database, owner, phone, now).addCallback(_say_nothing)

    def blocked_by(self, phone: str) -> Deferred[frozenset[str]]:
        """The phones blocked by this phone.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        return self._run(self._blocked_by, phone)

    def _blocked_by(self, phone: str) -> frozenset[str]:
        with self._database.read() as connection:
            return frozenset(connection.scalars(select(blocked.c.phone).where(blocked.c.owner == phone)))


def _say_nothing(_was_there: bool) -> None:
    """Ignore whether there was anything to remove."""


def _devices_of_contacts(
    phone: str, after: DeviceAddress | None, limit: int | None, mutual: bool
) -> Select[tuple[str, str, str]]:
    device = account_device.c
    statement = (
        select(device.phone, device.device_id, contact.c.name)
        .join(contact, contact.c.contact == device.phone)
        .where(contact.c.owner == phone)
        .order_by(device.phone, device.device_id)
        .limit(limit)
    )
    if mutual:
        back = contact.alias()
        statement = statement.join(back, (back.c.owner == device.phone) & (back.c.contact == phone))
    if after is None:
        return statement
    return statement.where(tuple_(device.phone, device.device_id) > tuple_(after.phone, after.device_id))
