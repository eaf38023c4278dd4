"""Draining: a stopping process closes its sockets a few at a time, and those in calls last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from random import shuffle, uniform
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from callnet.util.logger import Logger
from callnet.ws.factory import ServerSocketFactory
from callnet.ws.protocol import ServerSocket

A_SECOND: Final = 500
"""Sockets closed each second: their clients reconnect to other processes, or to the next one here."""
_PAUSE: Final = 0.05, 0.15
"""Seconds between two batches, at the least and at the most."""
_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at whether sockets are still in calls."""


class Draining:
    """Closes all sockets of some factories."""

    _log = Logger()

    def __init__(self, factories: Sequence[ServerSocketFactory], clock: IReactorTime) -> None:
        self._factories = factories
        self._clock = clock
        self._hurries = False
        self._waiting: list[ServerSocket] = []
        self._in_calls: list[ServerSocket] = []
        self._timers: list[IDelayedCall] = []
        self._done: Deferred[None] | None = None
        self._until = 0.0

    def begin(self, limit: float) -> Deferred[None]:
        """Open no more sockets, and close those that there are. Fires when only the last of them, if any, are left:
        they are for the factories to close.

        :param limit: seconds after which those who are still in calls are given up. In the first half of it the others
            are closed, however many they are.
        """
        for factory in self._factories:
            factory.draining = True
        self._waiting = [socket for factory in self._factories for socket in factory.sockets]
        if not self._waiting or not limit or self._hurries:
            return succeed(None)
        shuffle(self._waiting)
        self._log.info("draining {count} sockets; calls may continue for {limit:g} s", count=self._left, limit=limit)
        self._done = done = Deferred[None]()
        self._a_second = max(A_SECOND, 2 * len(self._waiting) / limit)
        self._timers = [self._clock.callLater(limit, self._give_up)]
        self._until = self._clock.seconds() + limit
        self._close_some()
        return done

    def hurry(self) -> None:
        """Stop waiting, even before it has begun."""
        self._hurries = True
        if self._done is not None:
            for timer in self._timers:
                if timer.active():
                    timer.cancel()
            done, self._done = self._done, None
            done.callback(None)

    @property
    def _left(self) -> int:
        return sum(len(factory.sockets) for factory in self._factories)

    def _give_up(self) -> None:
        self._log.info("closing {count} sockets in calls: drain deadline reached", count=self._left)
        self.hurry()

    def _close_some(self) -> None:
        """Close the next batch."""
        pause = uniform(*_PAUSE)  # noqa: S311  it hides nothing
        self._waiting, batch = _split(self._waiting, ceil(pause * self._a_second))
        needed = _still_needed(batch)
        for socket in needed:
            socket.will_go_away(self._until - self._clock.seconds())
        self._in_calls += needed
        if self._waiting:
            self._later(pause, self._close_some)
        else:
            self._look()

    def _look(self) -> None:
        """Close those whose calls have ended."""
        self._in_calls = _still_needed(self._in_calls)
        if self._in_calls:
            self._later(_LOOK_EVERY, self._look)
        else:
            self.hurry()

    def _later(self, pause: float, act: Callable[[], None]) -> None:
        limit, *_ = self._timers
        self._timers = [limit, self._clock.callLater(pause, act)]


def _split(sockets: list[ServerSocket], count: int) -> tuple[list[ServerSocket], list[ServerSocket]]:
    """All but the last of them, and these."""
    return sockets[:-count], sockets[-count:]


def _still_needed(sockets: Sequence[ServerSocket]) -> list[ServerSocket]:
    """Those by which somebody is in a call; the others are closed."""
    needed = []
    for socket in sockets:
        if socket.is_needed():
            needed.append(socket)
        else:
            socket.go_away()
    return needed
