"""The room manager over a store that was away: arrivals and departures meanwhile, and due records."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from callnet.calls import events
from callnet.calls.seats import NoSeat, Seated
from callnet.model import Failed, Reason, RoomId, Withdrawn
from tests.support.late_case import NEWEST, AwayCase
from tests.support.rooms_case import ANN, CAROL, PAD, TV, RecordedPage, RecordedSession, answer, cancel, hang_up


class EndingTests(AwayCase):
    """Requests that leave a call or a seat are done when the store is back."""

    def test_hang_up(self) -> None:
        """A hang-up."""
        outcomes, room = self.ringing()
        self.goes_away()
        self.assertIsNone(self.result_of(self.reply(hang_up, self.rooms, self.ann, room)))
        self.wait(3)
        self.assertEqual([], outcomes)
        self.is_back()
        self.assertEqual([Withdrawn()], outcomes)
        self.assertEqual((room, Reason.CANCELLED), self.tv.rooms[-1])
        self.assert_nothing_waits(self.rooms)

    def test_cancel(self) -> None:
        """A cancelled call."""
        outcomes, room = self.ringing()
        self.goes_away()
        cancel(self.rooms, self.ann, TV.phone)
        self.pass_turns()
        self.is_back()
        self.assertEqual([Withdrawn()], outcomes)
        self.assertEqual((room, Reason.CANCELLED), self.tv.rooms[-1])

    def test_cancel_and_a_call_in_vain(self) -> None:
        """A cancelled call, though its caller has placed another one since, which failed."""
        _, room = self.ringing()
        self.goes_away()
        cancel(self.rooms, self.ann, TV.phone)
        self.pass_turns()
        self.assert_fails(self.place(self.ann, CAROL))
        self.is_back()
        self.assertEqual((room, Reason.CANCELLED), self.tv.rooms[-1])

    def test_call_after_a_cancel(self) -> None:
        """It cancels no call that was placed after it."""
        outcomes, room = self.ringing()
        answer(self.rooms, self.tv, room, True)
        self.pass_turns()
        self.goes_away()
        cancel(self.rooms, self.ann, TV.phone)
        self.pass_turns()
        self.late.is_away = False
        self.wait(2)
        self.call(ANN, TV)
        self.goes_away()
        cancel(self.rooms, self.ann, TV.phone)
        self.pass_turns()
        self.late.is_away = False
        outcomes = self.call(ANN, CAROL)
        self.assertEqual([Failed(CAROL, Reason.OFFLINE)], outcomes)
        outcomes = self.call(ANN, TV)
        self.wait(1)
        self.assertEqual([], outcomes)
        self.assertEqual("ringing", self.tv.rooms[-1][1])

    def test_only_the_newest(self) -> None:
        """However often a device hangs up, one hang-up is kept."""
        _, room = self.ringing()
        self.goes_away()
        for number in range(100):
            hang_up(self.rooms, self.ann, RoomId(f"{number:032x}"))
            hang_up(self.rooms, self.ann, room)
        self.pass_turns()
        self.assertEqual(1, len(self.rooms._retries.kept))
        self.is_back()
        self.assertEqual((room, Reason.CANCELLED), self.tv.rooms[-1])

    def test_device_goes(self) -> None:
        """A device that goes away is gone since then."""
        _, room = self.ringing()
        answer(self.rooms, self.tv, room, True)
        self.pass_turns()
        self.goes_away()
        self.wait(2)
        gone_at = self.clock.seconds()
        self.tv.goes()
        self.wait(3)
        self.is_back()
        record = self.tables.devices[TV.phone][TV.device_id]
        self.assertEqual((False, gone_at), (record.connected, record.lost_at))
        self.wait(31)
        self.assertEqual((room, Reason.CONNECTION_LOST), self.ann.rooms[-1])

    def test_page_goes(self) -> None:
        """So is a page that goes away."""
        page = RecordedPage()
        self.rooms.pages.take(RoomId("r"), "red", "one", page)
        self.pass_turns()
        self.goes_away()
        self.assertIsNone(self.result_of(self.rooms.pages.leave("red", page)))
        self.is_back()
        self.wait(11)
        self.assertEqual({}, self.tables.seats)

    def result_of(self, asked: Deferred[Any]) -> object:
        """The result, though the store is away."""
        self.pass_turns()
        return self.successResultOf(asked)


class ArrivalTests(AwayCase):
    """A device that connects is told to come again."""

    def test_device(self) -> None:
        """A connection that cannot be announced is told so, and the older one gets the messages from meanwhile."""
        _, room = self.ringing()
        self.late.lost_commands.extend([True] * 3)
        new = RecordedSession(self.rooms, TV)
        self.turn()
        self.elsewhere(events.Cancel(ANN, TV.phone, NEWEST))
        self.assert_unavailable(new.attached)
        self.assertEqual([], new.calls)
        self.assertEqual([(room, "ringing"), (room, Reason.CANCELLED)], self.tv.rooms)
        self.assertEqual(0, self.tv.displacements)
        new.goes()
        self.pass_turns()
        self.assertTrue(self.tables.devices[TV.phone][TV.device_id].connected)

    def test_device_that_is_tried_again(self) -> None:
        """A connection at the moment at which the store goes away is made known when it goes on."""
        for lose in (self.lose_read, self.lose_command, self.lose_answer):
            tv = self.connect(TV)
            lose()
            new = self.connect(TV)
            self.assertTrue(tv.displacements)
            self.assertFalse(new.displacements)
            record = self.tables.devices[TV.phone][TV.device_id]
            self.assertEqual((True, new.generation), (record.connected, record.generation))

    def test_device_that_is_tried_for_long(self) -> None:
        """It does not take the writes of its own earlier tries for a younger connection."""
        self.connect(TV).goes()
        self.wait(1)
        for lost in (1, 2):
            for _ in range(lost):
                self.lose_answer()
            self.late.before_commit.extend([lambda: self.clock.advance(0.2)] * (lost + 1))
            new = self.connect(TV)
            self.assertFalse(new.displacements)
            record = self.tables.devices[TV.phone][TV.device_id]
            self.assertEqual((True, new.generation), (record.connected, record.generation))
            new.goes()
            self.wait(1)
            self.assertFalse(self.tables.devices[TV.phone][TV.device_id].connected)

    def test_device_in_doubt(self) -> None:
        """If it is not known whether it was, then the older one is closed too, and nobody is shown as connected."""
        for lose in (self.lose_command, self.lose_answer):
            tv = self.connect(TV)
            for _ in range(3):
                lose()
            new = RecordedSession(self.rooms, TV)
            self.assert_unavailable(new.attached)
            self.assertNotEqual(0, tv.displacements)
            new.goes()
            tv.goes()
            self.wait(0.75)
            self.assertFalse(self.tables.devices[TV.phone][TV.device_id].connected)
            self.assert_nothing_waits(self.rooms)
            self.assertEqual({}, self.rooms._devices)

    def test_device_in_doubt_and_another(self) -> None:
        """A connection that follows in the same millisecond is not closed for the one that was given up."""
        for _ in range(3):
            self.lose_command()
        given_up, new = RecordedSession(self.rooms, TV), RecordedSession(self.rooms, TV)
        self.assert_unavailable(given_up.attached)
        self.wait(0.75)
        self.assertTrue(self.tables.devices[TV.phone][TV.device_id].connected)
        new.goes()
        self.wait(0.75)
        self.assertFalse(self.tables.devices[TV.phone][TV.device_id].connected)

    def test_device_in_doubt_and_then_away(self) -> None:
        """The doubt stays if the store is found to be away when it is tried again."""
        self.lose_answer()
        self.late.lost_commands.extend([False, False, True, True])
        self.assert_unavailable(RecordedSession(self.rooms, TV).attached)
        self.assertTrue(self.tables.devices[TV.phone][TV.device_id].connected)
        self.is_back()
        self.assertFalse(self.tables.devices[TV.phone][TV.device_id].connected)

    def test_frames_of_one_that_failed(self) -> None:
        """Its requests meanwhile are not done."""
        self.connect(TV)
        self.connect(ANN).goes()
        self.pass_turns()
        self.late.lost_commands.extend([True] * 3)
        new = RecordedSession(self.rooms, ANN)
        outcome = self.place(new, TV)
        self.assert_unavailable(new.attached)
        self.assertNoResult(outcome)

    def test_seat(self) -> None:
        """The same holds for a seat."""
        page = RecordedPage()
        self.late.lost_commands.append(True)
        self.assert_unavailable(self.rooms.pages.take(RoomId("r"), "red", "one", page))
        self.assertEqual({}, self.rooms.pages._seated)
        for key in ("red", "blue"):
            self.others.pages.take(RoomId("r"), key, key, RecordedPage())
        refused = self.rooms.pages.take(RoomId("r"), "green", "three", page)
        self.pass_turns()
        self.assertEqual(NoSeat("full"), self.successResultOf(refused))
        self.assertEqual([], page.seen)

    def test_seat_in_doubt(self) -> None:
        """A seat that was taken or not, nobody knows, is left by the page that had it, too."""
        older, page = RecordedPage(), RecordedPage()
        self.rooms.pages.take(RoomId("r"), "red", "one", older)
        self.pass_turns()
        self.lose_answer()
        self.assert_unavailable(self.rooms.pages.take(RoomId("r"), "red", "two", page))
        self.assertEqual(1, older.displacements)
        self.rooms.pages.leave("red", older)
        self.wait(11)
        self.assertEqual({}, self.tables.seats)
        self.assert_nothing_waits(self.rooms)

    def test_full_room_in_doubt(self) -> None:
        """A page that came to a full room when the store was away leaves nothing behind."""
        for key in ("red", "blue"):
            self.assertIsInstance(
                self.successResultOf(self.others.pages.take(RoomId("r"), key, key, RecordedPage())), Seated
            )
        self.late.lost_answers.append(True)
        self.assert_unavailable(self.rooms.pages.take(RoomId("r"), "green", "three", RecordedPage()))
        self.assert_nothing_waits(self.rooms)


class DeadlineTests(AwayCase):
    """Deadlines while the store is away."""

    def test_deadlines(self) -> None:
        """Deadlines passed while the store was away are handled when it is back; one loss delays no other."""
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
