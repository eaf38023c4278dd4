"""The actions and observations of a fleet of devices, and their violations of the protocol."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from msgspec import Struct, field

from harness.base_protocol import Address


class Story(Struct):
    """All that was seen of one room."""

    callers: set[Address] = field(default_factory=set)
    """The callers that ``called`` frames named."""
    rung: set[Address] = field(default_factory=set)
    accepted: set[Address] = field(default_factory=set)
    """The senders of ``called_success``."""
    successes: set[tuple[Address, Address]] = field(default_factory=set)
    """The receivers of ``call_success``, and the peers that it named."""


class Ledger:
    """The books of the whole fleet."""

    def __init__(self) -> None:
        self.counts: Final[Counter[str]] = Counter()
        self.violations: Final[list[str]] = []
        self.stories: Final[defaultdict[str, Story]] = defaultdict(Story)
        self.called_phones: Final[defaultdict[Address, set[str]]] = defaultdict(set)
        """The phones that each device has ever called."""

    def violated(self, who: Address, what: str, history: list[str]) -> None:
        """Note a violation, with its history."""
        self.violations.append(f"{who.phone}/{who.device_id}: {what}; before that: {' | '.join(history)}")

    def disagreements(self) -> list[str]:
        """Rooms whose parties were told different stories."""
        return [f"room {room}: {wrong}" for room, story in self.stories.items() for wrong in self._wrong(story)]

    def _wrong(self, story: Story) -> list[str]:
        if len(story.callers) > 1:
            return [f"rang for several callers: {story.callers}"]
        if not story.callers:
            return [f"was given to {story.successes} and never rang"] if story.successes else []
        (caller,) = story.callers
        to_caller = {named for told, named in story.successes if told == caller}
        wrong = []
        if len(to_caller) > 1:
            wrong.append(f"the caller was given several callees: {to_caller}")
        for told, named in story.successes:
            callee = named if told == caller else told
            if told != caller and named != caller:
                wrong.append(f"{told} was given {named}, and neither is the caller")
            if callee not in story.accepted and caller.phone not in self.called_phones[callee]:
                wrong.append(f"{callee} is said to have accepted, and has not")
            if to_caller and callee not in to_caller:
                wrong.append(f"{callee} was let in, the caller was given {to_caller}")
        return wrong
