"""The requests, messages and beliefs of the devices of a cluster, with their times: facts, no judgement.

All times are seconds on the monotonic clock of the harness. A node is named by its number.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from math import inf
from typing import Final, Literal

from msgspec import Struct, field

from acceptance.faults.bounds import GRACE, OLD_END, REMEMBERED
from harness.base_protocol import EVERY, Address

NOTES: Final = 120
"""The number of messages of each device that are remembered."""
UNKNOWN: Final = 0.1
"""A connection that its node lost so soon, in seconds, died with it before anybody was told of it."""


class Spell(Struct):
    """One connection of a device, or an attempt to get one."""

    node: int
    start: float
    end: float = inf
    code: int | None = None
    """The close code, if it was not the device that left."""


class Answer(Struct, frozen=True):
    """The answer that a caller got."""

    kind: Literal["call_success", "call_refuse", "call_failed"]
    reason: str
    at: float


class Withdrawal(Struct, frozen=True):
    """A caller gave its call up."""

    how: Literal["cancelled", "replaced", "away", "cut off", "ended"]
    """``away``: it was gone longer than the grace. ``cut off``: its connection broke with the call in it,
    and nothing was ever heard of it. ``ended``: the call was over before the caller heard that it began."""
    at: float


class Ring(Struct):
    """One ``called`` on one connection, until it stopped."""

    device: Address
    connection: int
    start: float
    end: float = inf
    how: str = ""
    """Its end: the action of the device, or ``told`` and the reason."""


class Part(Struct):
    """The period in which a device believed to be in a call."""

    start: float
    end: float = inf
    how: str = ""
    """Its end: ``hang up``, ``called another``, ``away``, ``undone`` (its accept never arrived), or ``told`` and the
    reason."""
    instead: Attempt | None = None
    """The call to another by which it ended."""

    def left_at(self) -> float:
        """When it could be known that it was over: a call that was cut off nobody has heard of."""
        withdrawal = None if self.instead is None else self.instead.withdrawal
        return self.end if withdrawal is None or withdrawal.how != "cut off" else withdrawal.at


class Attempt(Struct, eq=False):
    """A call that a device placed, and the rooms it came to."""

    number: int
    caller: Address
    target: Address
    at: float
    answer: Answer | None = None
    withdrawal: Withdrawal | None = None
    replaced_by: Attempt | None = None
    """The call that its caller placed instead."""
    stories: list[Story] = field(default_factory=list)

    def closed_at(self) -> float:
        """When its caller was no longer waiting."""
        ends = [part.at for part in (self.answer, self.withdrawal) if part is not None]
        return min(ends, default=inf)

    def may_ring_on(self) -> bool:
        """Tell whether its caller believes to have left it, and nobody has heard so (§2.4, step 1)."""
        instead = self.replaced_by
        return instead is not None and instead.withdrawal is not None and instead.withdrawal.how == "cut off"

    def has_failed(self) -> bool:
        """Tell whether its caller was told that it failed."""
        return self.answer is not None and self.answer.kind == "call_failed"

    def covers(self, device: Address) -> bool:
        """Tell whether this call may ring ``device``."""
        return self.target.phone == device.phone and self.target.device_id in (device.device_id, EVERY)

    def over_at(self) -> float:
        """When nobody was concerned with it any more."""
        return max(self.closed_at(), *(story.over_at() for story in self.stories), 0)


class Story(Struct, eq=False):
    """All that was seen of one room."""

    room: str
    caller: Address
    attempts: list[Attempt] = field(default_factory=list)
    """The call that it is, and a second one if two devices called each other."""
    rings: list[Ring] = field(default_factory=list)
    parts: dict[Address, list[Part]] = field(default_factory=dict)
    named: Address | None = None
    """The callee that ``call_success`` named to the caller."""

    def over_at(self) -> float:
        """When the last ring had stopped and the last party had left."""
        parts = [part.end for own in self.parts.values() for part in own]
        return max(0, *(ring.end for ring in self.rings), *parts, 0)


class Sight(Struct, frozen=True):
    """Something that must not be, seen by a device at once."""

    kind: str
    who: Address
    since: float
    at: float
    what: str
    bound: float
    others: tuple[Address, ...]


class Books:
    """The books of the whole fleet."""

    def __init__(self) -> None:
        self.spells: Final[defaultdict[Address, list[Spell]]] = defaultdict(list)
        self.attempts: Final[list[Attempt]] = []
        """Those that are not settled yet (see :meth:`settled`)."""
        self.stories: Final[dict[str, Story]] = {}
        self.sights: Final[list[Sight]] = []
        self.placed = 0
        self._notes: Final[defaultdict[Address, deque[tuple[float, str]]]] = defaultdict(lambda: deque(maxlen=NOTES))
        self._last: dict[tuple[Address, str], Attempt] = {}
        self._engaged: Final[defaultdict[Address, dict[Attempt, None]]] = defaultdict(dict)

    # Recording

    def place(self, caller: Address, target: Address, at: float) -> Attempt:
        """``caller`` sends a call."""
        self.placed += 1
        attempt = Attempt(self.placed, caller, target, at)
        self.attempts.append(attempt)
        self._last[caller, target.phone] = attempt
        self._engaged[caller][attempt] = None
        return attempt

    def rung(self, device: Address, caller: Address, room: str, connection: int, at: float) -> Ring | None:
        """``device`` is rung. Returns ``None`` if no call of ``caller`` can be the cause."""
        story = self._story(room, caller, device)
        if story is None:
            return None
        ring = Ring(device, connection, at)
        story.rings.append(ring)
        for attempt in story.attempts:
            self._engaged[device][attempt] = None
        return ring

    def succeeded(self, attempt: Attempt, named: Address, room: str, at: float) -> None:
        """The caller is told that ``named`` accepted."""
        attempt.answer = Answer("call_success", "", at)
        story = self.stories.get(room)
        if story is None:
            story = self.stories[room] = Story(room, attempt.caller)
        if story not in attempt.stories:
            self._link(attempt, story)
        if story.caller == attempt.caller:
            story.named = named

    def joined(self, device: Address, room: str, at: float) -> Part | None:
        """``device`` believes to be in the call of ``room`` from now on."""
        story = self.stories.get(room)
        if story is None:
            return None
        part = Part(at)
        story.parts.setdefault(device, []).append(part)
        return part

    def seen(
        self,
        kind: str,
        who: Address,
        at: float,
        what: str,
        *,
        since: float | None = None,
        bound: float = 0.0,
        others: tuple[Address, ...] = (),
    ) -> None:
        """Something that must not be.

        :param since: how long its cause may lie back.
        :param bound: for how long after that it would have been in order.
        :param others: who else had to do with it.
        """
        self.sights.append(Sight(kind, who, at if since is None else since, at, what, bound, others))

    def unheard(self, who: Address, other: Address, at: float, what: str) -> None:
        """``who`` is told the end of an unknown call with ``other``.

        Only the node where it was placed may have known of it, and was the last to be in touch again. So the cause may
        lie as far back as that, if it is not so long ago that the call must be another one. It may be ``who`` that
        placed it: a caller hears of no room before its call is answered, and may have left it by then.
        """
        placed = ((self._last.get((other, who.phone)), who), (self._last.get((who, other.phone)), other))
        since = min((call.at for call, callee in placed if call is not None and _may_be(call, callee, at)), default=at)
        self.seen("unheard", who, at, what, since=since, bound=at - since, others=(other,))

    def note(self, who: Address, at: float, what: str) -> None:
        """Remember a message, should it turn out to be wrong later."""
        self._notes[who].append((at, what))

    def notes(self, who: Address, since: float, until: float) -> list[str]:
        """The messages that a device sent and got in between, as far as they are remembered."""
        return [f"{at:.2f} {what}" for at, what in self._notes[who] if since <= at <= until]

    def who_names(self, room: str) -> list[Address]:
        """The devices that recently sent or got a message about a room."""
        return [who for who, notes in self._notes.items() if any(room in what for _, what in notes)]

    def _story(self, room: str, caller: Address, device: Address) -> Story | None:
        story = self.stories.get(room)
        if story is not None:
            return story
        attempt = self._last.get((caller, device.phone))
        if attempt is None or not attempt.covers(device):
            return None
        story = self.stories[room] = Story(room, caller)
        self._link(attempt, story)
        if attempt not in self.attempts:
            self.attempts.append(attempt)  # it had been settled, and is not over after all
        return story

    def _link(self, attempt: Attempt, story: Story) -> None:
        attempt.stories.append(story)
        story.attempts.append(attempt)

    # Questions of a judge

    def nodes(self, device: Address, since: float, until: float) -> frozenset[int]:
        """The nodes that ``device`` was at, or tried, at some time in between."""
        return frozenset(spell.node for spell in self.spells[device] if spell.start <= until and spell.end >= since)

    def waiting(self, device: Address, at: float) -> int | None:
        """The node that waits for ``device``, which has no connection: the last one, for the grace."""
        before = [spell for spell in self.spells[device] if spell.start <= at]
        return before[-1].node if before and before[-1].end <= at < before[-1].end + GRACE else None

    def away(self, device: Address, since: float, until: float) -> float:
        """The longest time in between without a connection of ``device`` that others may see, in seconds."""
        latest, longest = since, 0.0
        for spell in self._connections(device):
            if spell.end < since or (spell.code is not None and spell.end - spell.start < UNKNOWN):
                continue
            if spell.start > until:
                break
            longest = max(longest, spell.start - latest)
            latest = max(latest, spell.end)
        return max(longest, until - latest)

    def just_back(self, device: Address, since: float, until: float) -> float:
        """For how long in between ``device`` had connected so recently that it is not told of an old end yet."""
        spells = [spell for spell in self._connections(device) if since <= spell.start < until]
        return sum(min(spell.end, until, spell.start + OLD_END) - spell.start for spell in spells)

    def changes(self, device: Address, since: float, until: float) -> bool:
        """Tell whether ``device`` came or went in between."""
        return any(since <= at <= until for spell in self._connections(device) for at in (spell.start, spell.end))

    def _connections(self, device: Address) -> Iterator[Spell]:
        return (spell for spell in self.spells[device] if spell.end > spell.start)

    def engaged(self, device: Address, since: float, until: float, apart_from: Attempt) -> bool:
        """Tell whether ``device`` called, was called or was in a call at some time in between.

        A call rings from its placing on (§2.4), though it may be over before the device hears of it.
        """
        may_ring = [attempt for attempt in self.attempts if attempt.covers(device) and not attempt.has_failed()]
        for attempt in (*may_ring, *self._engaged[device]):
            if attempt is apart_from:
                continue
            if attempt.at <= until and attempt.over_at() >= since:
                return True
        return False

    def covered(self, attempt: Attempt) -> list[Address]:
        """The devices that a call may ring."""
        return [device for device in self.spells if attempt.covers(device)]

    def settled(self, before: float) -> Iterator[Attempt]:
        """Take out of the books every call that nobody has been concerned with since ``before``."""
        for attempt in list(self.attempts):
            if attempt.over_at() < before:
                self.attempts.remove(attempt)
                if not attempt.has_failed():
                    for device in self.covered(attempt):
                        self._engaged[device][attempt] = None
                for story in attempt.stories:
                    self.stories.pop(story.room, None)
                yield attempt
        for calls in self._engaged.values():
            for attempt in [one for one in calls if one.over_at() < before - REMEMBERED]:
                del calls[attempt]


def _may_be(call: Attempt, callee: Address, at: float) -> bool:
    """Tell whether its caller or ``callee`` can have been told of this call."""
    return call.covers(callee) and at - REMEMBERED <= call.at < at
