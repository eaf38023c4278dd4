"""The problems of a call, read off the books: every problem, whether a fault excuses it or not.

A problem says since when the cause must have been, until when it lasted, and for how long it would have
been in order. Who is to blame is asked later (:mod:`acceptance.faults.excuses`).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from math import inf
from typing import Final

from msgspec import Struct

from acceptance.faults.books import Answer, Attempt, Books, Part, Story
from acceptance.faults.bounds import CLEARLY_AWAY, GRACE, LOST_WITH_NODE, RING_TIME, SLACK, TOLD, UNAVAILABLE
from harness.base_protocol import Address

MARGIN: Final = 1.0
"""The time by which two devices' views of one event may differ."""
OWN_DOING: Final = frozenset({"hang up", "called another", "away", "undone"})
"""Ends of a part in a call that need no other cause."""


class Wrong(StrEnum):
    """The possible problems of a call."""

    FAILED = "failed without a cause"
    UNANSWERED = "was not answered in time"
    CUT = "was never heard of again"
    LATE = "was told late"
    LOST_LATE = "was told late that the peer is lost with its node"
    ENDED = "ended without a cause"
    GHOST = "went on when it was over"
    TWICE = "rang twice on one connection"
    DISCONNECTED = "lost its connection"
    TURNED_AWAY = "could not stay where it had just connected"
    SLOW = "was told late that the others are out of reach"
    UNHEARD = "was told of the end of a call that it never heard of"
    REPEATED = "was told the same again"
    TWO_ENDS = "was told that its call failed, after it had been told otherwise"
    GIVEN_LATE = "was given a call that it had been told had failed"
    PAGE = "had a page that was told late"
    STRANGE = "was told something strange"


class Problem(Struct, frozen=True):
    """Something that went wrong."""

    wrong: Wrong
    since: float
    until: float
    bound: float
    """Up to so long after ``since`` it would have been in order."""
    who: tuple[Address, ...]
    """The caller first, if it is a call."""
    what: str
    settled: float = inf
    """The time at which all parties of an active call knew of it."""
    left: bool = False
    """Its caller left the node that it had called at before the answer came."""
    placed: float = -inf
    """When its caller placed it."""


def problems(attempt: Attempt, books: Books, now: float) -> Iterator[Problem]:
    """All problems of one call. ``now``: the end of the books' time."""
    yield from _answer(attempt, books, now)
    for story in attempt.stories:
        if story.caller == attempt.caller:  # the caller of a glare's other half tells of the same story
            yield from _rings(attempt, story, now)
            yield from _parties(attempt, story, books, now)


def parties(attempt: Attempt, books: Books) -> tuple[Address, ...]:
    """Every device that has to do with a call."""
    found = [attempt.caller, *books.covered(attempt)]
    for story in attempt.stories:
        found += [ring.device for ring in story.rings]
        found += story.parts
    return tuple(dict.fromkeys(found))


# The answer


def _answer(attempt: Attempt, books: Books, now: float) -> Iterator[Problem]:
    who = parties(attempt, books)
    answer, withdrawal = attempt.answer, attempt.withdrawal
    closed = min(attempt.closed_at(), now)
    if withdrawal is not None and withdrawal.how == "cut off":
        yield Problem(Wrong.CUT, attempt.at, closed, MARGIN, who, "the call was sent, and nothing came of it")
    elif closed - attempt.at > RING_TIME + TOLD:
        what = f"after {closed - attempt.at:.1f} s"
        left = books.changes(attempt.caller, attempt.at, closed)
        yield Problem(Wrong.UNANSWERED, attempt.at, closed, RING_TIME + TOLD, who, what, left=left, placed=attempt.at)
    if answer is None:
        return
    if answer.kind == "call_success":
        yield from _success(attempt, answer, who)
    elif answer.kind == "call_refuse":
        if not any(ring.how in _REFUSING for story in attempt.stories for ring in story.rings):
            yield _failure(attempt, answer, who, "refused, and nobody refused")
    else:
        yield from _failed(attempt, answer, books, who)


_REFUSING: Final = frozenset({"refused", "hung up", "called another"})


def _success(attempt: Attempt, answer: Answer, who: tuple[Address, ...]) -> Iterator[Problem]:
    for story in attempt.stories:
        others = {device for device in story.parts if device != attempt.caller}
        others |= {ring.device for ring in story.rings if ring.how == "accepted"}  # by calling, and giving that up
        accepted = story.named in others or story.caller != attempt.caller
        if story.named is not None and not accepted:
            yield Problem(
                Wrong.GHOST, attempt.at, answer.at, 0, who, f"{story.named} is said to have accepted, and has not"
            )


def _failed(attempt: Attempt, answer: Answer, books: Books, who: tuple[Address, ...]) -> Iterator[Problem]:
    since, until = attempt.at - MARGIN, answer.at + MARGIN
    reason, target = answer.reason, attempt.target
    rings = [ring for story in attempt.stories for ring in story.rings]
    targets = books.covered(attempt) or [target]
    waited, stayed = answer.at - attempt.at, not books.changes(attempt.caller, attempt.at, answer.at)
    if reason == "unavailable" and not rings and stayed and waited > UNAVAILABLE:
        yield Problem(Wrong.SLOW, attempt.at, answer.at, UNAVAILABLE, who, f"after {waited:.1f} s")
    excused = {
        "busy": any(books.engaged(device, since, until, attempt) for device in targets),
        "offline": any(books.changes(device, since, until) or books.away(device, since, until) for device in targets),
        "no_answer": bool(rings) or all(books.changes(device, since, until) for device in targets),
    }
    if not excused.get(reason, False):
        yield _failure(attempt, answer, who, f"failed: {reason}")
    elif reason == "no_answer" and any(ring.how == "accepted" and ring.end < answer.at - TOLD for ring in rings):
        yield _failure(attempt, answer, who, "was accepted, and failed: no_answer")


