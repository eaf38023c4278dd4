"""The outcome of every call: completed, failed for a reason, excused by a fault, or lost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from acceptance.faults.audit import Problem, Wrong, problems
from acceptance.faults.books import Attempt, Books, Sight
from acceptance.faults.excuses import Fault, judge
from acceptance.faults.metrics import Expected

Say = Callable[[str], None]
"""Shows a line to the person watching the run."""

SIGHTS: Final = {
    "disconnected": Wrong.DISCONNECTED,
    "turned away": Wrong.TURNED_AWAY,
    "unheard": Wrong.UNHEARD,
    "repeated": Wrong.REPEATED,
    "two ends": Wrong.TWO_ENDS,
    "given late": Wrong.GIVEN_LATE,
    "page": Wrong.PAGE,
    "old connection": Wrong.LATE,
}
"""The problem that each sight of a device stands for; anything else is strange."""


LOST: Final = "lost"
EXCUSED: Final = "excused by a fault"
BEFORE: Final = 60.0
NEAR: Final = 3.0
AFTER: Final = 3.0
"""The messages that devices sent and got this long before and after a problem are shown, in seconds; those of other
devices if a message near it names their room."""
_ROOM: Final = re.compile("[0-9a-f]{32}")


class Tally:
    """Judges calls as they are settled."""

    def __init__(self, books: Books, faults: Sequence[Fault]) -> None:
        self._books = books
        self._faults = faults
        self.expected: Final = Expected(books, faults)
        """The required counts of the servers."""
        self._came_to: Final[dict[int, str]] = {}
        self._seen = 0
        self.lost: Final[list[str]] = []
        """A line each."""
        self.excused: Final[Counter[str]] = Counter()
        """Calls by the fault that excuses them."""
        self.sights: Final[Counter[str]] = Counter()
        """Other things that a fault excuses."""

    def judge(self, before: float, now: float, say: Say) -> None:
        """Judge all calls that nobody has been concerned with since ``before``, and report newly lost ones."""
        for _ in self.judging(before, now, say):
            pass

    def judging(self, before: float, now: float, say: Say) -> Iterator[None]:
        """The same, one after the other: that takes long when many are excused by a fault, and others wait."""
        known = len(self.lost)
        for attempt in self._books.settled(before):
            self._judge(attempt, now)
            yield
        while self._seen < len(self._books.sights):
            self._see(self._books.sights[self._seen])
            self._seen += 1
            yield
        for line in self.lost[known:]:
            say(f"LOST {line}")

    def _judge(self, attempt: Attempt, now: float) -> None:
        known = attempt.number in self._came_to
        self._find_out(attempt, now)
        if not known:
            self.expected.add(attempt, self._came_to[attempt.number] in (EXCUSED, LOST))

    def _find_out(self, attempt: Attempt, now: float) -> None:
        excuse: Fault | None = None
        for problem in problems(attempt, self._books, now):
            found = judge(problem, self._faults, self._books)
            if found is None:
                self._came_to[attempt.number] = LOST
                self.lost.append(f"call {attempt.number}: {describe(problem, self._books)}")
            excuse = excuse or found
        if self._came_to.get(attempt.number) == LOST:
            return
        if excuse is not None and attempt.number not in self._came_to:
            self.excused[excuse.kind.value] += 1
        self._came_to[attempt.number] = _came_to(attempt) if excuse is None else EXCUSED

    def _see(self, sight: Sight) -> None:
        wrong = SIGHTS.get(sight.kind, Wrong.STRANGE)
        problem = Problem(wrong, sight.since, sight.at, sight.bound, (sight.who, *sight.others), sight.what)
        excuse = judge(problem, self._faults, self._books)
        if excuse is None:
            self.lost.append(describe(problem, self._books))
        else:
            self.sights[f"{wrong.value}: {excuse.kind.value}"] += 1

    def counts(self) -> dict[str, object]:
        """The figures of the report."""
        sums = Counter(self._came_to.values())
        lines: dict[str, object] = {"calls started": self._books.placed, "calls completed": sums.pop("completed", 0)}
        excused, lost = sums.pop(EXCUSED, 0), sums.pop(LOST, 0)
        lines |= {f"calls not completed, {how}": count for how, count in sorted(sums.items())}
        lines["calls excused by a fault"] = excused
        lines |= {f"  {kind}": count for kind, count in sorted(self.excused.items())}
        lines |= {f"devices excused by a fault, {what}": count for what, count in sorted(self.sights.items())}
        lines["calls lost"] = lost
        lines["lost in all"] = len(self.lost)
        return lines


def _came_to(attempt: Attempt) -> str:
    """The outcome of a call without problems."""
    if attempt.answer is None:
        return attempt.withdrawal.how if attempt.withdrawal is not None else "never ended"
    if attempt.answer.kind == "call_success":
        return "completed"
    return f"{attempt.answer.kind} {attempt.answer.reason}"


def describe(problem: Problem, books: Books) -> str:
    """A line on a problem, with where its devices were."""
    since, until = problem.since - 1, problem.until
    where = ", ".join(f"{who.phone}/{who.device_id} at {sorted(books.nodes(who, since, until))}" for who in problem.who)
    line = f"{problem.wrong.value}: {problem.what} (since {problem.since:.2f} until {problem.until:.2f}; {where})"
    near = (note for who in problem.who for note in books.notes(who, problem.since - NEAR, problem.until + AFTER))
    rooms = dict.fromkeys(room for text in (problem.what, *near) for room in _ROOM.findall(text))
    named = (who for room in rooms for who in books.who_names(room))
    notes = [
        f"    {who.phone}/{who.device_id} {note}"
        for who in dict.fromkeys((*problem.who, *named))
        for note in books.notes(who, problem.since - BEFORE, problem.until + AFTER)
    ]
    return "\n".join((line, *notes))
