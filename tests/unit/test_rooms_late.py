"""The room manager over a store that takes its time: order, races, and lost messages."""

from __future__ import annotations

from collections.abc import Callable

from callnet.calls import events
from callnet.calls.records import Active, CallRecord, Over
from callnet.calls.seats import Seated
from callnet.calls.transitions import TooLate
from callnet.model import Accepted, DeviceAddress, Failed, Reason, Refused, RoomId, Withdrawn
from tests.support.late_case import NEWEST, LateCase
from tests.support.rooms_case import ANN, CAROL, TV, RecordedPage, RecordedSession, answer, cancel, hang_up


class OrderTests(LateCase):
    """The frames of one device are acted on in the order in which they came."""

    def test_call_and_cancel(self) -> None:
        """A call that is cancelled at once rings and stops."""
        self.connect(ANN)
        tv = self.connect(TV)
        outcome = self.place(self.newest(ANN), TV)
        cancel(self.rooms, self.newest(ANN), TV.phone)
        self.pass_turns()
        self.assertEqual(Withdrawn(), self.successResultOf(outcome))
        room = self.room_of(tv)
        self.assertEqual([(room, "ringing"), (room, Reason.CANCELLED)], tv.rooms)
        self.assert_nothing_waits(self.rooms)

    def test_cancelled_while_it_is_placed(self) -> None:
        """So does a call that is cancelled while the store takes its time to place it."""
        self.connect(ANN)
        tv = self.connect(TV)
        outcome = self.place(self.newest(ANN), TV)
        cancel(self.rooms, self.newest(ANN), TV.phone)
        self.clock.advance(0.25)
        self.pass_turns()
        self.assertEqual(Withdrawn(), self.successResultOf(outcome))
        self.assertEqual(Reason.CANCELLED, tv.rooms[-1][1])

    def test_cancelled_while_it_connects(self) -> None:
        """So does one of a device that places and cancels before its connect is committed."""
        tv = self.connect(TV)
        ann = RecordedSession(self.rooms, ANN)
        outcome = self.place(ann, TV)
        cancel(self.rooms, ann, TV.phone)
        self.pass_turns()
        self.assertEqual(Withdrawn(), self.successResultOf(outcome))
        self.assertEqual(Reason.CANCELLED, tv.rooms[-1][1])

    def test_many_calls(self) -> None:
        """The last of many calls in a row rings."""
        self.connect(ANN)
        tv, carol = self.connect(TV), self.connect(CAROL)
        targets = [TV, CAROL] * 5
        outcomes = [self.place(self.newest(ANN), target) for target in targets]
        self.pass_turns()
        self.assertEqual([Withdrawn()] * 9, [self.successResultOf(outcome) for outcome in outcomes[:-1]])
        self.assertNoResult(outcomes[-1])
        self.assertEqual((Reason.CANCELLED, "ringing"), (tv.rooms[-1][1], carol.rooms[-1][1]))

    def test_answer_and_hang_up(self) -> None:
        """An answer and a hang-up right after it come to an answered call that is over."""
        outcomes, room = self.ringing()
        answer(self.rooms, self.newest(TV), room, True)
        hang_up(self.rooms, self.newest(TV), room)
        self.pass_turns()
        self.assertEqual([Accepted(room, TV)], outcomes)
        self.assertEqual([(room, Reason.HANGUP)], self.ann.rooms)

    def test_socket_that_opens_and_closes(self) -> None:
        """A socket that closes before the store has it leaves a device that is gone."""
        session = RecordedSession(self.rooms, TV)
        session.goes()
        self.pass_turns()
        self.assertFalse(self.tables.devices[TV.phone][TV.device_id].connected)
        self.assertEqual({}, self.rooms._devices)

    def test_gone_before_it_is_known(self) -> None:
        """A device is gone since its socket closed, though the store takes its time."""
        session = self.connect(TV)
        went_at = self.rooms.now()
        session.goes()
        self.clock.advance(0.5)
        self.pass_turns()
        self.assertEqual(went_at, self.tables.devices[TV.phone][TV.device_id].lost_at)

    def test_two_devices(self) -> None:
        """Two devices of this node that call each other at once are put through to each other."""
        self.connect(ANN)
        tv = self.connect(TV)
        both = [self.place(self.newest(ANN), TV), self.place(self.newest(TV), ANN)]
        self.pass_turns()
        room = self.room_of(tv)
        self.assertEqual([Accepted(room, TV), Accepted(room, ANN)], [self.successResultOf(one) for one in both])


