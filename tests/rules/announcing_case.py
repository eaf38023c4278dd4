"""A node that comes back to its store, and the records that both know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.announcing import Mine, announce
from callnet.calls.times import REMEMBERED
from callnet.cluster.tables import Tables
from callnet.config import CallSettings
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.records import (
    NOTHING,
    CallRecord,
    CallState,
    Changes,
    DeviceRecord,
    Notice,
    Records,
    Seat,
    SeatsRecord,
)

ANN = DeviceAddress("13600000001", "phone")
TV = DeviceAddress("13600000002", "tv")
PAD = DeviceAddress("13600000002", "pad")
CAROL = DeviceAddress("13600000003", "phone")
NOW = 5000.0
BEFORE = "k3.1"
NODE = "k3.2"
THERE = "m9.1"
FIRST, SECOND, THIRD = (RoomId(f"{number:032x}") for number in (1, 2, 3))


def device(address: DeviceAddress, **fields: Any) -> DeviceRecord:
    """A device that is connected to this node, as it was called before."""
    given: dict[str, Any] = {
        "version": 3,
        "node": BEFORE,
        "generation": 7000,
        "connected": True,
        "unheard": None,
        "lost_at": None,
        "room": None,
        "previous": None,
        "due": None,
    }
    return DeviceRecord(address, **(given | fields))


def gone(address: DeviceAddress, lost_at: float, **fields: Any) -> DeviceRecord:
    """A device that was connected to this node."""
    return device(address, connected=False, lost_at=lost_at, **fields)


def ringing(room: RoomId, caller: DeviceAddress, *rung: DeviceAddress, **fields: Any) -> CallRecord:
    """A call that rings."""
    given: dict[str, Any] = {"version": 1, "state": CallState.RINGING, "asked": rung[0], "ringing": rung}
    times: dict[str, Any] = {"placed_at": NOW - 10, "due": NOW + 35}
    return CallRecord(room=room, caller=caller, rung=rung, **(given | times | fields))


def active(room: RoomId, caller: DeviceAddress, callee: DeviceAddress, **fields: Any) -> CallRecord:
    """A call that was answered."""
    given: dict[str, Any] = {"version": 2, "state": CallState.ACTIVE, "callee": callee, "ringing": ()}
    return ringing(room, caller, callee, **(given | {"answered_at": NOW - 5, "due": NOW + 595} | fields))


def over(room: RoomId, caller: DeviceAddress, callee: DeviceAddress, **fields: Any) -> CallRecord:
    """A call that was hung up."""
    given: dict[str, Any] = {"version": 3, "state": CallState.OVER, "reason": Reason.HANGUP, "ended_at": NOW - 1}
    return active(room, caller, callee, **(given | {"due": NOW - 1 + REMEMBERED} | fields))


def seat(key: str, node: str = BEFORE, **fields: Any) -> Seat:
    """A seat in which somebody sits."""
    given: dict[str, Any] = {"session": f"page of {key}", "generation": 7000, "empty_since": None}
    return Seat(key, node=node, **(given | fields))


def read_for(tables: Tables, mine: Mine, complete: bool) -> Records:
    """No more than what a node reads before it announces."""
    devices = {phone: dict(of_phone) for phone in mine.phones() if (of_phone := tables.devices.get(phone))}
    rooms = {*mine.rooms()}
    for of_phone in devices.values():
        rooms.update(room for device in of_phone.values() for room in (device.room, device.previous) if room)
    calls = {room: call for room in rooms if (call := tables.calls.get(room))}
    seats = {room: found for room in rooms if (found := tables.seats.get(room))}
    return Records(devices, calls, seats, complete, dict(tables.policies))


class AnnouncingCase(SynchronousTestCase):
    """A store, and a node that comes back to it."""

    settings = CallSettings()
    lost_its_memory = True

    def setUp(self) -> None:
        """The store is empty."""
        self.tables = Tables()

    def stored(self, *records: DeviceRecord | CallRecord | SeatsRecord) -> None:
        """Let the store hold these."""
        for record in records:
            if isinstance(record, DeviceRecord):
                self.tables.put_device(record)
            elif isinstance(record, CallRecord):
                self.tables.put_call(record)
            else:
                self.tables.put_seats(record)

    def announce(
        self,
        devices: Iterable[DeviceRecord] = (),
        calls: Iterable[CallRecord] = (),
        seats: Iterable[SeatsRecord] = (),
    ) -> Changes:
        """Announce what the node knows. To do so again changes nothing."""
        mine = Mine([BEFORE, NODE], list(devices), list(calls), list(seats))
        changes = self.once(mine)
        self.tables.apply(changes)
        self.assertIs(NOTHING, self.once(mine))
        return changes

    def once(self, mine: Mine) -> Changes:
        """What the store would be told."""
        return announce(read_for(self.tables, mine, not self.lost_its_memory), mine, NODE, NOW, self.settings)

    def device(self, address: DeviceAddress) -> DeviceRecord:
        """What the store now says of a device."""
        record = self.tables.records.device(address)
        assert record is not None
        return record

    def assert_told(self, changes: Changes, *notices: tuple[DeviceAddress, RoomId]) -> None:
        """These, and nobody else, are to look at these calls as they now are."""
        told = {(notice.to, notice.call) for notice in changes.notices if isinstance(notice, Notice)}
        self.assertEqual({(to, self.tables.calls[room]) for to, room in notices}, told)
