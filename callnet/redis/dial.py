"""A reconnecting connection to Redis. It never gives up, since any failure may be repaired."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall

from callnet.redis.line import L, Reactor, Way, cause_of, dialled
from callnet.util.logger import Logger

_RETRY: Final = (0.2, 0.4)
"""The minimum and maximum seconds between two attempts, random so that nodes do not reconnect together."""
_SETTLED: Final = 1.0
"""Seconds of uptime after which a lost connection is replaced without a delay."""
TICK: Final = 0.25
"""Seconds between two checks of a connection."""


log = Logger()


class Keeper(Generic[L]):
    """Keeps one connection up.

    :param name: its name in the log.
    :param make: makes a protocol that is not connected yet.
    :param greet: sends the first commands on a new connection.
    :param opened: called with each connection that is ready; :attr:`line` is set.
    :param lost: called when it is lost; :attr:`line` is ``None`` again.
    """

    def __init__(
        self,
        name: str,
        reactor: Reactor,
        way: Way,
        make: Callable[[], L],
        greet: Callable[[L], Coroutine[Deferred[Any], Any, None]],
        opened: Callable[[L], None],
        lost: Callable[[], None],
    ) -> None:
        self.line: L | None = None
        """The connection, while it is up."""
        self.cause = "not started"
        """The reason why it is down."""
        self._name = name
        self._reactor = reactor
        self._way = way
        self._make = make
        self._greet = greet
        self._opened = opened
        self._lost = lost
        self._attempt: Deferred[None] = succeed(None)
        self._gone: Deferred[None] = succeed(None)
        """Fires when the previous connection is closed."""
        self._timer: IDelayedCall | None = None
        """The next attempt, or the next tick."""
        self._since = 0.0
        self._ticked = 0.0
        self._stopped = True
        self._said = ""

    def start(self) -> None:
        """Start, unless that has happened."""
        if self._stopped:
            self._stopped = False
            self._try()

    def stop(self) -> Deferred[None]:
        """End the connection, and make no other. Fires when it is closed."""
        self._stopped = True
        self._cancel_timer()
        line, self.line, self.cause = self.line, None, "stopped"
        if line is None:
            self._attempt.cancel()
        else:
            line.closed = _ignore
            line.abort(self.cause)
        return gatherResults([self._gone, self._attempt]).addCallback(lambda _: self._way.stop())

    def _try(self) -> None:
        self._timer = None
        self._attempt = Deferred.fromCoroutine(self._try_once())
        self._attempt.addErrback(
            lambda failure: log.failure("failed to connect to Redis {name}", failure, name=self._name)
        )

    async def _try_once(self) -> None:
        try:
            line = await Deferred.fromCoroutine(self._dial()).addTimeout(self._way.patience, self._reactor)
        except Exception as error:  # noqa: BLE001  any failure may be repaired
            self._failed(error)
        else:
            self._up(line)

    async def _dial(self) -> L:
        return await dialled(await self._way.endpoint(), self._make(), self._greet)

    def _up(self, line: L) -> None:
        line.closed = self._closed
        self._gone = line.gone
        self.line, self.cause = line, ""
        self._since = self._ticked = self._reactor.seconds()
        self._timer = self._reactor.callLater(TICK, self._look)
        self._say("up")
        self._opened(line)

    def _failed(self, error: Exception) -> None:
        self.cause = cause_of(error)
        if not self._stopped:
            self._try_again(random.uniform(*_RETRY))  # noqa: S311  not a secret
            self._say(f"away: {self.cause}")

    def _closed(self, cause: str) -> None:
        self._cancel_timer()
        self.line, self.cause = None, cause
        settled = self._reactor.seconds() - self._since >= _SETTLED
        self._try_again(0 if settled else random.uniform(*_RETRY))  # noqa: S311
        self._say(f"lost: {cause}")
        self._lost()

    def _try_again(self, delay: float) -> None:
        self._timer = self._reactor.callLater(delay, self._try)

    def _look(self) -> None:
        """Check the connection.

        If this process itself was suspended, received data is read first.
        """
        now = self._reactor.seconds()
        was_late, self._ticked = now - self._ticked > 2 * TICK, now
        self._timer = self._reactor.callLater(0 if was_late else TICK, self._look)
        if not was_late and self.line is not None:
            self.line.look(now)
        if not was_late and self.line is not None:
            self._way.look(self.line, now)

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _say(self, what: str) -> None:
        """Log a change of the state."""
        if what != self._said:
            self._said = what
            log.info("Redis {name}: {what}", name=self._name, what=what)


def _ignore(cause: str) -> None:
    """Ignore the end of a stopped connection."""
