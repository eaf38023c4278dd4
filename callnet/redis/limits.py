"""Limits that all nodes share over Redis.

What may wait asks Redis (:class:`SharedGate`). What must not is decided at once by what this node knows, and once a
second the nodes tell each other what they have let through (:class:`SharedLimits`). Of a key that is seldom counted
nothing is told: a tenth of what may come at once is collected first. So everything is charged for in the end, the
average holds whatever the number of nodes, and a call costs nothing more; at once each node lets through as
many as one may, until it has heard of the others.

Only times ahead travel, never times: nobody compares the clocks of two nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from callnet.calls.ports import IGate, ILimits, TooMany
from callnet.errors import Unavailable
from callnet.ops.connection_limits import Crowds
from callnet.ops.rate_limits import KEYS_MAX, Gate, Limiter
from callnet.redis.commands import Counted, Exchanged
from callnet.redis.node import Member
from callnet.util.deferreds import Soon, logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.net import hidden

EXCHANGE_EVERY: Final = 1.0
"""Seconds between two exchanges; if there is too much for one, the next follows at once."""
TAKE_TIME: Final = 0.5
"""Seconds for which something waits for Redis; then what this node knows decides."""
SAID_AGAIN: Final = 2.0
"""Seconds after which a number of sockets is told again (``SAID`` in exchange.lua is how long it holds)."""
MOST: Final = 250
"""Keys, and addresses, in one exchange: Redis does nothing else meanwhile."""

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "failed to share rate limits with other nodes")


class SharedLimiter(Limiter):
    """Decides by itself, and collects what others are to be told. See :class:`callnet.calls.ports.ILimiter`.

    :param name: by which the others know it.
    """

    def __init__(self, name: str, count: int, seconds: float, now: Callable[[], float]) -> None:
        super().__init__(count, seconds, now)
        self.name: Final = name
        self._untold: dict[str, int] = {}
        self._to_tell: dict[str, None] = {}

    def allow(self, count: int) -> None:
        """See :meth:`callnet.calls.ports.ILimiter.allow`."""
        super().allow(count)
        self._told_from = max(1, count // 10)

    def wait(self, key: str) -> float:
        """See :meth:`callnet.calls.ports.ILimiter.wait`."""
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
        """Hand out so much of what is to be told. It is told once."""
        for key in list(islice(self._to_tell, most)):
            del self._to_tell[key]
            yield Counted(f"{self.name}:{key}", self._untold.pop(key) * self._spacing, self._window / 2)

    def hear(self, key: str, ahead: float) -> None:
        """Take note that all nodes have let so much through, but for what this one has not told yet."""
        self.learn(key, ahead + self._untold.get(key, 0) * self._spacing)


@implementer(IGate)
class SharedGate:
    """Asks Redis. See :class:`callnet.calls.ports.IGate`."""

    def __init__(self, limits: Sequence[tuple[str, int, float]], member: Member, clock: IReactorTime) -> None:
        self._limits = limits
        self._member = member
        self._clock = clock
        self._here = Gate([(count, seconds) for _, count, seconds in limits], clock.seconds)

    def allow(self, counts: Sequence[int]) -> None:
        """See :meth:`callnet.calls.ports.IGate.allow`."""
        both = zip(self._limits, counts, strict=True)
        self._limits = [(name, count, seconds) for (name, _, seconds), count in both]
        self._here.allow(counts)

    def enter(self, keys: Sequence[str | None]) -> Soon[TooMany | None]:
        """See :meth:`callnet.calls.ports.IGate.enter`. What is too much for this node is not asked about."""
        here = self._here.enter(keys)
        asked = [
            (which, key)
            for which, ((_, count, _), key) in enumerate(zip(self._limits, keys, strict=True))
            if count and key is not None
        ]
        if here.value is not None or not asked or not self._member.joined:
            return here
        return Deferred.fromCoroutine(self._ask(asked))

    async def _ask(self, asked: Sequence[tuple[int, str]]) -> TooMany | None:
        questions = []
        for which, key in asked:
            name, count, seconds = self._limits[which]
            questions.append((f"{name}:{hidden(key)}", seconds / count, seconds))
        taking = Deferred.fromCoroutine(self._member.questions.take(questions))
        try:
            found = await taking.addTimeout(TAKE_TIME, self._clock)
        except (Unavailable, defer.TimeoutError):
            return None  # this node has let it through
        if found is None:
            return None
        place, ahead = found
        which, key = asked[place]
        _, spacing, window = questions[place]
        self._here.learn(which, key, ahead)
        return TooMany(which, ahead + spacing - window)


@implementer(ILimits)
class SharedLimits:
    """The limits of a node among others, and what it tells them once a second."""

    def __init__(self, member: Member, clock: IReactorTime) -> None:
        self._member = member
        self._clock = clock
        self._limiters: dict[str, SharedLimiter] = {}
        self._crowds: dict[str, SharedCrowds] = {}
        self._next: IDelayedCall | None = None
        self._is_asking = False

    def limiter(self, name: str, count: int, seconds: float) -> SharedLimiter:
        """See :meth:`callnet.calls.ports.ILimits.limiter`."""
        limiter = self._limiters[name] = SharedLimiter(name, count, seconds, self._clock.seconds)
        return limiter

    def gate(self, limits: Sequence[tuple[str, int, float]]) -> SharedGate:
        """See :meth:`callnet.calls.ports.ILimits.gate`."""
        return SharedGate(limits, self._member, self._clock)

    def share(self, kind: str, crowds: Crowds) -> None:
        """Have sockets be counted on all nodes together; every node calls them by the same ``kind``."""
        self._crowds[kind] = SharedCrowds(kind, crowds)

    def start(self) -> None:
        """Begin to tell the others."""
        self._next = self._clock.callLater(EXCHANGE_EVERY, self._exchange)

    def stop(self) -> None:
        """Tell them no more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _exchange(self) -> None:
        self._next = self._clock.callLater(EXCHANGE_EVERY, self._exchange)
        if not self._member.joined:
            for crowds in self._crowds.values():
                crowds.forget()
        elif not self._is_asking:
            self._is_asking = True
            Deferred.fromCoroutine(self._exchange_once()).addErrback(_log_unless_unavailable).addBoth(self._asked)

    def _asked(self, is_all: bool | None) -> None:
        self._is_asking = False
        if is_all is False and self._next is not None:
            self._next.reset(0)

    async def _exchange_once(self) -> bool:
        """Tell and hear. Answers whether that was all."""
        counted: list[Counted] = []
        for limiter in self._limiters.values():
            counted.extend(limiter.take_counted(MOST - len(counted)))
        now = self._clock.seconds()
        sockets = [(crowds, *said) for crowds in self._crowds.values() for said in crowds.take_said(now, MOST)]
        exchanged = await self._member.questions.exchange(
            counted, [(f"{crowds.kind}:{hidden(site)}", count) for crowds, site, count in sockets]
        )
        self._hear(counted, exchanged)
        for (crowds, site, _), others in zip(sockets, exchanged.sockets, strict=True):
            crowds.hear(site, others)
        return len(counted) < MOST

    def _hear(self, counted: Sequence[Counted], exchanged: Exchanged) -> None:
        told = [(one.key, ahead) for one, ahead in zip(counted, exchanged.ahead, strict=True)]
        for name_and_key, ahead in (*told, *exchanged.used_up):
            name, _, key = name_and_key.partition(":")
            limiter = self._limiters.get(name)
            if limiter is not None:
                limiter.hear(key, ahead)


class SharedCrowds:
    """The counts of sockets of one kind to share."""

    def __init__(self, kind: str, crowds: Crowds) -> None:
        self.kind: Final = kind
        self._crowds = crowds
        self._said: dict[str, tuple[int, float]] = {}
        self._elsewhere: dict[str, int] = {}
        crowds.elsewhere = self._elsewhere

    def take_said(self, now: float, most: int) -> list[tuple[str, int]]:
        """Hand out what is to be told: addresses whose count is another than what holds, or does not hold for long."""
        large, news = self._crowds.large, []
        for site, count in large.items():
            said, at = self._said.get(site, (0, 0.0))
            if said != count or now - at >= SAID_AGAIN:
                news.append((site, count))
        news.extend((site, 0) for site in self._said if site not in large)
        del news[most:]
        for site, count in news:
            if count:
                self._said[site] = count, now
            else:
                del self._said[site]
                self._elsewhere.pop(site, None)
        return news

    def hear(self, site: str, others: int) -> None:
        """Take note of how many the others have."""
        if others and site in self._said:
            self._elsewhere[site] = others
        else:
            self._elsewhere.pop(site, None)

    def forget(self) -> None:
        """Go by what this node has alone."""
        self._said.clear()
        self._elsewhere.clear()
