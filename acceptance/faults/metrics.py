"""The servers' counts, against the knowledge of the devices: as exact as it can be.

Some calls the devices cannot be sure of: who cancels does not learn whether it still rang, who changes its
connection may be told by another node, and a node that is killed takes its last second with it. So for each
number there are those that must be in it, and those that may be.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from acceptance.faults.books import Attempt, Books, Story
from acceptance.faults.excuses import Fault, Kind
from acceptance.faults.nodes import Node
from acceptance.faults.operator import ask, series

PLACED: Final = "callnet_calls_placed_total"
ANSWERED: Final = "callnet_calls_answered_total"
FAILED: Final = "callnet_calls_failed_total"
SCRAPED_EVERY: Final = 1.0
DIED_WITH: Final = 2 * SCRAPED_EVERY
"""Counts of a node this shortly before it was killed may not have been read, in seconds."""


class Expected:
    """The required sums of all nodes."""

    def __init__(self, books: Books, faults: Sequence[Fault]) -> None:
        self._books = books
        self._faults = faults
        self._sure: Final[Counter[str]] = Counter()
        self._maybe: Final[Counter[str]] = Counter()

    def add(self, attempt: Attempt, excused: bool) -> None:
        """Take a call into account. ``excused``: a fault had to do with it, so nothing is sure."""
        own = [story for story in attempt.stories if story.caller == attempt.caller]
        answer = attempt.answer
        refused = answer is not None and answer.kind == "call_refuse"
        rang = bool(own) or refused or (answer is not None and answer.reason == "no_answer")
        if rang or (attempt.withdrawal is not None and not attempt.stories) or excused:
            self._count(PLACED, rang and not self._died(attempt.at) and not excused)
        for story in own:
            at = _accepted_at(story)
            if at is not None:
                sure = story.named is not None and not self._died(at)
                self._count(ANSWERED, sure and not excused)
        if answer is not None and answer.kind != "call_success":
            moved = self._books.changes(attempt.caller, attempt.at, answer.at + 0.5)
            sure = attempt.withdrawal is None and not moved and not self._died(answer.at)
            self._count(_failed(answer.reason) if sure and not excused else FAILED, sure and not excused)
        elif attempt.withdrawal is not None or excused:
            self._count(FAILED, False)

    def _count(self, name: str, sure: bool) -> None:
        (self._sure if sure else self._maybe)[name] += 1

    def _died(self, at: float) -> bool:
        """Tell whether counts of this time may have died with their node."""
        return any(
            fault.kind is Kind.NODE_KILLED and fault.start - DIED_WITH <= at <= fault.start + SCRAPED_EVERY
            for fault in self._faults
        )

    def disagreements(self, counted: Mapping[str, float]) -> list[str]:
        """The differences between the servers' numbers and the knowledge of the devices."""
        wrong = []
        for name in (PLACED, ANSWERED):
            least, most = self._sure[name], self._sure[name] + self._maybe[name]
            if not least <= counted.get(name, 0) <= most:
                wrong.append(f"{name} is {counted.get(name, 0):.0f}, the devices know of {least} to {most}")
        failed = {name: count for name, count in counted.items() if name.startswith(FAILED)}
        sure = {name: count for name, count in self._sure.items() if name.startswith(FAILED)}
        wrong += [
            f"{name} is {failed.get(name, 0):.0f}, the devices know of {least}"
            for name, least in sure.items()
            if failed.get(name, 0) < least
        ]
        beyond = sum(failed.values()) - sum(sure.values())
        if beyond > self._maybe[FAILED]:
            wrong.append(
                f"the sum of {FAILED} is {beyond:.0f} more than the devices know of, {self._maybe[FAILED]} are unsure"
            )
        return wrong

    def counts(self, counted: Mapping[str, float]) -> dict[str, object]:
        """The figures of the report."""
        failed = sum(count for name, count in counted.items() if name.startswith(FAILED))
        sure = sum(count for name, count in self._sure.items() if name.startswith(FAILED))
        rows = [(name, counted.get(name, 0), self._sure[name], self._maybe[name]) for name in (PLACED, ANSWERED)]
        rows.append((FAILED, failed, sure, self._maybe[FAILED]))
        return {
            name: f"{count:.0f} (the devices know of {least} to {least + maybe})" for name, count, least, maybe in rows
        }


def _failed(reason: str) -> str:
    return f'{FAILED}{{reason="{reason}"}}'


def _accepted_at(story: Story) -> float | None:
    starts = [part.start for device, parts in story.parts.items() if device != story.caller for part in parts]
    return min(starts, default=None)


class Scraper:
    """Reads the numbers of every node once a second, so that they survive it."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._read: Final[dict[tuple[int, int], Mapping[str, float]]] = {}
        """The values by node and life."""
        self.longest = 0.0
        """The longest that a node let us wait, in seconds, but for those that were stopped or killed meanwhile."""

    async def keep_reading(self) -> None:
        """Until cancelled."""
        while True:
            began = time.monotonic()
            await self.read()
            await asyncio.sleep(max(0.0, began + SCRAPED_EVERY - time.monotonic()))

    async def read(self) -> None:
        """Read once."""
        await asyncio.gather(*(self._read_one(node) for node in self._nodes if node.running))

    async def _read_one(self, node: Node) -> None:
        life, began = len(node.lives), time.monotonic()
        status, text = await ask(node.admin, "/metrics")
        if status == 200 and len(node.lives) == life:
            self._read[node.number, life] = series(text)
            if node.undisturbed_since < began:
                self.longest = max(self.longest, time.monotonic() - began)

    def total(self) -> Mapping[str, float]:
        """The sums over all nodes and lives."""
        total: Counter[str] = Counter()
        for numbers in self._read.values():
            total.update(numbers)
        return total
