"""The room manager over a store that takes its time: order, races, and what is lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from callnet.calls.call import TooLate
from callnet.calls.seats import NoSeat, Seated
from callnet.errors import Unavailable
from callnet.interfaces import ICallStore
from callnet.model import Accepted, Failed, Outcome, Reason, Refused, RoomId, Withdrawn
from callnet.records import CallRecord, CallState
from tests.late_store import LateCallStore
from tests.rooms_case import ANN, CAROL, PAD, TV, RecordedPage, RecordedSession, RoomsCase


class LateCase(RoomsCase):
    """The first node's store is far away; the other node is faster."""

    def make_store(self, store: ICallStore) -> ICallStore:
        """Make the store of the first node."""
        self.late = LateCallStore(store, self.on_next_turn)
        return self.late

    def ringing(self) -> tuple[list[Outcome], RoomId]:
        """Ann calls the television, which rings."""
        self.ann, self.tv = self.connect(ANN), self.connect(TV)
        outcomes = self.call(ANN, TV)
        return outcomes, self.room_of(self.tv)


class OrderTests(LateCase):
    """The frames of one device are acted on in the order in which they came."""

    def test_call_and_cancel(self) -> None:
        """A call that is cancelled at once rings and stops."""
        self.connect(ANN)
        tv = self.connect(TV)
        outcome = self.rooms.call(ANN, TV)
        self.rooms.cancel(ANN, TV.phone)
        self.pass_turns()
        self.assertEqual(Withdrawn(), self.successResultOf(outcome))
        room = self.room_of(tv)
        self.assertEqual([(room, "ringing"), (room, Reason.CANCELLED)], tv.rooms)
        self.assert_nothing_waits(self.rooms)

    def test_many_calls(self) -> None:
        """Of many calls in a row the last one rings."""
        self.connect(ANN)
        tv, carol = self.connect(TV), self.connect(CAROL)
        targets = [TV, CAROL] * 5
        outcomes = [self.rooms.call(ANN, target) for target in targets]
        self.pass_turns()
        self.assertEqual([Withdrawn()] * 9, [self.successResultOf(outcome) for outcome in outcomes[:-1]])
        self.assertNoResult(outcomes[-1])
        self.assertEqual((Reason.CANCELLED, "ringing"), (tv.rooms[-1][1], carol.rooms[-1][1]))

    def test_answer_and_hang_up(self) -> None:
        """An answer and a hang-up right after it come to an answered call that is over."""
        outcomes, room = self.ringing()
        self.rooms.answer(TV, room, True)
        self.rooms.hang_up(TV, room)
        self.pass_turns()
        self.assertEqual([Accepted(room, TV)], outcomes)
        self.assertEqual([(room, Reason.HANGUP)], self.ann.rooms)

    def test_socket_that_opens_and_closes(self) -> None:
        """A socket that closes before the store knows of it leaves a device that is gone."""
        session = RecordedSession(self.rooms, TV, self.clock)
        session.goes()
        self.pass_turns()
        self.assertFalse(self.tables.devices[TV.phone][TV.device_id].connected)
        self.assertEqual({}, self.rooms._devices)

    def test_two_devices(self) -> None:
        """Two devices of this node that call each other at once are put through to each other."""
        self.connect(ANN)
        tv = self.connect(TV)
        both = [self.rooms.call(ANN, TV), self.rooms.call(TV, ANN)]
        self.pass_turns()
        room = self.room_of(tv)
        self.assertEqual([Accepted(room, TV), Accepted(room, ANN)], [self.successResultOf(one) for one in both])


