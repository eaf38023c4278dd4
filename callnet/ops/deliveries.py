"""Delivery of webhook events, repeated until they are accepted (docs/webhooks.md)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.accounts.history_ports import DueEvent, IOutbox, Tried
from callnet.errors import Unavailable
from callnet.ops.metrics import Family, of_events
from callnet.ops.posted import ANSWER_TIME, Posted
from callnet.ops.signed_posts import SignedPosts
from callnet.ops.under_way import UnderWay
from callnet.util.logger import Logger
from callnet.util.periodic import Rounds

LOOK_EVERY: Final = 1.0
"""Seconds."""
TAKEN: Final = 16
"""Events that this node takes in hand at once."""
AT_ONCE: Final = 4
"""Requests that are under way at the same time."""
LEASE: Final = ANSWER_TIME * TAKEN / AT_ONCE + 20.0
"""Seconds after which others send what this node has taken in hand: longer than it takes if every answer is late."""
FIRST_PAUSE: Final = 1.0
"""Seconds before an event is sent again; each further pause is twice as long."""
LONGEST_PAUSE: Final = 3600.0
TRIES: Final = 36
"""Then an event is given up: after about a day."""
_JITTER: Final = 0.2
"""By so much of it a pause is longer or shorter than said above."""
_COUNT_EVERY: Final = 15.0
_COUNTED: Final = 100_000
"""No more are counted of what waits, and of dead letters."""
_FORGET_EVERY: Final = 3600.0
_DEAD_LETTERS_KEPT: Final = 30 * 86400.0

log = Logger()


class Deliveries:
    """Looks every second for what is due, on every node.

    :param now: the time, in seconds since 1970.
    :param kept: how long the ids of events are kept that were taken, in seconds.
    :param chance: a number from 0 to 1, each time another.
    """

    def __init__(
        self,
        outbox: IOutbox,
        posts: SignedPosts,
        clock: IReactorTime,
        now: Callable[[], float],
        kept: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._posts = posts
        self._clock = clock
        self._now = now
        self._kept = kept
        self._chance = chance
        self._rounds = Rounds(self._deliver, clock, LOOK_EVERY)
        self._under_way = UnderWay[Posted]()
        self._tried: list[Tried] = []
        """Results to write: no more than were taken in hand."""
        self._stopped = False
        self._is_failing = False
        self._counted = 0, 0
        self._count_at = self._forget_at = clock.seconds()

    def start(self) -> None:
        """Begin to look."""
        self._rounds.start()

    def stop(self) -> Deferred[None]:
        """Send nothing more. Requests in progress are not awaited but sent again later. Fires when that is recorded."""
        self._stopped = True
        self._under_way.cancel()
        return self._rounds.stop()

    def counted(self) -> Family:
        """The undelivered events, as of the last seconds."""
        return of_events(*self._counted)

    def _deliver(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._round()).addErrback(_failed)

    async def _round(self) -> None:
        await self._settle()
        while not self._stopped:
            due = deque(await self._outbox.take(TAKEN, self._now(), self._now() + LEASE))
            is_more = len(due) == TAKEN
            await gatherResults([Deferred.fromCoroutine(self._send(due)) for _ in range(min(AT_ONCE, len(due)))])
            await self._settle()
            if not is_more:
                break
        if not self._stopped:
            await self._keep_house()

    async def _send(self, due: deque[DueEvent]) -> None:
        """Send one after the other, as long as there are any."""
        while due:
            self._tried.append(await self._try(due.popleft()))

    async def _try(self, event: DueEvent) -> Tried:
        posted = Posted("not sent") if self._stopped else await self._post(event)
        if not posted.failure:
            self._note_success()
            return Tried(event)
        if self._stopped:
            return Tried(event, due_at=self._now())
        self._note_failure(posted.failure)
        if posted.may_be_taken_later and event.tries < TRIES:
            return Tried(event, posted.failure, self._now() + self._pause(event.tries))
        return Tried(event, posted.failure)

    def _post(self, event: DueEvent) -> Deferred[Posted]:
        return self._under_way.begin(self._posts.post(event.id, event.body))

    def _pause(self, tries: int) -> float:
        pause = min(FIRST_PAUSE * 2.0 ** (tries - 1), LONGEST_PAUSE)
        return pause * (1 + _JITTER * (2 * self._chance() - 1))

    async def _settle(self) -> None:
        """Record the outcomes of what was sent.

        :raises Unavailable: not now; it is kept.
        """
        tried, self._tried = self._tried, []
        if not tried:
            return
        try:
            await self._outbox.settle(tried, self._now())
        except Unavailable:
            self._tried = tried
            raise
        dead = sum(bool(one.failure) and one.due_at is None for one in tried)
        if dead:
            log.warn("gave up {count} webhook events; see: callnet webhook list", count=dead)

    def _note_success(self) -> None:
        if self._is_failing:
            log.info("webhook accepts events again")
        self._is_failing = False

    def _note_failure(self, failure: str) -> None:
        if not self._is_failing:
            log.warn("webhook does not accept events: {failure}", failure=failure)
        self._is_failing = True

    async def _keep_house(self) -> None:
        now, date = self._clock.seconds(), self._now()
        if now >= self._count_at:
            self._counted = await self._outbox.count(_COUNTED)
            self._count_at = now + _COUNT_EVERY
        if now >= self._forget_at:
            await self._outbox.forget(date - self._kept, date - _DEAD_LETTERS_KEPT)
            self._forget_at = now + _FORGET_EVERY


def _failed(failure: Failure) -> None:
    if not failure.check(Unavailable):
        log.failure("failed to deliver webhook events", failure)
