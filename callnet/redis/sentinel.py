"""The location of Redis: a fixed address, or the current master of the Sentinels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredList, gatherResults, succeed
from twisted.internet.interfaces import IStreamClientEndpoint

from callnet.redis.line import Connection, NotUsable, Reactor, answers, cause_of, dialled, endpoint_of, log_in
from callnet.redis.url import Address, RedisTarget

_ANSWER_TIME: Final = 0.5
"""Seconds for a Sentinel to answer, including the connection."""
_LOOK_EVERY: Final = 1.0
"""Seconds between two queries while all is well."""


class Direct:
    """A Redis with a fixed address or socket."""

    patience = 1.5

    def __init__(self, target: RedisTarget, reactor: Reactor) -> None:
        self._endpoint = endpoint_of(reactor, target, target.address)

    async def endpoint(self) -> IStreamClientEndpoint:
        """See :meth:`Locator.endpoint`."""
        return self._endpoint

    def look(self, line: Connection, now: float) -> None:
        """See :meth:`Locator.look`."""

    def stop(self) -> Deferred[None]:
        """See :meth:`Locator.stop`."""
        return succeed(None)


class _Master(Struct, frozen=True):
    """A Sentinel's answer; of two, that with the greater epoch knows of a later failover."""

    epoch: int
    address: Address


class BySentinels:
    """The master according to several Sentinels. All are queried at once.

    :param make: makes a connection to a Sentinel that is not connected yet.
    """

    patience = 1.0  # after that they may know of another master

    def __init__(self, target: RedisTarget, reactor: Reactor, make: Callable[[], Connection]) -> None:
        self._target = target
        self._reactor = reactor
        self._sentinels = [_Sentinel(target, reactor, make, address) for address in target.sentinels]
        self._master: _Master | None = None
        self._question: Deferred[None] = succeed(None)
        self._asked_at = 0.0

    async def endpoint(self) -> IStreamClientEndpoint:
        """See :meth:`Locator.endpoint`."""
        self._question.cancel()
        self._master = await self._ask()
        return endpoint_of(self._reactor, self._target, self._master.address)

    def look(self, line: Connection, now: float) -> None:
        """See :meth:`Locator.look`."""
        if now - self._asked_at >= _LOOK_EVERY:  # the previous query was answered, or given up
            self._asked_at = now
            self._question = Deferred.fromCoroutine(self._compare(line))

    def stop(self) -> Deferred[None]:
        """See :meth:`Locator.stop`."""
        self._question.cancel()
        ended = [self._question, *(sentinel.stop() for sentinel in self._sentinels)]
        return gatherResults(ended).addCallback(lambda _: None)

    async def _compare(self, line: Connection) -> None:
        try:
            master = await self._ask()
        except NotUsable:
            return  # without Sentinels the connection is kept
        known = self._master
        if known is not None and master.epoch > known.epoch and master.address != known.address:
            line.abort(f"{master.address} is the master now")

    async def _ask(self) -> _Master:
        asked = [
            Deferred.fromCoroutine(sentinel.ask()).addTimeout(_ANSWER_TIME, self._reactor)
            for sentinel in self._sentinels
        ]
        answered: list[tuple[bool, Any]] = await DeferredList(asked, consumeErrors=True)
        found: list[_Master] = [answer for succeeded, answer in answered if succeeded]
        if not found:
            causes = {cause_of(failure.value) for _, failure in answered}
            raise NotUsable(f"no Sentinel knows the master of {self._target.service}: {'; '.join(sorted(causes))}")
        return max(found, key=lambda master: master.epoch)


class _Sentinel:
    """One Sentinel. A connection to it is kept while it answers."""

    def __init__(self, target: RedisTarget, reactor: Reactor, make: Callable[[], Connection], address: Address) -> None:
        self._login = target.sentinel_login
        self._service = target.service.encode()
        self._make = make
        self._endpoint = endpoint_of(reactor, target, address)
        self._idle: Connection | None = None

    async def ask(self) -> _Master:
        """Query the address of the master. The caller must set a timeout."""
        line, self._idle = self._idle, None
        if line is None:
            line = await dialled(self._endpoint, self._make(), self._greet)
        try:
            where, state = await answers(
                line.ask(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._service),
                line.ask(b"SENTINEL", b"MASTER", self._service),
            )
        except Exception as error:
            line.abort(cause_of(error))
            await line.gone
            raise
        self._keep(line)
        return _Master(_epoch(state), Address(where[0].decode(), int(where[1])))

    def stop(self) -> Deferred[None]:
        """Close the kept connection. Fires when it is closed."""
        line, self._idle = self._idle, None
        if line is None:
            return succeed(None)
        line.abort("stopped")
        return line.gone

    async def _greet(self, line: Connection) -> None:
        await log_in(line, self._login)

    def _keep(self, line: Connection) -> None:
        line.closed = lambda _: self._forget(line)
        self._idle = line

    def _forget(self, line: Connection) -> None:
        if self._idle is line:
            self._idle = None


def _epoch(state: Sequence[bytes]) -> int:
    """The number of the master's failover."""
    return int(dict(zip(state[::2], state[1::2], strict=True))[b"config-epoch"])
