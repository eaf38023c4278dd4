"""A limit for the time that clients' requests and frames take in one turn of the reactor.

One read can bring hundreds of requests or frames. If all of them were handled there and then, timers, the watchdog and
every other connection would wait. So a connection handles the first, and the rest waits in a queue with those of
others: each connection has one handled in a turn, in the order in which they came.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

SECONDS: Final = 0.01
"""The time for all connections together in one turn."""


class Postponed(Protocol):
    """A connection that has received more than it has handled. It is not read from meanwhile."""

    def go_on(self) -> None:
        """Handle one more request or frame, and wait again if there are more. Nothing happens if it is gone."""


class TurnBudget:
    """The time that is left in a turn, and the connections that wait for another one."""

    def __init__(self, clock: IReactorTime) -> None:
        self.postponed = 0
        """Counts how often a connection had to wait for a later turn."""
        self._clock = clock
        self._waiting: deque[Postponed] = deque()
        self._ends = 0.0
        self._next: IDelayedCall | None = None

    def may_begin(self) -> bool:
        """Tell whether a connection may handle the first request of a read: others have not used the turn up."""
        return self._next is None or self._clock.seconds() < self._ends

    def has_time(self) -> bool:
        """Tell whether a connection may handle another frame of a read in this turn: nobody else waits."""
        now = self._clock.seconds()
        if self._next is None:
            self._begin(now)
        return now < self._ends and not self._waiting

    def wait(self, connection: Postponed) -> None:
        """Call ``go_on`` of a connection in a later turn."""
        self.postponed += 1
        self._waiting.append(connection)
        if self._next is None:
            self._begin(self._clock.seconds())

    def _begin(self, now: float) -> None:
        self._ends = now + SECONDS
        self._next = self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        """Let those that wait go on, each once at most."""
        self._next = None
        count = len(self._waiting)
        if count:
            self._begin(self._clock.seconds())
        for _ in range(count):
            self._waiting.popleft().go_on()
            if self._clock.seconds() >= self._ends:
                return
