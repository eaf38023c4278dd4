"""Contact lists in the database, for the daemon: its statements run where ``run`` runs them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Select, select, tuple_
from twisted.internet.defer import Deferred

from callnet.model import CONTACTS_MAX, DeviceAddress
from callnet.storage import contacts
from callnet.storage.database import Database
from callnet.storage.tables import Run, account_device, blocked, contact


class Contact(Struct, frozen=True):
    """One device of a contact. ``name`` is the contact's name in the list."""

    phone: str
    device_id: str
    name: str = ""


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

    def add(self, owner: str, phone: str, name: str | None, now: float) -> Deferred[None]:
        """Add a phone to the list of ``owner``.

        :param name: the owner's name for it; ``None``: unchanged.
        :raises callnet.errors.DataInvalid: it is not there, and :data:`callnet.model.CONTACTS_MAX` others are.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        return self._run(self._add, owner, phone, name, now)

    def _add(self, owner: str, phone: str, name: str | None, now: float) -> None:
        row = contact.c
        with self._database.write() as connection:
            self._database.take_turns(connection, owner)
            known = connection.scalar(select(row.name).where(row.owner == owner, row.contact == phone))
            if known is not None and name in (None, known):
                return
            if known is None:
                contacts.require_room(connection, contact, owner, CONTACTS_MAX)
            # The command line takes no turns: it may have put the phone in just now.
            insert = self._database.insert_missing if name is None else self._database.insert_or_replace
            connection.execute(insert(contact), {"owner": owner, "contact": phone, "name": name or ""})
            contacts.note_pairs(connection, [(owner, phone)], now)

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
