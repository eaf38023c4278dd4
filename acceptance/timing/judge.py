"""Compares times of several kinds, each to all together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from statistics import stdev
from typing import Final, TypeAlias

from msgspec import Struct

Times: TypeAlias = Mapping[str, Sequence[int]]
"""Nanoseconds that things of each kind took."""

TENTH: Final = "10th percentile"
MEDIAN: Final = "median"
P95: Final = "95th percentile"
PARTS: Final[Mapping[str, float]] = {TENTH: 0.1, MEDIAN: 0.5, P95: 0.95}
"""What is looked at: the value that such a part of all is not greater than."""

Tolerance: TypeAlias = Mapping[str, float]
"""By which part of that of all each of :data:`PARTS` may be off; what is not among them is not judged."""


class Off(Struct, frozen=True):
    """One of :data:`PARTS` of one kind, beside that of all together."""

    microseconds: float
    off: float
    """By which part it is more than that of all."""
    error: float
    """The standard error of this, by what rounds make of it each for itself; 0: there is but one."""

    def __str__(self) -> str:
        return f"{self.microseconds:.1f} µs ({self.off:+.1%} ± {self.error:.1%})"


class Compared(Struct, frozen=True):
    """One kind beside all together."""

    kind: str
    parts: Mapping[str, Off]

    def __str__(self) -> str:
        return ", ".join(f"{part} {off}" for part, off in self.parts.items())

    def misses(self, tolerance: Tolerance) -> Iterator[str]:
        """What of it is off too far, in words."""
        for part, most in tolerance.items():
            off = self.parts[part].off
            if abs(off) > most:
                yield f"{self.kind}: the {part} is {off:+.1%} off"


def compare(rounds: Sequence[Times]) -> Sequence[Compared]:
    """Compare each kind to all together. Every round has the same kinds, and as many of each."""
    together = {kind: [took for times in rounds for took in times[kind]] for kind in rounds[0]}
    return [
        Compared(kind, {part: _off(together, rounds, kind, of_all) for part, of_all in PARTS.items()})
        for kind in together
    ]


def quantile(values: Sequence[int], part: float) -> float:
    """The value that such a part of all is not greater than."""
    return float(sorted(values)[min(int(part * len(values)), len(values) - 1)])


def _off(together: Times, rounds: Sequence[Times], kind: str, part: float) -> Off:
    by_round = [_part_off(times, kind, part) for times in rounds]
    error = stdev(by_round) / sqrt(len(by_round)) if len(by_round) > 1 else 0.0
    return Off(quantile(together[kind], part) / 1000, _part_off(together, kind, part), error)


def _part_off(times: Times, kind: str, part: float) -> float:
    everything = [took for each in times.values() for took in each]
    return quantile(times[kind], part) / quantile(everything, part) - 1
