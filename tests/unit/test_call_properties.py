"""Properties of calls under any events: several devices on two nodes, at random."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls import events
from callnet.calls.ports import ICallStore
from callnet.calls.records import Active, CallRecord, Ringing
from callnet.calls.rooms import RoomManager
from callnet.calls.switchboard import nothing
from callnet.config.schema import CallSettings
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, RoomId
from tests.support.failures import FailureWatcher
from tests.support.late_store import LateCallStore
from tests.support.no_roster import NO_ROSTER
from tests.support.nodes import Cluster, NodeBus, NodeStore
from tests.support.phones import Connection
from tests.support.plain_preferences import OPEN
from tests.support.rooms_case import ANN, CAROL, EVERYWHERE, PAD, TV, RecordedPage
from tests.support.tables import next_due

TIMES: Final = CallSettings(ring_time=10.0, grace=5.0, longest=60.0, unseated_limit=40.0)
TICK: Final = 0.25
MOMENT: Final = 2**-20
"""Seconds between two frames of a device, and in which a store takes a step: a call is later than the one that its
caller has ended before."""
EVERYONE: Final = (ANN, TV, PAD, CAROL)
EXTENDED: Final = (PAD, CAROL)
"""Those that speak ``callnet.v2``."""
WAITING: Final = EXTENDED
"""Those that can show a second call."""
NOBODY: Final = DeviceAddress("13600000009", "tv")

SEED: Final = {"call_success", "call_refuse", "call_failed", "called", "calling_be_hangup", "error"}

devices = st.sampled_from(EVERYONE)
targets = st.sampled_from((*EVERYONE, EVERYWHERE, DeviceAddress(ANN.phone, "*"), NOBODY))
choices = st.integers(0, 1_000_000)


def unless_unavailable(failure: Failure) -> None:
    """Ignore the failure that closes a page's socket so that it tries again."""
    failure.trap(Unavailable)


