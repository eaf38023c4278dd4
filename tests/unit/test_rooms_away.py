"""The room manager over a store that is away for some time: nothing is lost, and nobody is rung by a ghost."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls.records import Active, Ringing
from callnet.calls.transitions import TooLate
from callnet.errors import Unavailable
from callnet.model import Accepted, Reason, Refused, RoomId
from tests.support.late_case import AwayCase
from tests.support.rooms_case import ANN, CAROL, TV, RecordedSession, answer, cancel, hang_up


class SaidTests(AwayCase):
    """The frames of a device hold on its node, though nobody knows whether the store has heard of them."""

    def active(self) -> RoomId:
        """Ann's call, which the television has just accepted."""
        _, room = self.ringing()
        self.reply(answer, self.rooms, self.tv, room, True)
        self.pass_turns()
        return room

    def assert_rings(self, caller: RecordedSession, callee: RecordedSession, old: RoomId, reason: Reason) -> None:
        """A call goes out that is another one than the ``old`` one, which is over."""
        self.assertEqual([], self.call(caller.address, callee.address))
        self.assertNotEqual(old, self.room_of(callee))
        self.assertEqual((self.room_of(callee), "ringing"), callee.rooms[-1])
        self.assertIn((old, reason), self.tv.rooms + self.ann.rooms)
        self.wait(0.75)
        self.assertIsInstance(self.tables.calls[self.room_of(callee)].state, Ringing)

    def test_hung_up(self) -> None:
        """A party that hung up and calls the same other again is not put through to the call that it has left."""
        for end in (self.lose_command, self.lose_answer):
            for left, other in ((ANN, TV), (TV, ANN)):
                room = self.active()
                end()
                self.reply(hang_up, self.rooms, self.newest(left), room)
                self.assert_rings(self.newest(left), self.newest(other), room, Reason.HANGUP)
                self.tearDown()
                self.setUp()

    def test_refused(self) -> None:
        """A callee that refused and calls its caller has not accepted by that."""
        _, room = self.ringing()

        def lose() -> None:
            raise Unavailable

        self.late.before_commit.extend([lose, lose])
        self.reply(answer, self.rooms, self.tv, room, False)
        self.wait(0.25)
        outcomes = self.call(TV, ANN)
        self.wait(1)
        self.assertEqual([], outcomes)
        self.assertNotEqual(room, self.room_of(self.ann))
        end = self.tables.calls[room].end
        self.assertIsInstance(end and end.was, Ringing)

    def test_told_that_it_failed(self) -> None:
        """A caller that was told that a call failed, though it rings, and calls the same again places a new call."""
        self.ann, self.tv = self.connect(ANN), self.connect(TV)
        self.lose_answer()
        self.assert_fails(self.place(self.ann, TV))
        self.assert_rings(self.ann, self.tv, self.room_of(self.tv), Reason.CANCELLED)

    def test_cancelled(self) -> None:
        """A caller that cancelled and calls the same again places a new call."""
        _, room = self.ringing()
        self.lose_command()
        cancel(self.rooms, self.ann, TV.phone)
        self.pass_turns()
        self.assert_rings(self.ann, self.tv, room, Reason.CANCELLED)


class CallTests(AwayCase):
    """A call fails at once, and for good."""

    def test_cannot_be_read(self) -> None:
        """A call that cannot be judged rings nobody, and nobody waits; the next one may go through."""
        self.connect(ANN)
        tv = self.connect(TV)
        self.late.lost_commands.append(True)
        self.assert_fails(self.place(self.newest(ANN), TV))
        self.assertEqual([], tv.calls)
        self.assert_nothing_waits(self.rooms)
        self.assertEqual([], self.call(ANN, TV))
        self.assertEqual("ringing", tv.rooms[-1][1])

    def test_commit_that_is_lost(self) -> None:
        """The same holds if its commit never came through, though that is not known at once."""
        self.connect(ANN)
        tv = self.connect(TV)
        self.lose_command()
        self.assert_fails(self.place(self.newest(ANN), TV))
        self.wait(0.75)
        self.assertEqual([], tv.calls)
        self.assert_nothing_waits(self.rooms)

    def test_ghost(self) -> None:
        """A call whose commit is not answered, and that rings, is taken back as soon as the store answers."""
        ann, tv = self.connect(ANN), self.connect(TV)
        self.lose_answer()
        self.assert_fails(self.place(self.newest(ANN), TV))
        room = self.room_of(tv)
        self.goes_away()
        self.wait(5)
        self.assertEqual([(room, "ringing")], tv.rooms)
        self.is_back()
        self.assertEqual([(room, "ringing"), (room, Reason.CANCELLED)], tv.rooms)
        self.assertEqual([], ann.calls)
        self.assert_nothing_waits(self.rooms)

    def test_ghost_that_is_answered(self) -> None:
        """If it is answered before that its caller, who was told that it failed, is not told of the answer."""
        ann, tv = self.connect(ANN), self.connect(TV, self.others)
        self.lose_answer()
        self.assert_fails(self.place(self.newest(ANN), TV))
        room = self.room_of(tv)
        answer(self.others, tv, room, True)
        self.assertEqual([], ann.calls)
        self.wait(0.75)
        self.assertEqual((room, Reason.CONNECTION_LOST), tv.rooms[-1])
        self.assertEqual([], [call for call in ann.calls if call.end is None])
        self.assert_nothing_waits(self.rooms)

    def test_next_call(self) -> None:
        """A ghost is taken back, and the call that was placed after it goes on."""
        self.connect(ANN)
        tv, carol = self.connect(TV), self.connect(CAROL)
        self.lose_answer()
        self.assert_fails(self.place(self.newest(ANN), TV))
        outcomes = self.call(ANN, CAROL)
        self.wait(1)
        self.assertEqual(Reason.CANCELLED, tv.rooms[-1][1])
        answer(self.rooms, carol, self.room_of(carol), True)
        self.pass_turns()
        self.assertEqual([Accepted(self.room_of(carol), CAROL)], outcomes)

    def test_overtaken(self) -> None:
        """An outcome that is known stays known if the commit of its call is never answered."""
        self.connect(ANN)
        tv = self.connect(TV, self.others)
        self.lose_answer()
        outcome = self.place(self.newest(ANN), TV)
        for _ in range(3):
            self.turn()
        answer(self.others, tv, self.room_of(tv), True)
        self.pass_turns()
        self.assertEqual(Accepted(self.room_of(tv), TV), self.successResultOf(outcome))
        self.wait(1)
        self.assertIsInstance(self.tables.calls[self.room_of(tv)].state, Active)
        self.assert_nothing_waits(self.rooms)

    def test_order_goes_on(self) -> None:
        """Requests after one that failed are done all the same."""
        self.connect(ANN)
        carol = self.connect(CAROL)
        self.late.lost_commands.append(True)
        failed, outcome = self.place(self.newest(ANN), TV), self.place(self.newest(ANN), CAROL)
        self.assert_fails(failed)
        self.assertNoResult(outcome)
        self.assertEqual("ringing", carol.rooms[-1][1])


