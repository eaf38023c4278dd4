"""Makes accounts and devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from callnet.accounts.call_events import enrolled
from callnet.model import DeviceAddress
from callnet.storage import outbox
from callnet.storage.database import Database
from callnet.storage.tables import account, account_device


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
    outbox.put(database, connection, [enrolled(DeviceAddress(*device), told_at) for device in made], told_at)
