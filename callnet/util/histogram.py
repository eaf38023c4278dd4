"""A histogram, mostly of durations in seconds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds for what should take milliseconds."""


class Histogram:
    """Counts values by how great they are.

    :param bounds: each, and infinity, has a count of the values that are not greater.
    """

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        """Of all values."""

    def count(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Each bound, infinity last, and how many values were not greater."""
        return zip((*self._bounds, float("inf")), accumulate(self._counts), strict=True)
