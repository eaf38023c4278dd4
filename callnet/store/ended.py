"""Ended calls of this process not yet in the history."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from callnet.calls.ports import Ended, IEndedCalls
from callnet.calls.records import Active, CallRecord, CallState, Over, S
from callnet.util.logger import Logger

KEPT_MAX: Final = 100_000
"""The maximum number of calls kept while the database is away, on each node and in Redis; the oldest are dropped."""

log = Logger()


class Dropped:
    """Counts dropped calls, and logs them once until no call waits any more."""

    def __init__(self) -> None:
        self.count = 0
        self._is_said = False

    def add(self, count: int) -> None:
        """Add to the count."""
        self.count += count
        if count and not self._is_said:
            self._is_said = True
            log.warn(
                "dropping the oldest ended calls from the history: more than {most} wait for the database",
                most=KEPT_MAX,
            )

    def none_wait(self) -> None:
        """Record that the database has caught up."""
        self._is_said = False


@implementer(IEndedCalls)
class EndedHere:
    """The ended calls of this node, in memory.

    :param date_of: see :meth:`callnet.calls.ports.ICallStore.date_of`.
    """

    def __init__(self, date_of: Callable[[float], float]) -> None:
        self._date_of = date_of
        self._calls: deque[CallRecord[Over]] = deque()
        self._taken = 0
        self._dropped = Dropped()

    @property
    def dropped(self) -> int:
        """See :attr:`IEndedCalls.dropped`."""
        return self._dropped.count

    def add(self, call: CallRecord[Over]) -> None:
        """Keep a call."""
        self._calls.append(call)
        if len(self._calls) > KEPT_MAX:
            self._calls.popleft()
            self._taken = max(self._taken - 1, 0)
            self._dropped.add(1)

    def take(self, most: int) -> Deferred[Sequence[Ended]]:
        """See :meth:`IEndedCalls.take`. There is only one taker."""
        zero = self._date_of(0.0)
        taken = [Ended(dated(call, zero)) for call in islice(self._calls, most)]
        self._taken = len(taken)
        return succeed(taken)

    def done(self, ended: Sequence[Ended]) -> Deferred[None]:  # noqa: ARG002
        """See :meth:`IEndedCalls.done`."""
        for _ in range(self._taken):
            self._calls.popleft()
        self._taken = 0
        if not self._calls:
            self._dropped.none_wait()
        return succeed(None)


def dated(call: CallRecord[S], zero: float) -> CallRecord[S]:
    """A call with its times in seconds since 1970.

    :param zero: the date at which the clock of its times shows 0.
    """
    state: CallState = call.state
    before = state.was if isinstance(state, Over) else state
    if isinstance(before, Active):
        before = replace(before, since=zero + before.since)
    now = replace(state, at=zero + state.at, was=before) if isinstance(state, Over) else before
    return replace(call, placed_at=zero + call.placed_at, state=now)
