"""The injector's faults, and the problems that each kind excuses: of its own node, link or Redis, in its window.

Everything that no fault excuses is lost. So is whoever is stuck for too long after the last fault that concerns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import inf
from typing import Final

from msgspec import Struct

from acceptance.faults.audit import Problem, Wrong
from acceptance.faults.books import Books
from acceptance.faults.bounds import ANNOUNCED, COMMAND, GRACE, QUIET, RING_TIME, SLACK, STUCK, TOLD

SEVERING: Final = GRACE - 0.3
"""A node out of reach for longer may be dead to the others: its devices are gone since its last sign of life."""
JUST_BEFORE: Final = COMMAND + 0.5
"""Writes this shortly before a loss may be lost: they may not have been carried out yet."""


class Kind(StrEnum):
    """The faults."""

    NODE_KILLED = "node killed"
    NODE_STOPPED_SHORT = "node stopped, shorter than its lease"
    NODE_STOPPED_LONG = "node stopped, longer than its lease"
    REDIS_KILLED = "Redis killed, back empty"
    REDIS_STOPPED = "Redis stopped"
    REDIS_FLUSHED = "Redis emptied"
    REDIS_CUT_OFF = "Redis out of everyone's reach"
    LINK_CUT_SHORT = "link cut, shorter than the lease"
    LINK_CUT_LONG = "link cut, longer than the lease"
    LINK_CUT_LONGER = "link cut, longer than lease and grace"
    LINK_FROZEN = "link frozen"
    SUBSCRIBER_CUT = "subscriber's link cut"
    SUBSCRIBERS_KILLED = "subscribers killed"
    FAILOVER = "failover to a replica that lacks the last writes"


REDIS: Final = frozenset({Kind.REDIS_KILLED, Kind.REDIS_STOPPED, Kind.REDIS_FLUSHED, Kind.REDIS_CUT_OFF, Kind.FAILOVER})
LOSING: Final = frozenset({Kind.REDIS_KILLED, Kind.REDIS_FLUSHED, Kind.FAILOVER})
"""After these Redis has forgotten something."""
STOPPED: Final = frozenset({Kind.NODE_STOPPED_SHORT, Kind.NODE_STOPPED_LONG})
CUT: Final = frozenset({Kind.LINK_CUT_SHORT, Kind.LINK_CUT_LONG, Kind.LINK_CUT_LONGER, Kind.LINK_FROZEN})
EVERY_KIND: Final = frozenset(Kind)

RECOVERY: Final = {
    Kind.NODE_KILLED: GRACE + 5.0,
    Kind.NODE_STOPPED_SHORT: TOLD,
    Kind.NODE_STOPPED_LONG: ANNOUNCED,
    Kind.REDIS_KILLED: ANNOUNCED + QUIET,
    Kind.REDIS_STOPPED: ANNOUNCED,
    Kind.REDIS_FLUSHED: ANNOUNCED + QUIET,
    Kind.REDIS_CUT_OFF: ANNOUNCED,
    Kind.LINK_CUT_SHORT: ANNOUNCED,
    Kind.LINK_CUT_LONG: ANNOUNCED,
    Kind.LINK_CUT_LONGER: ANNOUNCED,
    Kind.LINK_FROZEN: ANNOUNCED,
    Kind.SUBSCRIBER_CUT: TOLD,
    Kind.SUBSCRIBERS_KILLED: TOLD,
    Kind.FAILOVER: ANNOUNCED + QUIET,
}
"""For so long after a fault has ended its consequences may be seen."""

EXCUSES: Final = {
    Wrong.FAILED: EVERY_KIND,
    Wrong.UNANSWERED: EVERY_KIND,
    Wrong.LATE: EVERY_KIND,
    Wrong.LOST_LATE: EVERY_KIND - {Kind.NODE_KILLED},
    Wrong.CUT: STOPPED | CUT | REDIS | {Kind.NODE_KILLED},
    Wrong.ENDED: EVERY_KIND - {Kind.SUBSCRIBERS_KILLED, Kind.SUBSCRIBER_CUT},
    Wrong.GHOST: LOSING | CUT | STOPPED | {Kind.REDIS_CUT_OFF},
    Wrong.DISCONNECTED: STOPPED | {Kind.NODE_KILLED},
    Wrong.TURNED_AWAY: EVERY_KIND,
    Wrong.UNHEARD: EVERY_KIND,
    Wrong.REPEATED: EVERY_KIND,
    Wrong.TWO_ENDS: STOPPED | CUT | REDIS,
    # Its node could not hear of the answer, and then the device moved to one that had.
    Wrong.GIVEN_LATE: STOPPED | CUT,
    Wrong.PAGE: EVERY_KIND,
    Wrong.SLOW: STOPPED,
    Wrong.TWICE: frozenset(),
    Wrong.STRANGE: frozenset(),
}
LASTING: Final = frozenset({Wrong.UNANSWERED, Wrong.LATE, Wrong.PAGE})
"""Nobody may be in such a state when the consequences of every fault must be over, or :data:`STUCK` is."""


class Fault(Struct):
    """Something that the injector did."""

    kind: Kind
    node: int | None
    """Which node it hit; ``None``: all of them."""
    start: float
    end: float = inf
    unsettled_from: float = inf
    """Writes since then may be lost; with a fault that loses nothing, never."""

    def over(self) -> float:
        """When its consequences must be over."""
        return self.end + RECOVERY[self.kind]

    def severs(self) -> bool:
        """Tell whether it made the others end the calls of the node that it hit."""
        return self.kind in STOPPED | CUT and self.end - self.start > SEVERING


def judge(problem: Problem, faults: Sequence[Fault], books: Books) -> Fault | None:
    """The fault that excuses ``problem``; ``None``: it is lost."""
    # Most faults of a long run are long over: asking where everyone was then makes the harness late.
    near = [fault for fault in faults if fault.end + STUCK >= problem.since and _hit(fault, problem, faults, books)]
    if problem.wrong in LASTING and problem.until > _last_moment(problem, near, books):
        return None
    for fault in near:
        explains = _ended(problem, fault, books) and _unheard(problem, fault, books)
        if fault.kind in EXCUSES[problem.wrong] and _in_window(problem, fault) and explains:
            return fault
    return None


def _hit(fault: Fault, problem: Problem, faults: Iterable[Fault], books: Books) -> bool:
    """Tell whether ``fault`` hit a node that a party was at when it began, came to, or had just left for nowhere."""
    if fault.node is None:
        return True
    since = min(fault.start, problem.since) - JUST_BEFORE
    left = [since] + [
        # A device that leaves a node that stands still has left it, as far as it knows, when the node goes on.
        stop.start
        for stop in faults
        if stop.kind in STOPPED and stop.node == fault.node and stop.start < since <= stop.end
    ]
    return any(
        fault.node in books.nodes(who, min(left), problem.until) or fault.node == books.waiting(who, fault.start)
        for who in problem.who
    )


def _last_moment(problem: Problem, faults: Sequence[Fault], books: Books) -> float:
    """When everybody must have been told, after the last fault that concerns a problem."""
    moments = [
        min(fault.end, problem.until) + _takes(problem, fault, books) for fault in faults if fault.start < problem.until
    ]
    return max([problem.since + problem.bound, *moments])


def _takes(problem: Problem, fault: Fault, books: Books) -> float:
    """The time after ``fault`` within which everybody must have been told, in seconds."""
    if fault.kind in LOSING or problem.left:
        return STUCK  # another node cannot report an unrecorded call
    usual = RECOVERY[fault.kind] + SLACK
    if fault.kind in STOPPED and fault.start <= problem.placed <= fault.end:
        # A frame to a node that stands still is handled when it goes on: the call rings from then on.
        stood_still = fault.node in books.nodes(problem.who[0], problem.placed, problem.placed)
        return max(usual, RING_TIME + TOLD) if stood_still else usual
    return usual


def _in_window(problem: Problem, fault: Fault) -> bool:
    """Tell whether the cause of ``problem`` may lie in the window of ``fault``."""
    start = min(fault.start, fault.unsettled_from)
    return start - 0.2 <= problem.since + problem.bound and fault.over() >= problem.since


def _unheard(problem: Problem, fault: Fault, books: Books) -> bool:
    """Tell whether ``fault`` may have kept a caller from being heard who gave its call up.

    A node that stands still hears of it when it goes on, and nobody else does.
    """
    if problem.wrong is not Wrong.GHOST or fault.kind not in STOPPED:
        return True
    caller = problem.who[0]
    return fault.start <= problem.since <= fault.end and fault.node in books.nodes(caller, problem.since, problem.since)


def _ended(problem: Problem, fault: Fault, books: Books) -> bool:
    """Tell whether ``fault`` may have ended an active call: facts known to both nodes survive nearly everything.

    It does not survive when its node is out of reach for longer than lease and grace, or when a party
    moves while nobody can be told of it.
    """
    if problem.wrong is not Wrong.ENDED:
        return True
    if fault.severs():
        return True
    if problem.settled >= min(fault.start, fault.unsettled_from) - JUST_BEFORE:
        return True
    moved = any(books.changes(who, fault.start - SLACK, fault.over()) for who in problem.who)
    return moved and fault.kind in REDIS | CUT
