"""The presence of a device: it logs in, connects, and reconnects automatically.

It owns the line. The frames are interpreted by the device.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from callnet_client.account import Account, ErrorCode
from callnet_client.connection import Connection
from callnet_client.errors import AccountError, ClientError
from callnet_client.event_queue import log
from callnet_client.events import DeviceState
from callnet_client.frames import Ping, Request
from callnet_client.reconnecting_socket import Loss, ReconnectingSocket
from callnet_client.server import EXTENDED

LONGEST_DELAY: Final = 15.0
"""The approximate maximum of seconds between two attempts to connect."""
TOO_SOON: Final = 5.0
"""Seconds after its issue in which a refused token is not replaced: the server needs time."""

RENEW_EVERY: Final = 3600.0
"""Seconds between two looks at the expiry of the token, while it is connected."""

TOKEN_INVALID: Final = 4401
DISPLACED: Final = 4409
UNAUTHORIZED: Final = 401

HOPELESS: Final = (ErrorCode.PHONE, ErrorCode.DEVICE, ErrorCode.CODE, ErrorCode.DATA)
"""Errors after which the same login cannot succeed: the user has to change something."""
ABOUT_LOGIN: Final = 200
"""Their HTTP status: with another one the answer is about the path or the host, which are the operator's."""


Connect: TypeAlias = Callable[[str, Callable[[bytes], object]], Deferred[Connection]]


class Told(Struct, frozen=True):
    """The callbacks of an attendance."""

    opened: Callable[[], object]
    """The connection has opened; on an extended one the welcome is still to come."""
    heard: Callable[[bytes], object]
    """A frame was received."""
    became: Callable[[DeviceState], object]
    """The state has changed."""
    stopped: Callable[[DeviceState], object]
    """The state has changed, to ``off`` after a logout or to ``denied``: the server has no such device any more."""


