"""The report of a migration: each rejected row at once, and the counts of each kind at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from callnet.migration.rows import Kind, shown


class Report:
    """Counts, and tells. It keeps no rows.

    :param tell: writes a line about one row.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._read: Counter[Kind] = Counter()
        self._moved: Counter[Kind] = Counter()
        self._refused: Counter[tuple[Kind, str]] = Counter()
        self._noted: Counter[tuple[Kind, str]] = Counter()

    def read(self, kind: Kind, rows: int) -> None:
        """So many were looked at."""
        self._read[kind] += rows

    def moved(self, kind: Kind, rows: int) -> None:
        """So many were not there yet."""
        self._moved[kind] += rows

    def refused(self, kind: Kind, place: str, values: Sequence[object], reason: str) -> None:
        """A row stays behind."""
        self._refused[kind, reason] += 1
        self._tell(f"{kind}: {place}{shown(kind, values)}: rejected: {reason}")

    def noted(self, kind: Kind, place: str, values: Sequence[object], what: str) -> None:
        """There is something about a row that is taken."""
        self._noted[kind, what] += 1
        self._tell(f"{kind}: {place}{shown(kind, values)}: {what}")

    @property
    def is_complete(self) -> bool:
        """True if no row was rejected."""
        return not self._refused

    def lines(self, moved: str) -> Iterator[str]:
        """The counts.

        :param moved: what was done with rows that were not there yet, such as ``imported``.
        """
        for kind in Kind:
            refused = sum(number for (of, _), number in self._refused.items() if of is kind)
            there = self._read[kind] - self._moved[kind] - refused
            numbers = f"{self._moved[kind]} {moved}, {there} already present, {refused} rejected"
            yield f"{kind}: {self._read[kind]} read, {numbers}"
            for counted, word in ((self._refused, "rejected: "), (self._noted, "")):
                for (of, text), number in counted.items():
                    if of is kind:
                        yield f"    {number} {word}{text}"
