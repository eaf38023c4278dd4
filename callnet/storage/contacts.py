"""Contact lists, blocked phones and profiles in the database, for the daemon and, at once, for the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import (
    ColumnElement,
    Connection,
    Exists,
    FromClause,
    Select,
    Table,
    bindparam,
    exists,
    func,
    select,
    tuple_,
)

from callnet.errors import DataInvalid, PhotosFull
from callnet.model import BLOCKED_MAX, CONTACT_PHOTOS_MAX, CONTACTS_MAX, DeviceAddress, Topic
from callnet.storage import changes
from callnet.storage.database import Database, Queries, Run, in_thread
from callnet.storage.schema import PHOTO_VERSION_MAX, account, account_device, blocked, contact, contacts_only, profile

_profile = profile.c


class Photo(Struct, frozen=True):
    """A photo."""

    kind: str
    """``jpeg``, ``png`` or ``webp``."""
    data: bytes
    """At most :data:`callnet.model.PHOTO_MAX` of them."""

    @property
    def version(self) -> str:
        """Its name: another photo has another one."""
        return sha256(self.data).hexdigest()[:PHOTO_VERSION_MAX]


def photo_columns(photo: Photo | None) -> dict[str, str | bytes | None]:
    """The columns of a photo, in a profile or of a contact."""
    if photo is None:
        return {"photo": None, "photo_kind": None, "photo_version": None}
    return {"photo": photo.data, "photo_kind": photo.kind, "photo_version": photo.version}


class Profile(Struct, frozen=True):
    """The name and the photo of a phone."""

    name: str = ""
    photo: str | None = None
    """The version of its photo, if it has one."""


class SqlProfiles(Queries):
    """The profiles, for the daemon. A change notifies every node.

    :param mutual: show them only to phones that their own phone lists.
    """

    def __init__(self, database: Database, run: Run, mutual: bool = False) -> None:
        super().__init__(database, run)
        self._mutual = mutual

    @in_thread
    def change(self, phone: str, name: str | UnsetType, photo: Photo | UnsetType | None, now: float) -> Profile:
        """Change a profile, and return all of it.

        :param photo: ``None``: the phone has none.
        :param now: in seconds since 1970.
        """
        values: dict[str, str | bytes | None] = {}
        if not isinstance(name, UnsetType):
            values["name"] = name
        if not isinstance(photo, UnsetType):
            values |= photo_columns(photo)
        if not values:
            with self._database.read() as connection:
                return profile_of(connection, phone)
        insert = self._database.insert_or_replace(profile, *values, "changed_at")
        with self._database.write() as connection:
            connection.execute(insert, {"name": "", **values, "phone": phone, "changed_at": now})
            changes.note(connection, [phone], now, Topic.PROFILE)
            return profile_of(connection, phone)

    @in_thread
    def photo(self, phone: str, asker: str) -> Photo | None:
        """The photo of a phone: the one that the asker has given its contact, else its own; ``None``: there is none, or
        the asker may not see it.
        """
        row = contact.c
        given = select(row.photo_kind, row.photo).where(
            row.owner == asker, row.contact == phone, row.photo_version.is_not(None)
        )
        own = select(_profile.photo_kind, _profile.photo).where(
            _profile.phone == phone, _profile.photo.is_not(None), is_visible(_profile.phone, asker, self._mutual)
        )
        with self._database.read() as connection:
            found = connection.execute(given).first() or connection.execute(own).first()
        return None if found is None else Photo(found.photo_kind, found.photo)


def profile_of(connection: Connection, phone: str) -> Profile:
    """The profile of a phone."""
    found = connection.execute(select(_profile.name, _profile.photo_version).where(_profile.phone == phone)).first()
    return Profile() if found is None else Profile(found.name, found.photo_version)


def photo_of(connection: Connection, phone: str) -> Photo | None:
    """The photo of a phone, if it has one."""
    found = connection.execute(select(_profile.photo_kind, _profile.photo).where(_profile.phone == phone)).first()
    return None if found is None or found.photo is None else Photo(found.photo_kind, found.photo)


def is_visible(owner: ColumnElement[str], asker: str, mutual: bool) -> ColumnElement[bool]:
    """The condition under which a phone may see the profile of another.

    It is its own; or the owner does not block it, and lists it, or is listed by it and lets anyone call. So quiet hours
    apart, whoever sees it may call.

    :param mutual: being listed by the asker is not enough.
    """
    theirs, ours = contact.alias(), contact.alias()  # the statement may be about lists, too
    lists: ColumnElement[bool] = _exists(theirs, theirs.c.owner == owner, theirs.c.contact == asker)
    if not mutual:
        is_listed = _exists(ours, ours.c.owner == asker, ours.c.contact == owner)
        lists |= is_listed & ~_exists(contacts_only, contacts_only.c.phone == owner)
    return (owner == asker) | (lists & ~_exists(blocked, blocked.c.owner == owner, blocked.c.phone == asker))


def _exists(table: FromClause, *which: ColumnElement[bool]) -> Exists:
    return exists().where(*which).correlate_except(table)


# Lists of contacts, and blocked phones


class Pair(Struct, frozen=True):
    """``owner`` has ``contact`` in its list, under ``name``."""

    owner: str
    contact: str
    name: str = ""


class Block(Struct, frozen=True):
    """``owner`` blocks ``phone``."""

    owner: str
    phone: str


class Account(Struct, frozen=True):
    """A phone, and how many devices it has."""

    phone: str
    devices: int


def add(
    database: Database, pairs: Sequence[Pair], now: float, missing: Sequence[Pair] = (), gone: Sequence[Pair] = ()
) -> None:
    """Put pairs in, and take others out, all or none. How long the lists are is the operator's business.

    :param pairs: one that is there already gets the new name.
    :param missing: one that is there already keeps its name.
    :param gone: to take out, before others are put in, under whatever name they are there, if they are.
    """
    with database.write() as connection:
        if gone:
            row = contact.c
            which = (row.owner == bindparam("of"), row.contact == bindparam("whom"))
            connection.execute(contact.delete().where(*which), [{"of": one.owner, "whom": one.contact} for one in gone])
        for insert, some in (
            (database.insert_or_replace(contact, "name"), pairs),
            (database.insert_missing(contact), missing),
        ):
            rows = [{"owner": pair.owner, "contact": pair.contact, "name": pair.name} for pair in some]
            if rows:
                connection.execute(insert, rows)
        _note_pairs(connection, [(pair.owner, pair.contact) for pair in (*pairs, *missing, *gone)], now)


def remove(database: Database, owner: str, other: str, now: float) -> bool:
    """Take a pair out; tell whether it was there."""
    with database.write() as connection:
        is_out = _take_out(connection, contact, owner, contact.c.contact == other)
        if is_out:
            _note_pairs(connection, [(owner, other)], now)
        return is_out


def block(database: Database, owner: str, phone: str, now: float) -> None:
    """Have ``owner`` block a phone.

    :raises DataInvalid: it is not blocked, and as many others are as may be.
    """
    row = blocked.c
    with database.write() as connection:
        database.take_turns(connection, owner)
        if connection.scalar(select(row.phone).where(row.owner == owner, row.phone == phone)) is None:
            _require_room(connection, blocked, owner, BLOCKED_MAX)
            connection.execute(blocked.insert(), {"owner": owner, "phone": phone})
            changes.note(connection, [owner], now, Topic.CONTACTS)


def unblock(database: Database, owner: str, phone: str, now: float) -> bool:
    """Have ``owner`` block a phone no more; tell whether it did."""
    with database.write() as connection:
        is_out = _take_out(connection, blocked, owner, blocked.c.phone == phone)
        if is_out:
            changes.note(connection, [owner], now, Topic.CONTACTS)
        return is_out


def _note_pairs(connection: Connection, pairs: Iterable[tuple[str, str]], now: float) -> None:
    """Write down, within a transaction, that these were put in lists, or taken out.

    That is news for both: each may be shown devices of the other only while both list each other.
    """
    listed = list(pairs)
    changes.note(connection, (owner for owner, _ in listed), now, Topic.CONTACTS)
    changes.note(connection, (phone for _, phone in listed), now, Topic.ADDED)


def _require_room(connection: Connection, table: Table, owner: str, most: int) -> None:
    """Make sure that a list has fewer than ``most`` rows, within a transaction that has taken its turn.

    :raises DataInvalid: it has not.
    """
    rows = connection.scalar(select(func.count()).select_from(table).where(table.c.owner == owner)) or 0
    if rows >= most:
        raise DataInvalid(f"the list is full: at most {most} phones")


def _require_place_for_photo(connection: Connection, owner: str) -> None:
    """Make sure that fewer than :data:`callnet.model.CONTACT_PHOTOS_MAX` contacts of a phone have photos of its own,
    within a transaction that has taken its turn.

    :raises PhotosFull: as many have.
    """
    row = contact.c
    photos = select(func.count()).select_from(contact).where(row.owner == owner, row.photo_version.is_not(None))
    if (connection.scalar(photos) or 0) >= CONTACT_PHOTOS_MAX:
        raise PhotosFull(f"at most {CONTACT_PHOTOS_MAX} contacts have photos; remove one first")


def _take_out(connection: Connection, table: Table, owner: str, which: ColumnElement[bool]) -> bool:
    return connection.execute(table.delete().where(table.c.owner == owner, which)).rowcount > 0


def pairs_of(database: Database, owner: str | None) -> Sequence[Pair]:
    """The list of one phone, or with ``None`` all lists, in order."""
    row = contact.c
    statement = select(row.owner, row.contact, row.name).order_by(row.owner, row.contact)
    if owner is not None:
        statement = statement.where(contact.c.owner == owner)
    with database.read() as connection:
        return [Pair(row.owner, row.contact, row.name) for row in connection.execute(statement)]


def blocks_of(database: Database, owner: str | None) -> Sequence[Block]:
    """The phones blocked by one phone, or with ``None`` by each, in order."""
    statement = select(blocked).order_by(blocked.c.owner, blocked.c.phone)
    if owner is not None:
        statement = statement.where(blocked.c.owner == owner)
    with database.read() as connection:
        return [Block(row.owner, row.phone) for row in connection.execute(statement)]


def devices_of(database: Database, phone: str) -> int | None:
    """The number of devices of an account; ``None``: there is no such account."""
    row = account_device.c
    with database.read() as connection:
        if connection.scalar(select(account.c.phone).where(account.c.phone == phone)) is None:
            return None
        return connection.scalar(select(func.count()).select_from(account_device).where(row.phone == phone))


def is_listed(database: Database, owner: str, phone: str) -> bool:
    """True if the list of ``owner`` has this phone."""
    row = contact.c
    with database.read() as connection:
        listed = select(row.contact).where(row.owner == owner, row.contact == phone)
        return connection.scalar(listed) is not None


def accounts(database: Database) -> Sequence[Account]:
    """All accounts, by phone."""
    statement = (
        select(account.c.phone, func.count(account_device.c.device_id).label("devices"))
        .outerjoin(account_device, account_device.c.phone == account.c.phone)
        .group_by(account.c.phone)
        .order_by(account.c.phone)
    )
    with database.read() as connection:
        return [Account(row.phone, row.devices) for row in connection.execute(statement)]


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
    given_photo: str | None = None
    """The version of the photo that the owner has given it."""


class Adder(Struct, frozen=True):
    """A phone that lists another one."""

    phone: str
    profile: Profile


class SqlContacts(Queries):
    """The contacts and blocked phones of each phone, for the daemon. A phone may be one without the other.

    A change of a list notifies every node; one without effect does not. Times are seconds since 1970.

    :param mutual: show only devices of phones that list the asker, too.
    """

    def __init__(self, database: Database, run: Run, mutual: bool = False) -> None:
        super().__init__(database, run)
        self._mutual = mutual

    @in_thread
    def contacts_of(
        self, phone: str, after: DeviceAddress | None = None, limit: int | None = None
    ) -> Sequence[Contact]:
        """One entry for each device of each contact, by phone, then by device id, in the order of Unicode.

        A contact without a device has no entry.

        :param after: leave out the entries up to this one; it need not be there any more.
        :param limit: the maximum number of entries; ``None``: all.
        """
        with self._database.read() as connection:
            rows = connection.execute(_devices_of_contacts(phone, after, limit, self._mutual))
            return [Contact(row.phone, row.device_id, row.name) for row in rows]

    @in_thread
    def people(self, phone: str, after: str | None = None, limit: int | None = None) -> Sequence[Person]:
        """The contacts of a phone, by phone, in the order of Unicode, with devices or without.

        :param after: leave out the phones up to this one.
        :param limit: the maximum number of contacts; ``None``: all.
        """
        row = contact.c
        statement = (
            select(
                row.contact,
                row.name,
                row.favourite,
                row.photo_version.label("given_photo"),
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
                each.given_photo,
            )
            for each in found
        ]

    @in_thread
    def added(self, phone: str) -> Sequence[Adder]:
        """Phones that list this one, and that it neither lists, nor blocks, nor has dismissed: the first
        :data:`ADDED_MAX`, by phone. Those that block it are left out.
        """
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

    @in_thread
    def dismiss(self, phone: str, other: str, now: float) -> None:
        """Leave a phone out of :meth:`added`, until it removes this one from its list."""
        row = contact.c
        new = func.coalesce(row.is_dismissed, False).is_(False)
        dismissed = contact.update().where(row.owner == other, row.contact == phone, new).values(is_dismissed=True)
        with self._database.write() as connection:
            if connection.execute(dismissed).rowcount:
                changes.note(connection, [phone], now, Topic.ADDED)

    @in_thread
    def add(
        self,
        owner: str,
        phone: str,
        name: str | None,
        now: float,
        favourite: bool | None = None,
        photo: Photo | UnsetType | None = UNSET,
    ) -> None:
        """Add a phone to the list of ``owner``.

        :param name: the owner's name for it; ``None``: unchanged.
        :param favourite: whether it is one of its favourites; ``None``: unchanged.
        :param photo: the owner's photo of it; ``None``: none.
        :raises callnet.errors.DataInvalid: it is not there, and :data:`callnet.model.CONTACTS_MAX` others are.
        :raises callnet.errors.PhotosFull: it has no photo, and :data:`callnet.model.CONTACT_PHOTOS_MAX` others have.
        """
        row = contact.c
        given: dict[str, str | bytes | bool | None] = {
            key: value for key, value in (("name", name), ("favourite", favourite)) if value is not None
        }
        with self._database.write() as connection:
            self._database.take_turns(connection, owner)
            of_pair = select(row.name, row.favourite, row.photo_version).where(row.owner == owner, row.contact == phone)
            known = connection.execute(of_pair).first()
            before = None if known is None else known.photo_version
            is_same_photo = isinstance(photo, UnsetType) or before == (photo and photo.version)
            if known is None:
                _require_room(connection, contact, owner, CONTACTS_MAX)
            elif name in (None, known.name) and favourite in (None, bool(known.favourite)) and is_same_photo:
                return
            if isinstance(photo, Photo) and before is None:
                _require_place_for_photo(connection, owner)
            if not isinstance(photo, UnsetType):
                given |= photo_columns(photo)
            # The command line takes no turns: it may have put the phone in just now.
            insert = (
                self._database.insert_or_replace(contact, *given) if given else self._database.insert_missing(contact)
            )
            connection.execute(insert, {"name": "", **given, "owner": owner, "contact": phone})
            if known is None:
                _note_pairs(connection, [(owner, phone)], now)
            else:
                changes.note(connection, [owner], now, Topic.CONTACTS)

    @in_thread
    def remove(self, owner: str, phone: str, now: float) -> None:
        """Remove a phone from the list of ``owner``. A blocked phone stays blocked."""
        remove(self._database, owner, phone, now)

    @in_thread
    def block(self, owner: str, phone: str, now: float) -> None:
        """Block a phone for ``owner``. A contact stays in the list.

        :raises callnet.errors.DataInvalid: it is not blocked, and :data:`callnet.model.BLOCKED_MAX` others are.
        """
        block(self._database, owner, phone, now)

    @in_thread
    def unblock(self, owner: str, phone: str, now: float) -> None:
        """Unblock a phone for ``owner``."""
        unblock(self._database, owner, phone, now)

    @in_thread
    def blocked_by(self, phone: str) -> frozenset[str]:
        """The phones blocked by this phone."""
        with self._database.read() as connection:
            return frozenset(connection.scalars(select(blocked.c.phone).where(blocked.c.owner == phone)))


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
