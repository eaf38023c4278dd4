"""A node that comes back to its store, and the records that both know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.reconcile import LocalState, announce
from callnet.calls.records import (
    NOTHING,
    Active,
    CallRecord,
    Changes,
    DeviceRecord,
    Notice,
    Over,
    Records,
    Ringing,
    Seat,
    SeatsRecord,
)
from callnet.calls.transaction import REMEMBERED
from callnet.calls.transaction import over as end_of
from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.store.tables import Tables
from tests.support.tables import write

ANN = DeviceAddress("13600000001", "phone")
TV = DeviceAddress("13600000002", "tv")
PAD = DeviceAddress("13600000002", "pad")
CAROL = DeviceAddress("13600000003", "phone")
GUEST = DeviceAddress("guest:00000000000a00000000000b", "Eve")
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
        "previous_room": None,
        "due": None,
    }
    return DeviceRecord(address, **(given | fields))


def gone(address: DeviceAddress, lost_at: float, **fields: Any) -> DeviceRecord:
    """A device that was connected to this node."""
    return device(address, connected=False, lost_at=lost_at, **fields)


def ringing(room: RoomId, caller: DeviceAddress, *rung: DeviceAddress, **fields: Any) -> CallRecord:
    """A call that rings."""
    given: dict[str, Any] = {"version": 1, "state": Ringing(rung), "target": rung[0]}
    times: dict[str, Any] = {"placed_at": NOW - 10, "due": NOW + 35}
    return CallRecord(room=room, caller=caller, targets=rung, **(given | times | fields))


def active(
    room: RoomId, caller: DeviceAddress, callee: DeviceAddress, answered_at: float = NOW - 5, **fields: Any
) -> CallRecord:
    """A call that was answered."""
    given: dict[str, Any] = {"version": 2, "state": Active(callee, answered_at), "due": NOW + 595}
    return ringing(room, caller, callee, **(given | fields))


def over(
    room: RoomId,
    caller: DeviceAddress,
    callee: DeviceAddress,
    reason: Reason = Reason.HANGUP,
    ended_at: float = NOW - 1,
    ended_by: DeviceAddress | None = None,
    answered_at: float | None = NOW - 5,
    **fields: Any,
) -> CallRecord:
    """A call that was hung up; or, if it was never answered, that ended otherwise."""
    was = Ringing(()) if answered_at is None else Active(callee, answered_at)
    given: dict[str, Any] = {"version": 3, "state": Over(was, reason, ended_at, ended_by), "due": NOW + REMEMBERED}
    return ringing(room, caller, callee, **(given | fields))


def ended(call: CallRecord, reason: Reason, at: float, by: DeviceAddress | None = None, **fields: Any) -> CallRecord:
    """The same call, when it is over."""
    return replace(call, state=end_of(call.state, reason, at, by), **fields)


def untold(call: CallRecord) -> CallRecord:
    """The same call, which is over, if nobody was told of that."""
    assert isinstance(call.state, Over)
    return replace(call, state=replace(call.state, untold=True))


def seat(key: str, node: str = BEFORE, **fields: Any) -> Seat:
    """A seat in which somebody sits."""
    given: dict[str, Any] = {"session": f"page of {key}", "generation": 7000, "empty_since": None}
    return Seat(key, node=node, **(given | fields))


def read_for(tables: Tables, mine: LocalState, complete: bool) -> Records:
    """Only the records that a node reads before it announces."""
    devices = {phone: dict(of_phone) for phone in mine.phones() if (of_phone := tables.devices.get(phone))}
    rooms = {*mine.rooms()}
    for of_phone in devices.values():
        rooms.update(room for device in of_phone.values() for room in (device.room, device.previous_room) if room)
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
                self.tables.put_devices(record)
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
        """Announce the node's state. A second time changes nothing."""
        mine = LocalState([BEFORE, NODE], list(devices), list(calls), list(seats))
        changes = self.once(mine)
        write(self.tables, changes)
        self.assertIs(NOTHING, self.once(mine))
        return changes

    def once(self, mine: LocalState) -> Changes:
        """The changes that the store would get."""
        return announce(read_for(self.tables, mine, not self.lost_its_memory), mine, NODE, NOW, self.settings)

    def device(self, address: DeviceAddress) -> DeviceRecord:
        """The present record of a device in the store."""
        record = self.tables.records.device(address)
        assert record is not None
        return record

    def assert_told(self, changes: Changes, *notices: tuple[DeviceAddress, RoomId]) -> None:
        """These, and nobody else, are to look at these calls as they now are."""
        told = {(notice.to, notice.call) for notice in changes.notices if isinstance(notice, Notice)}
        self.assertEqual({(to, self.tables.calls[room]) for to, room in notices}, told)
