"""Properties of announcing after any history: two nodes were apart, the store has lost data, both come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls import events
from callnet.calls.reconcile import LocalState, announce
from callnet.calls.records import NOTHING, CallRecord, Changes, DeviceRecord, Records
from callnet.calls.switchboard import decide
from callnet.calls.transaction import everyone
from callnet.config.schema import CallSettings
from callnet.model import EVERY_DEVICE, DeviceAddress, RoomId, is_guest
from callnet.store.tables import Tables
from tests.rules.announcing_case import read_for
from tests.support.tables import write

HELD: Final = {
    DeviceAddress("13600000001", "phone"): "a.1",
    DeviceAddress("13600000002", "pad"): "a.1",
    DeviceAddress("13600000002", "tv"): "b.1",
    DeviceAddress("13600000003", "phone"): "b.1",
    DeviceAddress("guest:000000000000000000000000", "Eve"): "b.1",
}
EVERYONE: Final = tuple(HELD)
FORK: Final = DeviceAddress("13600000002", "*")
TIMES: Final = CallSettings()
SOON: Final = 1020.0
"""Within the grace of all who are gone."""
LATE: Final = 1060.0
"""After it; no call is forgotten yet."""

Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(("call", "call", "answer", "answer", "refuse", "hang_up", "connect", "disconnect")),
        st.integers(0, 4),
        st.integers(0, 5),
    ),
    max_size=12,
)
times = st.sampled_from((SOON, LATE))


class Story:
    """The history of the devices as a holder of these records knows it."""

    def __init__(self, prefix: str, now: float = 1000.0) -> None:
        self.tables: Final = Tables()
        self._prefix = prefix
        self._now = now
        self._rooms = 0

    def goes_on(self, story: Sequence[Step], own: str = "") -> None:
        """Let more happen: if a node is named, only its own decisions."""
        for step in story:
            self._now += 0.25
            event = self._event(step)
            if event is not None:
                changes = decide(self.tables.records, event, self._now, TIMES).changes
                if not own or self._concerns(changes, own):
                    write(self.tables, changes)

    def _event(self, step: Step) -> events.Event | None:
        kind, who, whom = step
        device, target = EVERYONE[who], (*EVERYONE, FORK)[whom]
        record = self.tables.records.device(device)
        if kind == "connect":
            return events.Connected(device, HELD[device], None, self._now)
        if record is None:
            return None
        if kind == "disconnect":
            return events.Disconnected(device, record.generation)
        if kind == "call":
            self._rooms += 1
            room = RoomId(f"{self._prefix}{self._rooms:031x}")
            if is_guest(device.phone):
                every = target._replace(device_id=EVERY_DEVICE)
                return events.PlaceAsGuest(device, every, room, record.generation, self._now)
            return events.Place(device, target, room, record.generation, self._now)
        if record.room is None:
            return None
        if kind == "hang_up":
            return events.HangUp(record.room, device)
        return (events.Accept if kind == "answer" else events.Refuse)(record.room, device)

    def _concerns(self, changes: Changes, node: str) -> bool:
        """Tell whether no other node has a say in this."""
        calls = [call for call in changes.calls if call.end is None]
        devices = [record.address for record in changes.devices]
        return all(HELD[address] == node for address in (*devices, *(one for call in calls for one in everyone(call))))

    def copy(self, prefix: str = "", node: str = "") -> Story:
        """The same records; if a node is named, only those of that one."""
        other = Story(prefix or self._prefix, self._now)
        for of_phone in self.tables.devices.values():
            for device in of_phone.values():
                if node in ("", device.node):
                    other.tables.put_devices(device)
        for call in self.tables.calls.values():
            if not node or any(HELD[address] == node for address in everyone(call)):
                other.tables.put_call(call)
        return other

    def mine(self, node: str) -> LocalState:
        """The announcement of the node that has these copies."""
        devices = [device for of_phone in self.tables.devices.values() for device in of_phone.values()]
        return LocalState([node], devices, list(self.tables.calls.values()), [])


def apart(stored: Sequence[Step], before: Sequence[Step], after: Sequence[Step], alone: Sequence[Step]) -> list[Story]:
    """The state left in the store, and the knowledge of each of two nodes."""
    story = Story("c")
    story.goes_on([("connect", number, 0) for number in range(len(EVERYONE))])
    story.goes_on(stored)
    store = story.copy()
    story.goes_on(before)
    first = story.copy("a", "a.1")
    story.goes_on(after)
    second = story.copy("b", "b.1")
    first.goes_on(alone, "a.1")
    second.goes_on(alone, "b.1")
    return [store, first, second]


def comes_back(store: Story, node: Story, name: str, now: float, complete: bool = False) -> None:
    """Let a node announce its state, and check the invariants."""
    known = store.tables
    before = Records({**known.devices}, {**known.calls}, {}, complete)
    mine = node.mine(name)
    new_name = name.replace(".1", ".2")
    changes = announce(read_for(known, mine, complete), mine, new_name, now, TIMES)
    check_versions(before, mine, changes)
    write(known, changes)
    for call in filter(is_over, before.calls.values()):
        now_is = known.calls[call.room]
        assert (
            now_is is call
            or is_told_to_all(call, now_is)
            or (call.callee is None and (now_is.callee is not None or (call.end is not None and call.end.untold)))
        )
        assert is_over(now_is) or (call.end is not None and call.end.untold)
    for call in filter(is_over, mine.calls):
        now_is = known.calls[call.room]
        assert is_over(now_is) or (call.callee is None and now_is.callee is not None and not told_caller(mine, call))
    check_consistency(known)
    assert announce(read_for(known, mine, complete), mine, new_name, now, TIMES) is NOTHING


def is_over(call: CallRecord) -> bool:
    """True if a call is over."""
    return call.end is not None


def is_told_to_all(call: CallRecord, now_is: CallRecord) -> bool:
    """True if nothing has changed but that the device that ended the call is to be told of that as well."""
    assert call.end is not None
    return call.end.by is not None and now_is.state == replace(call.end, by=None)


def told_caller(mine: LocalState, call: CallRecord) -> bool:
    """True if the node that knows this told the caller of the end of a call: it had not gone before."""
    assert call.end is not None
    caller = next((device for device in mine.devices if device.address == call.caller), None)
    was_here = caller is not None and (caller.lost_at is None or caller.lost_at > call.end.at)
    return was_here or call.end.by == call.caller


def check_versions(before: Records, mine: LocalState, changes: Changes) -> None:
    """Assert that written versions are newer than the stored ones, and not older than the known ones."""
    known = {call.room: call.version for call in mine.calls}
    for call in changes.calls:
        stored = before.calls.get(call.room)
        assert call.version > (0 if stored is None else stored.version)
        assert call.version >= known.get(call.room, 0)
    devices = {record.address: record.version for record in mine.devices}
    for record in changes.devices:
        old: DeviceRecord | None = before.device(record.address)
        assert record.version > (0 if old is None else old.version)
        assert record.version >= devices.get(record.address, 0)


def check_consistency(tables: Tables) -> None:
    """A device is in at most one live call, and its record names that one."""
    busy = [(party, call.room) for call in tables.calls.values() for party in call.parties]
    assert len({party for party, _ in busy}) == len(busy)
    for party, room in busy:
        record = tables.records.device(party)
        assert record is not None
        assert record.room == room


def live(store: Story) -> set[tuple[RoomId, int]]:
    """The calls that live."""
    return {(call.room, call.state.stage) for call in store.tables.calls.values() if call.end is None}


class AnnouncingProperties(SynchronousTestCase):
    """At random, many times over."""

    @settings(max_examples=300)
    @given(steps, steps, steps, steps, times, st.booleans())
    @example([], [("call", 4, 0), ("call", 2, 0)], [("call", 0, 2)], [("refuse", 0, 0)], SOON, True)
    def test_store_that_lags(
        self, stored: list[Step], before: list[Step], after: list[Step], alone: list[Step], now: float, complete: bool
    ) -> None:
        """The store has not the last writes, or has them and the nodes have not."""
        store, first, second = apart(stored, before, after, alone)
        for nodes in ((first, second), (second, first)):
            tried = store.copy()
            for node in nodes:
                comes_back(tried, node, "a.1" if node is first else "b.1", now, complete)

    @settings(max_examples=300)
    @given(steps, steps, steps)
    @example([("call", 1, 0)], [("call", 0, 0), ("call", 0, 2)], [("call", 0, 1), ("call", 2, 1)])
    @example([("call", 0, 5)], [("answer", 1, 5)], [("disconnect", 0, 1), ("hang_up", 1, 2)])
    def test_empty_store(self, before: list[Step], after: list[Step], alone: list[Step]) -> None:
        """The store is empty: whichever node comes back first, the same calls live."""
        _, first, second = apart([], before, after, alone)
        one, other = Story("d"), Story("d")
        comes_back(one, first, "a.1", SOON)
        comes_back(one, second, "b.1", SOON)
        comes_back(other, second, "b.1", SOON)
        comes_back(other, first, "a.1", SOON)
        self.assertEqual(live(one), live(other))

    @settings(max_examples=100)
    @given(steps)
    def test_nothing_is_lost(self, before: list[Step]) -> None:
        """A call that both nodes know survives, whatever the store has lost."""
        store, first, second = apart([], before, [], [])
        known = live(first) | live(second)
        for lost in (store, Story("d")):
            comes_back(lost, first, "a.1", SOON)
            comes_back(lost, second, "b.1", SOON)
            self.assertEqual(known, live(lost))