class RaceTests(LateCase):
    """Between reading and committing somebody else was faster."""

    def meanwhile(self, *happens: Callable[[], object]) -> None:
        """Have this happen just before the next commits, one for each."""
        self.late.before_commit.extend(happens)

    def test_cancelled_before_the_answer(self) -> None:
        """The caller cancels: the answer is decided anew and comes too late."""
        _, room = self.ringing()
        self.meanwhile(lambda: self.others.cancel(ANN, TV.phone))
        answered = self.rooms.answer(TV, room, True)
        self.pass_turns()
        self.assertEqual(TooLate(Reason.CANCELLED), self.successResultOf(answered))
        self.assertEqual(CallState.OVER, self.tables.calls[room].state)

    def test_two_callers(self) -> None:
        """Of two callers at once exactly one gets through."""
        self.connect(ANN)
        tv = self.connect(TV)
        self.connect(CAROL, self.others)
        self.meanwhile(lambda: self.others.call(CAROL, TV))
        self.assertEqual([Failed(TV, Reason.BUSY)], self.call(ANN, TV))
        self.assertEqual([CAROL], [call.caller for call in tv.calls])
        self.assert_nothing_waits(self.rooms)

    def test_glare(self) -> None:
        """Two who call each other at once, on two nodes, meet in one room."""
        self.connect(ANN)
        tv = self.connect(TV, self.others)
        of_tv: list[Outcome] = []
        self.meanwhile(lambda: self.others.call(TV, ANN).addCallback(of_tv.append))
        of_ann = self.call(ANN, TV)
        room = next(iter(self.tables.calls))
        self.assertEqual(([Accepted(room, TV)], [Accepted(room, ANN)]), (of_ann, of_tv))
        self.assertEqual([], tv.calls)

    def test_too_many(self) -> None:
        """Who is overtaken for ever is told so."""
        _, room = self.ringing()

        def touch() -> None:
            call = self.tables.calls[room]
            self.tables.put_call(replace(call, version=call.version + 1))

        self.meanwhile(*[touch] * 100)
        answered = self.rooms.answer(TV, room, True)
        self.pass_turns()
        self.failureResultOf(answered, Unavailable)
        self.assertGreater(len(self.late.before_commit), 50)
        self.late.before_commit.clear()

    def test_deadline(self) -> None:
        """A call that is answered just when its time is over is answered."""
        outcomes, room = self.ringing()
        self.wait(44.75)
        self.meanwhile(lambda: self.others.answer(TV, room, True))
        self.others.stop()
        self.wait(1)
        self.assertEqual([Accepted(room, TV)], outcomes)
        self.assertEqual(CallState.ACTIVE, self.tables.calls[room].state)

    def test_back_just_in_time(self) -> None:
        """A device that is back just when its grace is over keeps its call."""
        _, room = self.ringing()
        self.rooms.answer(TV, room, True)
        self.ann.goes()
        self.wait(29.5)
        self.meanwhile(lambda: self.connect(ANN, self.others))
        self.others.stop()
        self.wait(2)
        self.assertEqual(CallState.ACTIVE, self.tables.calls[room].state)


class OvertakingTests(LateCase):
    """The bus is faster than the store's answers."""

    def test_answer_before_the_commit(self) -> None:
        """An answer that comes before the commit of its call was heard of is not lost."""
        self.connect(ANN)

        class AnsweringSession(RecordedSession):
            def told(session, call: CallRecord) -> None:
                super().told(call)
                self.others.answer(TV, call.room, True)

        tv = AnsweringSession(self.others, TV, self.clock)
        outcome = self.rooms.call(ANN, TV)
        for _ in range(3):
            self.turn()  # read, answered, committed: not yet answered
        self.assertEqual(Accepted(self.room_of(tv), TV), self.successResultOf(outcome))
        self.pass_turns()
        self.assert_nothing_waits(self.rooms)

    def test_ring_during_an_arrival(self) -> None:
        """What comes for a device while its arrival is being committed is handed to the new session, after the rest."""
        _, room = self.ringing()
        self.late.before_commit.append(lambda: self.others.cancel(ANN, TV.phone))
        new = self.connect(TV)
        self.assertEqual([(room, "ringing"), (room, Reason.CANCELLED)], new.rooms)
        self.assertEqual([(room, "ringing")], self.tv.rooms)

    def test_answer_during_an_arrival(self) -> None:
        """A caller that comes back just when it is answered hears of the answer."""
        _, room = self.ringing()
        self.late.before_commit.append(lambda: self.others.answer(TV, room, False))
        new = self.connect(ANN)
        self.assertEqual([Refused(room, TV, Reason.REFUSED)], new.outcomes)
        self.assert_nothing_waits(self.rooms)

    def test_seat(self) -> None:
        """What comes for a page while its seat is being taken is handed to it, after the rest."""
        page, other = RecordedPage(), RecordedPage()
        taken = self.rooms.take_seat(RoomId("r"), "red", "one", page)
        for _ in range(3):
            self.turn()
        self.others.take_seat(RoomId("r"), "blue", "two", other)
        self.assertEqual([], page.seen)
        self.pass_turns()
        self.assertIsInstance(self.successResultOf(taken), Seated)
        self.assertEqual([1, 1, 2], [seats.version for seats, _ in page.seen])


