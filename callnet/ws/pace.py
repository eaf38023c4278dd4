"""The pace of frames on one connection."""

from __future__ import annotations

from math import inf
from typing import Final

_FRACTIONS: Final = 1e-9
"""The rounding error of sums of fractions of a second."""


class Pace:
    """A limit for one connection, which keeps the only state: the generic cell rate algorithm (ITU-T I.371).

    :param a_minute: the number that may come at once, and in each minute; 0: any number.
    """

    def __init__(self, a_minute: int) -> None:
        self.allow(a_minute)

    def allow(self, a_minute: int) -> None:
        """Apply a new limit."""
        self._spacing = 60.0 / a_minute if a_minute else 0.0

    def next(self, until: float, now: float) -> float:
        """Count one more. Answers with what is to be handed in for the one after it; infinite: it is too many.

        :param until: what this answered before; at first 0.
        """
        until = (max(now, until)) + self._spacing
        return until if until - now <= 60.0 + _FRACTIONS else inf
