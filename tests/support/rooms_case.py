"""A room manager on a clock, and sessions that only remember their messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls import events
from callnet.calls.pages import PageSession
from callnet.calls.ports import ICallStore
from callnet.calls.records import CallRecord, Known, SeatsRecord
from callnet.calls.rooms import RoomManager
from callnet.calls.session import Session
from callnet.calls.switchboard import nothing
from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress, Outcome, Reason, RoomId
from tests.support.no_roster import NO_ROSTER
from tests.support.nodes import Cluster, NodeBus, NodeStore
from tests.support.plain_preferences import OPEN

ANN = DeviceAddress("13600000001", "phone")
TV = DeviceAddress("13600000002", "tv")
PAD = DeviceAddress("13600000002", "pad")
CAROL = DeviceAddress("13600000003", "phone")
EVERYWHERE = DeviceAddress("13600000002", "*")


class RecordedSession(Session):
    """A connection of a device."""

    def __init__(self, rooms: RoomManager, address: DeviceAddress) -> None:
        nobody: Any = None
        super().__init__(address, rooms, nobody, nobody, nobody)
        self.calls: list[CallRecord] = []
        """Calls that it was told to look at."""
        self.outcomes: list[Outcome] = []
        """The outcomes of calls that were placed on earlier connections."""
        self.placed: dict[str, Deferred[Outcome]] = {}
        """Those of calls that were placed on this one, by the ids of the requests."""
        self.displacements = 0
        """The number of times that it was told that it is displaced."""
        self.knew: tuple[Known, ...] = ()
        """The confirmations of the device."""
        self.attached: Final[Deferred[None]] = rooms.attach(self)

    def goes(self) -> None:
        """Have the socket close."""
        self._rooms.detach(self)

    @property
    def rooms(self) -> list[tuple[RoomId, str]]:
        """The rooms of the calls that it was told of, each with the reason if the call was over, else its state."""
        return [(call.room, call.state.word if call.end is None else call.end.reason) for call in self.calls]

    def deliver(self, call: CallRecord) -> None:
        """Remember the call."""
        self.calls.append(call)

    def welcomed(self, present: Sequence[CallRecord], of_phone: Sequence[CallRecord]) -> None:
        """It speaks the base protocol."""

    def deliver_later(self, call: CallRecord) -> None:
        """There is no need to wait."""
        self.deliver(call)

    def answered(self, outcome: Outcome, call: CallRecord | None = None, asked: str = "") -> None:  # noqa: ARG002
        """Remember it."""
        if asked:
            self.placed[asked].callback(outcome)
        else:
            self.outcomes.append(outcome)

    def displaced(self) -> None:
        """Count it."""
        self.displacements += 1

    def began(self, generation: int, known: tuple[Known, ...]) -> None:
        """Remember its number, and the confirmations of the device."""
        self.generation = generation
        self.knew = known

    def known(self) -> tuple[Known, ...]:
        """As the test says."""
        return self.knew


class RecordedPage(PageSession):
    """A page in its seat."""

    def __init__(self) -> None:
        nobody: Any = None
        super().__init__(nobody, nobody, nobody, None)
        self.waited = 0
        self.seen: list[tuple[SeatsRecord, CallRecord | None]] = []
        self.relays: list[tuple[str, bytes]] = []
        self.displacements = 0

    def deliver(self, seats: SeatsRecord, call: CallRecord | None) -> None:
        """Remember the room."""
        self.seen.append((seats, call))

    def waits(self) -> None:
        """Count it."""
        self.waited += 1

    def relayed(self, sender: str, data: bytes) -> None:
        """Remember the other page's message."""
        self.relays.append((sender, data))

    def displaced(self) -> None:
        """Count it."""
        self.displacements += 1


def answer(
    rooms: RoomManager, session: RecordedSession, room: RoomId, accepted: bool, then: Callable[[Any], object] = id
) -> None:
    """Let a device accept or refuse a call."""
    event = (events.Accept if accepted else events.Refuse)(room, session.address)
    rooms.in_turn(session.address, rooms.answer, session, event, then)


def hang_up(rooms: RoomManager, session: RecordedSession, room: RoomId, then: Callable[[Any], object] = id) -> None:
    """Let a device hang up."""
    rooms.in_turn(session.address, rooms.end, session, events.HangUp(room, session.address), then)


def cancel(rooms: RoomManager, session: RecordedSession, phone: str) -> None:
    """Let a device end its call to a phone."""
    rooms.in_turn(session.address, rooms.end, session, events.Cancel(session.address, phone))