class Calls(RuleBasedStateMachine):
    """Devices connect, call, answer, hang up and vanish, pages come and go, and time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.turns: list[Callable[[], object]] = []
        self.cluster = Cluster(self.clock)
        self.tables = self.cluster.tables
        self.first = NodeStore(self.cluster, "here")
        stores = [self.make_store(self.first), NodeStore(self.cluster, "there")]
        self.nodes = [
            RoomManager(store, NodeBus(self.cluster, store.node), self.clock, TIMES, OPEN, NO_ROSTER)
            for store in stores
        ]
        for node in self.nodes:
            node.start()
        self.connections: list[Connection] = []
        self.pages: list[tuple[RoomManager, RoomId, str, RecordedPage]] = []
        self.callers: set[DeviceAddress] = set()
        self.known: dict[RoomId, CallRecord] = {}
        self.versions: dict[object, int] = {}
        self.watcher = FailureWatcher()
        globalLogPublisher.addObserver(self.watcher)

    def make_store(self, store: ICallStore) -> ICallStore:
        """Make the store of the first node."""
        return store

    def connection(self, address: DeviceAddress) -> Connection | None:
        """The open connection of a device."""
        return next((c for c in reversed(self.connections) if c.address == address and c.is_open), None)

    def room(self, choice: int) -> RoomId:
        """A room that was heard of, by any of its ids, or one that never was."""
        aliases = [alias for call in self.known.values() for _, alias in call.aliases]
        rooms = [*self.known, *aliases, RoomId("f" * 32)]
        return rooms[choice % len(rooms)]

    # Events

    @rule(address=devices, node=st.integers(0, 1))
    def connect(self, address: DeviceAddress, node: int) -> None:
        """A device opens a socket, be there another or not."""
        kinds = address in EXTENDED, address in WAITING
        self.connections.append(Connection(address, self.nodes[node], self.clock, *kinds))

    @precondition(lambda self: self.connections)
    @rule(choice=choices)
    def socket_ends(self, choice: int) -> None:
        """A socket is gone, one that is open or one that was closed for another."""
        self.connections.pop(choice % len(self.connections)).ended()

    @rule(address=devices, callee=targets)
    def call(self, address: DeviceAddress, callee: DeviceAddress) -> None:
        """A device calls."""
        if connection := self.connection(address):
            self.clock.advance(MOMENT)
            self.callers.add(address)
            connection.calls(callee)

    @rule(address=devices, choice=choices, accepted=st.booleans())
    def answer(self, address: DeviceAddress, choice: int, accepted: bool) -> None:
        """A device answers a call, its own or not."""
        if connection := self.connection(address):
            connection.answers(self.room(choice), accepted)

    @rule(address=devices, accepted=st.booleans(), hold=st.booleans())
    def answer_ring(self, address: DeviceAddress, accepted: bool, hold: bool) -> None:
        """A device answers the call that rings it, and may hold the one that it is in."""
        for call in self.tables.calls.values():
            if address in call.parties[1:] and call.answer is None and (connection := self.connection(address)):
                connection.answers(call.room_for(address), accepted, hold and address in EXTENDED)

    @rule(address=devices, phone=devices, choice=st.none() | choices)
    def hang_up(self, address: DeviceAddress, phone: DeviceAddress, choice: int | None) -> None:
        """A device hangs up, with a room or without."""
        if connection := self.connection(address):
            connection.hangs_up(phone.phone, "" if choice is None else self.room(choice))

    @rule(address=st.sampled_from(EXTENDED), choice=choices, does=st.sampled_from(("pulls", "resumes", "signals")))
    def extended(self, address: DeviceAddress, choice: int, does: str) -> None:
        """An extended device takes a call over, its own or not, goes on with one, or says something in it."""
        if connection := self.connection(address):
            getattr(connection, does)(self.room(choice))

    @rule()
    def pull_from_the_television(self) -> None:
        """The pad takes over the call that the television is in."""
        for call in self.tables.calls.values():
            if TV in call.parties and (connection := self.connection(PAD)):
                connection.pulls(call.room)

    @rule(choice=choices, key=st.sampled_from(("red", "blue", "green")))
    def page_comes(self, choice: int, key: str) -> None:
        """A page asks for a seat."""
        page, room, node = RecordedPage(), self.room(choice), self.nodes[choice % 2]
        node.pages.take(room, key, "s", page).addErrback(unless_unavailable)
        self.pages.append((node, room, key, page))

    @precondition(lambda self: self.pages)
    @rule(choice=choices, hangs_up=st.booleans())
    def page_goes(self, choice: int, hangs_up: bool) -> None:
        """A page is closed, or its button is pressed."""
        node, room, key, page = self.pages[choice % len(self.pages)]
        if hangs_up:
            node.pages.hung_up(room, key).addErrback(unless_unavailable)
        else:
            self.pages.pop(choice % len(self.pages))
            page.is_open = False
            node.pages.leave(key, page)

    @rule(choice=choices)
    def operator_ends(self, choice: int) -> None:
        """The operator ends a call."""
        self.nodes[1]._transactions.run(events.Stopped(self.room(choice)), nothing, Failure.raiseException)

    @rule(seconds=st.sampled_from((0.25, 1.0, 2.0, 3.0, 5.25, 12.0)))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        for _ in range(int(seconds / TICK)):
            self.clock.advance(TICK)
            self.versions_rise()
            self.pass_turns()

    def wait_long(self, seconds: float) -> None:
        """Time passes, in a single step until the tick in which something is due: until then the nodes find nothing."""
        end = self.clock.seconds() + seconds
        while (now := self.clock.seconds()) < end:
            idle = (min(self.next_due(), end) - now) // TICK
            self.clock.advance(max(idle, 1) * TICK)
            self.versions_rise()
            self.pass_turns()

    def next_due(self) -> float:
        """The earliest time of a timer or a deadline, apart from the timers with which the nodes look for deadlines."""
        if self.turns:
            return self.clock.seconds()
        timers = sorted(timer.getTime() for timer in self.clock.getDelayedCalls())[len(self.nodes) :]
        return min([*timers, next_due(self.tables)])

    def on_next_turn(self, step: Callable[[], object]) -> None:
        """Have something done when the next turn comes."""
        self.turns.append(step)

    def pass_turns(self) -> None:
        """Let a store that is late catch up."""
        while self.turns:
            self.turn()

    def turn(self) -> None:
        """Let it take one step, which takes a moment."""
        self.clock.advance(MOMENT)
        steps, self.turns = self.turns, []
        for step in steps:
            step()
            self.versions_rise()

    # Invariants

    @invariant()
    def everyone_is_in_one_call(self) -> None:
        """A device is in at most one live call, and its record names that one: busy means exactly that."""
        for device, calls in self.live_calls():
            record = self.tables.devices[device.phone][device.device_id]
            if device not in WAITING:
                assert [record.room] == [call.room for call in calls]

    @invariant()
    def one_call_waits(self) -> None:
        """A device that can show a second call may be rung by one, or hold one, while it is in an active one: its
        record names both.
        """
        for device, calls in self.live_calls():
            record = self.tables.devices[device.phone][device.device_id]
            assert {call.room for call in calls} <= {record.room, record.previous_room}
            active = [call.state for call in calls if isinstance(call.state, Active)]
            assert sum(device not in state.held_by for state in active) <= 1
            if len(calls) > 1:
                assert record.previous_room is not None
                second = self.tables.calls[record.previous_room]
                state = second.state
                assert device in (state.devices if isinstance(state, Ringing) else getattr(state, "held_by", ()))

    def live_calls(self) -> Iterable[tuple[DeviceAddress, list[CallRecord]]]:
        """The devices in live calls, with these."""
        found: dict[DeviceAddress, list[CallRecord]] = {}
        for call in self.tables.calls.values():
            for device in call.parties:  # of a call that is over there is none
                found.setdefault(device, []).append(call)
        return found.items()

    @invariant()
    def one_outcome_is_waited_for(self) -> None:
        """A device waits for the outcome of its last call, and of the one before until the last one is placed."""
        assert all(len(session.asked) <= 2 for node in self.nodes for session in node._devices.values())

    @invariant()
    def ringing_ends(self) -> None:
        """A ringing call ends within its time."""
        for call in self.tables.calls.values():
            if isinstance(call.state, Ringing):
                assert call.state.devices
                assert self.clock.seconds() <= call.placed_at + TIMES.ring_time + TICK

    @invariant()
    def over_is_over(self) -> None:
        """A call that is over never changes; it is remembered, then forgotten."""
        for room, call in self.tables.calls.items():
            known = self.known.get(room)
            if known is not None and known.end is not None:
                assert call is known
            self.known[room] = call
        for room, call in self.known.items():
            if room not in self.tables.calls:
                assert call.end is not None or self.clock.seconds() - call.placed_at > 120

    @invariant()
    def aliases_are_of_calls(self) -> None:
        """An alias leads to a call for as long as the call has it, and no longer."""
        calls = self.tables.calls.values()
        assert self.tables.aliases == {
            alias: call.room for call in calls for _, alias in call.aliases if alias != call.room
        }

    @invariant()
    def versions_rise(self) -> None:
        """The version of a record only rises, for as long as it is remembered."""
        versions: dict[object, int] = {("call", room): call.version for room, call in self.tables.calls.items()}
        versions |= {("seats", room): seats.version for room, seats in self.tables.seats.items()}
        versions |= {d.address: d.version for of_phone in self.tables.devices.values() for d in of_phone.values()}
        for key, version in versions.items():
            assert version >= self.versions.get(key, 0)
        self.versions = versions

    @invariant()
    def rung_once(self) -> None:
        """`called` is never sent twice on one connection."""
        for connection in self.connections:
            rooms = [frame["room_id"] for frame in connection.frames if frame["type"] == "called"]
            assert len(rooms) == len(set(rooms))

    @invariant()
    def base_clients_know_the_seed_only(self) -> None:
        """A base client is sent only messages of the seed, and keeps talking to the device that it knows."""
        for connection in self.connections:
            if connection.address not in EXTENDED:
                assert {str(frame["type"]) for frame in connection.frames} <= SEED

    @invariant()
    def nothing_goes_wrong(self) -> None:
        """Whatever comes is answered by the protocol, not by a traceback."""
        assert not self.watcher.failures

    def teardown(self) -> None:
        """In the end everything comes to an end, everyone knows, and nothing is left behind."""
        try:
            self.pass_turns()
            self.wait_long(75)
            for connection in self.connections:
                self.check_end(connection)
            self.everyone_goes()
            self.check_nothing_is_left()
        finally:
            globalLogPublisher.removeObserver(self.watcher)

    def check_end(self, connection: Connection) -> None:
        """Every call came to exactly one outcome or was ended by its caller, and everyone knows."""
        if connection.is_open:
            self.check_rooms(connection)
            self.check_outcomes(connection.outcomes())

    def check_rooms(self, connection: Connection) -> None:
        """Nobody rings or talks still."""
        assert self.rooms_left_open(connection) == []

    def rooms_left_open(self, connection: Connection) -> list[object]:
        """See :meth:`tests.support.phones.Connection.rooms_left_open`."""
        aliases: dict[object, object] = {alias: room for room, call in self.known.items() for _, alias in call.aliases}
        return connection.rooms_left_open(lambda named: aliases.get(named, named))

    def check_outcomes(self, outcomes: list[tuple[int, bool]]) -> None:
        """Each call has one outcome, or none if its caller did something else."""
        for number, did_more in outcomes:
            assert number == 1 or (did_more and number == 0)

    def everyone_goes(self) -> None:
        """All sockets are closed, those of pages too, and the nodes stop in a quiet moment."""
        for connection in self.connections:
            connection.ended()
        for node, _, key, page in self.pages:
            page.is_open = False
            node.pages.leave(key, page)
        self.wait_long(260)
        for node in self.nodes:
            node.stop()

    def check_nothing_is_left(self) -> None:
        """Nothing is stored, nobody waits, no timer runs."""
        assert not self.watcher.failures
        assert not self.clock.getDelayedCalls()
        tables = self.tables
        assert (tables.devices, tables.calls, tables.seats) == ({}, {}, {})
        for index in (tables._devices_due, tables._calls_due, tables._seats_due):
            assert index._buckets == {}
        for node in self.nodes:
            pages = node.pages
            assert (node._devices, node._arrivals.kept, node._queue._waiting) == ({}, {}, {})
            assert (pages._seated, pages._arrivals.kept) == ({}, {})


class TalkingCalls(Calls):
    """Devices that are connected at first, so that most calls reach somebody."""

    @initialize(nodes=st.tuples(*[st.integers(0, 1)] * len(EVERYONE)))
    def everyone_connects(self, nodes: tuple[int, ...]) -> None:
        """Each device is there at first, at one of the nodes."""
        for address, node in zip(EVERYONE, nodes, strict=True):
            self.connect(address, node)

    @rule(address=devices, other=devices)
    def talk(self, address: DeviceAddress, other: DeviceAddress) -> None:
        """A device calls another one, which accepts."""
        self.call(address, other)
        self.answer_ring(other, True, False)

    @rule(address=st.sampled_from(EXTENDED), holds=st.booleans())
    def call_waits(self, address: DeviceAddress, holds: bool) -> None:
        """An extended device calls one that talks, and may have its first call held."""
        active = [call for call in self.tables.calls.values() if isinstance(call.state, Active)]
        talking = [party for call in active for party in call.parties if party in WAITING and party != address]
        for party in talking[:1]:
            self.call(address, party)
            if holds:
                self.answer_ring(party, True, True)


class LateCalls(Calls):
    """The same while the first node's store takes its time."""

    def make_store(self, store: ICallStore) -> ICallStore:
        """Make the store of the first node."""
        return LateCallStore(store, NodeBus(self.cluster, store.node), self.on_next_turn)

    def check_rooms(self, connection: Connection) -> None:
        """The same, for a device that never called: its call may cross the ring that it leaves by that."""
        if connection.address not in self.callers:
            super().check_rooms(connection)

    def check_outcomes(self, outcomes: list[tuple[int, bool]]) -> None:
        """See :func:`check_total`."""
        check_total(outcomes)

    @rule(number=st.integers(1, 4))
    def turns_pass(self, number: int) -> None:
        """The store takes some steps."""
        for _ in range(number):
            self.turn()


def check_total(outcomes: list[tuple[int, bool]]) -> None:
    """Assert that there are no more outcomes than calls, apart from one that an earlier connection left to this one.

    The last call has an outcome if its caller did nothing else.
    """
    total = sum(number for number, _ in outcomes)
    assert total <= len(outcomes) + 1
    assert total >= sum(not did_more for _, did_more in outcomes)


class CallsTests(SynchronousTestCase):
    """At random, many times over."""

    settings = settings(max_examples=60, stateful_step_count=40)

    def test_store_that_answers_at_once(self) -> None:
        """Two nodes in one process."""
        run_state_machine_as_test(TalkingCalls, settings=self.settings)

    def test_refused_by_another_id(self) -> None:
        """A device that refuses by the caller's id of the call has left it, and is not told of the end."""
        calls = TalkingCalls()
        calls.everyone_connects((0, 0, 0, 0))
        calls.call(ANN, EVERYWHERE)
        calls.over_is_over()  # which takes note of the call
        calls.answer(TV, 0, accepted=False)
        calls.teardown()

    def test_store_that_answers_late(self) -> None:
        """One of the nodes is far from the store."""
        run_state_machine_as_test(LateCalls, settings=self.settings)
