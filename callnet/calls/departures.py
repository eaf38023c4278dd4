"""Devices that have gone on elsewhere, of which this node has heard and has yet to close the connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from callnet.records import Displaced

_AT_ONCE: Final = 50
"""So many connections are closed before others have their turn: thousands may have left a node that stood still."""


class Departures:
    """Puts them off to the next turn of the reactor. So what a device has said to this node before it left, and a node
    that stood still has yet to read, is heard first.

    :param close: closes the connection, if it is an older one.
    """

    def __init__(self, clock: IReactorTime, close: Callable[[Displaced], None]) -> None:
        self._clock = clock
        self._close = close
        self._waiting: deque[Displaced] = deque()
        self._next: IDelayedCall | None = None

    def add(self, message: Displaced) -> None:
        """Take one in."""
        self._waiting.append(message)
        if self._next is None:
            self._next = self._clock.callLater(0, self._close_some)

    def stop(self) -> None:
        """Close nothing more."""
        self._waiting.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _close_some(self) -> None:
        self._next = None
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            self._close(self._waiting.popleft())
        if self._waiting:
            self._next = self._clock.callLater(0, self._close_some)