class AnswerTests(AwayCase):
    """An answer waits for the store, for 5 s."""

    def test_lost(self) -> None:
        """One that is lost is given again, and so is one that was not; whatever the device does next comes after it."""
        for lose in (self.lose_command, self.lose_answer):
            outcomes, room = self.ringing()
            lose()
            answered = self.reply(answer, self.rooms, self.tv, room, True)
            hung_up = self.reply(hang_up, self.rooms, self.tv, room)
            self.pass_turns()
            self.wait(0.25)
            self.assertNoResult(hung_up)
            self.wait(0.5)
            self.assertIsNone(self.successResultOf(answered))
            self.assertIsNone(self.successResultOf(hung_up))
            self.assertEqual([Accepted(room, TV)], outcomes)
            self.assertEqual((room, Reason.HANGUP), self.ann.rooms[-1])
            self.ann.goes()
            self.pass_turns()

    def test_away_for_long(self) -> None:
        """Then the device is told that the call is lost, and takes no part in it any more when the store is back."""
        outcomes, room = self.ringing()
        self.goes_away()
        answered = self.reply(answer, self.rooms, self.tv, room, True)
        self.wait(5.25)
        self.assertNoResult(answered)
        self.wait(0.5)
        self.assertEqual(TooLate(Reason.CONNECTION_LOST), self.successResultOf(answered))
        self.assertEqual([], outcomes)
        self.is_back()
        self.assertEqual([Refused(room, TV, Reason.BUSY)], outcomes)
        self.assert_nothing_waits(self.rooms)

    def test_something_else(self) -> None:
        """A device that requests something else meanwhile waits less for that: it leaves the answered call."""
        outcomes, room = self.ringing()
        self.goes_away()
        answered = self.reply(answer, self.rooms, self.tv, room, True)
        called = self.place(self.tv, CAROL)
        self.wait(0.75)
        self.assertEqual(TooLate(Reason.CONNECTION_LOST), self.successResultOf(answered))
        self.assert_fails(called)
        self.is_back()
        self.assertEqual([Refused(room, TV, Reason.BUSY)], outcomes)

    def test_refusal(self) -> None:
        """A callee that refused need not be told."""
        outcomes, room = self.ringing()
        self.goes_away()
        answered = self.reply(answer, self.rooms, self.tv, room, False)
        self.wait(6)
        self.assertIsNone(self.successResultOf(answered))
        self.is_back()
        self.assertEqual([Refused(room, TV, Reason.BUSY)], outcomes)

    def test_answered_after_all(self) -> None:
        """A device that answers once more does take part."""
        outcomes, room = self.ringing()
        self.goes_away()
        answer(self.rooms, self.tv, room, True)
        self.wait(5.75)
        self.late.is_away = False
        answer(self.rooms, self.tv, room, True)
        self.wait(1)
        self.assertEqual([Accepted(room, TV)], outcomes)
        self.assertIsInstance(self.tables.calls[room].state, Active)
        self.assert_nothing_waits(self.rooms)

    def test_changes_too_fast(self) -> None:
        """A transaction that is overtaken again and again is repeated."""
        outcomes, room = self.ringing()

        def touch() -> None:
            call = self.tables.calls[room]
            self.tables.put_call(replace(call, version=call.version + 1))

        self.late.before_commit.extend([touch] * 30)
        answer(self.rooms, self.tv, room, True)
        self.pass_turns()
        self.assertEqual([], outcomes)
        self.wait(0.75)
        self.assertEqual([Accepted(room, TV)], outcomes)

    def test_node_stops(self) -> None:
        """A node that stops waits no longer."""
        _, room = self.ringing()
        self.goes_away()
        answered = self.reply(answer, self.rooms, self.tv, room, True)
        self.wait(1)
        self.rooms.stop()
        again = self.reply(answer, self.rooms, self.tv, room, True)
        self.pass_turns()
        for reply in (answered, again):
            self.assertNoResult(reply)
