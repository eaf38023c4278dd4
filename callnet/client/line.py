"""A WebSocket that comes back: what was lost is opened again, later each time, and a path that died without
a word is found out by questions that nobody answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from callnet.client.connection import Connection
from callnet.client.errors import ClientError, ConnectionClosed, UpgradeRefused
from callnet.client.frames import CloseReason

LOOK_EVERY: Final = 2.0
"""Seconds between two looks at whether an answer is still missing."""
DEAD_AFTER: Final = 6.0
"""Seconds without an answer after which a socket is given up: one over a dead path stays open for minutes."""
FIRST_DELAY: Final = 0.5
"""Seconds, about, until a socket that was lost is opened again, the first time."""


class Loss(Struct, frozen=True):
    """The end of a socket."""

    code: int | None = None
    """The code with which it was closed; ``None``: it never was open, or fell silent."""
    reason: str = ""
    """The server's words to it."""
    error: ClientError | None = None
    """Why it could not be opened."""

    @property
    def refusal(self) -> UpgradeRefused | None:
        """The refusal of the server to open it."""
        return self.error if isinstance(self.error, UpgradeRefused) else None


class Owner(Protocol):
    """The owner of a line."""

    @property
    def ask_every(self) -> float:
        """Seconds between two questions."""

    def dial(self, received: Callable[[bytes], object]) -> Deferred[Connection]:
        """Open a socket, whose messages are to go to ``received``."""

    def question(self) -> Struct | None:
        """A message that a living server answers; ``None``: use a WebSocket ping."""

    def opened(self, connection: Connection) -> None:
        """Know that it is open."""

    def heard(self, payload: bytes) -> None:
        """Take a message."""

    def lost(self, loss: Loss) -> float | None:
        """Know that it is lost.

        :return: the seconds until the next attempt, or ``None`` to leave that to the line.
        """


class Line:
    """One such WebSocket, from :meth:`open` on.

    :param longest_delay: seconds, about, the most between two attempts.
    """

    def __init__(self, owner: Owner, reactor: IReactorTime, longest_delay: float) -> None:
        self._owner = owner
        self._reactor = reactor
        self._longest_delay = longest_delay
        self._delay = FIRST_DELAY
        self._attempt = 0
        self._opening: Deferred[Connection] | None = None
        self._connection: Connection | None = None
        self._timer: IDelayedCall | None = None
        self._unanswered_since: float | None = None
        self._asked_at = 0.0
        self._is_closed = False

    def open(self) -> None:
        """Begin."""
        self._connect()

    def say(self, request: Struct) -> bool:
        """Send something. If it cannot be sent now it is not, and the answer is ``False``."""
        if self._connection is None:
            return False
        try:
            self._connection.send(request)
        except ConnectionClosed:
            return False
        return True

    def ask(self) -> None:
        """Find out now whether the server still answers."""
        if self._connection is None:
            return
        self._asked_at = self._reactor.seconds()
        if self._unanswered_since is None:
            self._unanswered_since = self._asked_at
        question = self._owner.question()
        if question is None:
            self._connection.ping(partial(self._answered, self._attempt))
        else:
            self.say(question)

    def settle(self) -> None:
        """The server let us in: should it be lost, the next attempts come quickly again."""
        self._delay = FIRST_DELAY

    def close(self) -> Deferred[None]:
        """Close it for good; nothing is reported any more.

        :return: a Deferred that fires when the socket is gone.
        """
        self._is_closed = True
        connection = self._connection
        self._abandon()
        return succeed(None) if connection is None else connection.close().addCallback(lambda _: None)

    def _connect(self) -> None:
        self._attempt += 1
        attempt = self._attempt
        self._asked_at = self._unanswered_since = self._reactor.seconds()
        self._timer = self._reactor.callLater(LOOK_EVERY, self._look)
        opening = self._opening = self._owner.dial(partial(self._heard, attempt))
        opening.addCallbacks(partial(self._opened, attempt), partial(self._unopened, attempt))

    def _opened(self, attempt: int, connection: Connection) -> None:
        if attempt != self._attempt:  # it was given up in the same moment
            connection.abort()
            return
        self._opening, self._connection = None, connection
        connection.when_closed().addCallback(partial(self._closed, attempt))
        self._owner.opened(connection)
        if self._owner.question() is None:
            self._unanswered_since = None  # nothing was asked that is still to be answered

    def _unopened(self, attempt: int, failure: Failure) -> None:
        if attempt != self._attempt:
            return  # it was given up
        error = failure.value
        if not isinstance(error, ClientError):
            failure.raiseException()
        else:
            self._lost(Loss(error=error))

    def _closed(self, attempt: int, close: CloseReason) -> None:
        if attempt == self._attempt:
            self._lost(Loss(close.code, close.reason))

    def _heard(self, attempt: int, payload: bytes) -> None:
        if attempt == self._attempt:
            self._unanswered_since = None
            self._owner.heard(payload)

    def _answered(self, attempt: int) -> None:
        if attempt == self._attempt:
            self._unanswered_since = None

    # What counts is the oldest question without an answer, not when anything was last heard: a machine that
    # was asleep must not find everybody dead.
    def _look(self) -> None:
        now = self._reactor.seconds()
        if self._unanswered_since is not None and now - self._unanswered_since >= DEAD_AFTER:
            self._timer = None
            self._lost(Loss())
            return
        self._timer = self._reactor.callLater(LOOK_EVERY, self._look)
        if now - self._asked_at >= self._owner.ask_every - LOOK_EVERY / 2:
            self.ask()

    def _lost(self, loss: Loss) -> None:
        self._abandon(aborts=True)
        delay = self._owner.lost(loss)
        if not self._is_closed:
            self._timer = self._reactor.callLater(self._back_off(loss) if delay is None else delay, self._connect)

    def _back_off(self, loss: Loss) -> float:
        delay, self._delay = self._delay, min(self._longest_delay, 2 * self._delay)
        jitter = 0.5 + random.random()  # noqa: S311  so that not all come at once
        if loss.refusal is not None and loss.refusal.retry_after is not None:
            return loss.refusal.retry_after + delay * jitter
        return delay * jitter

    def _abandon(self, aborts: bool = False) -> None:
        self._attempt += 1  # what comes of the present one is not heard any more
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        opening, self._opening = self._opening, None
        connection, self._connection = self._connection, None
        if opening is not None:
            opening.cancel()
        if connection is not None and aborts:
            connection.abort()
