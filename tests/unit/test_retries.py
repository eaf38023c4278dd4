"""Failed operations are done as soon as that is possible."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls import events
from callnet.calls.outage import Retries
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, RoomId

ANN = DeviceAddress("13600000001", "phone")
FIRST, SECOND = (events.HangUp(RoomId(f"{number:032x}"), ANN) for number in (1, 2))


class RetriesTests(SynchronousTestCase):
    """A clock, and a store that answers when the test says so."""

    def setUp(self) -> None:
        """Nothing is kept."""
        self.clock = Clock()
        self.tried: list[events.Event] = []
        self.answer: Exception | Deferred[None] | None = Unavailable("away")
        self.retries = Retries(self.clock, self.settle)

    async def settle(self, event: events.Event) -> None:
        """Try an event."""
        self.tried.append(event)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            await self.answer

    def wait(self, seconds: float) -> list[events.Event]:
        """Let time pass; returns the attempts meanwhile."""
        self.tried.clear()
        for _ in range(int(seconds * 4)):
            self.clock.advance(0.25)
        return self.tried

    def assert_idle(self) -> None:
        """Nothing is kept, and nothing waits."""
        self.assertEqual(0, len(self.retries.kept))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_until_it_is_done(self) -> None:
        """A kept operation is tried every half a second until the store has answered."""
        self.retries.keep(FIRST)
        self.assertEqual([], self.wait(0.25))
        self.assertEqual([FIRST] * 4, self.wait(2))
        self.answer = None
        self.assertEqual([FIRST], self.wait(5))
        self.assert_idle()

    def test_many_pauses(self) -> None:
        """Any number of pauses take one timer, which is set again when one ends and not when one begins."""
        set_at: list[float] = []

        class Counting(Clock):
            def callLater(self, delay: float, *args: Any, **kwargs: Any) -> Any:
                set_at.append(self.seconds())
                return super().callLater(delay, *args, **kwargs)

        self.clock = Counting()
        self.retries = Retries(self.clock, self.settle)
        ended: list[float] = []
        for number in range(5000):
            self.retries.pause(1.0 + number % 5).addCallback(lambda _: ended.append(self.clock.seconds()))
        self.assertEqual([0.0], set_at)
        self.wait(6)
        self.assertEqual(sorted([*range(1, 6)] * 1000), ended)
        self.assertEqual(5, len(set_at))
        self.assert_idle()

    def test_one_timer(self) -> None:
        """However much is kept there is one timer, and all of it is tried."""
        for event in (FIRST, SECOND, FIRST):
            self.retries.keep(event)
        self.assertEqual(1, len(self.clock.getDelayedCalls()))
        self.assertEqual([FIRST, SECOND], self.wait(0.5))
        self.answer = None
        self.assertEqual([FIRST, SECOND], self.wait(0.5))
        self.assert_idle()

    def test_keys(self) -> None:
        """An operation kept under a key replaces the earlier one."""
        self.retries.keep(FIRST, "key")
        self.assertTrue(self.retries.keeps("key", FIRST.room))
        self.retries.keep(SECOND, "key")
        self.assertFalse(self.retries.keeps("key", FIRST.room))
        self.assertTrue(self.retries.keeps("key"))
        self.assertEqual([SECOND], self.wait(0.5))
        self.retries.forget("key")
        self.retries.forget("key")
        self.assertFalse(self.retries.keeps("key"))
        self.assertEqual([], self.wait(5))
        self.assert_idle()

    def test_replaced_meanwhile(self) -> None:
        """An operation that was kept while the one before it was being tried is tried too."""
        answered: Deferred[None] = Deferred()
        self.answer = answered
        self.retries.keep(FIRST, "key")
        self.wait(0.5)
        self.retries.keep(SECOND, "key")
        self.assertEqual([], self.wait(5))
        self.answer = None
        answered.callback(None)
        self.assertEqual([SECOND], self.wait(0.5))
        self.assert_idle()

    def test_fault(self) -> None:
        """An operation that meets a fault is logged, and not tried again."""
        self.answer = ZeroDivisionError()
        self.retries.keep(FIRST)
        self.assertEqual([FIRST], self.wait(5))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assert_idle()

    def test_pauses(self) -> None:
        """Pauses of any length end in time, whatever is kept meanwhile."""
        pauses = [self.retries.pause(seconds) for seconds in (1.0, 0.25, 3.0)]
        self.retries.keep(FIRST)
        self.assertEqual(1, len(self.clock.getDelayedCalls()))
        ended = [number for _ in range(13) for number in self.ended_after(0.25, pauses)]
        self.assertEqual([1, 0, 2], ended)
        self.retries.forget(FIRST)
        self.wait(0.5)
        self.assert_idle()

    def ended_after(self, seconds: float, pauses: list[Deferred[None]]) -> list[int]:
        """Which pauses ended just then."""
        before = [pause.called for pause in pauses]
        self.wait(seconds)
        return [number for number, pause in enumerate(pauses) if pause.called and not before[number]]

    def test_stop(self) -> None:
        """After a stop nothing is tried any more, and every waiter is told."""
        self.retries.keep(FIRST)
        paused = self.retries.pause(1.0)
        self.retries.stop()
        self.failureResultOf(paused, Unavailable)
        self.assert_idle()
        self.retries.keep(FIRST)
        self.failureResultOf(self.retries.pause(1.0), Unavailable)
        self.assertEqual([], self.wait(5))
        self.assert_idle()

    def test_stop_while_trying(self) -> None:
        """The operation being tried then is not tried again."""
        self.answer = Deferred()
        self.retries.keep(FIRST)
        self.wait(0.5)
        self.retries.stop()
        self.answer.errback(Unavailable("away"))
        self.assertEqual([], self.wait(5))
        self.assert_idle()
