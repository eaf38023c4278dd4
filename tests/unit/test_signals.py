"""SIGHUP, sent to this very process."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import SynchronousTestCase

from callnet.ops.process import ignore_hangups, on_another_stop, on_hangup


class Reactor:
    """Keeps its calls for :meth:`turn`."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], object]] = []

    def callFromThread(self, call: Callable[[], object]) -> None:
        """Keep a call."""
        self._calls.append(call)

    def turn(self) -> None:
        """Make the kept calls."""
        calls, self._calls = self._calls, []
        for call in calls:
            call()


class HangupTests(SynchronousTestCase):
    """The effect of SIGHUP."""

    def setUp(self) -> None:
        """Whatever a test changes of this process is changed back."""
        before = signal.signal(signal.SIGHUP, lambda _number, _frame: self.seen.append("as before"))
        self.addCleanup(signal.signal, signal.SIGHUP, before)
        self.seen: list[str] = []
        self.reactor = Reactor()
        standard_input = os.dup(0)
        self.addCleanup(os.close, standard_input)
        self.addCleanup(os.dup2, standard_input, 0)

    def listen(self, standard_input: int) -> None:
        """Have SIGHUP noted, with this as the standard input."""
        os.dup2(standard_input, 0)
        os.close(standard_input)
        on_hangup(cast(IReactorFromThreads, cast(Any, self.reactor)), lambda: self.seen.append("acted"))

    def test_it_is_acted_on_in_the_reactor(self) -> None:
        """It is acted on in the reactor, each time, and not in the midst of something else."""
        self.listen(os.open(os.devnull, os.O_RDONLY))
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(self.seen, [])
        self.reactor.turn()
        self.assertEqual(self.seen, ["acted", "acted"])

    def test_in_the_end_nothing_is_done(self) -> None:
        """In the end, when there is nothing to reload any more, it does nothing."""
        self.listen(os.open(os.devnull, os.O_RDONLY))
        ignore_hangups()
        os.kill(os.getpid(), signal.SIGHUP)
        self.reactor.turn()
        self.assertEqual(self.seen, [])

    def test_in_a_terminal_nothing_is_changed(self) -> None:
        """In a terminal it means that the terminal is gone, so nothing is changed."""
        master, terminal = pty.openpty()
        self.addCleanup(os.close, master)
        self.listen(terminal)
        os.kill(os.getpid(), signal.SIGHUP)
        ignore_hangups()
        os.kill(os.getpid(), signal.SIGHUP)
        self.reactor.turn()
        self.assertEqual(self.seen, ["as before", "as before"])


class StopTests(SynchronousTestCase):
    """The effect of further signals that tell a process to stop."""

    def test_each_is_acted_on_in_the_reactor(self) -> None:
        """Each is acted on in the reactor, and none complains that it is stopping already."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        reactor, seen = Reactor(), list[int]()
        on_another_stop(cast(IReactorFromThreads, cast(Any, reactor)), lambda: seen.append(1))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        self.assertEqual([], seen)
        reactor.turn()
        self.assertEqual([1, 1, 1], seen)
