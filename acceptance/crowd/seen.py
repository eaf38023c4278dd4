"""The observations of the devices of a crowd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from bench.figures import percentile


class Seen:
    """All of it. Times are in seconds."""

    def __init__(self) -> None:
        self.answers: Final[Counter[str]] = Counter()
        """The results of handshakes: the status, or the error in place of one."""
        self.handshakes: Final[list[float]] = []
        """The duration of those that opened a socket, from the first packet on."""
        self.closed: Final[Counter[int]] = Counter()
        """Sockets that the server closed, by code; 1006: without any."""
        self.refused: Final[Counter[str]] = Counter()
        """Calls that were to be tried again later, by reason; each try counts."""
        self.placed = self.ended = 0
        """Calls that rang, and calls that came to the end that one of the two wanted."""
        self.rang: Final[list[float]] = []
        """The seconds from a call until it rang."""
        self.answered: Final[list[float]] = []
        """The seconds from the answer until the caller was told."""
        self.longest_away = 0.0
        """The longest that a device was without a socket in the middle of a call."""
        self.longest_gap = 0.0
        """The longest that nothing came from the other side of a call, where both say something all the time."""
        self.lost: Final[list[str]] = []
        """Calls that went wrong, each with its observations."""
        self.wrong: Final[list[str]] = []
        """Messages that devices got and should not have got."""

    def counts(self) -> dict[str, object]:
        """The figures of calls."""
        return {
            "calls that rang": self.placed,
            "calls that one of the two ended": self.ended,
            "calls lost": len(self.lost),
            "devices told what is not so": len(self.wrong),
        }

    def handshake_counts(self) -> dict[str, object]:
        """The figures of handshakes."""
        return {f"handshakes answered {answer}": count for answer, count in sorted(self.answers.items())} | {
            "longest handshake, s": round(max(self.handshakes, default=0.0), 2)
        }

    def misses(self, shown: int = 5) -> list[str]:
        """Violations: some of each."""
        lost = [f"a call was lost: {what}" for what in self.lost[:shown]]
        return [*lost, *(f"a device was told what is not so: {what}" for what in self.wrong[:shown])]


def in_milliseconds(name: str, waits: Sequence[float]) -> Mapping[str, object]:
    """The usual figures of some waits, in milliseconds."""
    if not waits:
        return {}
    figures = {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99), "at most": max(waits)}
    return {f"{name}, {which}, ms": round(value * 1e3, 1) for which, value in figures.items()}
