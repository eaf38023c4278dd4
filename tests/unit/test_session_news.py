"""A device is told the same thing of one call once on one connection, however often it is to look at it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace
from twisted.python.failure import Failure

from callnet.calls import events
from callnet.calls.records import Active, CallRecord, Notice, Over, Ringing, SeatNotice
from callnet.calls.session_v2 import ExtendedSession
from callnet.calls.switchboard import nothing
from callnet.calls.transaction import over
from callnet.model import DeviceAddress, Reason, RoomId
from tests.support.late_case import AwayCase, LateCase
from tests.support.phones import Connection
from tests.support.room_case import RoomCase, meeting
from tests.support.rooms_case import ANN, CAROL, EVERYWHERE, PAD, TV, RoomsCase, answer


class SaidOnceTests(RoomsCase):
    """Ann, the television and the pad have real sessions."""

    def setUp(self) -> None:
        """Connect them."""
        super().setUp()
        self.ann, self.tv, self.pad = (Connection(address, self.rooms, self.clock) for address in (ANN, TV, PAD))

    def ring(self) -> CallRecord:
        """Ann calls every device of the television's phone."""
        self.ann.calls(EVERYWHERE)
        return next(reversed(self.tables.calls.values()))

    def look_again(self, call: CallRecord, newer: int = 1) -> None:
        """Have everyone look at a newer version of a call with the same content."""
        for address in (ANN, TV, PAD):
            self.cluster.send("here", Notice(address, replace(call, version=call.version + newer)))

    def kinds(self, connection: Connection) -> list[object]:
        """The types of all that was sent to a device."""
        return [frame["type"] for frame in connection.frames]

    def test_called(self) -> None:
        """`called` is never sent twice: not when the call rings again, nor when a device has left the ringing."""
        call = self.ring()
        self.look_again(call)
        self.look_again(replace(call, state=Ringing((TV,))), 2)
        self.assertEqual((["called"], ["called"]), (self.kinds(self.tv), self.kinds(self.pad)))

    def test_called_on_a_new_connection(self) -> None:
        """On the next connection it is sent, once; how long it took until devices rang is counted by the first."""
        self.clock.advance(1)
        call = self.ring()
        self.clock.advance(1)
        again = Connection(TV, self.rooms, self.clock)
        self.look_again(call)
        self.assertEqual(["called"], self.kinds(again))
        self.assertEqual(2, [number for _, number in self.rooms.counts.rang_after.buckets()][-1])

    def test_forgotten(self) -> None:
        """The confirmations are known of the last three calls that it named or was told of."""
        for number in range(6):
            self.tv.hangs_up("", f"{number:032x}")
        self.assertEqual([f"{number:032x}" for number in (3, 4, 5)], list(self.tv.session._heard or ()))

    def test_old_ends_while_it_rings(self) -> None:
        """A device that rings is not rung again because it was told of several older ends meanwhile."""
        call = self.ring()
        for number in range(4):
            ended = Over(Active(TV, 0.5), Reason.HANGUP, 1.0, PAD)
            older = CallRecord(RoomId(f"{number:032x}"), 2, ended, PAD, TV, (TV,), 0.0)
            self.cluster.send("here", Notice(TV, older))
        self.look_again(call)
        self.assertEqual(1, self.kinds(self.tv).count("called"))
        self.assertEqual(4, self.kinds(self.tv).count("calling_be_hangup"))

    def test_left_the_ringing(self) -> None:
        """A device that has left the ringing and looks at it is told nothing, and not rung again."""
        call = self.ring()
        self.look_again(replace(call, state=Ringing((PAD,))))
        self.look_again(call, 2)
        self.assertEqual(["called"], self.kinds(self.tv))

    def test_after_the_end(self) -> None:
        """After the end of a call nothing more is sent about it, though others may have ended it in other words."""
        call = self.ring()
        ended = replace(call, state=over(call.state, Reason.NO_ANSWER, 1.0))
        self.look_again(ended)
        self.look_again(replace(call, state=over(call.state, Reason.REFUSED, 1.0)), 2)
        self.assertEqual(["call_failed"], self.kinds(self.ann))
        self.look_again(replace(ended, state=Over(Active(TV, 0.5), Reason.NO_ANSWER, 1.0)), 3)
        self.assertEqual(["called", "calling_be_hangup"], self.kinds(self.tv))

    def test_answered_elsewhere(self) -> None:
        """... but that it is over, for a caller that was told that it failed and may have been put through before."""
        call = self.ring()
        ended = replace(call, state=over(call.state, Reason.NO_ANSWER, 1.0))
        self.look_again(ended)
        answered = replace(ended, state=Over(Active(TV, 0.5), Reason.NO_ANSWER, 1.0))
        self.look_again(answered, 2)
        self.look_again(answered, 3)
        self.assertEqual(["call_failed", "calling_be_hangup"], self.kinds(self.ann))

    def test_hung_up_and_rung_again(self) -> None:
        """A device whose hang-up the store has lost, so that it rings again elsewhere, is told when that is known."""
        call = self.ring()
        self.look_again(replace(call, state=Over(Active(TV, 0.5), Reason.HANGUP, 1.0, TV)))
        self.assertEqual(["called", "calling_be_hangup"], self.kinds(self.tv))

    def test_hung_up_too_late(self) -> None:
        """A device that is rung on a new connection is told when its hang-up on the one before has come, late."""
        call = self.ring()
        late = events.HangUp(call.room, TV, self.tv.session.generation)
        again = Connection(TV, self.rooms, self.clock)
        self.rooms._transactions.run(late, nothing, Failure.raiseException)
        self.assertEqual(["called", "calling_be_hangup"], self.kinds(again))

    def test_answered_before_the_call(self) -> None:
        """A device that has placed a call is not told of an older answered one: it would be taken for this one."""
        self.clock.advance(5)
        self.ann.calls(TV)
        older = CallRecord(RoomId("b" * 32), 2, Active(PAD, 1.0), ANN, PAD, (PAD,), 0.0)
        self.cluster.send("here", Notice(ANN, older))
        self.assertEqual([], self.kinds(self.ann))

    def test_hung_up_by_its_alias(self) -> None:
        """A call that a device has left does not ring there, though this node did not know yet whose alias it named."""
        room, alias = RoomId("b" * 32), RoomId("a" * 32)
        self.tv.hangs_up("", alias)
        call = CallRecord(room, 1, Ringing((TV,)), ANN, TV, (TV,), 0.0, aliases=((TV, alias),))
        self.cluster.send("here", Notice(TV, call))
        self.assertEqual([], self.kinds(self.tv))

    def test_refused_by_its_alias(self) -> None:
        """Nor does one that the device has refused, as it rang on an earlier connection."""
        room, alias = RoomId("b" * 32), RoomId("a" * 32)
        self.tv.answers(alias, False)
        call = CallRecord(room, 1, Ringing((TV,)), ANN, TV, (TV,), 0.0, aliases=((TV, alias),))
        self.cluster.send("here", Notice(TV, call))
        self.assertEqual([], self.kinds(self.tv))

    def test_hung_up_here(self) -> None:
        """A device that has hung up on this connection is not told of it."""
        room = self.ring().room
        self.tv.answers(room, True)
        self.tv.hangs_up("", room)
        self.look_again(self.tables.calls[room])
        self.assertEqual(["called"], self.kinds(self.tv))

    def test_call_success(self) -> None:
        """The same holds for `call_success`, and for the end of the ringing for a device that was too late."""
        room = self.ring().room
        self.tv.answers(room, True)
        for newer in (0, 1):
            self.look_again(self.tables.calls[room], newer)
        self.assertEqual(["call_success"], self.kinds(self.ann))
        self.assertEqual(["called", "calling_be_hangup"], self.kinds(self.pad))
        self.ann.calls(TV)
        self.assertEqual(["call_success", "call_success"], self.kinds(self.ann))

    def test_glare(self) -> None:
        """The same holds for a device that accepted by calling."""
        room = self.ring().room
        self.tv.calls(ANN)
        self.look_again(self.tables.calls[room])
        self.assertEqual(["called", "call_success"], self.kinds(self.tv))
        self.assertEqual(["call_success"], self.kinds(self.ann))

    def test_call_failed(self) -> None:
        """The same holds for a failed or refused call, whose frame might be taken for that of the next call."""
        for accepted in (None, False):
            room = self.ring().room
            if accepted is None:
                self.wait(46)
            else:
                self.tv.answers(room, accepted)
            before = len(self.ann.frames)
            self.look_again(self.tables.calls[room], 0)
            self.assertEqual(before, len(self.ann.frames))

    def test_old_end(self) -> None:
        """A call that was over before a device placed or accepted another one is not reported on a connection that
        does not know it: a base device would take it for the outcome of the newer one (§2.4).
        """
        room = self.ring().room
        self.clock.advance(1)
        self.tv.answers(room, False)
        self.clock.advance(1)
        ended = self.tables.calls[room]
        for goes_on in (lambda again: again.calls(PAD), self.is_called):
            again = Connection(ANN, self.rooms, self.clock)
            self.clock.advance(2)
            del again.frames[:]
            goes_on(again)
            self.look_again(ended)
            self.assertNotIn(room, [frame["room_id"] for frame in again.frames])

    def is_called(self, again: Connection) -> None:
        """Have the pad call a device, which accepts."""
        self.clock.advance(1)
        self.pad.calls(again.address)
        again.answers(RoomId(str(again.frames[-1]["room_id"])), True)

    def test_later_end(self) -> None:
        """An end after that is reported."""
        room = self.ring().room
        call = self.tables.calls[room]
        again = Connection(ANN, self.rooms, self.clock)
        again.calls(PAD)
        self.clock.advance(1)
        self.look_again(replace(call, state=over(call.state, Reason.REFUSED, self.rooms.now())))
        self.assertIn(room, [frame["room_id"] for frame in again.frames])

    def test_end_by_another_clock(self) -> None:
        """The end of its own call is told after the answer, though it was decided where the clock is a little slow."""
        call = self.tables.calls[self.ring().room]
        before = self.rooms.now() - 0.05
        self.look_again(replace(call, state=Over(Active(TV, before), Reason.HANGUP, before, TV)))
        self.assertEqual(["call_success", "calling_be_hangup"], self.kinds(self.ann))

    def test_hung_up(self) -> None:
        """A device that hung up is told nothing more of that call, though others may have ended it in other words."""
        room = self.ring().room
        self.tv.answers(room, True)
        self.ann.hangs_up(TV.phone, room)
        ended = self.tables.calls[room]
        self.look_again(replace(ended, state=Over(Ringing(()), Reason.NO_ANSWER, self.rooms.now())))
        self.assertEqual(["call_success"], self.kinds(self.ann))

    def test_end(self) -> None:
        """An end is told after the answer, once."""
        room = self.ring().room
        self.tv.answers(room, True)
        self.elsewhere(events.Stopped(room))
        self.look_again(self.tables.calls[room])
        self.assertEqual(["call_success", "calling_be_hangup"], self.kinds(self.ann))

    def test_too_late(self) -> None:
        """A device that was answered that it is too late is not told so again."""
        call = self.ring()
        self.ann.hangs_up(TV.phone)
        del self.tv.frames[:]
        self.tv.answers(call.room, True)
        self.look_again(self.tables.calls[call.room])
        self.assertEqual(["calling_be_hangup"], self.kinds(self.tv))

    def test_too_late_for_an_older_call(self) -> None:
        """A device that rings again is not told once more that the call before is over, which would end its ringing."""
        self.ann.calls(TV)
        self.ann.hangs_up(TV.phone)
        self.ann.calls(TV)
        older, _, newer = [RoomId(str(frame["room_id"])) for frame in self.tv.frames]
        told = ["called", "calling_be_hangup", "called"]
        for room in (older, newer, older):
            self.tv.answers(room, True)
            self.assertEqual(told, self.kinds(self.tv))
        self.ann.hangs_up(TV.phone)
        self.tv.answers(older, True)
        self.assertEqual([*told, "calling_be_hangup", "calling_be_hangup"], self.kinds(self.tv))
        self.assertEqual([newer, older], [frame["room_id"] for frame in self.tv.frames[-2:]])

    def test_many_calls(self) -> None:
        """A connection remembers the newest few calls only."""
        for _ in range(50):
            room = self.ring().room
            self.ann.hangs_up(TV.phone, room)
        heard = self.tv.session._heard
        assert heard is not None
        self.assertLessEqual(len(heard), 3)
        self.assertIn(room, heard)


