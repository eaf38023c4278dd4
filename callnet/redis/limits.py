"""Rate limits of all nodes together, shared over Redis.

A limit that may wait queries Redis (:class:`SharedGate`). One that must not is decided at once by this node, and once a
second the nodes exchange their counts (:class:`SharedLimits`). A seldom used key is not reported until a tenth of its
burst has been used. So every use is counted in the end, the average holds for any number of nodes, and a call costs
nothing more; at once each node admits a full burst, until it has the others' counts.

The nodes exchange durations and never times, so their clocks are not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from callnet.errors import Unavailable
from callnet.ops.limits import KEYS_MAX, Gate, IGate, ILimits, Limiter, PerAddress, TooMany
from callnet.redis.commands import Counted, Exchanged
from callnet.redis.node import NodeLifecycle
from callnet.util.deferreds import Soon, logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.net import hidden
from callnet.util.timers import PeriodicRuns

EXCHANGE_EVERY: Final = 1.0
"""Seconds between two exchanges; if there is too much for one, the next follows at once."""
TAKE_TIME: Final = 0.5
"""Seconds to wait for Redis; then this node decides alone."""
SAID_AGAIN: Final = 2.0
"""Seconds after which a number of sockets is reported again (``SAID`` in exchange.lua is the time that it is valid)."""
MOST: Final = 250
"""The maximum number of keys, and of addresses, in one exchange: Redis does nothing else meanwhile."""

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "failed to share rate limits with other nodes")


class SharedLimiter(Limiter):
    """Decides alone, and collects its uses for the other nodes. See :class:`callnet.ops.limits.ILimiter`.

    :param name: its name on all nodes.
    """

    def __init__(self, name: str, count: int, seconds: float, now: Callable[[], float]) -> None:
        super().__init__(count, seconds, now)
        self.name: Final = name
        self._untold: dict[str, int] = {}
        self._to_tell: dict[str, None] = {}

    def allow(self, count: int) -> None:
        """See :meth:`callnet.ops.limits.ILimiter.allow`."""
        super().allow(count)
        self._told_from = max(1, count // 10)

    def wait(self, key: str) -> float:
        """See :meth:`callnet.ops.limits.ILimiter.wait`."""
        if not self._count:
            return 0.0
        waits = super().wait(key)
        if not waits:
            self._untold[key] = untold = self._untold.get(key, 0) + 1
            if untold >= self._told_from:
                self._to_tell[key] = None
            if len(self._untold) > KEYS_MAX:
                oldest = next(iter(self._untold))
                del self._untold[oldest]
                self._to_tell.pop(oldest, None)
        return waits

    def take_counted(self, most: int) -> Iterator[Counted]:
        """Take at most ``most`` counts to report. Each is taken once."""
        for key in list(islice(self._to_tell, most)):
            del self._to_tell[key]
            yield Counted(f"{self.name}:{key}", self._untold.pop(key) * self._spacing, self._window / 2)

    def hear(self, key: str, ahead: float) -> None:
        """Apply the count of all nodes, plus this node's unreported uses."""
        self.learn(key, ahead + self._untold.get(key, 0) * self._spacing)


@implementer(IGate)
class SharedGate:
    """A gate with queries to Redis. See :class:`callnet.ops.limits.IGate`."""

    def __init__(self, limits: Sequence[tuple[str, int, float]], member: NodeLifecycle, clock: IReactorTime) -> None:
        self._limits = limits
        self._lifecycle = member
        self._clock = clock
        self._here = Gate([(count, seconds) for _, count, seconds in limits], clock.seconds)

    def allow(self, counts: Sequence[int]) -> None:
        """See :meth:`callnet.ops.limits.IGate.allow`."""
        both = zip(self._limits, counts, strict=True)
        self._limits = [(name, count, seconds) for (name, _, seconds), count in both]
        self._here.allow(counts)

    def enter(self, keys: Sequence[str | None]) -> Soon[TooMany | None]:
        """See :meth:`callnet.ops.limits.IGate.enter`. Redis is not queried if this node's limit is exceeded."""
        here = self._here.enter(keys)
        asked = [
            (which, key)
            for which, ((_, count, _), key) in enumerate(zip(self._limits, keys, strict=True))
            if count and key is not None
        ]
        if here.value is not None or not asked or not self._lifecycle.joined:
            return here
        return Deferred.fromCoroutine(self._ask(asked))

    async def _ask(self, asked: Sequence[tuple[int, str]]) -> TooMany | None:
        takes = []
        for which, key in asked:
            name, count, seconds = self._limits[which]
            takes.append((f"{name}:{hidden(key)}", seconds / count, seconds))
        taking = Deferred.fromCoroutine(self._lifecycle.commands.take(takes))
        try:
            found = await taking.addTimeout(TAKE_TIME, self._clock)
        except (Unavailable, defer.TimeoutError):
            return None  # this node has admitted it
        if found is None:
            return None
        place, ahead = found
        which, key = asked[place]
        _, spacing, window = takes[place]
        self._here.learn(which, key, ahead)
        return TooMany(which, ahead + spacing - window)


