"""Delivery: buffers for messages to arriving devices, and the closing of displaced connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

from callnet.calls.records import Displaced
from callnet.util.timers import EarliestTimer

_AT_ONCE: Final = 50
"""Connections closed in one turn of the reactor: thousands may have left a node that was suspended."""

M = TypeVar("M")


class ArrivalBuffers(Generic[M]):
    """Buffers of messages for addressees during the commit of their arrival.

    :param receive: takes the kept messages after the arrival was committed or failed.
    """

    def __init__(self, receive: Callable[[M], None]) -> None:
        self._receive = receive
        self.kept: Final[dict[Hashable, list[M]]] = {}
        """Keyed by addressee."""

    def begin(self, addressee: Hashable) -> None:
        """Keep messages for ``addressee`` until :meth:`end`."""
        self.kept[addressee] = []

    def end(self, addressee: Hashable) -> None:
        """Receive the kept messages."""
        for message in self.kept.pop(addressee):
            self._receive(message)

    def keep(self, addressee: Hashable, message: M) -> bool:
        """Keep a message if ``addressee`` is arriving, and return whether it is."""
        kept = self.kept.get(addressee)
        if kept is None:
            return False
        kept.append(message)
        return True


class DisplacedConnections:
    """Closes displaced connections in the next turn of the reactor. A frame that the device sent to this node before it
    left, and that a suspended node has yet to read, is handled first.

    :param close: closes the connection, if it is an older one.
    """

    def __init__(self, clock: IReactorTime, close: Callable[[Displaced], None]) -> None:
        self._close = close
        self._waiting: deque[Displaced] = deque()
        self._timer = EarliestTimer(clock, self._close_some)
        self.stop: Final = self._timer.stop

    def add(self, message: Displaced) -> None:
        """Queue one connection."""
        self._waiting.append(message)
        self._timer.set_in(0.0)

    def _close_some(self) -> None:
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            self._close(self._waiting.popleft())
        if self._waiting:
            self._timer.set_in(0.0)