class RaceTests(LateCase):
    """Between reading and committing somebody else was faster."""

    def meanwhile(self, *happens: Callable[[], object]) -> None:
        """Have this happen just before the next commits, one for each."""
        self.late.before_commit.extend(happens)

    def test_younger_connection(self) -> None:
        """A connection that is made known late is closed if the device has connected elsewhere meanwhile."""

        def meanwhile() -> None:
            self.clock.advance(0.5)
            self.elsewhere_too = self.connect(TV, self.others)

        self.late.before_commit.append(meanwhile)
        late = self.connect(TV)
        self.assertTrue(late.displacements)
        self.assertFalse(self.elsewhere_too.displacements)
        record = self.tables.devices[TV.phone][TV.device_id]
        self.assertEqual((True, self.elsewhere_too.generation), (record.connected, record.generation))

    def test_cancelled_before_the_answer(self) -> None:
        """The caller cancels: the answer is decided again and comes too late."""
        _, room = self.ringing()
        self.meanwhile(lambda: self.elsewhere(events.Cancel(ANN, TV.phone, NEWEST)))
        answered = self.reply(answer, self.rooms, self.newest(TV), room, True)
        self.pass_turns()
        self.assertEqual(TooLate(Reason.CANCELLED), self.successResultOf(answered))
        self.assertIsInstance(self.tables.calls[room].state, Over)

    def test_two_callers(self) -> None:
        """Exactly one of two concurrent callers gets through."""
        self.connect(ANN)
        tv = self.connect(TV)
        self.connect(CAROL, self.others)
        self.meanwhile(lambda: self.others.call(self.newest(CAROL), TV, "", self.clock.seconds()))
        self.assertEqual([Failed(TV, Reason.BUSY)], self.call(ANN, TV))
        self.assertEqual([CAROL], [call.caller for call in tv.calls])
        self.assert_nothing_waits(self.rooms)

    def test_glare(self) -> None:
        """Two who call each other at once, on two nodes, meet in one room."""
        self.connect(ANN)
        tv = self.connect(TV, self.others)
        self.meanwhile(lambda: self.others.call(self.newest(TV), ANN, "", self.clock.seconds()))
        of_ann = self.call(ANN, TV)
        room = next(iter(self.tables.calls))
        self.assertEqual(([Accepted(room, TV)], [Accepted(room, ANN)]), (of_ann, tv.outcomes))
        self.assertEqual([], tv.calls)

    def test_caller_that_goes_on_elsewhere(self) -> None:
        """A caller that connects to another node before its call is known to ring is no longer waited for here."""
        ann, _ = self.connect(ANN), self.connect(TV)
        outcome = self.place(ann, TV)
        for _ in range(3):
            self.turn()  # committed: not yet answered
        RecordedSession(self.others, ANN)
        self.clock.advance(0)
        self.pass_turns()
        self.assertEqual(1, ann.displacements)
        self.assertNoResult(outcome)
        self.assert_nothing_waits(self.rooms)

    def test_deadline(self) -> None:
        """A call that is answered just when its time is over is answered."""
        outcomes, room = self.ringing()
        self.wait(44.75)
        self.meanwhile(lambda: self.elsewhere(events.Accept(room, TV)))
        self.others.stop()
        self.wait(1)
        self.assertEqual([Accepted(room, TV)], outcomes)
        self.assertIsInstance(self.tables.calls[room].state, Active)

    def test_back_just_in_time(self) -> None:
        """A device that is back just when its grace is over keeps its call."""
        _, room = self.ringing()
        answer(self.rooms, self.newest(TV), room, True)
        self.ann.goes()
        self.wait(29.5)
        self.meanwhile(lambda: self.connect(ANN, self.others))
        self.others.stop()
        self.wait(2)
        self.assertIsInstance(self.tables.calls[room].state, Active)


