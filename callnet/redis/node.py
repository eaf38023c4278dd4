"""One node as a member of the cluster: it registers, renews its lease, and reconnects.

========  ==============================================  ==========================================
state     meaning                                         left when
========  ==============================================  ==========================================
away      Redis cannot be reached                         a connection is made: joining
joining   the records of this node are being announced;   all is announced: joined; the connection
          heartbeats are sent, since this may take        is lost: away
          longer than a lease
joined    the shared store is in use; heartbeats are      the connection is lost: away; this node is
          sent                                            not known there any more: joining
========  ==============================================  ==========================================

The shared store decides only while the node is joined. Otherwise the node goes on with its cache, and collects changes
to announce.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from callnet.calls.ports import BusMessage
from callnet.config.schema import CallSettings
from callnet.errors import Unavailable
from callnet.redis.announcer import Announcer
from callnet.redis.commands import SWEPT_AT_ONCE, Link, RedisCommands, SharedClock
from callnet.redis.local_cache import LocalCache
from callnet.store.tables import Record
from callnet.util.logger import Logger
from callnet.util.timers import pause

BEAT_EVERY: Final = 1.0
"""Seconds between two heartbeats; a node is dead after three without any (scripts/common.lua)."""
SETTLING: Final = 1.5
"""Seconds for which a node that has just come back does not process orphaned records: their nodes may have been away as
well, and are about to announce theirs."""
_JOIN_TIME: Final = 2.0
"""Seconds to wait for a subscription, or until this node has joined."""

log = Logger()


class Subscription(Protocol):
    """The connection for messages to this node, as a member needs it."""

    def start(self) -> None:
        """Connect, unless that was done before."""

    def follow(self, channel: str) -> None:
        """Subscribe to this channel alone."""

    def stop(self) -> Deferred[None]:
        """End the subscription."""


class NodeLifecycle:
    """A node of the cluster.

    :param make_link: makes the connection for commands, from callbacks for its start, with Redis' run id, and for its
        loss.
    :param make_subscription: makes the other one, from callbacks for the start and the loss of the subscription.
    :param deliver: takes the messages for the devices and pages of this node.
    """

    def __init__(
        self,
        make_link: Callable[[Callable[[str], None], Callable[[], None]], Link],
        make_subscription: Callable[[Callable[[], None], Callable[[], None]], Subscription],
        prefix: str,
        cache: LocalCache,
        clock: IReactorTime,
        settings: CallSettings,
        deliver: Callable[[BusMessage], None],
        name: str,
    ) -> None:
        self._link = make_link(self._connected, self._lost)
        self._subscription = make_subscription(self._subscribed, self._unsubscribed)
        self._prefix = prefix
        self._clock = clock
        self._name = name
        self._epoch = 0
        self.time: Final = SharedClock(clock)
        self.commands: Final = RedisCommands(self._link, prefix, f"{name}.0", clock, self.time)
        self._announcer = Announcer(cache, self.commands, self.time, settings, deliver)
        self.commit_alone: Final = self._announcer.commit_alone
        self.joined = False
        """True if the shared store can be queried."""
        self._is_introduced = False
        """True if the shared store knows this node, which must then renew its lease."""
        self._run: str | None = None
        self._known_run: str | None = None
        self._attempt = 0
        self._joining_since = 0.0
        self._joined_at = self._in_touch_at = 0.0
        self._listens_to: str | None = None
        self._waiting_to_listen: Deferred[None] | None = None
        self._waiting_to_join: list[Deferred[None]] = []
        self._swept: list[Record] = []
        self._beat: IDelayedCall | None = None

    @property
    def node(self) -> str:
        """The current name of this node."""
        return self.commands.node

    def start(self) -> None:
        """Begin to join."""
        self._link.start()
        self._beat = self._clock.callLater(BEAT_EVERY, self._beat_now)

    def why_away(self) -> str | None:
        """The reason why other nodes cannot be reached, if they cannot."""
        if not self._link.up:
            return "Redis cannot be reached"
        if not self.joined:
            return "joining the cluster"
        return None if self._listens_to is not None else "the subscription to Redis was lost"

    async def stop(self) -> None:
        """Wait for open commands, and leave."""
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        try:
            await self._idle()
            if self.joined:
                await self.commands.leave()
        except Unavailable:
            pass  # the others will notice
        self.joined = self._is_introduced = False
        self._attempt += 1
        await self._subscription.stop()
        await self._link.stop()

    async def _idle(self) -> None:
        while self._link.up and self.commands.unanswered:
            await pause(self._clock, 0.01)

    @property
    def is_joining(self) -> bool:
        """True if this node may join soon, so that waiting is worthwhile."""
        if self.joined or not self.time.is_set:
            return not self.joined
        return self._link.up and self._clock.seconds() - self._joining_since < _JOIN_TIME

    def when_joined(self) -> Deferred[None]:
        """Fires when this node has joined; fails with ``Unavailable`` if it does not."""
        joined: Deferred[None] = Deferred()
        self._waiting_to_join.append(joined)
        return self._in_time(joined)

    def _in_time(self, waiting: Deferred[None]) -> Deferred[None]:
        def too_late(failure: Failure) -> None:
            failure.trap(defer.TimeoutError)
            raise Unavailable("Redis does not answer")

        return waiting.addTimeout(_JOIN_TIME, self._clock).addErrback(too_late)

    # Joining

    def is_unknown(self) -> None:
        """Handle that the shared store no longer knows this node."""
        if self.joined:
            self._join_again()

    def _connected(self, run: str) -> None:
        self._run = run
        self._join_again()

    def _lost(self) -> None:
        self._attempt += 1
        self.joined = self._is_introduced = False
        for joined in self._take_waiting():
            joined.errback(Unavailable("Redis cannot be reached"))

    def _take_waiting(self) -> list[Deferred[None]]:
        waiting, self._waiting_to_join = self._waiting_to_join, []
        return [joined for joined in waiting if not joined.called]

    def _join_again(self) -> None:
        self._attempt += 1
        self.joined = self._is_introduced = False
        self._joining_since = self._clock.seconds()
        joining = Deferred.fromCoroutine(self._join(self._attempt))
        joining.addErrback(self._cannot_join, self._attempt)

    def _cannot_join(self, failure: Failure, attempt: int) -> None:
        if not failure.check(Unavailable):
            log.failure("failed to join the cluster", failure)
        if attempt == self._attempt:
            self._link.drop()

    async def _join(self, attempt: int) -> None:
        run = self._run
        if run is None:
            return
        new = f"{self._name}.{self._epoch + 1}"
        keeps = await self.commands.hello(self.node, new, run, run == self._known_run)
        if attempt != self._attempt:
            return
        self._known_run = run
        if not keeps:
            self._epoch += 1
            self.commands.node = new
            self._announcer.add_all()
        self._is_introduced = True
        await self._listen()
        while attempt == self._attempt and not self._announcer.is_done:
            await self._announcer.announce_some(self.node, self._in_touch_at)
        if attempt != self._attempt:
            return
        self.joined = True
        self._joined_at = self._in_touch_at = self.time.now()
        for joined in self._take_waiting():
            joined.callback(None)
        await self._compare()

    async def _compare(self) -> None:
        """Fetch changes from before the subscription."""
        if not await self._announcer.compare():
            self.is_unknown()

    # Subscription

    def _channel(self) -> str:
        return channel_of(self._prefix, self.node)

    async def _listen(self) -> None:
        """Subscribe to the channel of the current name."""
        channel = self._channel()
        if self._listens_to == channel:
            return
        listening: Deferred[None] = Deferred()
        self._waiting_to_listen = listening
        self._subscription.follow(channel)
        self._subscription.start()
        await self._in_time(listening)

    def _subscribed(self) -> None:
        missed = self._listens_to is None and self.joined
        self._listens_to = self._channel()
        if self._waiting_to_listen is not None:
            listening, self._waiting_to_listen = self._waiting_to_listen, None
            if not listening.called:
                listening.callback(None)
        elif missed:
            self.has_missed_something()

    def has_missed_something(self) -> None:
        """Fetch changes after a loss of messages."""
        if self.joined:
            comparing = Deferred.fromCoroutine(self._compare())
            comparing.addErrback(self._cannot_join, self._attempt)

    def _unsubscribed(self) -> None:
        self._listens_to = None

    # The heartbeat

    def take_swept(self) -> list[Record]:
        """The orphaned records for this node to process; each is returned once."""
        swept, self._swept = self._swept, []
        if len(swept) >= SWEPT_AT_ONCE and self._beat is not None:
            self._beat.reset(0)  # there are more
        return swept

    def _beat_now(self) -> None:
        self._beat = self._clock.callLater(BEAT_EVERY, self._beat_now)
        if self._is_introduced:
            beating = Deferred.fromCoroutine(self._beat_once())
            beating.addErrback(self._cannot_join, self._attempt)

    async def _beat_once(self) -> None:
        asked_at, joined = self.time.now(), self.joined
        swept = await self.commands.beat(sweeps=joined and asked_at - self._joined_at >= SETTLING)
        if joined and swept is not None:
            self._in_touch_at = asked_at
        if swept is None:
            self.is_unknown()
        elif self.joined:
            self._swept.extend(swept)


def channel_of(prefix: str, node: str) -> str:
    """The channel of messages to a node; ``*``: to all of them."""
    return f"{prefix}node:{node}"
