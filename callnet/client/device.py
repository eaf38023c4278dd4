"""One device on the signaling socket: it is there for calls as long as it is connected, and comes back by itself.

It offers the extended protocol (docs/extended-protocol.md) and makes do with the base protocol, on which nobody
says who comes and goes, and a device that begins anew in a call that it accepted is not told of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from callnet.client.account import Account, ErrorCode
from callnet.client.call import Call
from callnet.client.calls import Calls
from callnet.client.connection import Connection, Watch
from callnet.client.errors import AccountError, ClientError
from callnet.client.events import (
    DeviceState,
    Event,
    Listener,
    MissedEvent,
    PresenceEvent,
    SignalEvent,
    StateEvent,
)
from callnet.client.frames import CallOfPhone, Frame, MissedCall, Ping, PresentCall, Request, Signal, parse_frame
from callnet.client.line import Line, Loss
from callnet.client.news import News
from callnet.client.server import EXTENDED
from callnet.client.waiting import Waiting
from callnet.model import EVERY_DEVICE, DeviceAddress

LONGEST_DELAY: Final = 15.0
"""Seconds, about, the most between two attempts to connect."""
ASK_IN_CALL: Final = 2.0
"""Seconds between two questions whether the server lives, in a call ..."""
ASK_EVERY: Final = 20.0
"""... and otherwise; the server may name another time for the latter."""
TOO_SOON: Final = 5.0
"""A token that was refused so many seconds after it was issued will be refused again: the server needs time."""

TOKEN_INVALID: Final = 4401
DISPLACED: Final = 4409
UNAUTHORIZED: Final = 401

HOPELESS: Final = (ErrorCode.PHONE, ErrorCode.DEVICE, ErrorCode.CODE, ErrorCode.DATA)
"""After these a login with the same words cannot succeed: somebody has to say something else."""

RESTING: Final[Sequence[DeviceState]] = ("off", "elsewhere", "denied")
"""The states that last until somebody does something."""


class Device:
    """A device, which is to be told to :meth:`connect`.

    :param extended: whether to offer the extended protocol.
    :param watch: is told of every frame, as it is, and whether it was sent (else it was received).
    """

    def __init__(self, account: Account, *, extended: bool = True, watch: Watch | None = None) -> None:
        self.account: Final = account
        self.state: DeviceState = "off"
        """``off`` · ``connecting`` before the first connection · ``online`` · ``offline``: it comes back by itself ·
        ``elsewhere``: the same device has connected somewhere else, and this one stays away · ``denied``: the device
        may not log in any more, :attr:`denial` says why."""
        self.denial: AccountError | None = None
        """Why it is ``denied``."""
        self.is_extended = False
        """Whether the extended protocol is spoken."""
        self.calls_of_phone: Sequence[CallOfPhone] = ()
        """The active calls of other devices of the phone as it connected; :meth:`pull` takes one over."""
        self.loss = Loss()
        """How the last connection was lost."""
        self._reactor = account.server.reactor
        self._offers = extended
        self._watch = watch
        self._listeners: list[Listener] = []
        self._news = News()
        self._calls = Calls(self._say, self._tell, self._news, self._reactor)
        self._waiting: Waiting[DeviceState] = Waiting()
        self._line: Line | None = None
        self._login: Deferred[str] | None = None
        self._login_timer: IDelayedCall | None = None
        self._logged_in_at = -TOO_SOON
        self._renewal: Deferred[None] = succeed(None)
        self._ask_every = ASK_EVERY
        self._unsaid: list[Request] = []
        self._reconnect_in: float | None = None

    @property
    def call(self) -> Call | None:
        """The call that it is in."""
        return self._calls.present

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have every event told to somebody.

        :return: ends it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def connect(self) -> None:
        """Connect, or come back from elsewhere; who has not logged in does so."""
        self._leave()
        self._become("connecting")
        if self.account.is_logged_in:
            self._dial()
        else:
            self._log_in()

    def close(self) -> Deferred[None]:
        """Leave. A call goes on for the time that the server allows.

        :return: a Deferred that fires when the connection is gone.
        """
        gone = self._leave()
        self._become("off")
        self._calls.left()
        return gone

    def check(self) -> None:
        """Find out now whether the server still answers: the person is back, or the machine has slept."""
        if self._line is not None:
            self._line.ask()

    def until(self, *states: DeviceState) -> Deferred[DeviceState]:
        """Wait for one of these states.

        :return: a Deferred of the caller's own with the state that the device then has: one of these, or ``off``,
            ``elsewhere`` or ``denied``, which last until somebody does something.
        """
        return self._waiting.until(self.state, (*states, *RESTING))

    def place(self, phone: str, device_id: str = EVERY_DEVICE) -> Call | None:
        """Call a device of a phone, or with ``*`` all of them. It leaves the call it is in; if it is just being rung
        by that phone it accepts.

        :return: the call; ``None`` if it is not online: nothing was done.
        """
        return self._calls.place(DeviceAddress(phone, device_id)) if self.state == "online" else None

    def pull(self, room_id: str) -> Call | None:
        """Take over a call that another device of the phone is in (:attr:`calls_of_phone`).

        :return: the call, which is ``calling`` until this device has it; ``None`` if it is not online, or the extended
            protocol is not spoken: nothing was done.
        """
        return self._calls.pull(room_id) if self.state == "online" and self.is_extended else None

    def resume(self, call: PresentCall) -> Call:
        """Be in a call that was remembered while its program began anew, and that may be over by now. On the extended
        protocol the server tells of it anyway.
        """
        return self._calls.resume(call)

    def note_end(self, call: Call) -> None:
        """Take note that the page of a call has seen its end."""
        self._calls.note_end(call)

    # What its line asks and tells

    @property
    def ask_every(self) -> float:
        """See :class:`~callnet.client.line.Owner`."""
        return self._ask_every if self.call is None else ASK_IN_CALL

    def dial(self, received: Callable[[bytes], object]) -> Deferred[Connection]:
        """See :class:`~callnet.client.line.Owner`."""
        token = self.account.token or ""
        return self.account.server.connect(token, received, extended=self._offers, watch=self._watch)

    def question(self) -> Request | None:
        """See :class:`~callnet.client.line.Owner`."""
        return Ping() if self.is_extended else None

    def opened(self, connection: Connection) -> None:
        """See :class:`~callnet.client.line.Owner`."""
        self.is_extended = connection.subprotocol == EXTENDED
        if not self.is_extended:
            self._ready()

    def heard(self, payload: bytes) -> None:
        """See :class:`~callnet.client.line.Owner`."""
        frame = parse_frame(payload)
        match frame.type:
            case "welcome":
                self._welcomed(frame)
            case "presence":
                who = DeviceAddress(frame.text("phone"), frame.text("device_id"))
                self._tell(PresenceEvent(who, frame.fields.get("online") is True))
            case "missed":
                self._tell(MissedEvent(_list_of(frame, "calls", MissedCall)))
            case "signal":
                if self.call is not None and self.call.room_id == frame.room_id:
                    self._tell(SignalEvent(self.call, frame.fields.get("data")))
            case "going_away":
                self._reconnect_in = frame.number("reconnect_in")
            case _:
                self._calls.hear(frame)

    def lost(self, loss: Loss) -> float | None:
        """See :class:`~callnet.client.line.Owner`."""
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
        reconnect_in, self._reconnect_in = self._reconnect_in, None
        return reconnect_in

    # Being online

    def _dial(self) -> None:
        self.is_extended = False
        self._line = Line(self, self._reactor, LONGEST_DELAY)
        self._line.open()

    # The extended server has looked at the token only when it says its welcome.
    def _welcomed(self, frame: Frame) -> None:
        self._ask_every = frame.number("ping_every") or ASK_EVERY
        self.calls_of_phone = _list_of(frame, "calls_of_phone", CallOfPhone)
        with self._news:
            self._calls.welcomed(_convert(frame.fields.get("call"), PresentCall))
            self._ready()

    def _ready(self) -> None:
        if self._line is not None:
            self._line.settle()
        with self._news:
            self._become("online")
            unsaid, self._unsaid = self._unsaid, []
            for request in unsaid:
                self._say(request)
        self._renewal = self.account.renew().addErrback(_let_be)

    def _say(self, request: Request) -> None:
        if self.state == "online" and self._line is not None:
            known = request if self.is_extended else replace(request, id="")
            if self._line.say(known):
                return
        if not isinstance(request, Signal):
            self._unsaid.append(request)

    def _leave(self) -> Deferred[None]:
        line, self._line = self._line, None
        login, self._login = self._login, None
        if self._login_timer is not None:
            self._login_timer.cancel()
            self._login_timer = None
        if login is not None:
            login.cancel()
        self._renewal.cancel()
        return succeed(None) if line is None else line.close()

    # Logging in

    def _be_refused(self) -> None:
        if self.account.token is None:  # it has logged out itself
            self._calls.revoked()
            self._become("off")
            return
        self._become("offline")
        if self._reactor.seconds() - self._logged_in_at < TOO_SOON:
            self._log_in_later(None)
        else:
            self._log_in()

    def _log_in(self) -> None:
        self._login_timer = None
        login = self._login = self.account.login()
        login.addCallbacks(partial(self._logged_in, login), partial(self._not_logged_in, login))

    def _logged_in(self, login: Deferred[str], _token: str) -> None:
        if login is self._login:  # else it was closed, or told to connect anew
            self._login = None
            self._logged_in_at = self._reactor.seconds()
            self._dial()

    def _not_logged_in(self, login: Deferred[str], failure: Failure) -> None:
        if login is not self._login:
            return
        failure.trap(ClientError)
        self._login = None
        error: Any = failure.value
        if isinstance(error, AccountError) and error.code in HOPELESS:
            self.denial = error
            self._become("denied")
        else:
            self._log_in_later(error.retry_after if isinstance(error, AccountError) else None)

    def _log_in_later(self, seconds: float | None) -> None:
        jitter = 0.5 + random.random()  # noqa: S311  so that not all come at once
        delay = LONGEST_DELAY * jitter if seconds is None else seconds + jitter
        self._login_timer = self._reactor.callLater(delay, self._log_in)

    # Telling

    def _become(self, state: DeviceState) -> None:
        if state != self.state:
            self.state = state
            self._tell(StateEvent(state))
            self._news.add(lambda: self._waiting.tell(state))

    def _tell(self, event: Event) -> None:
        with self._news:
            for listener in self._listeners:
                self._news.add(partial(listener, event))


def _let_be(failure: Failure) -> None:
    """A token that could not be renewed is good for another day."""
    failure.trap(ClientError, CancelledError)


def _convert(value: object, kind: Any) -> Any:
    """What a frame says, or ``None`` if it makes no sense."""
    try:
        return None if value is None else msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None


def _list_of(frame: Frame, name: str, kind: type) -> Sequence[Any]:
    values = frame.fields.get(name)
    found = [_convert(value, kind) for value in values] if isinstance(values, list) else []
    return [one for one in found if one is not None]