class OvertakingTests(LateCase):
    """The bus is faster than the store's answers."""

    def test_answer_before_the_commit(self) -> None:
        """An answer that comes before the commit of its call was heard of is not lost."""
        self.connect(ANN)

        class AnsweringSession(RecordedSession):
            def deliver(session, call: CallRecord) -> None:
                super().deliver(call)
                self.elsewhere(events.Accept(call.room, TV))

        tv = AnsweringSession(self.others, TV)
        outcome = self.place(self.newest(ANN), TV)
        for _ in range(3):
            self.turn()  # read, answered, committed: not yet answered
        self.assertEqual(Accepted(self.room_of(tv), TV), self.successResultOf(outcome))
        self.pass_turns()
        self.assert_nothing_waits(self.rooms)

    def arriving(self, address: DeviceAddress) -> RecordedSession:
        """A device whose arrival was just committed; its node has not heard of that yet."""
        new = RecordedSession(self.rooms, address)
        for _ in range(3):
            self.turn()
        return new

    def test_ring_during_an_arrival(self) -> None:
        """Messages for a device while its connect is being committed are handed to the new session, after the rest."""
        _, room = self.ringing()
        new = self.arriving(TV)
        self.elsewhere(events.Cancel(ANN, TV.phone, NEWEST))
        self.pass_turns()
        self.assertEqual([(room, "ringing"), (room, Reason.CANCELLED)], new.rooms)
        self.assertEqual([(room, "ringing")], self.tv.rooms)

    def test_answer_during_an_arrival(self) -> None:
        """A caller that comes back just when it is answered hears of the answer."""
        _, room = self.ringing()
        new = self.arriving(ANN)
        self.elsewhere(events.Refuse(room, TV))
        self.pass_turns()
        self.assertEqual([Refused(room, TV, Reason.REFUSED)], new.outcomes)
        self.assert_nothing_waits(self.rooms)

    def test_gone_during_an_arrival(self) -> None:
        """A device that goes elsewhere while its connect is being committed leaves no connection behind."""
        new = self.arriving(ANN)
        moved = RecordedSession(self.others, ANN)
        self.wait(0.5)
        self.assertEqual((1, 0), (new.displacements, moved.displacements))
        self.assert_nothing_waits(self.rooms)

    def test_before_an_arrival(self) -> None:
        """Events before its connect is committed are among those that it missed."""
        _, room = self.ringing()
        self.late.before_commit.append(lambda: self.elsewhere(events.Refuse(room, TV)))
        self.assertEqual({(room, Reason.REFUSED)}, set(self.connect(ANN).rooms))
        _, room = self.ringing()
        self.late.before_commit.append(lambda: self.elsewhere(events.Cancel(ANN, TV.phone, NEWEST)))
        self.assertEqual({(room, Reason.CANCELLED)}, set(self.connect(TV).rooms))
        self.assert_nothing_waits(self.rooms)

    def test_seat(self) -> None:
        """Messages for a page while its seat is being taken are handed to it, after the rest."""
        page, other = RecordedPage(), RecordedPage()
        taken = self.rooms.pages.take(RoomId("r"), "red", "one", page)
        for _ in range(3):
            self.turn()
        self.others.pages.take(RoomId("r"), "blue", "two", other)
        self.assertEqual([], page.seen)
        self.pass_turns()
        self.assertIsInstance(self.successResultOf(taken), Seated)
        self.assertEqual([1, 1, 2], [seats.version for seats, _ in page.seen])
