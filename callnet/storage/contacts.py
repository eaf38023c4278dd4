"""Contact lists and accounts for the command line, and for the daemon where both do the same.

Nothing here returns before the database has answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Table, bindparam, func, select

from callnet.errors import DataInvalid
from callnet.model import BLOCKED_MAX, Topic
from callnet.storage import changes
from callnet.storage.database import Database
from callnet.storage.tables import account, account_device, blocked, contact


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
        note_pairs(connection, [(pair.owner, pair.contact) for pair in (*pairs, *missing, *gone)], now)


def remove(database: Database, owner: str, other: str, now: float) -> bool:
    """Take a pair out; tell whether it was there."""
    with database.write() as connection:
        is_out = _take_out(connection, contact, owner, contact.c.contact == other)
        if is_out:
            note_pairs(connection, [(owner, other)], now)
        return is_out


def block(database: Database, owner: str, phone: str, now: float) -> None:
    """Have ``owner`` block a phone.

    :raises DataInvalid: it is not blocked, and as many others are as may be.
    """
    row = blocked.c
    with database.write() as connection:
        database.take_turns(connection, owner)
        if connection.scalar(select(row.phone).where(row.owner == owner, row.phone == phone)) is None:
            require_room(connection, blocked, owner, BLOCKED_MAX)
            connection.execute(blocked.insert(), {"owner": owner, "phone": phone})
            changes.note(connection, [owner], now, Topic.CONTACTS)


def unblock(database: Database, owner: str, phone: str, now: float) -> bool:
    """Have ``owner`` block a phone no more; tell whether it did."""
    with database.write() as connection:
        is_out = _take_out(connection, blocked, owner, blocked.c.phone == phone)
        if is_out:
            changes.note(connection, [owner], now, Topic.CONTACTS)
        return is_out


def note_pairs(connection: Connection, pairs: Iterable[tuple[str, str]], now: float) -> None:
    """Write down, within a transaction, that these were put in lists, or taken out.

    That is news for both: each may be shown devices of the other only while both list each other.
    """
    listed = list(pairs)
    changes.note(connection, (owner for owner, _ in listed), now, Topic.CONTACTS)
    changes.note(connection, (phone for _, phone in listed), now, Topic.ADDED)


def require_room(connection: Connection, table: Table, owner: str, most: int) -> None:
    """Make sure that a list has fewer than ``most`` rows, within a transaction that has taken its turn.

    :raises DataInvalid: it has not.
    """
    rows = connection.scalar(select(func.count()).select_from(table).where(table.c.owner == owner)) or 0
    if rows >= most:
        raise DataInvalid(f"the list is full: at most {most} phones")


def _take_out(connection: Connection, table: Table, owner: str, which: ColumnElement[bool]) -> bool:
    return connection.execute(table.delete().where(table.c.owner == owner, which)).rowcount > 0


def pairs_of(database: Database, owner: str | None) -> Sequence[Pair]:
    """The list of one phone, or with ``None`` all lists, in order."""
    statement = select(contact).order_by(contact.c.owner, contact.c.contact)
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
