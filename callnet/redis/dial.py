"""Keeps one connection to Redis up, retrying forever."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall

from callnet.redis.line import L, Reactor, Way, cause_of, dialled
from callnet.util.logger import Logger

_RETRY: Final = (0.2, 0.4)
"""Seconds between two attempts, at least and at most: not all nodes at once."""
_SETTLED: Final = 1.0
"""Seconds that a connection must have been up to be reopened without a pause."""
TICK: Final = 0.25
"""Seconds between two looks at a connection that is up."""


log = Logger()


class Keeper(Generic[L]):
    """Keeps one connection up.

    :param name: what it is called in the log.
    :param make: makes a protocol that is not connected yet.
    :param greet: says on a new connection what must come first.
    :param opened: told of each connection that is ready; :attr:`line` is set.
    :param lost: told when that is gone; :attr:`line` is not set any more.
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
        """Why it is not."""
        self._name = name
        self._reactor = reactor
        self._way = way
        self._make = make
        self._greet = greet
        self._opened = opened
        self._lost = lost
        self._attempt: Deferred[None] = succeed(None)
        self._gone: Deferred[None] = succeed(None)
        """Fires when nothing is left of the connection before."""
        self._timer: IDelayedCall | None = None
        """The next attempt, or the next tick."""
        self._since = 0.0
        self._ticked = 0.0
        self._stopped = True
        self._said = ""

    def start(self) -> None:
        """Begin, unless that has happened."""
        if self._stopped:
            self._stopped = False
            self._try()

    def stop(self) -> Deferred[None]:
        """End the connection, and make no other. Fires when nothing is left."""
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
        except Exception as error:  # noqa: BLE001  whatever it is, it may be mended
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
            self._try_again(random.uniform(*_RETRY))  # noqa: S311  it hides nothing
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
        """Have the owner look after its connection.

        If this process itself stood still, what has come in meanwhile is read first.
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
        """Write it to the log if it is news."""
        if what != self._said:
            self._said = what
            log.info("Redis {name}: {what}", name=self._name, what=what)


def _ignore(cause: str) -> None:
    """The end of a connection that was to end."""
