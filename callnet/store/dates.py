"""Conversion of a monotonic clock's times to dates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from callnet.calls.records import Active, CallRecord, CallState, Over, S

_CLOSE_ENOUGH: Final = 0.1
"""Seconds by which the offset of the two clocks may be off: they are not read in the same moment."""


class Dates:
    """Converts times of a monotonic clock to dates, by the current wall clock.

    :param steady: the monotonic clock, in seconds.
    :param wall: the time, in seconds since 1970; it may be set at any time.
    """

    def __init__(self, steady: Callable[[], float], wall: Callable[[], float]) -> None:
        self._steady = steady
        self._wall = wall
        self._ahead = wall() - steady()

    def of(self, moment: float) -> float:
        """The date of a time, in seconds since 1970."""
        ahead = self._wall() - self._steady()
        if abs(ahead - self._ahead) > _CLOSE_ENOUGH:
            self._ahead = ahead
        return moment + self._ahead


def dated(call: CallRecord[S], zero: float) -> CallRecord[S]:
    """A call with its times in seconds since 1970.

    :param zero: the date at which the clock of its times shows 0.
    """
    state: CallState = call.state
    before = state.was if isinstance(state, Over) else state
    if isinstance(before, Active):
        before = replace(before, since=zero + before.since)
    now = replace(state, at=zero + state.at, was=before) if isinstance(state, Over) else before
    return replace(call, placed_at=zero + call.placed_at, state=now)
