"""The clock that all nodes share: Redis', as far as this node can tell without asking."""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

_CLOSE_ENOUGH: Final = 0.002
"""Seconds by which the estimate may be off before it is corrected: time should not jump about."""


class SharedClock:
    """Tells the time of the shared store by the node's own clock and its distance to the store's."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._ahead: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether the store has ever been heard of."""
        return self._ahead is not None

    def now(self) -> float:
        """The time, in seconds."""
        return self._clock.seconds() + (self._ahead or 0.0)

    def set(self, now: float, asked_at: float) -> None:
        """Take note that the store's clock said ``now``, when asked at ``asked_at`` by the node's own clock."""
        ahead = now - (asked_at + self._clock.seconds()) / 2
        if self._ahead is None or abs(ahead - self._ahead) > _CLOSE_ENOUGH:
            self._ahead = ahead
