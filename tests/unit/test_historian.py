"""Ended calls are recorded, once a second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts import history
from callnet.accounts.history import CallEvents, Historian
from callnet.calls.records import CallRecord, Over, Ringing
from callnet.config.schema import WebhookEvent, WebhookSettings
from callnet.errors import Unavailable
from callnet.model import Reason, RoomId
from callnet.storage.history import Sides, SqlHistory
from callnet.storage.outbox import OutboxEvent, SqlOutbox
from callnet.store import ended
from callnet.store.ended import EndedHere
from tests.support.people_case import ANN, TV

DAY: Final = 86400.0
RINGING: Final = Ringing((TV,))
CANCELLED: Final = Over(Ringing(()), Reason.CANCELLED, 2.0)


def ended_call(number: int) -> CallRecord[Over]:
    """A call that its caller has cancelled."""
    return CallRecord(RoomId(f"{number:032x}"), 3, CANCELLED, ANN, TV, (TV,), 1.0)


def ringing_call(number: int) -> CallRecord:
    """A call that rings."""
    return CallRecord(RoomId(f"{number:032x}"), 1, RINGING, ANN, TV, (TV,), 1.0)


class SlowHistory(SqlHistory):
    """A database that answers when the test says so."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.target: list[tuple[Sequence[Sides], Deferred[None]]] = []
        self.forgotten: list[float] = []

    def write(self, calls: Sequence[Sides], now: float) -> Deferred[None]:  # noqa: ARG002
        """See :meth:`SqlHistory.write`."""
        self.target.append((calls, Deferred()))
        return self.target[-1][1]

    def forget(self, before: float) -> Deferred[None]:
        """See :meth:`SqlHistory.forget`."""
        self.forgotten.append(before)
        return succeed(None)

    def answer(self) -> int:
        """Write the pending calls; returns their number."""
        calls, answer = self.target.pop(0)
        self.written += [placed.room for placed, _ in calls]
        answer.callback(None)
        return len(calls)

    def fail(self, error: Exception) -> None:
        """Do not."""
        self.target.pop(0)[1].errback(Failure(error))


