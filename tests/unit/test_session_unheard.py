"""Messages that a device has not confirmed are sent again on its next connection (§2.4)."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.records import Active, CallRecord, CallState, Notice, Over, Ringing
from callnet.calls.transaction import over
from callnet.model import DeviceAddress, Reason, RoomId
from tests.support.late_case import AwayCase
from tests.support.phones import Connection
from tests.support.rooms_case import ANN, CAROL, EVERYWHERE, PAD, TV, RoomsCase


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

    def back(self, old: Connection, said_goodbye: bool = False) -> list[tuple[object, object]]:
        """End a connection, and open the next one of that device; returns the first messages on that."""
        old.ended(said_goodbye)
        self.wait(1)
        new = Connection(old.address, self.rooms, self.clock)
        self.wait(1)
        return ends(new)

    def over(self, room: RoomId, reason: Reason, by: DeviceAddress | None = None) -> CallRecord:
        """End a call one second ago, on another node, so that nobody here has heard of it yet."""
        call = self.tables.calls[room]
        return self.now_is(room, over(call.state, reason, self.rooms.now() - 1, by))

    def now_is(self, room: RoomId, state: CallState) -> CallRecord:
        """Bring a call into a state, on another node, so that nobody here has heard of it yet."""
        call = self.tables.calls[room]
        self.tables.calls[room] = changed = replace(call, version=call.version + 1, state=state)
        return changed

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
        self.wait(2)
        self.tv.pongs()
        self.assertEqual([], self.back(self.tv))

    def test_crossing(self) -> None:
        """A frame that is received right after that may have been sent before it came: the message is repeated.

        What comes 2 s later was not, and a frame that names the room, or a close frame, shows at once that it is known.
        """
        for seconds, told in ((0.0, [HUNG_UP]), (1.9, [HUNG_UP]), (2.0, [])):
            for shows in ("", "room", "goodbye"):
                room = self.ring()
                self.tv.answers(room, True)
                self.wait(2)
                self.ann.hangs_up(TV.phone, room)
                self.wait(seconds)
                self.tv.hangs_up("", room if shows == "room" else "f" * 32)
                told_again = self.back(self.tv, shows == "goodbye")
                self.assertEqual([] if shows else told, told_again, (seconds, shows))
                self.tearDown()
                self.setUp()

    def test_told_after_the_goodbye(self) -> None:
        """A message after the device's goodbye has not been sent."""
        room = self.ring()
        self.tv.answers(room, True)
        self.wait(2)
        self.tv.pongs()
        self.wait(0.25)
        self.tv.is_open = False
        self.ann.hangs_up(TV.phone, room)
        self.tv.session.closed(True)
        self.wait(1)
        tv = Connection(TV, self.rooms, self.clock)
        self.wait(1)
        self.assertEqual([HUNG_UP], ends(tv))

    def test_told_late(self) -> None:
        """An end that comes from another node later than the last received frame, with the socket still open or not."""
        for is_open in (True, False):
            room = self.ring()
            self.tv.answers(room, True)
            self.wait(2)
            ended = self.over(room, Reason.HANGUP, ANN)
            self.tv.hangs_up("", "f" * 32)
            self.tv.is_open = is_open
            self.cluster.send("here", Notice(TV, ended))
            self.assertEqual([HUNG_UP] if is_open else [], ends(self.tv))
            self.assertEqual([HUNG_UP], self.back(self.tv))
            self.tearDown()
            self.setUp()

    def test_connects_again_and_again(self) -> None:
        """A device's confirmations of a call are recorded once, however often it reconnects."""
        for _ in range(2):
            self.ring()
            self.wait(2)
            self.ann.hangs_up(TV.phone)
            self.wait(2)
        for _ in range(5):
            older, self.tv = self.tv, Connection(TV, self.rooms, self.clock)
            older.ended()
        known = self.tv.session.known()
        self.tv.ended()
        self.assertEqual(1, len(known))

    def test_outcome(self) -> None:
        """The same holds for the outcome of a call, for its caller."""
        outcomes: dict[str, CallState] = {
            "call_refuse": Over(Ringing(()), Reason.REFUSED, 1.0, TV),
            "call_success": Active(TV, 1.0),
        }
        for kind, state in outcomes.items():
            room = self.ring()
            self.wait(2)
            decided = self.now_is(room, state)
            self.ann.hangs_up("", "f" * 32)
            self.ann.is_open = False
            self.cluster.send("here", Notice(ANN, decided))
            self.assertEqual([kind], [said for said, _ in self.back(self.ann)])
            self.elsewhere(events.Stopped(room))
            self.tearDown()
            self.setUp()