def _failure(attempt: Attempt, answer: Answer, who: tuple[Address, ...], what: str) -> Problem:
    return Problem(Wrong.FAILED, attempt.at, answer.at, answer.at - attempt.at, who, what)


# Those who are rung


def _rings(attempt: Attempt, story: Story, now: float) -> Iterator[Problem]:
    closed = attempt.closed_at()
    if attempt.may_ring_on():
        closed = max(closed, attempt.at + RING_TIME)
    stopped = closed if attempt.answer is None or attempt.answer.kind != "call_success" else inf
    if attempt.withdrawal is not None and attempt.withdrawal.how == "away":
        stopped = min(stopped, attempt.withdrawal.at)
    seen: set[tuple[Address, int]] = set()
    for ring in story.rings:
        who = (attempt.caller, ring.device)
        end = min(ring.end, now)
        if (ring.device, ring.connection) in seen:
            yield Problem(Wrong.TWICE, ring.start, ring.start, 0, who, story.room)
        seen.add((ring.device, ring.connection))
        if ring.start > stopped + TOLD and (end - ring.start > MARGIN or ring.how == "accepted"):
            what = f"rang {ring.start - stopped:.1f} s after its end, {ring.how}"
            yield Problem(Wrong.GHOST, stopped, ring.start, TOLD, who, what)
            continue
        since = max(ring.start, min(stopped, attempt.at + RING_TIME))
        if end - since > TOLD:
            what = f"rang on for {end - since:.1f} s, {ring.how}"
            yield Problem(Wrong.LATE, since, end, TOLD, who, what, placed=attempt.at)


# Those who talk


def _parties(attempt: Attempt, story: Story, books: Books, now: float) -> Iterator[Problem]:
    callers = [part for part in story.parts.get(attempt.caller, ()) if part.how != "undone"]
    for device, parts in story.parts.items():
        if device == attempt.caller:
            continue
        for part in parts:
            who = (attempt.caller, device)
            winner = part is parts[-1] and (story.named in (device, None))
            if part.how == "undone" or not winner or not callers:
                yield from _alone(attempt, who, part, now)
            else:
                yield from _both(who, callers[-1], part, books, now)
    if callers and not any(device != attempt.caller for device in story.parts):
        yield from _alone(attempt, (attempt.caller,), callers[-1], now)


def _alone(attempt: Attempt, who: tuple[Address, ...], part: Part, now: float) -> Iterator[Problem]:
    """A device believed to be in a call that nobody else was in: it accepted too late, or was not heard."""
    since = part.start
    if attempt.withdrawal is not None:
        since = max(since, attempt.withdrawal.at)
    end = min(part.end, now)
    if end - since > TOLD:
        yield Problem(Wrong.LATE, since, end, TOLD, who, f"was alone in a call for {end - since:.1f} s, {part.how}")


def _both(who: tuple[Address, ...], one: Part, other: Part, books: Books, now: float) -> Iterator[Problem]:
    began = (one.start, other.start)
    settled = max(began)
    if settled - min(began) > TOLD:
        yield Problem(Wrong.LATE, min(began), settled, TOLD, who, f"the accept took {settled - min(began):.1f} s")
    ends = (min(one.left_at(), now), min(other.left_at(), now))
    first, last = min(ends), max(ends)
    earlier, later = (one, other) if ends[0] <= ends[1] else (other, one)
    if later.how == "away":
        last = max(first, last - GRACE)  # it had no connection since then
    elif last > first:
        device = who[0] if later is one else who[1]
        last -= books.away(device, first, last) + books.just_back(device, first, last)  # nor could it be told meanwhile
    leaver = who[0] if earlier is one else who[1]
    if last - first > TOLD:
        yield Problem(Wrong.LATE, first, last, TOLD, who, f"the end ({earlier.how}) took {last - first:.1f} s", settled)
    if earlier.how == "away" and last - first > LOST_WITH_NODE - GRACE + SLACK:
        yield Problem(Wrong.LOST_LATE, first - GRACE, last, LOST_WITH_NODE + SLACK, who, f"{leaver} is gone", settled)
    if earlier.how.startswith("told") and not _has_cause(who, one, other, books, first):
        what = f"{earlier.how} {first - settled:.1f} s after it began"
        yield Problem(Wrong.ENDED, first, first, 0, who, what, settled)


def _has_cause(who: tuple[Address, ...], one: Part, other: Part, books: Books, at: float) -> bool:
    """Tell whether a party left at about the time ``at`` at which the first was told that the call is over."""
    for device, part in zip(who, (one, other), strict=True):
        if part.how in OWN_DOING and part.end <= at + MARGIN:
            return True
        if books.away(device, at - 3 * GRACE, at) > CLEARLY_AWAY:
            return True
    return False