class RegistrationTests(LateCase):
    """A device that is back, and sends a frame before its node has registered its connection.

    A base device sends what its person has said meanwhile as soon as its socket is open.
    """

    def setUp(self) -> None:
        """Ann calls the television."""
        super().setUp()
        self.caller, self.callee = (Connection(address, self.rooms, self.clock) for address in (ANN, TV))
        self.pass_turns()
        self.caller.calls(TV)
        self.pass_turns()
        self.room = RoomId(str(self.callee.frames[-1]["room_id"]))

    def back(self, address: DeviceAddress, says: Callable[[Connection], None]) -> list[tuple[object, object]]:
        """Have a device lose its socket and say something on a new one; returns what it is told there."""
        old = self.caller if address == ANN else self.callee
        old.ended()
        self.pass_turns()
        self.clock.advance(1)
        again = Connection(address, self.rooms, self.clock)
        says(again)
        self.pass_turns()
        self.wait(2)
        return kinds_of(again)

    def test_accept(self) -> None:
        """An acceptance counts, and the device is not rung for the call that it has accepted."""
        self.assertEqual([], self.back(TV, lambda again: again.answers(self.room, True)))
        self.assertEqual([("call_success", None)], kinds_of(self.caller))

    def test_refusal(self) -> None:
        """So does a refusal."""
        self.assertEqual([], self.back(TV, lambda again: again.answers(self.room, False)))
        self.assertEqual([("call_refuse", "refused")], kinds_of(self.caller))

    def test_hang_up(self) -> None:
        """So does a hang-up, of which the device is not told again."""
        self.assertEqual([], self.back(TV, lambda again: again.hangs_up(ANN.phone, self.room)))
        self.assertEqual([("call_refuse", "refused")], kinds_of(self.caller))

    def test_hang_up_of_an_answered_call(self) -> None:
        """It is not told that it is in the call that it has hung up."""
        self.callee.answers(self.room, True)
        self.pass_turns()
        self.assertEqual([], self.back(ANN, lambda again: again.hangs_up(TV.phone, self.room)))
        self.assertEqual([("called", None), ("calling_be_hangup", "hangup")], kinds_of(self.callee))

    def test_old_connection(self) -> None:
        """A frame of the connection before that one does not count, though its turn comes later."""
        again = Connection(TV, self.rooms, self.clock)
        self.callee.answers(self.room, True)
        self.pass_turns()
        self.assertEqual(([], [("called", None)]), (kinds_of(self.caller), kinds_of(again)))


