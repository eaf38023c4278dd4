"""A reconnecting WebSocket: a lost one is opened again with increasing delays, and a dead path is detected by
unanswered pings.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Final, Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from callnet_client.connection import Connection
from callnet_client.errors import ClientError, ConnectionClosed, UpgradeRefused
from callnet_client.frames import CloseReason

LOOK_EVERY: Final = 2.0
"""Seconds between two checks for a missing answer."""
DEAD_AFTER: Final = 6.0
"""Seconds without an answer after which a socket is given up: over a dead path it would stay open for minutes."""
ANSWER_WITHIN: Final = 1.5
"""Seconds for an answer when the server is in doubt: a needless new socket costs little."""
ROUND_TRIPS: Final = 4
"""The same as a multiple of the last answer's time, if that is longer: an answer may have to be sent again."""
URGENT_EVERY: Final = 10.0
"""The minimum of seconds between two replacements by such doubts: on a bad path a new socket is no better."""
SPREAD: Final = 0.5
"""The maximum of random seconds that a doubt waits longer: others may doubt the server in the same moment."""
FIRST_DELAY: Final = 0.5
"""The approximate delay in seconds of the first attempt to reopen a lost socket."""


class Loss(Struct, frozen=True):
    """The loss of a socket."""

    code: int | None = None
    """The close code; ``None``: it was never open, or timed out."""
    reason: str = ""
    """The server's close reason."""
    error: ClientError | None = None
    """The error of a failed opening."""

    @property
    def refusal(self) -> UpgradeRefused | None:
        """The server's refusal to open it, if that was the error."""
        return self.error if isinstance(self.error, UpgradeRefused) else None


class Owner(Protocol):
    """The owner of a line."""

    @property
    def ask_every(self) -> float:
        """Seconds between two pings."""

    def dial(self, received: Callable[[bytes], object]) -> Deferred[Connection]:
        """Open a socket with ``received`` as the receiver of its messages."""

    def question(self) -> Struct | None:
        """A request to check the connection by any answer; ``None``: use a WebSocket ping."""

    def opened(self, connection: Connection) -> None:
        """Handle the open connection."""

    def heard(self, payload: bytes) -> None:
        """Handle a message."""

    def lost(self, loss: Loss) -> float | None:
        """Handle the loss of the connection.

        :return: the seconds until the next attempt, or ``None`` for the line's own delay.
        """


