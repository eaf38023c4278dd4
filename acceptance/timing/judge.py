"""Compares the times of several kinds, each to all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, TypeAlias

from msgspec import Struct

Times: TypeAlias = Mapping[str, Sequence[float]]
"""Milliseconds that answers to each kind took."""

DELAY: Final = 150.0
"""Milliseconds after which the answer leaves (protocol §2.1)."""


class Compared(Struct, frozen=True):
    """The times of one kind, in milliseconds."""

    kind: str
    earliest: float
    middle: float
    off: float
    """The difference of the median from that of all."""

    def __str__(self) -> str:
        return f"{self.earliest:.2f} ms at the least, median {self.middle:.2f} ms ({self.off:+.2f} ms)"


def compare(times: Times) -> Sequence[Compared]:
    """Compare each kind to all together."""
    of_all = median(took for of_kind in times.values() for took in of_kind)
    return [Compared(kind, min(took), median(took), median(took) - of_all) for kind, took in times.items()]


def misses(compared: Sequence[Compared], tolerance: float) -> list[str]:
    """The differences that tell the kinds from each other, in words.

    :param tolerance: the most that a median may be off, in milliseconds.
    """
    early = [f"{one.kind}: an answer came after {one.earliest:.2f} ms" for one in compared if one.earliest < DELAY]
    return early + [f"{one.kind}: the median is {one.off:+.2f} ms off" for one in compared if abs(one.off) > tolerance]
