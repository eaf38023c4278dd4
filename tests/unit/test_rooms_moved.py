"""Devices that go from one node to another in the midst of calls."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall

from callnet.calls.records import Displaced
from callnet.model import Accepted, DeviceAddress, Reason
from tests.support.rooms_case import ANN, TV, RoomsCase, answer, hang_up


class MovingTests(RoomsCase):
    """Ann comes to the other node, where the television is."""

    def setUp(self) -> None:
        """Ann is here, and the television there."""
        super().setUp()
        self.ann = self.connect(ANN)
        self.tv = self.connect(TV, self.others)

    def test_caller_moves(self) -> None:
        """A caller that comes back on another node waits there, and its older socket is closed here."""
        first = self.call(ANN, TV)
        moved = self.connect(ANN, self.others)
        self.clock.advance(0)
        self.assertEqual((1, 0), (self.ann.displacements, moved.displacements))
        self.ann.goes()
        answer(self.others, self.newest(TV), self.room_of(self.tv), True)
        self.assertEqual(([], [Accepted(self.room_of(self.tv), TV)]), (first, moved.outcomes))
        self.wait(31)
        self.assertEqual([], self.tv.calls[1:])

    def test_late_displacement(self) -> None:
        """A connection is displaced by newer ones, however late that is said, and never by itself."""
        newer = self.connect(ANN)
        self.cluster.send("here", Displaced(ANN, "here", newer.generation))
        self.clock.advance(0)
        self.assertEqual(0, newer.displacements)
        self.cluster.send("here", Displaced(ANN, "here", newer.generation + 1))
        self.clock.advance(0)
        self.assertEqual(1, newer.displacements)

    def test_said_before_it_moved(self) -> None:
        """A frame to a node that stood still, from before the device went elsewhere, is handled when the node goes
        on, though it hears first where the device is.
        """
        self.call(ANN, TV)
        room = self.room_of(self.tv)
        answer(self.others, self.tv, room, True)
        moved = self.connect(ANN, self.others)
        hang_up(self.rooms, self.ann, room)
        self.clock.advance(0)
        self.assertEqual([Reason.HANGUP] * 2, [self.tv.rooms[-1][1], self.reason_of(room)])
        self.assertEqual((1, 0), (self.ann.displacements, moved.displacements))
        hang_up(self.rooms, self.ann, room)

    def test_many(self) -> None:
        """The connections of thousands that left are not closed all at once, and all in the end."""
        sessions = [self.connect(DeviceAddress(f"136{number:08}", "x")) for number in range(120)]
        for session in sessions:
            self.cluster.send("here", Displaced(session.address, "here", session.generation + 1))
        closed: list[int] = []
        later = self.clock.callLater

        def noted(*call: Any) -> IDelayedCall:
            closed.append(sum(session.displacements for session in sessions))
            return later(*call)

        self.patch(self.clock, "callLater", noted)
        self.clock.advance(0)
        self.assertEqual([50, 100], closed)
        self.assertEqual(120, sum(session.displacements for session in sessions))

    def test_said_when_the_node_stops(self) -> None:
        """A node that stops closes everybody, and need not hear where they are."""
        self.cluster.send("here", Displaced(ANN, "here", self.ann.generation + 1))
        self.rooms.stop()
        self.clock.advance(0)
        self.assertEqual(0, self.ann.displacements)
