"""What was told on a connection that ended before anything more was received on it is told on the next one (§2.4)."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls import events
from callnet.model import Reason, RoomId
from callnet.records import CallRecord, CallState, Notice
from tests.late_case import AwayCase
from tests.phones import Connection
from tests.rooms_case import ANN, CAROL, EVERYWHERE, PAD, TV, RoomsCase


def ends(connection: Connection) -> list[tuple[object, object]]:
    """The types and reasons of all that a device was sent but rings."""
    return [(frame["type"], frame.get("reason")) for frame in connection.frames if frame["type"] != "called"]


def told(connection: Connection) -> list[tuple[object, ...]]:
    """The same, with the rooms."""
    return [(*end, frame.get("room_id")) for end, frame in zip(ends(connection), connection.frames, strict=True)]


HUNG_UP = ("calling_be_hangup", "hangup")


class UnheardTests(RoomsCase):
    """Ann and the television have real sessions."""

    def setUp(self) -> None:
        """Connect them."""
        super().setUp()
        self.ann, self.tv = (Connection(address, self.rooms, self.clock) for address in (ANN, TV))

    def ring(self) -> RoomId:
        """Ann calls the television."""
        self.ann.calls(TV)
        return next(reversed(self.tables.calls))

    def back(self, old: Connection) -> list[tuple[object, object]]:
        """End a connection, and open the next one of that device; what is sent first on that."""
        old.ended()
        self.wait(1)
        return ends(Connection(old.address, self.rooms, self.clock))

    def over(self, room: RoomId, **fields: object) -> CallRecord:
        """End a call one second ago, on another node, so that nobody here has heard of it yet."""
        reason = {"state": CallState.OVER, "ringing": (), "ended_at": self.rooms.now() - 1}
        call = self.tables.calls[room]
        ended = replace(call, version=call.version + 1, **(reason | fields))
        self.tables.calls[room] = ended
        return ended

    def test_accepted_too_late(self) -> None:
        """A device that accepts a call which is over, and is gone before it can have heard so, is told again."""
        room = self.ring()
        self.ann.hangs_up(TV.phone)
        self.wait(2)
        self.tv.answers(room, True)
        cancelled = ("calling_be_hangup", "cancelled")
        self.assertEqual([cancelled] * 2, ends(self.tv))
        self.assertEqual([cancelled], self.back(self.tv))

    def test_heard(self) -> None:
        """... but not if it has sent anything since."""
        room = self.ring()
        self.ann.hangs_up(TV.phone)
        self.wait(2)
        self.tv.answers(room, True)
        self.wait(1.1)
        self.tv.hangs_up(ANN.phone, room)
        self.assertEqual([], self.back(self.tv))

    def test_crossing(self) -> None:
        """What is received right after that was sent before it came, be it a close frame: it is told again.

        What comes a second later was not.
        """
        for seconds, told in ((0.0, [HUNG_UP]), (0.9, [HUNG_UP]), (1.1, [])):
            room = self.ring()
            self.tv.answers(room, True)
            self.wait(2)
            self.ann.hangs_up(TV.phone, room)
            self.wait(seconds)
            self.tv.hangs_up("", "f" * 32)
            self.assertEqual(told, self.back(self.tv), seconds)
            self.tearDown()
            self.setUp()

    def test_told_late(self) -> None:
        """An end that comes from another node later than what was received last, be the socket open still or not."""
        for is_open in (True, False):
            room = self.ring()
            self.tv.answers(room, True)
            self.wait(2)
            ended = self.over(room, reason=Reason.HANGUP, ended_by=ANN)
            self.tv.hangs_up("", "f" * 32)
            self.tv.is_open = is_open
            self.cluster.send("here", Notice(TV, ended))
            self.assertEqual([HUNG_UP] if is_open else [], ends(self.tv))
            self.assertEqual([HUNG_UP], self.back(self.tv))
            self.tearDown()
            self.setUp()

    def test_outcome(self) -> None:
        """So it is with the outcome of a call, for its caller."""
        outcomes = {
            "call_refuse": {"state": CallState.OVER, "reason": Reason.REFUSED, "ended_at": 1.0, "ended_by": TV},
            "call_success": {"state": CallState.ACTIVE, "callee": TV, "answered_at": 1.0, "ended_at": None},
        }
        for kind, fields in outcomes.items():
            room = self.ring()
            self.wait(2)
            decided = self.over(room, **fields)
            self.ann.hangs_up("", "f" * 32)
            self.ann.is_open = False
            self.cluster.send("here", Notice(ANN, decided))
            self.assertEqual([kind], [said for said, _ in self.back(self.ann)])
            self.elsewhere(events.Stopped(room))
            self.tearDown()
            self.setUp()


class AwayTests(AwayCase):
    """The store is away while a device accepts."""

    def test_given_up(self) -> None:
        """One whose socket ends before its acceptance was given up is told on the next one that the call is over."""
        self.connect(ANN, self.others)
        tv = Connection(TV, self.rooms, self.clock)
        self.pass_turns()
        self.call_there()
        room = RoomId(str(tv.frames[-1]["room_id"]))
        self.goes_away()
        self.elsewhere(events.HangUp(room, ANN))
        del tv.frames[:]
        self.wait(2)
        tv.answers(room, True)
        self.wait(0.25)
        tv.ended()
        self.wait(2)
        self.is_back()
        again = Connection(TV, self.rooms, self.clock)
        self.pass_turns()
        self.assertEqual([("calling_be_hangup", "cancelled")], ends(again))

    def test_other_ended_meanwhile(self) -> None:
        """So is one whose accept came too late, and for which another call rang and ended since that was answered."""
        for pauses in ((0.0, 0.0), (1.5, 0.25), (0.0, 3.0)):
            for device in (ANN, PAD, CAROL):
                self.connect(device, self.others)
            tv = Connection(TV, self.rooms, self.clock)
            self.pass_turns()
            self.others.call(self.newest(ANN), EVERYWHERE, lambda _: None)
            self.pass_turns()
            room = RoomId(str(tv.frames[-1]["room_id"]))
            self.goes_away()
            self.elsewhere(events.Answer(room, PAD, True))
            self.others.call(self.newest(CAROL), TV, lambda _: None)
            tv.answers(room, True)
            self.wait(pauses[0])
            self.elsewhere(events.Cancel(CAROL, TV.phone, self.newest(CAROL).generation))
            self.is_back()
            self.wait(pauses[1])
            tv.ended()
            self.wait(1)
            again = Connection(TV, self.rooms, self.clock)
            self.pass_turns()
            self.assertEqual([("calling_be_hangup", "answered_elsewhere", room)], told(again), pauses)
            self.tearDown()
            self.setUp()

    def call_there(self) -> None:
        """Ann calls the television, on the other node."""
        self.others.call(self.newest(ANN), TV, lambda _: None)
        self.pass_turns()
