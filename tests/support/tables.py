"""Writes of changes to tables without a store, and the deadlines in tables."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from math import inf

from callnet.calls.records import Changes
from callnet.store.tables import Record, Tables


def next_due(tables: Tables) -> float:
    """The earliest deadline of a record; infinity: there is none."""
    devices = chain.from_iterable(of_phone.values() for of_phone in tables.devices.values())
    records: Iterable[Record] = chain(devices, tables.calls.values(), tables.seats.values())
    return min((record.due for record in records if record.due is not None), default=inf)


def write(tables: Tables, changes: Changes) -> None:
    """Write ``changes``."""
    tables.put_devices(*changes.devices)
    for call in changes.calls:
        tables.put_call(call)
    for seats in changes.seats:
        tables.put_seats(seats)
    for record in changes.forgotten:
        tables.forget(record)
    for phone, policy in changes.policies.items():
        tables.put_policy(phone, policy)