@implementer(ILimits)
class SharedLimits:
    """The shared limits of a node, with an exchange of counts once a second."""

    def __init__(self, member: NodeLifecycle, clock: IReactorTime) -> None:
        self._lifecycle = member
        self._clock = clock
        self._limiters: dict[str, SharedLimiter] = {}
        self._crowds: dict[str, SharedCrowds] = {}
        self._exchanges = PeriodicRuns(self._exchange, clock, EXCHANGE_EVERY)
        self.start: Final = self._exchanges.start
        self.stop: Final = self._exchanges.stop

    def limiter(self, name: str, count: int, seconds: float) -> SharedLimiter:
        """See :meth:`callnet.ops.limits.ILimits.limiter`."""
        limiter = self._limiters[name] = SharedLimiter(name, count, seconds, self._clock.seconds)
        return limiter

    def gate(self, limits: Sequence[tuple[str, int, float]]) -> SharedGate:
        """See :meth:`callnet.ops.limits.ILimits.gate`."""
        return SharedGate(limits, self._lifecycle, self._clock)

    def share(self, kind: str, crowds: PerAddress) -> None:
        """Share the counts of sockets with all nodes; ``kind`` is the same on every node."""
        self._crowds[kind] = SharedCrowds(kind, crowds)

    def _exchange(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._exchange_all()).addErrback(_log_unless_unavailable)

    async def _exchange_all(self) -> None:
        while self._lifecycle.joined and not await self._exchange_once():
            pass
        if not self._lifecycle.joined:
            for crowds in self._crowds.values():
                crowds.forget()

    async def _exchange_once(self) -> bool:
        """Exchange counts. Return whether that was all."""
        counted: list[Counted] = []
        for limiter in self._limiters.values():
            counted.extend(limiter.take_counted(MOST - len(counted)))
        now = self._clock.seconds()
        sockets: list[tuple[SharedCrowds, str, int]] = []
        for crowds in self._crowds.values():
            sockets.extend((crowds, *said) for said in crowds.take_said(now, MOST - len(sockets)))
        exchanged = await self._lifecycle.commands.exchange(
            counted, [(f"{crowds.kind}:{hidden(site)}", count) for crowds, site, count in sockets]
        )
        self._hear(counted, exchanged)
        for (crowds, site, _), others in zip(sockets, exchanged.sockets, strict=True):
            crowds.hear(site, others)
        return len(counted) < MOST and len(sockets) < MOST

    def _hear(self, counted: Sequence[Counted], exchanged: Exchanged) -> None:
        told = [(one.key, ahead) for one, ahead in zip(counted, exchanged.ahead, strict=True)]
        for name_and_key, ahead in (*told, *exchanged.used_up):
            name, _, key = name_and_key.partition(":")
            limiter = self._limiters.get(name)
            if limiter is not None:
                limiter.hear(key, ahead)


class SharedCrowds:
    """The shared counts of the sockets of one kind."""

    def __init__(self, kind: str, crowds: PerAddress) -> None:
        self.kind: Final = kind
        self._crowds = crowds
        self._said: dict[str, tuple[int, float]] = {}
        self._elsewhere: dict[str, int] = {}
        crowds.elsewhere = self._elsewhere

    def take_said(self, now: float, most: int) -> list[tuple[str, int]]:
        """Take the addresses to report, at most ``most``, with their counts."""
        changes = list(islice(self._changes(now), most))
        for site, count in changes:
            self._said.pop(site, None)  # so that those reported longest ago stay first
            if count:
                self._said[site] = count, now
            else:
                self._elsewhere.pop(site, None)
        return changes

    def _changes(self, now: float) -> Iterator[tuple[str, int]]:
        """The addresses whose count differs from the one last reported, or for which that expires soon."""
        large = self._crowds.large
        for site, (said, at) in self._said.items():
            count = large.get(site, 0)
            if said != count or now - at >= SAID_AGAIN:
                yield site, count
        for site, count in large.items():
            if site not in self._said:
                yield site, count

    def hear(self, site: str, others: int) -> None:
        """Record the count of the other nodes."""
        if others and site in self._said:
            self._elsewhere[site] = others
        else:
            self._elsewhere.pop(site, None)

    def forget(self) -> None:
        """Drop the counts of other nodes."""
        self._said.clear()
        self._elsewhere.clear()