class ReconnectingSocket:
    """A reconnecting WebSocket, from :meth:`open` on.

    :param longest_delay: the approximate maximum of seconds between two attempts.
    """

    def __init__(self, owner: Owner, reactor: IReactorTime, longest_delay: float) -> None:
        self._owner = owner
        self._reactor = reactor
        self._longest_delay = longest_delay
        self._delay = FIRST_DELAY
        self._attempt = 0
        self._opening: Deferred[Connection] | None = None
        self._connection: Connection | None = None
        self._closing: Connection | None = None
        self._timer: IDelayedCall | None = None
        self._retrying: IDelayedCall | None = None
        """Until the next attempt."""
        self._is_appointed = False
        """True if the server has named the time of the next attempt."""
        self._checking: IDelayedCall | None = None
        self._unanswered_since: float | None = None
        self._asked_at = 0.0
        self._pinged_at: float | None = None
        self._round_trip = 0.0
        self._urgent_at = -inf
        self._is_closed = False

    def open(self) -> None:
        """Start."""
        self._connect()

    @property
    def is_open(self) -> bool:
        """True while requests can be sent."""
        return self._connection is not None and self._connection.is_open

    def say(self, request: Struct) -> bool:
        """Send a request now, and return whether that was possible."""
        if self._connection is None:
            return False
        try:
            self._connection.send(request)
        except ConnectionClosed:
            return False
        return True

    def check(self) -> None:
        """Check now that the server still answers: a socket over which it does not soon is replaced at once.

        Without one, the next attempt is made now, unless the server has named its time.
        """
        now = self._reactor.seconds()
        may_be_urgent = now - self._urgent_at >= URGENT_EVERY
        if self._retrying is not None and not self._is_appointed and may_be_urgent:
            self._urgent_at = now
            self._retrying.cancel()
            self._connect()
        if self._connection is None or self._checking is not None:
            return
        if may_be_urgent:
            spread = SPREAD * random.random()  # noqa: S311  as below
            within = max(ANSWER_WITHIN, ROUND_TRIPS * self._round_trip)
            self._checking = self._reactor.callLater(within + spread, self._unanswered)
        self._ask(self._connection)

    def settle(self) -> None:
        """Reset the delay of the next attempts, since the server has admitted this client."""
        self._delay = FIRST_DELAY

    def close(self) -> Deferred[None]:
        """Close it for good, without further reports.

        :return: a Deferred that fires when the socket is closed, however often this is called.
        """
        if not self._is_closed:
            self._is_closed = True
            self._closing = self._connection
            self._abandon()
        return succeed(None) if self._closing is None else self._closing.close().addCallback(lambda _: None)

    def _connect(self) -> None:
        self._retrying = None
        self._attempt += 1
        attempt = self._attempt
        self._pinged_at = None
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
            self._unanswered_since = None  # no request is waiting for an answer

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
            self._answered(attempt)
            self._owner.heard(payload)

    def _answered(self, attempt: int) -> None:
        if attempt != self._attempt:
            return
        if self._pinged_at is not None:
            # A message that was already on its way seems a quick answer.
            self._round_trip = max(self._reactor.seconds() - self._pinged_at, self._round_trip / 2)
        self._pinged_at = self._unanswered_since = None
        self._stop_check()

    def _stop_check(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
            self._checking = None

    def _unanswered(self) -> None:
        self._checking = None
        self._urgent_at = self._reactor.seconds()
        self._lost(Loss(), is_urgent=True)

    def _ask(self, connection: Connection) -> None:
        self._asked_at = self._reactor.seconds()
        if self._unanswered_since is None:
            self._unanswered_since = self._asked_at
        if self._pinged_at is None:
            self._pinged_at = self._asked_at
        question = self._owner.question()
        if question is None:
            connection.ping(partial(self._answered, self._attempt))
        else:
            self.say(question)

    # The age of the oldest unanswered ping counts, not the time of the last message: after the machine was suspended
    # the connection must not seem dead.
    def _look(self) -> None:
        now = self._reactor.seconds()
        if self._unanswered_since is not None and now - self._unanswered_since >= DEAD_AFTER:
            self._timer = None
            self._lost(Loss())
            return
        self._timer = self._reactor.callLater(LOOK_EVERY, self._look)
        if self._connection is not None and now - self._asked_at >= self._owner.ask_every - LOOK_EVERY / 2:
            self._ask(self._connection)

    def _lost(self, loss: Loss, is_urgent: bool = False) -> None:
        self._abandon(aborts=True)
        delay = self._owner.lost(loss)
        if self._is_closed:
            return
        after = None if loss.refusal is None else loss.refusal.retry_after
        self._is_appointed = delay is not None or after is not None
        if delay is None:
            delay = 0.0 if is_urgent else (after or 0.0) + self._back_off()
        self._retrying = self._reactor.callLater(delay, self._connect)

    def _back_off(self) -> float:
        delay, self._delay = self._delay, min(self._longest_delay, 2 * self._delay)
        return delay * (0.5 + random.random())  # noqa: S311  so that not all reconnect together

    def _abandon(self, aborts: bool = False) -> None:
        self._attempt += 1  # results of the current attempt are ignored from now on
        for timer in (self._timer, self._retrying):
            if timer is not None:
                timer.cancel()
        self._timer = self._retrying = None
        self._stop_check()
        opening, self._opening = self._opening, None
        connection, self._connection = self._connection, None
        if opening is not None:
            opening.cancel()
        if connection is not None and aborts:
            connection.abort()
