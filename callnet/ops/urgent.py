"""Delivery of urgent messages, which are useless if late: kept in memory only, and lost if not accepted soon.

Messages that must be delivered even if late go through the outbox instead: :mod:`callnet.operations.deliveries`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, TypeAlias

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.calls.ports import Fate
from callnet.ops.posted import ANSWER_TIME, Posted
from callnet.ops.under_way import UnderWay
from callnet.util.logger import Logger
from callnet.util.periodic import pause

Post: TypeAlias = Callable[[float], Coroutine[Deferred[Any], Any, Posted]]
"""Sends it once, and is told how many seconds the answer may take."""

log = Logger()


class Urgent:
    """Sends things, again if need be.

    :param pauses: seconds to wait before each further try.
    """

    def __init__(self, clock: IReactorTime, pauses: tuple[float, ...]) -> None:
        self._clock = clock
        self._pauses = pauses
        self._under_way = UnderWay[Fate]()
        self._stopped = False

    def hand_over(self, what: str, post: Post, lasts: float = inf) -> Deferred[Fate]:
        """Send something until the answer is a final one. Fires with what became of it; it does not fail.

        :param what: what the log calls it.
        :param lasts: seconds after which it is of no use any more.
        """
        handing = self._under_way.begin(self._hand_over(what, post, self._clock.seconds() + lasts))
        return handing.addErrback(_failed)

    def stop(self) -> None:
        """Send nothing more, nor wait for what is under way."""
        self._stopped = True
        self._under_way.cancel()

    async def _hand_over(self, what: str, post: Post, until: float) -> Fate:
        failure = ""
        for wait in (0.0, *self._pauses):
            if self._clock.seconds() + wait >= until:
                failure = failure or "too late"
                break
            if wait:
                await pause(self._clock, wait)
            posted = await post(min(ANSWER_TIME, until - self._clock.seconds()))
            if self._stopped:
                return Fate.FAILED  # the request was cancelled, which the agent reports as it likes
            if not posted.failure:
                return Fate.TAKEN
            if posted.is_gone:
                return Fate.GONE
            failure = posted.failure
            if not posted.may_be_taken_later:
                break
        log.warn("failed to deliver {what}: {failure}", what=what, failure=failure)
        return Fate.FAILED


def _failed(failure: Failure) -> Fate:
    if not failure.check(defer.CancelledError):
        log.failure("failed to send a notification", failure)
    return Fate.FAILED