class OldEndTests(RoomsCase):
    """Nothing old is told after something newer (§2.4)."""

    def setUp(self) -> None:
        """Ann's call was refused, and she was cut off before she can have heard so."""
        super().setUp()
        self.tv = Connection(TV, self.rooms, self.clock)
        ann = Connection(ANN, self.rooms, self.clock)
        ann.calls(TV)
        ann.is_open = False
        self.tv.answers(next(reversed(self.tables.calls)), False)
        ann.ended()
        self.wait(0.5)

    def back(self, extended: bool = False) -> Connection:
        """Connect her again."""
        return Connection(ANN, self.rooms, self.clock, extended)

    def test_calls_nobody(self) -> None:
        """A base device that calls nobody is told the old end 1 s after it connected, an extended one at once."""
        ann = self.back()
        self.wait(0.75)
        self.assertEqual([], ann.frames)
        self.wait(0.25)
        self.assertEqual([("call_refuse", "refused")], ends(ann))
        ann.ended()
        self.assertIn(("call_refuse", "refused"), ends(self.back(extended=True)))

    def test_calls_again(self) -> None:
        """A device that has placed a call by then is never told, neither now nor when it comes again."""
        for target in (TV, PAD):
            ann = self.back()
            self.wait(0.75)
            ann.calls(target)
            self.wait(3)
            ann.ended()
            self.wait(0.5)
            again = self.back()
            self.wait(3)
            self.assertNotIn("call_refuse", [frame["type"] for frame in (*ann.frames, *again.frames)])
            self.tearDown()
            self.setUp()

    def test_is_called(self) -> None:
        """One that is called by then is told before it is rung."""
        ann = self.back()
        self.wait(0.5)
        self.tv.calls(ANN)
        self.assertEqual(["call_refuse", "called"], [frame["type"] for frame in ann.frames])
        self.wait(1)
        self.assertEqual(2, len(ann.frames))

    def test_goes_again(self) -> None:
        """One that is gone by then is told the next time."""
        ann = self.back()
        self.wait(0.5)
        ann.ended(said_goodbye=True)
        again = self.back()
        self.wait(1)
        self.assertEqual(([], [("call_refuse", "refused")]), (ann.frames, ends(again)))

    def test_rung_once(self) -> None:
        """A device that is being rung is sent ``called`` once on each connection."""
        ann = self.back()
        self.tv.calls(ANN)
        for _ in range(3):
            self.wait(2)
            self.assertEqual(["call_refuse", "called"], [frame["type"] for frame in ann.frames])
            ann.ended()
            ann = self.back()


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
        self.wait(1)
        self.assertEqual([("calling_be_hangup", "cancelled")], ends(again))

    def test_other_ended_meanwhile(self) -> None:
        """If another call rang and ended since, that is reported: the newest end that it may not know."""
        for pauses in ((0.0, 0.0), (1.5, 0.25), (0.0, 3.0)):
            for device in (ANN, PAD, CAROL):
                self.connect(device, self.others)
            tv = Connection(TV, self.rooms, self.clock)
            self.pass_turns()
            self.others.call(self.newest(ANN), EVERYWHERE, "", self.clock.seconds())
            self.pass_turns()
            room = RoomId(str(tv.frames[-1]["room_id"]))
            self.goes_away()
            self.elsewhere(events.Accept(room, PAD))
            self.others.call(self.newest(CAROL), TV, "", self.clock.seconds())
            tv.answers(room, True)
            self.wait(pauses[0])
            self.elsewhere(events.Cancel(CAROL, TV.phone, self.newest(CAROL).generation))
            self.is_back()
            self.wait(pauses[1])
            tv.ended()
            self.wait(1)
            again = Connection(TV, self.rooms, self.clock)
            self.pass_turns()
            self.wait(1)
            self.assertEqual([("calling_be_hangup", "cancelled")], ends(again), pauses)
            self.tearDown()
            self.setUp()

    def call_there(self) -> None:
        """Ann calls the television, on the other node."""
        self.others.call(self.newest(ANN), TV, "", self.clock.seconds())
        self.pass_turns()