class RoomsCase(SynchronousTestCase):
    """Two nodes over one store in memory; most tests use the first only."""

    settings = CallSettings(offline_after=0.0)

    def setUp(self) -> None:
        """Start both nodes, with nobody connected."""
        self.clock = Clock()
        self._next_turn: list[Callable[[], object]] = []
        self.connected: list[RecordedSession] = []
        self.cluster = Cluster(self.clock)
        self.tables = self.cluster.tables
        self.rooms = self.make_rooms(self.make_store(NodeStore(self.cluster, "here")))
        self.others = self.make_rooms(NodeStore(self.cluster, "there"))
        self.pass_turns()

    def make_store(self, store: ICallStore) -> ICallStore:
        """Make the store of the first node."""
        return store

    def make_rooms(self, store: ICallStore, **more: Any) -> RoomManager:
        """Make and start a node, and see that it leaves no timer behind."""
        rooms = RoomManager(
            store, NodeBus(self.cluster, store.node), self.clock, self.settings, OPEN, NO_ROSTER, **more
        )
        rooms.start()
        return rooms

    def tearDown(self) -> None:
        """Stop both nodes: nothing is left to be done."""
        self.pass_turns()
        self.rooms.stop()
        self.others.stop()
        self.pass_turns()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual([], self.flushLoggedErrors())

    def connect(self, address: DeviceAddress, rooms: RoomManager | None = None) -> RecordedSession:
        """Connect a device, to the first node if nothing else is said."""
        session = RecordedSession(rooms or self.rooms, address)
        self.connected.append(session)
        self.pass_turns()
        return session

    def newest(self, address: DeviceAddress) -> RecordedSession:
        """The newest connection of a device."""
        return next(session for session in reversed(self.connected) if session.address == address)

    def elsewhere(self, event: events.Event) -> None:
        """Have something happen on the other node, be the device there or not."""
        self.others._transactions.run(event, nothing, Failure.raiseException)

    def call(self, caller: DeviceAddress, target: DeviceAddress) -> list[Outcome]:
        """Place a call on the first node. The list holds its outcome as soon as there is one."""
        outcomes: list[Outcome] = []
        self.place(self.newest(caller), target).addCallback(outcomes.append)
        self.pass_turns()
        return outcomes

    def place(self, session: RecordedSession, target: DeviceAddress) -> Deferred[Outcome]:
        """Place a call on the first node and wait for its outcome."""
        asked = str(len(session.placed) + 1)
        outcome = session.placed[asked] = Deferred()
        self.rooms.in_turn(session.address, self.rooms.call, session, target, asked, self.clock.seconds())
        return outcome

    def reply(self, ask: Callable[..., None], *asked: object) -> Deferred[Any]:
        """Answer or hang up, and wait for the reply to the device."""
        reply: Deferred[Any] = Deferred()
        ask(*asked, then=reply.callback)
        return reply

    def room_of(self, session: RecordedSession) -> RoomId:
        """The room of the newest call that a device was told of."""
        return session.calls[-1].room

    def on_next_turn(self, step: Callable[[], object]) -> None:
        """Have something done when the next turn comes."""
        self._next_turn.append(step)

    def turn(self) -> None:
        """Let one turn pass, and no time."""
        steps, self._next_turn = self._next_turn, []
        for step in steps:
            step()

    def pass_turns(self) -> None:
        """Let turns pass until nobody waits for the next one, and no time."""
        while self._next_turn:
            self.turn()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(int(seconds * 4)):
            self.clock.advance(0.25)
            self.pass_turns()

    def reason_of(self, room: RoomId) -> Reason | None:
        """The reason for which a call is over, if it is."""
        end = self.tables.calls[room].end
        return None if end is None else end.reason

    def assert_nothing_waits(self, rooms: RoomManager) -> None:
        """A node has nobody who waits for an outcome, or for a turn."""
        asked = [session for session in rooms._devices.values() if session.asked or session.offline is not None]
        self.assertEqual(([], {}), (asked, rooms._queue._waiting))
        self.assertEqual((0, []), (len(rooms._retries.kept), rooms._retries._pauses))

    def assert_nothing_is_stored(self) -> None:
        """Nothing is remembered of anybody."""
        tables = self.tables
        self.assertEqual(({}, {}, {}), (tables.devices, tables.calls, tables.seats))
        for index in (tables._devices_due, tables._calls_due, tables._seats_due):
            self.assertEqual({}, index._buckets)