def kinds_of(connection: Connection) -> list[tuple[object, object]]:
    """The type and reason of all that was sent to a device."""
    return [(frame["type"], frame.get("reason")) for frame in connection.frames]


class GivenUpTests(AwayCase):
    """A device whose answer was not carried out in time."""

    def test_told_once(self) -> None:
        """It is told that the call is lost when that is known, and not again when it is over."""
        self.connect(ANN)
        tv = Connection(TV, self.rooms, self.clock)
        self.pass_turns()
        self.call(ANN, TV)
        room = RoomId(str(tv.frames[-1]["room_id"]))
        self.goes_away()
        tv.answers(room, True)
        self.wait(6)
        self.assertEqual("connection_lost", tv.frames[-1]["reason"])
        self.elsewhere(events.Accept(room, TV))
        self.is_back()
        self.assertIsInstance(self.tables.calls[room].state, Over)
        self.assertEqual(["called", "calling_be_hangup"], [frame["type"] for frame in tv.frames])


class HungUpTests(AwayCase):
    """A device that hangs up a call has left it, whatever its node learns of that before the store has answered."""

    def setUp(self) -> None:
        """Connect Ann, who may have been in a call with the television elsewhere."""
        super().setUp()
        self.connect(TV)
        self.phone = Connection(ANN, self.rooms, self.clock)
        self.pass_turns()

    def look_at(self, call: CallRecord) -> list[object]:
        """Have Ann look at a call; returns the types of all that was sent to her."""
        self.cluster.send("here", Notice(ANN, call))
        return [frame["type"] for frame in self.phone.frames]

    def test_learnt_later(self) -> None:
        """It is not told that it is in that call, which it would believe."""
        room = RoomId("b" * 32)
        self.phone.hangs_up("", room)
        self.assertEqual([], self.look_at(CallRecord(room, 2, Active(TV, 0.0), ANN, TV, (TV,), 0.0)))

    def test_answer_learnt_later(self) -> None:
        """Nor that it was answered, which the device knew from another node, and this one did not."""
        self.phone.calls(TV)
        self.pass_turns()
        call = next(iter(self.tables.calls.values()))
        self.goes_away()
        self.phone.hangs_up("", call.room)
        self.pass_turns()
        self.assertEqual([], self.look_at(replace(call, version=2, state=Active(TV, 0.0))))

    def test_never_in_it(self) -> None:
        """One that was not in the call has left nothing."""
        pad, _ = self.connect(PAD), self.connect(CAROL)
        self.call(CAROL, PAD)
        room = self.room_of(pad)
        answer(self.rooms, pad, room, True)
        self.pass_turns()
        self.phone.hangs_up("", room)
        self.pass_turns()
        moved = CallRecord(room, 9, Active(PAD, 0.0), ANN, PAD, (PAD,), 0.0)
        self.assertEqual(["error", "call_success"], self.look_at(moved))


