"""The threads of the database: who waits for them, and how long."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Queue
from threading import Event
from typing import Any, Final, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import Unavailable
from callnet.storage.database import LIMIT, STOP_LIMIT, IThreadsReactor, Threads

PATIENCE: Final = 30
"""Seconds that a thread may take on a busy machine."""


class _Reactor(Clock):
    """A clock to which threads may come back."""

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: Queue[Callable[[], object]] = Queue()

    def callFromThread(self, callable: Callable[..., object], *args: object) -> None:  # noqa: A002
        """Keep a call until somebody takes it."""
        self.from_threads.put(lambda: callable(*args))


class ThreadsTests(SynchronousTestCase):
    """One thread, which the tests let wait."""

    def setUp(self) -> None:
        """A thread that has nothing to do."""
        self.reactor = _Reactor()
        self.begun, self.end = Event(), Event()
        self.threads = Threads(cast(IThreadsReactor, self.reactor), 1, self.end.set)
        self.threads.start()
        self.runs = True
        self.done: list[str] = []
        self.addCleanup(lambda: self.assertEqual(self.reactor.getDelayedCalls(), []))
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """End the thread, unless the test has done so."""
        if self.runs:
            self.runs = False
            self.threads.stop()

    def wait(self, name: str) -> str:
        """The thread's task: wait until the test says so."""
        self.begun.set()
        assert self.end.wait(PATIENCE)
        self.done.append(name)
        return name

    def hold(self) -> Any:
        """Have the thread wait; fires when it is done."""
        held = self.threads.run(self.wait, "first")
        assert self.begun.wait(PATIENCE)
        return held

    def take(self) -> None:
        """Wait until the thread comes back."""
        self.reactor.from_threads.get(timeout=PATIENCE)()

    def test_what_it_returns(self) -> None:
        """The caller gets the value that the function returned."""
        first, second = self.hold(), self.threads.run(self.wait, name="second")
        self.assertNoResult(first)
        self.end.set()
        self.take()
        self.take()
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), ("first", "second"))

    def test_what_it_raises(self) -> None:
        """The caller gets the exception that the function raised."""

        def fail() -> None:
            raise ZeroDivisionError

        failed = self.threads.run(fail)
        self.take()
        self.failureResultOf(failed, ZeroDivisionError)

    def test_nobody_waits_long(self) -> None:
        """The caller is told after 5 s that it is worth trying again, whether or not the function has started."""
        asked = [self.hold(), self.threads.run(self.wait, "second")]
        self.reactor.advance(LIMIT - 0.1)
        for each in asked:
            self.assertNoResult(each)
        self.reactor.advance(0.1)
        for each in asked:
            self.failureResultOf(each, Unavailable)

    def test_what_nobody_waits_for_is_not_begun(self) -> None:
        """A function that nobody waits for any more is not started, so the next need not wait for it."""
        asked = [self.hold(), *(self.threads.run(self.wait, "late") for _ in range(3))]
        self.reactor.advance(LIMIT)
        for each in asked:
            self.failureResultOf(each, Unavailable)
        last = self.threads.run(self.wait, "last")
        self.end.set()
        for _ in range(5):
            self.take()
        self.assertEqual((self.successResultOf(last), self.done), ("last", ["first", "last"]))

    def test_the_end_waits_for_what_has_begun_alone(self) -> None:
        """In the end only started functions are waited for, and are to hurry; the others are to try again."""
        first, second = self.hold(), self.threads.run(self.wait, "second")
        self.stop()
        third = self.threads.run(self.wait, "third")
        self.take()
        self.take()
        self.assertEqual((self.successResultOf(first), self.done), ("first", ["first"]))
        for each in (second, third):
            self.failureResultOf(each, Unavailable)

    def test_nobody_waits_long_in_the_end(self) -> None:
        """All running functions when the daemon stops have 2 s together; one that hangs then is left alone."""
        self.threads = Threads(cast(IThreadsReactor, self.reactor), 1, lambda: None)
        self.threads.start()
        asked = [self.hold(), self.threads.run(self.wait, "second")]
        self.threads.stop_soon()
        self.reactor.advance(STOP_LIMIT - 0.1)
        for each in asked:
            self.assertNoResult(each)
        self.reactor.advance(0.1)
        for each in asked:
            self.failureResultOf(each, Unavailable)
        self.failureResultOf(self.threads.run(self.wait, "third"), Unavailable)
        begin = time.monotonic()
        self.stop()
        self.assertLess(time.monotonic() - begin, 30)  # on a busy machine; it hangs for ever
        self.end.set()
        self.take()
        self.take()
