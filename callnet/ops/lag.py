"""The delay of the event loop."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from callnet.util.histogram import Histogram
from callnet.util.timers import PeriodicRuns

EVERY = 0.5
"""Seconds between two looks."""


class Lag:
    """Looks at how late it is, again and again."""

    def __init__(self, clock: IReactorTime) -> None:
        self.took = Histogram()
        """By how many seconds it was late."""
        self._clock = clock
        self._rounds = PeriodicRuns(self._look, clock, EVERY)

    def start(self) -> None:
        """Begin."""
        self._due = self._clock.seconds()
        self._rounds.start()

    def stop(self) -> Deferred[None]:
        """Come to an end."""
        return self._rounds.stop()

    def _look(self) -> Deferred[None]:
        now = self._clock.seconds()
        self.took.count(max(0.0, now - self._due))
        self._due = now + EVERY
        return succeed(None)
