"""Timers: one for the earliest of several times, periodic tasks, and the pauses between the processes of a program."""

from __future__ import annotations

from collections.abc import Callable
from signal import Signals
from typing import Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure


class EarliestTimer:
    """Goes off at the earliest of the times that it was set to, and is unset then.

    :param goes_off: called without arguments. It must not raise.
    """

    def __init__(self, clock: IReactorTime, goes_off: Callable[[], None]) -> None:
        self._clock = clock
        self._goes_off = goes_off
        self._next: IDelayedCall | None = None
        self._stopped = False

    def set_in(self, pause: float) -> None:
        """Have it go off after ``seconds``, unless it does earlier anyway."""
        if self._stopped:
            return
        if self._next is None:
            self._next = self._clock.callLater(pause, self._ring)
        elif self._next.getTime() > self._clock.seconds() + pause:
            self._next.reset(pause)

    def unset(self) -> None:
        """Have it not go off, until it is set again."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def stop(self) -> None:
        """Have it never go off again."""
        self._stopped = True
        self.unset()

    def _ring(self) -> None:
        self._next = None
        self._goes_off()


FIRST_PAUSE: Final = 0.1
"""Seconds between the end of a process and the start of the next; doubled for each that dies young."""
OLD_AGE: Final = 60.0
"""Seconds that a process must have lived for its end to be no sign that the next will die as well."""


class Backoff:
    """The pauses before a process is started again.

    :param longest: seconds.
    """

    def __init__(self, clock: IReactorTime, longest: float) -> None:
        self._clock = clock
        self._longest = longest
        self._born = 0.0
        self._pause = FIRST_PAUSE

    def reset(self) -> None:
        """Begin with the shortest pause again."""
        self._pause = FIRST_PAUSE

    def begin(self) -> None:
        """Note the start of a process."""
        self._born = self._clock.seconds()

    def pause(self) -> float:
        """Seconds until the next start, now that the process has ended."""
        if self._clock.seconds() - self._born >= OLD_AGE:
            self.reset()
        pause, self._pause = self._pause, min(self._longest, 2 * self._pause)
        return pause


def end_of(reason: Failure) -> str:
    """The end of a process, in a few words.

    :param reason: as Twisted tells it.
    """
    ended = reason.value
    if not isinstance(ended, ProcessTerminated):
        return "stopped"
    if ended.signal is not None:
        return f"was killed by {Signals(ended.signal).name}"
    return f"exited with status {ended.exitCode}"


class PeriodicTask(Protocol):
    """Periodic work."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> Deferred[None]:
        """Come to an end. Fires when that is so."""


class PeriodicRuns:
    """Repeats something, with a pause after each time.

    :param work: its Deferreds do not fail.
    :param pause: seconds.
    """

    def __init__(self, work: Callable[[], Deferred[None]], clock: IReactorTime, pause: float) -> None:
        self._work = work
        self._clock = clock
        self._pause = pause
        self._next: IDelayedCall | None = None
        self._working: Deferred[None] = succeed(None)
        self._goes_on = False

    def start(self) -> None:
        """Begin, at once."""
        self._goes_on = True
        self._begin()

    def stop(self) -> Deferred[None]:
        """Begin no other round. Fires when the one that is under way, if there is one, is done."""
        self._goes_on = False
        if self._next is not None:
            self._next.cancel()
            self._next = None
        return self._working

    def _begin(self) -> None:
        self._next = None
        self._working = self._work().addCallback(lambda _: self._wait())

    def _wait(self) -> None:
        if self._goes_on:
            self._next = self._clock.callLater(self._pause, self._begin)


def pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    """Fires after ``seconds``. It can be cancelled."""
    paused: Deferred[None] = Deferred(lambda _: delay.cancel())
    delay = clock.callLater(seconds, paused.callback, None)
    return paused
