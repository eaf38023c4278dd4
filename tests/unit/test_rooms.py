"""The room manager: the Deferreds of who waits, deadlines, and two nodes over one store."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import capturedLogs, formatEvent

from callnet.calls import switchboard
from callnet.calls.extensions import Presence
from callnet.calls.records import Active, Notice, Over, Ringing
from callnet.calls.transitions import NotYours, TooLate
from callnet.config.schema import CallSettings
from callnet.model import Accepted, DeviceAddress, Failed, Outcome, Reason, Refused, Withdrawn
from tests.support.rooms_case import ANN, CAROL, EVERYWHERE, PAD, TV, RoomsCase, answer, cancel, hang_up


class OutcomeTests(RoomsCase):
    """`call` fires with how the call came out, once that is known."""

    def setUp(self) -> None:
        """Connect everyone."""
        super().setUp()
        self.ann, self.tv, self.carol = map(self.connect, (ANN, TV, CAROL))

    def test_accepted(self) -> None:
        """Accepted in this room."""
        outcomes = self.call(ANN, TV)
        room = self.room_of(self.tv)
        self.assertEqual([], outcomes)
        self.assertIsNone(self.successResultOf(self.reply(answer, self.rooms, self.newest(TV), room, True)))
        self.assertEqual([Accepted(room, TV)], outcomes)
        self.assertEqual([], self.ann.calls)
        self.assert_nothing_waits(self.rooms)

    def test_refused(self) -> None:
        """Refused."""
        outcomes = self.call(ANN, EVERYWHERE)
        room = self.room_of(self.tv)
        answer(self.rooms, self.newest(TV), room, False)
        self.assertEqual([Refused(room, EVERYWHERE, Reason.REFUSED)], outcomes)
        self.assert_nothing_waits(self.rooms)

    def test_at_once(self) -> None:
        """An operation that fails at once has failed when the Deferred is handed out."""
        self.call(ANN, TV)
        nobody, carol = DeviceAddress("13600000009", "tv"), self.newest(CAROL)
        self.assertEqual(Failed(TV, Reason.BUSY), self.successResultOf(self.place(carol, TV)))
        self.assertEqual(Failed(CAROL, Reason.SELF), self.successResultOf(self.place(carol, CAROL)))
        self.assertEqual(Failed(nobody, Reason.OFFLINE), self.successResultOf(self.place(carol, nobody)))

    def test_ring_time(self) -> None:
        """When the ring time passes the clock ends the call, punctually to a quarter of a second."""
        outcomes = self.call(ANN, TV)
        self.wait(44.75)
        self.assertEqual([], outcomes)
        self.wait(0.5)
        self.assertEqual([Failed(TV, Reason.NO_ANSWER)], outcomes)
        self.assertEqual((self.room_of(self.tv), Reason.NO_ANSWER), self.tv.rooms[-1])
        self.assert_nothing_waits(self.rooms)

    def test_hangs_up(self) -> None:
        """The caller itself ended the ringing: nobody is to be told, and nobody waits any more."""
        outcomes = self.call(ANN, TV)
        room = self.room_of(self.tv)
        self.assertIsNone(self.successResultOf(self.reply(hang_up, self.rooms, self.newest(ANN), room)))
        self.assertEqual([Withdrawn()], outcomes)
        self.assertEqual((room, Reason.CANCELLED), self.tv.rooms[-1])
        self.assert_nothing_waits(self.rooms)

    def test_cancels(self) -> None:
        """The same without knowing the room."""
        outcomes = self.call(ANN, TV)
        cancel(self.rooms, self.newest(ANN), TV.phone)
        self.assertEqual([Withdrawn()], outcomes)
        self.assert_nothing_waits(self.rooms)

    def test_cancels_none_placed_since(self) -> None:
        """A cancellation of no known call is tried again, and cancels no call that was placed after it."""
        cancel(self.rooms, self.newest(ANN), TV.phone)
        self.wait(0.25)
        outcomes = self.call(ANN, TV)
        self.wait(20)
        self.assertEqual([], outcomes)

    def test_accepted_meanwhile(self) -> None:
        """A caller that cancels too late hears of the acceptance first, then of the end."""
        outcomes = self.call(ANN, TV)
        room = self.room_of(self.tv)
        answer(self.rooms, self.newest(TV), room, True)
        cancel(self.rooms, self.newest(ANN), TV.phone)
        self.assertEqual([Accepted(room, TV)], outcomes)
        self.assertEqual([(room, Reason.HANGUP)], self.ann.rooms)

    def test_calls_someone_else(self) -> None:
        """A caller that calls someone else waits for that outcome only."""
        first = self.call(ANN, TV)
        second = self.call(ANN, CAROL)
        self.assertEqual(([Withdrawn()], []), (first, second))
        answer(self.rooms, self.newest(CAROL), self.room_of(self.carol), False)
        self.assertEqual([Refused(self.room_of(self.carol), CAROL, Reason.REFUSED)], second)
        self.assert_nothing_waits(self.rooms)

    def test_calls_nobody(self) -> None:
        """So does a caller whose next call fails at once."""
        first = self.call(ANN, TV)
        self.call(ANN, PAD)
        self.assertEqual([Withdrawn()], first)
        self.assert_nothing_waits(self.rooms)

    def test_goes_on_waiting(self) -> None:
        """A call that changes nothing, to oneself or the same one again, leaves the first waiting."""
        first = self.call(ANN, TV)
        self.assertEqual([Failed(ANN, Reason.SELF)], self.call(ANN, ANN))
        self.assertEqual([Withdrawn()], self.call(ANN, TV))
        self.assertEqual([], first)
        room = self.room_of(self.tv)
        answer(self.rooms, self.newest(TV), room, True)
        self.assertEqual([Accepted(room, TV)], first)

    def test_glare(self) -> None:
        """Calling the caller that rings ends the wait of both."""
        first = self.call(ANN, TV)
        second = self.call(TV, ANN)
        room = self.room_of(self.tv)
        self.assertEqual(([Accepted(room, TV)], [Accepted(room, ANN)]), (first, second))
        self.assert_nothing_waits(self.rooms)

    def test_late_frames(self) -> None:
        """Answers and hang-ups fire with the reply to their sender."""
        self.call(ANN, TV)
        room = self.room_of(self.tv)
        carol = self.newest(CAROL)
        self.assertEqual(NotYours(), self.successResultOf(self.reply(answer, self.rooms, carol, room, True)))
        self.assertEqual(NotYours(), self.successResultOf(self.reply(hang_up, self.rooms, carol, room)))
        hang_up(self.rooms, self.newest(ANN), room)
        tv = self.newest(TV)
        self.assertEqual(
            TooLate(Reason.CANCELLED), self.successResultOf(self.reply(answer, self.rooms, tv, room, True))
        )
        self.assertIsNone(self.successResultOf(self.reply(hang_up, self.rooms, tv, room)))

    def test_shutting_down(self) -> None:
        """A node that stops answers every further call with `shutting_down`; those that ring go on."""
        first = self.call(ANN, TV)
        self.rooms.refuse_calls()
        self.assertEqual([Failed(ANN, Reason.SHUTTING_DOWN)], self.call(CAROL, ANN))
        room = self.room_of(self.tv)
        answer(self.rooms, self.newest(TV), room, True)
        self.assertEqual([Accepted(room, TV)], first)


class ConnectionTests(RoomsCase):
    """Sessions come and go."""

    def test_caller_is_back(self) -> None:
        """A caller that comes back waits on its new connection; the old one is told nothing."""
        ann, tv = self.connect(ANN), self.connect(TV)
        first = self.call(ANN, TV)
        room = self.room_of(tv)
        ann.goes()
        self.assert_nothing_waits(self.rooms)
        back = self.connect(ANN)
        answer(self.rooms, self.newest(TV), room, True)
        self.assertEqual(([], [Accepted(room, TV)]), (first, back.outcomes))
        self.assertEqual([], back.calls)
        self.assert_nothing_waits(self.rooms)

    def test_caller_connects_anew(self) -> None:
        """A caller that connects while it is connected waits on its new connection only."""
        tv = self.connect(TV)
        self.connect(ANN)
        first = self.call(ANN, TV)
        new = self.connect(ANN)
        answer(self.rooms, self.newest(TV), self.room_of(tv), False)
        self.assertEqual(([], [Refused(self.room_of(tv), TV, Reason.REFUSED)]), (first, new.outcomes))

    def test_answered_while_away(self) -> None:
        """A caller that was answered while it was away looks at its call."""
        ann, tv = self.connect(ANN), self.connect(TV)
        self.call(ANN, TV)
        room = self.room_of(tv)
        ann.goes()
        self.wait(1)
        answer(self.rooms, self.newest(TV), room, True)
        back = self.connect(ANN)
        self.assertEqual([(room, "active")], back.rooms)

    def test_newest_wins(self) -> None:
        """The older connection is closed, and its going changes nothing."""
        self.connect(ANN)
        old = self.connect(TV)
        new = self.connect(TV)
        self.assertEqual((True, 0), (old.displacements > 0, new.displacements))
        outcomes = self.call(ANN, TV)
        self.assertEqual(([], 1), (old.calls, len(new.calls)))
        old.goes()
        self.wait(31)
        answer(self.rooms, self.newest(TV), self.room_of(new), True)
        self.assertEqual([Accepted(self.room_of(new), TV)], outcomes)

    def test_goes_twice(self) -> None:
        """A connection that is gone cannot go again."""
        tv = self.connect(TV)
        tv.goes()
        before = self.tables.devices[TV.phone][TV.device_id]
        tv.goes()
        self.assertIs(before, self.tables.devices[TV.phone][TV.device_id])

    def test_grace(self) -> None:
        """A party that stays away loses its call when its grace is over."""
        ann, tv = self.connect(ANN), self.connect(TV)
        self.call(ANN, TV)
        room = self.room_of(tv)
        answer(self.rooms, self.newest(TV), room, True)
        tv.goes()
        self.wait(29.75)
        self.assertEqual([], ann.calls)
        self.wait(0.5)
        self.assertEqual([(room, Reason.CONNECTION_LOST)], ann.rooms)

    def test_nothing_remains(self) -> None:
        """When everyone is gone for long enough, nothing remains."""
        sessions = [self.connect(address) for address in (ANN, TV, PAD, CAROL)]
        self.call(ANN, EVERYWHERE)
        answer(self.rooms, self.newest(TV), self.room_of(sessions[1]), True)
        self.call(CAROL, PAD)
        for session in sessions:
            session.goes()
        self.wait(400)
        self.assert_nothing_is_stored()
        self.assert_nothing_waits(self.rooms)
        self.assertEqual({}, self.rooms._devices)


class TwoNodesTests(RoomsCase):
    """The commits of one node reach the sessions of the other."""

    def setUp(self) -> None:
        """Ann is here, and the television there."""
        super().setUp()
        self.ann = self.connect(ANN)
        self.tv = self.connect(TV, self.others)

    def test_answer_from_another_node(self) -> None:
        """An answer from any node fires the waiter."""
        outcomes = self.call(ANN, TV)
        room = self.room_of(self.tv)
        answer(self.others, self.newest(TV), room, True)
        self.assertEqual([Accepted(room, TV)], outcomes)
        hang_up(self.others, self.newest(TV), room)
        self.assertEqual([(room, Reason.HANGUP)], self.ann.rooms)

    def test_hint_was_lost(self) -> None:
        """A party that hears only of the end of an answered call learns of the answer by it."""
        outcomes = self.call(ANN, TV)
        room = self.room_of(self.tv)
        ended = replace(self.tables.calls[room], version=3, state=Over(Active(TV, 0.0), Reason.HANGUP, 0.0))
        self.cluster.send("here", Notice(ANN, ended))
        self.assertEqual([Accepted(room, TV)], outcomes)
        self.assertEqual([(room, Reason.HANGUP)], self.ann.rooms)
        hang_up(self.others, self.newest(TV), room)

    def test_lost_call(self) -> None:
        """The outcome of a call that the store had lost is none of the next call."""
        first = self.call(ANN, TV)
        lost = self.tables.calls[self.room_of(self.tv)]
        self.tables.forget(lost)
        second = self.call(ANN, TV)
        ended = replace(lost, version=2, state=Over(Ringing(()), Reason.NO_ANSWER, 0.0))
        self.cluster.send("here", Notice(ANN, ended))
        self.assertEqual(([], [], [(lost.room, Reason.NO_ANSWER)]), (first, second, self.ann.rooms))
        hang_up(self.others, self.newest(TV), self.room_of(self.tv))

    def test_log(self) -> None:
        """A call that ends by itself is logged by a name that its room makes, the same on every node."""
        self.call(ANN, TV)
        room = self.room_of(self.tv)
        with capturedLogs() as events:
            self.wait(45.25)
        [said] = [str(formatEvent(event)) for event in events]
        self.assertEqual(f"call {sha256(room.encode()).hexdigest()[:12]} timed out: no_answer", said)

    def test_one_node_stops(self) -> None:
        """Any node handles due records, whichever created them."""
        self.call(ANN, TV)
        self.rooms.stop()
        self.wait(45.25)
        self.assertEqual(Reason.NO_ANSWER, self.tv.rooms[-1][1])


class ManyDeadlinesTests(RoomsCase):
    """The deadlines of thousands that leave at once."""

    def test_in_parts(self) -> None:
        """Only some of it is done before others have their turn, and all of it in the same second."""
        self.patch(switchboard, "_AT_ONCE", 10)
        self.others.stop()
        pairs = [
            [self.connect(DeviceAddress(f"136{number:08d}", device)) for device in ("tv", "pad")]
            for number in range(35)
        ]
        for caller, callee in pairs:
            self.place(caller, callee.address)
            answer(self.rooms, callee, self.room_of(callee), True)
            caller.goes()
        ended: list[int] = []
        later = self.clock.callLater

        def noted(delay: float, *rest: Any) -> IDelayedCall:
            if delay == 0 and not isinstance(getattr(rest[0], "__self__", None), Presence):
                ended.append(sum(callee.rooms[-1][1] == Reason.CONNECTION_LOST for _, callee in pairs))
            return later(delay, *rest)

        self.patch(self.clock, "callLater", noted)
        self.wait(31)
        self.assertEqual([10, 20, 30], ended)
        self.assertTrue(all(callee.rooms[-1][1] == Reason.CONNECTION_LOST for _, callee in pairs))


class ShortTimesTests(RoomsCase):
    """Settings other than the default."""

    settings = CallSettings(ring_time=2.0, grace=1.0)

    def test_settings(self) -> None:
        """The times of the settings are the times of the calls."""
        self.connect(ANN)
        tv = self.connect(TV)
        outcomes = self.call(ANN, TV)
        self.wait(2.25)
        self.assertEqual([Failed(TV, Reason.NO_ANSWER)], outcomes)
        waiting: Deferred[Outcome] = self.place(self.newest(ANN), TV)
        room = self.room_of(tv)
        answer(self.rooms, self.newest(TV), room, True)
        self.successResultOf(waiting)
        tv.goes()
        self.wait(1.25)
        self.assertEqual(Reason.CONNECTION_LOST, self.reason_of(room))
