"""Ended calls of all nodes not yet in the history."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.calls.ports import Ended, IEndedCalls
from callnet.errors import Unavailable
from callnet.redis.node import NodeLifecycle
from callnet.store.ended import KEPT_MAX, Dropped, EndedHere


@implementer(IEndedCalls)
class EndedAnywhere:
    """The ended calls of all nodes, in Redis, and the rest of this node."""

    def __init__(self, member: NodeLifecycle, here: EndedHere) -> None:
        self._lifecycle = member
        self._here = here
        self._dropped = Dropped()

    @property
    def dropped(self) -> int:
        """See :attr:`IEndedCalls.dropped`. A call that Redis drops is counted by the node whose command dropped it."""
        return self._here.dropped + self._dropped.count

    def take(self, most: int) -> Deferred[Sequence[Ended]]:
        """See :meth:`IEndedCalls.take`."""
        return Deferred.fromCoroutine(self._take(most))

    async def _take(self, most: int) -> Sequence[Ended]:
        here = await self._here.take(most)
        if not self._lifecycle.joined or len(here) == most:
            return here
        try:
            dropped, elsewhere = await self._lifecycle.commands.take_ended(most - len(here), KEPT_MAX)
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
            await self._lifecycle.commands.done_with(keys)
