"""The packets of a connection, by whose absence a dead path is detected: aiortc itself takes half a minute."""

from __future__ import annotations

from typing import Final

LISTEN_EVERY: Final = 0.5
"""Seconds between two checks for packets."""
STEADY: Final = 4
"""Checks in a row with packets after which they count as a steady stream."""
MISSED_AFTER: Final = 1.5
"""Seconds without a packet of a steady stream after which the network is in doubt ..."""
LOST_AFTER: Final = 3.0
"""... and after which the connection counts as lost."""
RARE_LOST_AFTER: Final = 6.0
"""The same without a steady stream: a client that sends no media sends RTCP, up to 5 seconds apart."""


class Packets:
    """The packets that have been received.

    :param now: the time, in seconds on the clock of the other methods.
    """

    def __init__(self, now: float) -> None:
        self._count = 0
        self._came_at = now
        self._in_a_row = 0
        self._has_gap = False

    def look(self, count: int, now: float) -> None:
        """Handle the number of packets so far, every :data:`LISTEN_EVERY` seconds."""
        if count == self._count:
            self._has_gap = True
            return
        self._count, self._came_at = count, now
        self._in_a_row = 1 if self._has_gap else self._in_a_row + 1
        self._has_gap = False

    def are_missed(self, now: float) -> bool:
        """Return whether a steady stream has paused."""
        return self._is_steady and now - self._came_at >= MISSED_AFTER

    def are_lost(self, now: float) -> bool:
        """Return whether no more are expected."""
        return now - self._came_at >= (LOST_AFTER if self._is_steady else RARE_LOST_AFTER)

    @property
    def _is_steady(self) -> bool:
        return self._in_a_row >= STEADY