class LostSeatTests(RoomCase):
    """A page whose seat was lost with the memory of the store."""

    def test_no_seat(self) -> None:
        """When it learns that two others sit in its room it is told that the room is full, and closed."""
        first, second = self.join(0), self.join(1)
        first.heard(), second.heard()
        store = self.world.store
        seats = store._tables.seats[RoomId(self.room)]
        others = replace(seats, version=9, seats=(seats.seats[1], None))
        self.world.bus.publish("local", SeatNotice("a" * 32, others, None))
        self.world.settle()
        self.assertEqual({"type": "refused", "reason": "full"}, first.hears())
        self.assertEqual(4403, first.close_code)
        self.assertEqual(meeting("1" * 32, present=False), second.hears())


class WelcomeTests(AwayCase):
    """A device that is to be welcomed again while the store is away."""

    def test_gone(self) -> None:
        """Of one that has gone meanwhile, only its end is tried again."""
        ann = Connection(ANN, self.rooms, self.clock, extended=True)
        self.pass_turns()
        self.goes_away()
        assert isinstance(ann.session, ExtendedSession)
        self.rooms.submit(ANN, self.rooms.welcome_again, ann.session)
        self.pass_turns()
        ann.ended()
        self.wait(2)
        self.assertEqual((1, 1), (len(self.rooms._retries.kept), len(self.rooms._retries._pauses)))
        self.is_back()
        self.assert_nothing_waits(self.rooms)
