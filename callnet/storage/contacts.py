"""Contact lists and accounts for the command line, and for the daemon where both do the same.

Nothing here returns before the database has answered.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Table, bindparam, func, select

from callnet.errors import DataInvalid
from callnet.model import BLOCKED_MAX
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
        for insert, some in ((database.insert_or_replace(contact), pairs), (database.insert_missing(contact), missing)):
            rows = [{"owner": pair.owner, "contact": pair.contact, "name": pair.name} for pair in some]
            if rows:
                connection.execute(insert, rows)
        changes.note(connection, [pair.owner for pair in (*pairs, *missing, *gone)], now)


def remove(database: Database, owner: str, other: str, now: float) -> bool:
    """Take a pair out; tell whether it was there."""
    return _take_out(database, contact, owner, contact.c.contact == other, now)


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
            changes.note(connection, [owner], now)


def unblock(database: Database, owner: str, phone: str, now: float) -> bool:
    """Have ``owner`` block a phone no more; tell whether it did."""
    return _take_out(database, blocked, owner, blocked.c.phone == phone, now)


def require_room(connection: Connection, table: Table, owner: str, most: int) -> None:
    """Make sure that a list has fewer than ``most`` rows, within a transaction that has taken its turn.

    :raises DataInvalid: it has not.
    """
    rows = connection.scalar(select(func.count()).select_from(table).where(table.c.owner == owner)) or 0
    if rows >= most:
        raise DataInvalid(f"the list is full: it takes {most} phones")


def _take_out(database: Database, table: Table, owner: str, which: ColumnElement[bool], now: float) -> bool:
    with database.write() as connection:
        is_out = connection.execute(table.delete().where(table.c.owner == owner, which)).rowcount > 0
        if is_out:
            changes.note(connection, [owner], now)
        return is_out


def pairs_of(database: Database, owner: str | None) -> Sequence[Pair]:
    """The list of one phone, or with ``None`` all lists, in order."""
    statement = select(contact).order_by(contact.c.owner, contact.c.contact)
    if owner is not None:
        statement = statement.where(contact.c.owner == owner)
    with database.read() as connection:
        return [Pair(row.owner, row.contact, row.name) for row in connection.execute(statement)]


def blocks_of(database: Database, owner: str | None) -> Sequence[Block]:
    """What one phone blocks, or with ``None`` each of them, in order."""
    statement = select(blocked).order_by(blocked.c.owner, blocked.c.phone)
    if owner is not None:
        statement = statement.where(blocked.c.owner == owner)
    with database.read() as connection:
        return [Block(row.owner, row.phone) for row in connection.execute(statement)]


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