class ReconnectingDevice:
    """The login and connection of one device.

    :param connect: opens a connection with a token, as :meth:`Server.connect`.
    :param ask_every: returns the seconds between two pings.
    """

    def __init__(self, account: Account, connect: Connect, ask_every: Callable[[], float], told: Told) -> None:
        self._account = account
        self._reactor = account.server.reactor
        self._connect = connect
        self._ask_every = ask_every
        self._told = told
        self.state: DeviceState = "off"
        self.denial: AccountError | None = None
        self.loss = Loss()
        self.is_extended = False
        self.reconnect_in: float | None = None
        """The delay in seconds before the reconnect, if the server has announced one."""
        self._line: ReconnectingSocket | None = None
        self._login: Deferred[str] | None = None
        self._login_timer: IDelayedCall | None = None
        self._logged_in_at = -TOO_SOON
        self._renewal: Deferred[None] = succeed(None)
        self._renewing = LoopingCall(self._renew)
        self._renewing.clock = self._reactor

    def connect(self) -> None:
        """Connect, after a login if necessary."""
        self._leave()
        if not self._become("connecting"):
            return
        if self._account.is_logged_in:
            self._dial()
        else:
            self._log_in(self._account.login())

    def close(self) -> Deferred[None]:
        """Disconnect.

        :return: a Deferred that fires when the connection is closed.
        """
        gone = self._leave()
        self._become("off")
        return gone

    def check(self) -> None:
        """Check now that the server still answers."""
        if self._line is not None:
            self._line.check()

    def admitted(self) -> None:
        """Record that the server has admitted the device, possibly once more."""
        if self._line is not None:
            self._line.settle()
        if self.state != "online" and self._become("online"):
            self._renew()

    @property
    def can_ask(self) -> bool:
        """True if the server receives a request now. A call that is requested later may no longer be wanted."""
        return self.state == "online" and self._line is not None and self._line.is_open

    def say(self, request: Request) -> bool:
        """Send a request if the device is online, and return whether it was sent."""
        if self.state != "online" or self._line is None:
            return False
        return self._line.say(request if self.is_extended else replace(request, id=""))

    # Methods for the line

    @property
    def ask_every(self) -> float:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        return self._ask_every()

    def dial(self, received: Callable[[bytes], object]) -> Deferred[Connection]:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        return self._connect(self._account.token or "", received)

    def question(self) -> Request | None:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        return Ping() if self.is_extended else None

    def opened(self, connection: Connection) -> None:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        self.is_extended = connection.subprotocol == EXTENDED
        self._told.opened()

    def heard(self, payload: bytes) -> None:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        self._told.heard(payload)

    def lost(self, loss: Loss) -> float | None:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        self.loss = loss
        is_unauthorized = loss.refusal is not None and loss.refusal.status == UNAUTHORIZED
        if loss.code == DISPLACED:
            self._leave()
            self._become("elsewhere")
        elif loss.code == TOKEN_INVALID or is_unauthorized:
            self._leave()
            self._be_refused()
        else:
            self._become("offline")
        seconds, self.reconnect_in = self.reconnect_in, None
        return seconds

    def _dial(self) -> None:
        self.is_extended = False
        self._renewing.start(RENEW_EVERY, now=False)
        self._line = ReconnectingSocket(self, self._reactor, LONGEST_DELAY)
        self._line.open()

    def _renew(self) -> None:
        if self._renewal.called:
            self._renewal = self._account.renew().addErrback(_let_be)

    def _leave(self) -> Deferred[None]:
        login, self._login = self._login, None
        if self._login_timer is not None:
            self._login_timer.cancel()
            self._login_timer = None
        if login is not None:
            login.cancel()
        self._renewal.cancel()
        if self._renewing.running:
            self._renewing.stop()
        return succeed(None) if self._line is None else self._line.close()

    def _become(self, state: DeviceState) -> bool:
        """Change the state, and return whether it holds still: a listener may have closed it or reconnected."""
        if state != self.state:
            self.state = state
            self._told.became(state)
        return self.state == state

    def _stop(self, state: DeviceState) -> None:
        self.state = state
        self._told.stopped(state)

    # Logging in

    def _be_refused(self) -> None:
        if self._account.token is None:
            self._stop("off")  # it has logged out itself
            return
        if not self._become("offline"):
            return
        if self._reactor.seconds() - self._logged_in_at < TOO_SOON:
            self._log_in_later(None)
        else:
            self._log_in_again()

    def _log_in_again(self) -> None:
        self._login_timer = None
        self._log_in(self._account.login_again())

    def _log_in(self, login: Deferred[str]) -> None:
        self._login = login
        login.addCallbacks(partial(self._logged_in, login), partial(self._not_logged_in, login))

    def _logged_in(self, login: Deferred[str], _token: str) -> None:
        if login is self._login:  # otherwise it was closed, or connected again
            self._login = None
            self._logged_in_at = self._reactor.seconds()
            self._dial()

    def _not_logged_in(self, login: Deferred[str], failure: Failure) -> None:
        if login is not self._login:
            return
        self._login = None
        error: Any = failure.value
        is_answer = isinstance(error, AccountError)
        if is_answer and error.code == ErrorCode.TOKEN and self._account.token is None:
            self._stop("off")
        elif is_answer and error.status == ABOUT_LOGIN and error.code in HOPELESS:
            self.denial = error
            self._stop("denied")
        else:
            if isinstance(error, ClientError):
                self.loss = Loss(error=error)
            else:
                log.failure("the login of a device failed", failure)
            self._log_in_later(error.retry_after if is_answer else None)

    def _log_in_later(self, seconds: float | None) -> None:
        jitter = 0.5 + random.random()  # noqa: S311  so that not all reconnect together
        delay = LONGEST_DELAY * jitter if seconds is None else seconds + jitter
        self._login_timer = self._reactor.callLater(delay, self._log_in_again)


def _let_be(failure: Failure) -> None:
    """Ignore a failed renewal: the token is valid for another day."""
    failure.trap(ClientError, CancelledError)
