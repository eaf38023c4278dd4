"""Calls that are over and have not been written down yet: those of this process, and those of all nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from callnet.cluster.member import Member
from callnet.errors import Unavailable
from callnet.interfaces import Ended, IEndedCalls
from callnet.logger import Logger
from callnet.records import CallRecord, CallState, Changes

KEPT_MAX: Final = 100_000
"""So many calls are kept while they cannot be written down; then the oldest are lost."""

log = Logger()


@implementer(IEndedCalls)
class EndedHere:
    """Those that ended on this node, in memory."""

    def __init__(self) -> None:
        self._calls: deque[CallRecord] = deque()
        self._taken = 0
        self._is_losing = False

    def committed(self, changes: Changes) -> None:
        """Keep the calls that are over."""
        for call in changes.calls:
            if call.state is CallState.OVER:
                self.add(call)

    def add(self, call: CallRecord) -> None:
        """Keep a call."""
        self._calls.append(call)
        if len(self._calls) > KEPT_MAX:
            self._calls.popleft()
            self._taken = max(self._taken - 1, 0)
            if not self._is_losing:
                log.warn("ended calls cannot be written down for too long: the oldest are lost to the history")
            self._is_losing = True

    def take(self, most: int) -> Deferred[Sequence[Ended]]:
        """See :meth:`IEndedCalls.take`. There is one who takes."""
        taken = [Ended(call) for call in islice(self._calls, most)]
        self._taken = len(taken)
        return succeed(taken)

    def done(self, ended: Sequence[Ended]) -> Deferred[None]:  # noqa: ARG002
        """See :meth:`IEndedCalls.done`."""
        for _ in range(self._taken):
            self._calls.popleft()
        self._taken = 0
        self._is_losing = False
        return succeed(None)


@implementer(IEndedCalls)
class EndedAnywhere:
    """Those of all nodes, in Redis, and those that this node could not put there."""

    def __init__(self, member: Member, here: EndedHere) -> None:
        self._member = member
        self._here = here

    def take(self, most: int) -> Deferred[Sequence[Ended]]:
        """See :meth:`IEndedCalls.take`."""
        return Deferred.fromCoroutine(self._take(most))

    async def _take(self, most: int) -> Sequence[Ended]:
        here = await self._here.take(most)
        if not self._member.joined or len(here) == most:
            return here
        try:
            return [*here, *await self._member.questions.take_ended(most - len(here))]
        except Unavailable:
            return here

    def done(self, ended: Sequence[Ended]) -> Deferred[None]:
        """See :meth:`IEndedCalls.done`."""
        return Deferred.fromCoroutine(self._done(ended))

    async def _done(self, ended: Sequence[Ended]) -> None:
        await self._here.done(ended)
        keys = [one.key for one in ended if one.key]
        if keys:
            await self._member.questions.done_with(keys)