class LossTests(LateCase):
    """The store is away: whoever asked is told, and nothing is lost."""

    def assert_unavailable(self, asked: Deferred[Any]) -> None:
        """The store was away when this was asked for."""
        self.pass_turns()
        self.failureResultOf(asked, Unavailable)

    def test_call_that_cannot_be_read(self) -> None:
        """A call that cannot be judged rings nobody, and nobody waits; the next one may go through."""
        self.connect(ANN)
        tv = self.connect(TV)
        for lost in ([True], [False, True]):
            self.late.lost_commands.extend(lost)
            self.assert_unavailable(self.rooms.call(ANN, TV))
            self.assertEqual([], tv.calls)
            self.assert_nothing_waits(self.rooms)
        self.assertEqual([], self.call(ANN, TV))
        self.assertEqual("ringing", tv.rooms[-1][1])

    def test_commit_without_an_answer(self) -> None:
        """A call whose commit is not answered may ring; its caller is told of the answer all the same."""
        ann, tv = self.connect(ANN), self.connect(TV)
        self.late.lost_answers.extend([False, True])
        self.assert_unavailable(self.rooms.call(ANN, TV))
        room = self.room_of(tv)
        self.rooms.answer(TV, room, True)
        self.pass_turns()
        self.assertEqual([(room, "active")], ann.rooms)
        self.assert_nothing_waits(self.rooms)

    def test_overtaken_and_without_an_answer(self) -> None:
        """An outcome that is known stays known if the commit of its call is never answered."""
        self.connect(ANN)
        tv = self.connect(TV, self.others)
        self.late.lost_answers.extend([False, True])
        outcome = self.rooms.call(ANN, TV)
        for _ in range(3):
            self.turn()
        self.others.answer(TV, self.room_of(tv), True)
        self.pass_turns()
        self.assertEqual(Accepted(self.room_of(tv), TV), self.successResultOf(outcome))
        self.assert_nothing_waits(self.rooms)

    def test_answer(self) -> None:
        """An answer that is lost is reported, and may be given again."""
        outcomes, room = self.ringing()
        self.late.lost_commands.extend([False, True])
        self.assert_unavailable(self.rooms.answer(TV, room, True))
        self.assertEqual([], outcomes)
        self.rooms.answer(TV, room, True)
        self.pass_turns()
        self.assertEqual([Accepted(room, TV)], outcomes)

    def test_arrival(self) -> None:
        """A connection that cannot be made known is told so, and the older one hears what came meanwhile."""
        _, room = self.ringing()
        self.late.lost_commands.extend([False, True])
        new = RecordedSession(self.rooms, TV, self.clock)
        self.turn()
        self.others.cancel(ANN, TV.phone)
        self.assert_unavailable(new.attached)
        self.assertEqual([], new.calls)
        self.assertEqual([(room, "ringing"), (room, Reason.CANCELLED)], self.tv.rooms)
        self.assertEqual(0, self.tv.closed)
        new.goes()
        self.pass_turns()
        self.assertTrue(self.tables.devices[TV.phone][TV.device_id].connected)

    def test_seat(self) -> None:
        """So it is with a seat."""
        page = RecordedPage()
        self.late.lost_commands.append(True)
        self.assert_unavailable(self.rooms.take_seat(RoomId("r"), "red", "one", page))
        self.assertEqual({}, self.rooms._pages)
        for key in ("red", "blue"):
            self.others.take_seat(RoomId("r"), key, key, RecordedPage())
        refused = self.rooms.take_seat(RoomId("r"), "green", "three", page)
        self.pass_turns()
        self.assertEqual(NoSeat("full"), self.successResultOf(refused))
        self.assertEqual([], page.seen)

    def test_order_goes_on(self) -> None:
        """What was asked for after something that failed is done all the same."""
        self.connect(ANN)
        carol = self.connect(CAROL)
        self.late.lost_commands.append(True)
        failed, outcome = self.rooms.call(ANN, TV), self.rooms.call(ANN, CAROL)
        self.assert_unavailable(failed)
        self.assertNoResult(outcome)
        self.assertEqual("ringing", carol.rooms[-1][1])

    def test_deadlines(self) -> None:
        """What was due while the store was away is done when it is back; one loss does not hold up the others."""
        self.others.stop()
        for address in (ANN, TV, CAROL, PAD):
            self.connect(address)
        outcomes = [self.call(ANN, TV), self.call(CAROL, PAD)]
        self.wait(44.75)
        self.late.lost_commands.extend([True] * 3)
        self.wait(2)
        self.assertEqual(
            [[Failed(TV, Reason.NO_ANSWER)], [Failed(PAD, Reason.NO_ANSWER)]],
            outcomes,
        )

    def test_one_broken_record(self) -> None:
        """A deadline that cannot be met is logged, and holds up no other, and is tried again."""
        self.others.stop()
        for address in (ANN, TV, CAROL, PAD):
            self.connect(address)
        outcomes = [self.call(ANN, TV), self.call(CAROL, PAD)]
        self.wait(44.5)

        def fail() -> None:
            raise ValueError("broken")

        self.late.before_commit.extend([fail, fail])
        self.wait(0.5)
        self.wait(1)
        self.assertEqual([1, 1], [len(outcome) for outcome in outcomes])
        self.assertNotEqual([], self.flushLoggedErrors(ValueError))