class MarkedOutbox(SqlOutbox):
    """Takes events, unless the test says no."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.written: list[tuple[str, str]] = []

    def write(self, events: Sequence[OutboxEvent], now: float) -> Deferred[None]:  # noqa: ARG002
        """See :meth:`SqlOutbox.write`."""
        if self.error is not None:
            return fail(self.error)
        self.written += [(event.event, json.loads(event.body)["called"]["device_id"]) for event in events]
        return succeed(None)


class HistorianTests(SynchronousTestCase):
    """One process."""

    def setUp(self) -> None:
        """Begin."""
        self.clock, self.ended, self.history, self.outbox = (
            Clock(),
            EndedHere(lambda moment: moment),
            SlowHistory(),
            MarkedOutbox(),
        )
        self.begin(days=90)

    def begin(self, days: int, *told: WebhookEvent) -> None:
        """Begin to look."""
        self.events = CallEvents(self.outbox, told, self.now)
        self.historian = Historian(self.ended, self.history, self.events, self.clock, self.now, days)
        self.historian.start()

    def now(self) -> float:
        """The time."""
        return 1000 * DAY + self.clock.seconds()

    def end(self, *numbers: int) -> None:
        """Let calls end."""
        for number in numbers:
            self.ended.add(ended_call(number))

    def rooms(self) -> list[int]:
        """The calls that were recorded."""
        return [int(room, 16) for room in self.history.written]

    def test_written(self) -> None:
        """An ended call is written within a second, both sides, and once."""
        self.end(1, 2)
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual(2, self.history.answer())
        self.end(3)
        self.clock.advance(history.WRITE_EVERY)
        self.history.answer()
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual(([1, 2, 3], []), (self.rooms(), self.history.target))

    def test_ended_meanwhile(self) -> None:
        """Calls that end while the database is at work wait for their turn."""
        self.end(1)
        self.clock.advance(history.WRITE_EVERY)
        self.end(2)
        self.clock.advance(5)
        self.assertEqual(1, len(self.history.target))
        self.history.answer()
        self.clock.advance(history.WRITE_EVERY)
        self.history.answer()
        self.assertEqual([1, 2], self.rooms())

    def test_many(self) -> None:
        """The number of calls in one write is limited; the rest follows at once."""
        self.patch(history, "AT_ONCE", 3)
        self.end(*range(7))
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual([3, 3, 1], [self.history.answer() for _ in range(3)])
        self.assertEqual((list(range(7)), []), (self.rooms(), self.history.target))

    def test_away_in_the_end(self) -> None:
        """If the database is away when the daemon stops, it says that the last calls are not recorded."""
        self.end(1)
        stopped = self.historian.stop()
        with capturedLogs() as events:
            self.history.fail(Unavailable("the database cannot be reached"))
        self.successResultOf(stopped)
        [told] = map(formatEvent, events)
        self.assertEqual("stopped before the last ended calls were written: the database cannot be reached", told)

    def test_away(self) -> None:
        """While the database is away nothing is lost."""
        self.end(1)
        for number in (2, 3):
            self.clock.advance(history.WRITE_EVERY)
            self.history.fail(Unavailable("away"))
            self.end(number)
        self.clock.advance(history.WRITE_EVERY)
        self.history.answer()
        self.assertEqual([1, 2, 3], self.rooms())

    def test_too_many(self) -> None:
        """If there are too many the oldest are lost, which the log says once; none is written twice."""
        self.patch(ended, "KEPT_MAX", 3)
        self.end(1, 2)
        self.clock.advance(history.WRITE_EVERY)
        with capturedLogs() as events:
            self.end(3, 4)
            self.end(5)
        self.assertEqual(1, len(events))
        self.assertIn("from the history", str(events[0]["log_format"]))
        self.assertEqual(2, self.ended.dropped)
        self.history.answer()
        self.clock.advance(history.WRITE_EVERY)
        self.history.answer()
        self.assertEqual([1, 2, 3, 4, 5], self.rooms())

    def test_too_many_for_long(self) -> None:
        """While the database is too slow for all of them the log says so once, and again when that comes back."""
        self.patch(ended, "KEPT_MAX", 3)
        self.patch(history, "AT_ONCE", 2)
        with capturedLogs() as events:
            self.end(1, 2, 3, 4)
            self.clock.advance(history.WRITE_EVERY)
            self.history.answer()
            self.end(5, 6, 7)
            self.assertEqual(1, len(events))
            for _ in range(2):
                self.clock.advance(history.WRITE_EVERY)
                while self.history.target:
                    self.history.answer()
            self.end(8, 9, 10, 11)
        self.assertEqual(2, len(events))

    def test_a_fault(self) -> None:
        """Calls that cannot be written for another reason keep no others from being written."""
        self.end(1)
        self.clock.advance(history.WRITE_EVERY)
        self.history.fail(KeyError("ours"))
        self.assertEqual(1, len(self.flushLoggedErrors(KeyError)))
        self.end(2)
        self.clock.advance(history.WRITE_EVERY)
        self.history.answer()
        self.assertEqual([2], self.rooms())

    def test_stop(self) -> None:
        """Before the end all calls that have ended until then are recorded."""
        self.end(1)
        self.clock.advance(history.WRITE_EVERY)
        self.end(2)
        stopped = self.historian.stop()
        self.assertNoResult(stopped)
        self.history.answer()
        self.assertNoResult(stopped)
        self.history.answer()
        self.successResultOf(stopped)
        self.assertEqual([1, 2], self.rooms())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_forget(self) -> None:
        """Entries beyond their maximum age are removed at the start, and each hour."""
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual([910 * DAY], self.history.forgotten)
        for _ in range(3605):
            self.clock.advance(1)
        self.assertEqual(2, len(self.history.forgotten))

    def test_none(self) -> None:
        """Without a history nothing is recorded, nor kept in memory, nor removed."""
        self.historian.stop()
        self.history.forgotten.clear()
        self.begin(days=0)
        self.end(1, 2)
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual(([], [], []), (self.history.target, self.history.written, self.history.forgotten))
        self.assertEqual([], self.successResultOf(self.ended.take(10)))

    def test_nobody_is_told(self) -> None:
        """Without receivers nothing is kept of calls in progress, and no event is recorded."""
        self.begin_again_telling_nobody()
        self.events.notice(ringing_call(1))
        self.assertEqual([], self.events.take_noticed(10))
        self.end(2)
        self.clock.advance(history.WRITE_EVERY)
        self.history.answer()
        self.assertEqual([], self.outbox.written)

    def begin_again_telling_nobody(self) -> None:
        """Start looking again."""
        self.historian.stop()
        HistorianTests.begin(self, 90)


class EventsTests(HistorianTests):
    """The same, and events are recorded besides."""

    def begin(self, days: int, *told: WebhookEvent) -> None:
        """Begin to look."""
        super().begin(days, *(told or WebhookSettings().events))

    def events_written(self) -> list[str]:
        """The events that were recorded since the last call."""
        written, self.outbox.written = self.outbox.written, []
        return [event for event, _ in written]

    def notice(self, *numbers: int) -> None:
        """Have calls begin to ring."""
        for number in numbers:
            self.events.notice(ringing_call(number))

    def test_told(self) -> None:
        """A ringing call is reported within a second; its end is reported with everything not reported before."""
        self.notice(1)
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual(["call_started"], self.events_written())
        self.end(1)
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual([], self.events_written())
        self.history.answer()
        self.assertEqual(["call_started", "call_ended", "call_missed"], self.events_written())

    def test_told_without_a_history(self) -> None:
        """Where no history is kept all is told."""
        self.historian.stop()
        self.begin(0)
        self.end(1)
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual(["call_started", "call_ended", "call_missed"], self.events_written())
        self.assertEqual([], self.successResultOf(self.ended.take(10)))

    def test_away_for_what_is_told(self) -> None:
        """While the database is away nothing is lost, neither of calls in progress nor of ended ones."""
        self.outbox.error = Unavailable("away")
        self.notice(1, 2)
        self.clock.advance(history.WRITE_EVERY)
        self.end(3)
        self.notice(4)
        self.clock.advance(history.WRITE_EVERY)
        self.outbox.error = None
        self.clock.advance(history.WRITE_EVERY)
        self.history.answer()
        self.assertEqual(3 + 3, len(self.events_written()))

    def test_ended_and_away(self) -> None:
        """An ended call is finished when both its history and its events are recorded."""
        self.end(1)
        self.clock.advance(history.WRITE_EVERY)
        self.outbox.error = Unavailable("away")
        self.history.answer()
        self.outbox.error = None
        self.clock.advance(history.WRITE_EVERY)
        self.history.answer()
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual(([], 3), (self.history.target, len(self.events_written())))

    def test_a_fault_of_what_is_told(self) -> None:
        """An event that cannot be recorded for another reason does not keep anything else from it."""
        self.outbox.error = KeyError("ours")
        self.notice(1)
        self.end(2)
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual(1, self.history.answer())
        self.assertEqual(2, len(self.flushLoggedErrors(KeyError)))
        self.assertEqual([], self.successResultOf(self.ended.take(10)))

    def test_too_many_that_go_on(self) -> None:
        """The oldest of too many calls in progress are reported when they end; the number kept is limited."""
        self.patch(history, "NOTICED_MAX", 3)
        self.historian.stop()
        self.begin(0)
        self.outbox.error = Unavailable("away")
        self.notice(1, 2)
        self.clock.advance(history.WRITE_EVERY)
        self.notice(3, 4, 5, 6)
        self.clock.advance(history.WRITE_EVERY)
        self.outbox.error = None
        self.clock.advance(history.WRITE_EVERY)
        self.assertEqual(3, len(self.events_written()))
