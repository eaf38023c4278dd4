"""Calls as the devices of a fault run would write them down."""

from __future__ import annotations

from typing import Final

from acceptance.faults.audit import Problem, problems
from acceptance.faults.books import Answer, Attempt, Books, Part, Ring, Spell
from harness.base_protocol import Address

ANNE: Final = Address("13800000001", "tv")
BERT: Final = Address("13800000002", "phone")
CARL: Final = Address("13800000003", "tablet")
ROOM: Final = "0123456789abcdef0123456789abcdef"
END: Final = 1000.0
"""When the books are closed."""


class Writer:
    """Writes books. Anne is at node 0, Bert at node 1, Carl at node 2, from the beginning."""

    def __init__(self) -> None:
        self.books: Final = Books()
        for node, device in enumerate((ANNE, BERT, CARL)):
            self.books.spells[device].append(Spell(node, 0.0))

    def gone(self, device: Address, since: float, until: float | None = None, node: int = 2) -> None:
        """A device has no connection; when it comes back, then at ``node``."""
        self.books.spells[device][-1].end = since
        if until is not None:
            self.books.spells[device].append(Spell(node, until))

    def call(self, at: float, to: Address = BERT) -> Attempt:
        """Anne calls."""
        return self.books.place(ANNE, to, at)

    def ring(self, at: float, end: float = END, how: str = "told cancelled", room: str = ROOM) -> Ring:
        """Bert is rung by Anne's call."""
        ring = self.books.rung(BERT, ANNE, room, 1, at)
        if ring is None:
            raise LookupError("Anne has called nobody")
        ring.end, ring.how = end, how
        return ring

    def part(self, device: Address, start: float, end: float, how: str) -> Part:
        """A device believes to be in the call."""
        part = self.books.joined(device, ROOM, start)
        if part is None:
            raise LookupError("there is no such room")
        part.end, part.how = end, how
        return part

    def talk(self, at: float, until: float, anne: str = "hang up", bert: str = "told hangup") -> Attempt:
        """Anne calls, Bert accepts after a second, and both believe to be in the call until then."""
        attempt = self.call(at)
        self.ring(at, at + 1, "accepted")
        self.part(BERT, at + 1, until, bert)
        self.books.succeeded(attempt, BERT, ROOM, at + 1)
        self.part(ANNE, at + 1, until, anne)
        return attempt

    def failed(self, at: float, reason: str, after: float = 0.1) -> Attempt:
        """Anne calls Bert, and is told that it failed."""
        attempt = self.call(at)
        attempt.answer = Answer("call_failed", reason, at + after)
        return attempt

    def problems(self, attempt: Attempt) -> list[Problem]:
        """The problems of a call."""
        return list(problems(attempt, self.books, END))
