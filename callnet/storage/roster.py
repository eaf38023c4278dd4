"""Presence for extended devices in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from typing import Final

from sqlalchemy import Connection, select, tuple_
from twisted.internet.defer import Deferred

from callnet.calls.ports import Roster
from callnet.frames.v2 import MissedCall
from callnet.model import DeviceAddress
from callnet.storage.database import Database
from callnet.storage.history import missed_calls
from callnet.storage.schema import contact, heard_until
from callnet.storage.threads import Queries, Run, in_thread

MISSED_MAX: Final = 50
"""The most missed calls that a device is told of; the history has all of them."""

_heard = heard_until.c


class SqlRoster(Queries):
    """The lists of contacts, the history, and until when each device has heard of it.

    :param mutual: of the contacts of a phone, tell only of those that list it, too.
    """

    def __init__(self, database: Database, run: Run, mutual: bool = False) -> None:
        super().__init__(database, run)
        self._mutual = mutual

    def met(self, devices: Collection[DeviceAddress], now: float) -> Deferred[Mapping[DeviceAddress, Roster]]:
        """Look up the rosters of connected devices, and record their visit.

        A new device has missed nothing.
        """
        return self._run(self._met, tuple(sorted(devices)), now)

    def _met(self, devices: Collection[DeviceAddress], now: float) -> Mapping[DeviceAddress, Roster]:
        with self._database.write(may_be_lost=True) as connection:
            heard = _heard_until(connection, devices)
            since = {device: min(heard.get(device, now), now) for device in devices}  # a clock may have been set back
            found = {
                device: Roster(
                    self._listed(connection, device.phone), *_missed(connection, device.phone, since[device])
                )
                for device in devices
            }
            new = [_row(device, now) for device in devices if heard.get(device, inf) > now]
            if new:
                connection.execute(self._database.insert_or_replace(heard_until), new)
        return found

    @in_thread
    def contacts_of(self, phone: str) -> frozenset[str]:
        """The contacts of a phone."""
        with self._database.read() as connection:
            return self._listed(connection, phone)

    def _listed(self, connection: Connection, phone: str) -> frozenset[str]:
        statement = select(contact.c.contact).where(contact.c.owner == phone)
        if self._mutual:
            back = contact.alias()
            statement = statement.join(back, (back.c.owner == contact.c.contact) & (back.c.contact == phone))
        return frozenset(connection.scalars(statement))

    def heard(self, devices: Mapping[DeviceAddress, float]) -> Deferred[None]:
        """Record until when each device knows all ended calls, in seconds since 1970; earlier times are ignored."""
        return self._run(self._note, dict(devices))

    def _note(self, devices: Mapping[DeviceAddress, float]) -> None:
        with self._database.write(may_be_lost=True) as connection:
            rows = [_row(device, devices[device]) for device in sorted(devices)]
            connection.execute(self._database.insert_or_raise(heard_until, "at"), rows)


def _row(device: DeviceAddress, at: float) -> dict[str, str | float]:
    return {"phone": device.phone, "device_id": device.device_id, "at": at}


def _heard_until(connection: Connection, devices: Collection[DeviceAddress]) -> dict[DeviceAddress, float]:
    pairs = [(device.phone, device.device_id) for device in devices]
    rows = connection.execute(select(heard_until).where(tuple_(_heard.phone, _heard.device_id).in_(pairs)))
    return {DeviceAddress(row.phone, row.device_id): row.at for row in rows}


def _missed(connection: Connection, phone: str, since: float) -> tuple[list[MissedCall], float]:
    found = missed_calls(connection, phone, since, MISSED_MAX)
    calls = [MissedCall(call.room, *call.peer, call.device_id, call.started_at) for call in found]
    return calls, max((call.ended_at for call in found), default=0.0)
