"""A call by a link that rings: whoever has it and says a name calls the phone of its owner, without an account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from callnet_client import frames
from callnet_client.account import ErrorCode, read_field
from callnet_client.connection import Connection, Watch
from callnet_client.errors import AccountError, ClientError
from callnet_client.event_queue import EventQueue
from callnet_client.frames import Frame, parse_frame
from callnet_client.reconnecting_device import DISPLACED, TOKEN_INVALID
from callnet_client.reconnecting_socket import Loss, ReconnectingSocket
from callnet_client.server import Server
from callnet_client.waiting import Waiting

GuestState: TypeAlias = Literal["off", "ringing", "active", "over"]

_DOUBT: Final = 2.0
"""Seconds after its welcome in which the server may still report the outcome of a call missing there."""
_PATIENCE: Final = 30.0
"""The seconds for which a call rings without a connection: only the server knows its outcome."""
_HANGUP_WITHIN: Final = 30.0
"""Seconds for which a hang-up is kept for a connection that comes back: by then the server has ended the call."""
_PARTING: Final = frames.Ping(id="hangup")
"""Sent after a hang-up: the answer shows that the server has received that."""
_LONGEST_DELAY: Final = 5.0
"""The approximate maximum of seconds between two attempts to connect."""


def _reason_of(error: AccountError) -> str:
    """The reason of a call that did not ring. A server of a version without guests answers 404 with the same code."""
    if error.code == ErrorCode.RATE_LIMITED:
        return "rate_limited"
    return "invalid" if error.code == ErrorCode.DATA and error.status == 200 else "unreachable"


class GuestCall:
    """One call by a link, from the first ring to its end. A link that is good and one that is not look the same: both
    ring, and nobody answers.

    :param secret: that of the link.
    :param name: what the guest calls itself: 1 to 50 characters.
    :param watch: called with every raw frame, and True if it was sent, False if it was received.
    """

    ask_every: Final = 2.0
    """See :class:`~callnet_client.reconnecting_socket.Owner`."""

    def __init__(self, server: Server, secret: str, name: str, *, watch: Watch | None = None) -> None:
        self._server = server
        self._secret = secret
        self._name = name
        self._watch = watch
        self.state: GuestState = "off"
        self.room_id = ""
        """The room id, empty until it was answered. Anyone who knows it can enter the room."""
        self.page = ""
        """The path of the call's page on the server's site; :meth:`Server.page_of` returns the whole URL."""
        self.reason = ""
        """The reason why it is over, as :attr:`Call.reason`; or ``rate_limited`` or ``invalid`` if it did not ring,
        ``unreachable`` if it had no connection, ``elsewhere`` if the guest is in it in another place; empty before."""
        self.is_own_end = False
        """True if the guest ended it."""
        self.is_forgotten = False
        """True if the server has lost the call: only its page shows whether media still flows."""
        self.is_lost = False
        """True while its connection is lost, or could not be made, and is tried again."""
        self.retry_after: float | None = None
        """Seconds after which to try again, if it was ``rate_limited`` and the server named them."""
        self.answered_at: float | None = None
        """The time of the answer, in seconds on the clock of the reactor; ``None`` before."""
        self.ended_at: float | None = None
        self._listeners: list[Callable[[GuestState], object]] = []
        self._events = EventQueue()
        self._waiting: Waiting[GuestState] = Waiting()
        self._line: ReconnectingSocket | None = None
        self._token = ""
        self._entering: Deferred[Any] | None = None
        self._has_rung = False
        self._doubting: IDelayedCall | None = None
        self._patience: IDelayedCall | None = None
        self._parting: IDelayedCall | None = None

    def listen(self, listener: Callable[[GuestState], object]) -> Callable[[], None]:
        """Add a listener for its states, called again when :attr:`is_forgotten` or :attr:`is_lost` has changed.

        :return: a function that removes it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def ring(self) -> None:
        """Ring, once."""
        if self.state != "off":
            return
        self._become("ringing")
        self._wait()
        entering = self._server.post("/links/enter", {"secret": self._secret, "name": self._name})
        self._entering = entering
        entering.addCallbacks(self._entered, self._not_entered)

    def hang_up(self) -> None:
        """End it in any state. Until the server has received it, this is kept for half a minute."""
        if self.state in ("ringing", "active"):
            self._hang_up("hangup" if self.state == "active" else "cancelled", is_own=True)

    def note_end(self) -> None:
        """Note that the page of the call has seen its end."""
        if self.state == "active":
            self._hang_up("over", is_own=False)

    def close(self) -> Deferred[None]:
        """Leave without a word. A call continues for the time that the server allows.

        :return: a Deferred that fires when the connection is closed.
        """
        gone = self._leave()
        self._waiting.tell(self.state, everyone=True)
        return gone

    def until(self, *states: GuestState) -> Deferred[GuestState]:
        """Wait for one of these states.

        :return: a new Deferred with the resulting state: one of these, ``over``, or the present one if it was closed.
        """
        return self._waiting.until(self.state, (*states, "over"))

    def _entered(self, answer: Mapping[str, Any]) -> None:
        self._entering = None
        self._token = read_field(answer, "guest_token", str)
        self._line = ReconnectingSocket(self, self._server.reactor, _LONGEST_DELAY)
        self._line.open()

    def _not_entered(self, failure: Failure) -> None:
        if self._entering is None:
            return  # it was left
        self._entering = None
        failure.trap(ClientError)
        error = failure.value
        if isinstance(error, AccountError):
            self.retry_after = error.retry_after
            self._end(_reason_of(error))
        else:
            self._end("unreachable")

    # Methods for the line

    def dial(self, received: Callable[[bytes], object]) -> Deferred[Connection]:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        return self._server.connect(self._token, received, extended=True, guest=True, watch=self._watch)

    def question(self) -> Struct:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        return frames.Ping()

    def opened(self, connection: Connection) -> None:
        """See :class:`~callnet_client.reconnecting_socket.Owner`. The welcome is still to come."""

    def heard(self, payload: bytes) -> None:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        frame = parse_frame(payload)
        if self.state == "over":
            if frame.type == "welcome":
                self._say_hang_up()
            elif frame.type == "pong" and frame.text("id") == _PARTING.id:
                self._leave()
            return
        match frame.type:
            case "welcome":
                self._welcomed(frame)
            case "call_success":
                self._answered(frame)
            case "call_refuse" | "call_failed" | "calling_be_hangup":
                self._end(frame.text("reason"))

    def lost(self, loss: Loss) -> float | None:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        if self.state == "over":
            return None
        if loss.code == TOKEN_INVALID:
            self._end("failed")
        elif loss.code == DISPLACED:
            self._end("elsewhere")
        elif not self.is_lost:
            self.is_lost = True
            if self._has_rung and self.state == "ringing":
                self._wait()
            self._become(self.state)
        return None

    def _welcomed(self, frame: Frame) -> None:
        if self._line is not None:
            self._line.settle()
        self._stop_timers()
        if frame.text("state") != "idle":
            self.is_forgotten = False
        if not self._has_rung:
            self._has_rung = self._say(frames.Ring())
        elif frame.text("state") == "idle":
            self._doubting = self._server.reactor.callLater(_DOUBT, self._forget)
        if self.is_lost:
            self.is_lost = False
            self._become(self.state)

    def _answered(self, frame: Frame) -> None:
        if self.state == "ringing":
            self.room_id, self.page = frame.room_id, frame.text("page")
            self.answered_at = self._server.reactor.seconds()
            self._become("active")

    def _say(self, request: Struct) -> bool:
        return self._line is not None and self._line.say(request)

    def _wait(self) -> None:
        self._patience = self._server.reactor.callLater(_PATIENCE, self._give_up)

    def _give_up(self) -> None:
        self._patience = None
        self._end("unreachable")

    def _forget(self) -> None:
        self._doubting = None
        self.is_forgotten = True
        if self.state == "active":
            self._become("active")
        else:
            self._end("forgotten")

    def _part(self) -> None:
        self._parting = None
        self._leave()

    def _stop_timers(self) -> None:
        for timer in (self._doubting, self._patience, self._parting):
            if timer is not None:
                timer.cancel()
        self._doubting = self._patience = self._parting = None

    def _hang_up(self, reason: str, is_own: bool) -> None:
        self._say_hang_up()
        self._end(reason, is_own, not self._has_rung)

    def _say_hang_up(self) -> None:
        if self._has_rung:
            self._say(frames.GuestHangup())
            self._say(_PARTING)

    def _end(self, reason: str, is_own: bool = False, is_known: bool = True) -> None:
        """End it, and leave once the server knows."""
        if self.state == "over":
            return
        self.reason, self.is_own_end = reason, is_own
        self.ended_at = self._server.reactor.seconds()
        if is_known:
            self._leave()
        else:
            self._stop_timers()
            self._parting = self._server.reactor.callLater(_HANGUP_WITHIN, self._part)
        self._become("over")

    def _leave(self) -> Deferred[None]:
        self._stop_timers()
        entering, self._entering = self._entering, None
        if entering is not None:
            entering.cancel()
        return succeed(None) if self._line is None else self._line.close()

    def _become(self, state: GuestState) -> None:
        self.state = state
        with self._events:
            for listener in list(self._listeners):
                self._events.add(lambda listener=listener: listener(state))  # type: ignore[misc]
            self._events.add(lambda: self._waiting.tell(state))
