"""Writes of changes to tables without a store."""

from __future__ import annotations

from callnet.calls.records import Changes
from callnet.store.tables import Tables


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
