"""Accounts, devices and contacts by the thousand, on their way from another server or back to it.

Everything here blocks, and nothing holds more than one batch in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct
from sqlalchemy import Column, Table, select, tuple_

from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.database import Database
from callnet.storage.devices import make
from callnet.storage.tables import account, account_device, contact

Key: TypeAlias = tuple[str, ...]
"""The key of a row: a phone; a phone and a device id; an owner and its contact."""


class Moved(Struct, frozen=True):
    """A table that another server has too."""

    table: Table
    columns: tuple[Column[str], ...]
    """Those of the key."""


ACCOUNTS: Final = Moved(account, (account.c.phone,))
DEVICES: Final = Moved(account_device, (account_device.c.phone, account_device.c.device_id))
CONTACTS: Final = Moved(contact, (contact.c.owner, contact.c.contact))


def missing(database: Database, what: Moved, keys: Collection[Key]) -> Sequence[Key]:
    """Those of ``keys`` that are not there, in the same order. It costs least if they are neighbours."""
    # Not by whole keys: of a thousand pairs PostgreSQL makes a thousand conditions.
    of_phones = what.columns[0].in_({key[0] for key in keys})
    with database.read() as connection:
        there = set(map(tuple, connection.execute(select(*what.columns).where(of_phones))))
    return [key for key in keys if key not in there]


def add(database: Database, what: Moved, keys: Sequence[Key], now: float) -> None:
    """Put rows in, all or none; what is there is left as it is. A device's account is made if there is none."""
    if what is CONTACTS:
        contacts.add(database, (), now, missing=[Pair(*key) for key in keys])
        return
    rows: list[dict[str, Any]] = [{"phone": key[0], "device_id": key[1]} for key in keys if what is DEVICES]
    with database.write() as connection:
        make(database, connection, dict.fromkeys(key[0] for key in keys), rows, None)


def pages(database: Database, what: Moved, size: int) -> Iterator[Sequence[Key]]:
    """All rows, in order, in pages."""
    key, last = tuple_(*what.columns), None
    while True:
        statement = select(*what.columns).order_by(*what.columns).limit(size)
        if last is not None:
            statement = statement.where(key > tuple_(*last))
        with database.read() as connection:
            page = [tuple(row) for row in connection.execute(statement)]
        if not page:
            return
        yield page
        last = page[-1]
