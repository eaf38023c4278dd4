"""Ended calls that have not been written yet: those of this process, and those of all nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, cast

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from callnet.cluster.dates import dated
from callnet.cluster.member import Member
from callnet.errors import Unavailable
from callnet.interfaces import Ended, IEndedCalls
from callnet.logger import Logger
from callnet.records import CallRecord, Changes, Over

KEPT_MAX: Final = 100_000
"""So many calls are kept while they cannot be written down, on each node and in Redis; then the oldest are dropped."""

log = Logger()


class _Dropped:
    """Counts calls that were dropped, and says so once until no call waits any more."""

    def __init__(self) -> None:
        self.count = 0
        self._is_said = False

    def add(self, count: int) -> None:
        """Count some."""
        self.count += count
        if count and not self._is_said:
            self._is_said = True
            log.warn(
                "dropping the oldest ended calls from the history: more than {most} wait for the database",
                most=KEPT_MAX,
            )

    def none_wait(self) -> None:
        """Take note that the database has caught up."""
        self._is_said = False


@implementer(IEndedCalls)
class EndedHere:
    """Those that ended on this node, in memory.

    :param date_of: see :meth:`callnet.interfaces.ICallStore.date_of`.
    """

    def __init__(self, date_of: Callable[[float], float]) -> None:
        self._date_of = date_of
        self._calls: deque[CallRecord[Over]] = deque()
        self._taken = 0
        self._dropped = _Dropped()

    @property
    def dropped(self) -> int:
        """See :attr:`IEndedCalls.dropped`."""
        return self._dropped.count

    def committed(self, changes: Changes) -> None:
        """Keep the calls that are over."""
        for call in changes.calls:
            if isinstance(call.state, Over):
                self.add(cast("CallRecord[Over]", call))

    def add(self, call: CallRecord[Over]) -> None:
        """Keep a call."""
        self._calls.append(call)
        if len(self._calls) > KEPT_MAX:
            self._calls.popleft()
            self._taken = max(self._taken - 1, 0)
            self._dropped.add(1)

    def take(self, most: int) -> Deferred[Sequence[Ended]]:
        """See :meth:`IEndedCalls.take`. There is one who takes."""
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


@implementer(IEndedCalls)
class EndedAnywhere:
    """Those of all nodes, in Redis, and those that this node could not put there."""

    def __init__(self, member: Member, here: EndedHere) -> None:
        self._member = member
        self._here = here
        self._dropped = _Dropped()

    @property
    def dropped(self) -> int:
        """See :attr:`IEndedCalls.dropped`. Each that Redis drops is counted by the node that had it done."""
        return self._here.dropped + self._dropped.count

    def take(self, most: int) -> Deferred[Sequence[Ended]]:
        """See :meth:`IEndedCalls.take`."""
        return Deferred.fromCoroutine(self._take(most))

    async def _take(self, most: int) -> Sequence[Ended]:
        here = await self._here.take(most)
        if not self._member.joined or len(here) == most:
            return here
        try:
            dropped, elsewhere = await self._member.questions.take_ended(most - len(here), KEPT_MAX)
        except Unavailable:
            return here
        if dropped or len(here) + len(elsewhere) == most:
            self._dropped.add(dropped)
        else:
            self._dropped.none_wait()
        return [*here, *elsewhere]

    def done(self, ended: Sequence[Ended]) -> Deferred[None]:
        """See :meth:`IEndedCalls.done`."""
        return Deferred.fromCoroutine(self._done(ended))

    async def _done(self, ended: Sequence[Ended]) -> None:
        await self._here.done(ended)
        keys = [one.key for one in ended if one.key]
        if keys:
            await self._member.questions.done_with(keys)
