"""Contact lists and accounts for the command line. Everything here blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from sqlalchemy import func, select

from callnet.storage.database import Database
from callnet.storage.tables import account, account_device, contact


class Pair(Struct, frozen=True):
    """``owner`` has ``contact`` in its list, under ``name``."""

    owner: str
    contact: str
    name: str = ""


class Account(Struct, frozen=True):
    """A phone, and how many devices it has."""

    phone: str
    devices: int


def add(database: Database, pairs: Iterable[Pair], missing: Iterable[Pair] = ()) -> None:
    """Put pairs in, all or none.

    :param pairs: one that is there already gets the new name.
    :param missing: one that is there already keeps its name.
    """
    with database.write() as connection:
        for insert, some in ((database.insert_or_replace(contact), pairs), (database.insert_missing(contact), missing)):
            rows = [{"owner": pair.owner, "contact": pair.contact, "name": pair.name} for pair in some]
            if rows:
                connection.execute(insert, rows)


def remove(database: Database, owner: str, other: str) -> bool:
    """Take a pair out; tell whether it was there."""
    with database.write() as connection:
        removed = connection.execute(contact.delete().where(contact.c.owner == owner, contact.c.contact == other))
        return removed.rowcount > 0


def pairs_of(database: Database, owner: str | None) -> Sequence[Pair]:
    """The list of one phone, or with ``None`` all lists, in order."""
    statement = select(contact).order_by(contact.c.owner, contact.c.contact)
    if owner is not None:
        statement = statement.where(contact.c.owner == owner)
    with database.read() as connection:
        return [Pair(row.owner, row.contact, row.name) for row in connection.execute(statement)]


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
