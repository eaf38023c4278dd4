"""The room manager when other nodes do not listen, and when their clocks are others."""

from __future__ import annotations

from callnet.calls.records import Ringing
from callnet.model import Accepted, Failed, Outcome, Reason, Withdrawn
from tests.support.late_case import AwayCase
from tests.support.nodes import NodeStore
from tests.support.phones import Connection
from tests.support.rooms_case import (
    ANN,
    CAROL,
    EVERYWHERE,
    PAD,
    TV,
    RecordedSession,
    RoomsCase,
    answer,
    cancel,
    hang_up,
)


class UnreachedTests(RoomsCase):
    """Ann is here; the television and the pad are on a node that does not listen."""

    def setUp(self) -> None:
        """Let it go deaf."""
        super().setUp()
        self.ann = self.connect(ANN)
        self.tv, self.pad = self.connect(TV, self.others), self.connect(PAD, self.others)
        self.ears = self.cluster.listening.pop("there")

    def listens_again(self) -> None:
        """Let it listen again; nobody repeats missed messages."""
        self.cluster.listening["there"] = self.ears

    def test_fails_soon(self) -> None:
        """The call fails as `unavailable` within 2 s, and not at once."""
        outcomes = self.call(ANN, TV)
        self.wait(1.5)
        self.assertEqual([], outcomes)
        self.wait(0.5)
        self.assertEqual([Failed(TV, Reason.UNAVAILABLE)], outcomes)
        self.assert_nothing_waits(self.rooms)
        self.listens_again()
        self.wait(2)
        self.assertEqual([], self.tv.calls)

    def test_rings_again(self) -> None:
        """A node that listens again within the first second is told."""
        outcomes = self.call(ANN, EVERYWHERE)
        self.wait(1)
        self.listens_again()
        self.wait(0.25)
        self.assertEqual([[2], [2]], [[call.version for call in device.calls] for device in (self.tv, self.pad)])
        self.wait(5)
        answer(self.others, self.tv, self.room_of(self.tv), True)
        self.assertEqual([Accepted(self.tv.calls[-1].room_for(TV), TV)], outcomes)
        self.assert_nothing_waits(self.rooms)

    def test_some_are_reached(self) -> None:
        """A call that one device hears of goes on."""
        self.connect(PAD)
        outcomes = self.call(ANN, EVERYWHERE)
        self.wait(44)
        self.assertEqual([], outcomes)
        self.assertIsInstance(self.tables.calls[self.room_of(self.newest(PAD))].state, Ringing)

    def test_cancelled_meanwhile(self) -> None:
        """A call that is over does not ring again."""
        outcomes = self.call(ANN, TV)
        self.wait(1)
        cancel(self.rooms, self.ann, TV.phone)
        self.listens_again()
        self.wait(5)
        self.assertEqual([Withdrawn()], outcomes)
        self.assertEqual([], self.tv.calls)

    def test_left_meanwhile(self) -> None:
        """A device that cannot hear is in no hurry to leave: if it calls somebody the call goes on without it."""
        self.connect(CAROL, self.others)
        outcomes = self.call(ANN, EVERYWHERE)
        self.others.call(self.tv, CAROL, "", self.clock.seconds())
        self.wait(5)
        self.assertEqual([], outcomes)

    def test_node_stops(self) -> None:
        """A node that stops rings nobody again."""
        self.call(ANN, TV)
        self.rooms.stop()
        self.listens_again()
        self.wait(2)
        self.assertEqual([], self.tv.calls)


class UnreachedAndAwayTests(AwayCase):
    """The same, and then the store is away too."""

    def test_ends_when_it_is_back(self) -> None:
        """The call ends as soon as the store is back."""
        self.connect(ANN)
        self.connect(TV, self.others)
        self.cluster.listening.pop("there")
        outcomes = self.call(ANN, TV)
        self.goes_away()
        self.wait(5)
        self.assertEqual([], outcomes)
        self.is_back()
        self.assertEqual([Failed(TV, Reason.UNAVAILABLE)], outcomes)


class ClockTests(RoomsCase):
    """The clock of the store is five minutes ahead of the nodes' own."""

    def setUp(self) -> None:
        """Shift it."""
        super().setUp()
        self.clock.advance(1000)
        self.cluster.shift = 300.0

    def test_ring_time(self) -> None:
        """The seconds of ringing that are left are counted on it too."""
        self.connect(ANN)
        tv = Connection(TV, self.rooms, self.clock)
        self.call(ANN, TV)
        self.assertEqual(45, tv.frames[-1]["expires_in"])
        self.wait(5)
        again = Connection(TV, self.rooms, self.clock)
        self.assertEqual(40, again.frames[-1]["expires_in"])


class NewestConnectionTests(RoomsCase):
    """Requests on a connection that is not the newest are not done."""

    def test_on_this_node(self) -> None:
        """... though its socket is open still: no call, no answer, no end."""
        old, tv = self.connect(ANN), self.connect(TV)
        new = self.connect(ANN)
        self.assertNoResult(self.place(old, TV))
        self.assertEqual([], tv.calls)
        outcomes = self.call(ANN, TV)
        room = self.room_of(tv)
        cancel(self.rooms, old, TV.phone)
        hang_up(self.rooms, old, room)
        self.assertEqual([], outcomes)
        self.place(tv, CAROL)
        self.place(tv, ANN)
        ring = self.room_of(new)
        answer(self.rooms, old, ring, True)
        self.assertIsInstance(self.tables.calls[ring].state, Ringing)

    def test_on_another_node(self) -> None:
        """A device that has come to another node places no call here, though this node was not told."""
        old, tv = self.connect(ANN), self.connect(TV)
        ears = self.cluster.listening.pop("here")
        self.connect(ANN, self.others)
        self.cluster.listening["here"] = ears
        self.assertEqual(0, old.displacements)
        outcomes: list[Outcome] = []
        self.place(old, TV).addCallback(outcomes.append)
        self.assertEqual([Withdrawn()], outcomes)
        self.assertEqual([], tv.calls)


class RestartedNodeTests(RoomsCase):
    """A node goes by another name from now on."""

    def test_name(self) -> None:
        """Each new device is recorded under it."""
        store = NodeStore(self.cluster, "here")
        rooms = self.make_rooms(store)
        self.addCleanup(rooms.stop)
        store.node = "here again"
        session = RecordedSession(rooms, ANN)
        self.connected.append(session)
        self.assertEqual("here again", self.tables.devices[ANN.phone][ANN.device_id].node)
