"""Creates the WebSockets of one kind, checks them for silence, and closes them at the end."""

from __future__ import annotations

from collections import Counter, OrderedDict
from http import HTTPStatus
from itertools import islice
from math import inf
from typing import Any, Final

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Request

from callnet.config.schema import SocketSettings
from callnet.ops.connection_limits import PerAddress
from callnet.util import short_path
from callnet.util.turn_budget import TurnBudget
from callnet.ws.protocol import CLOSE_TIME, ServerSocket

NO_SETTINGS: Final = SocketSettings()
"""The default settings."""
SWEEP_EVERY: Final = 5.0
"""Seconds in which every socket is looked at once."""
_LATE: Final = 2.5
"""The delay of a check, in seconds, after which it says nothing about a client's silence."""
SWEPT_AT_ONCE: Final = 200
"""Sockets that are looked at in one go: to look at twenty thousand would keep everybody waiting."""
_FRACTIONS: Final = 1e-9
"""The rounding error of sums of fractions of a second."""
GENERAL: Final = {"longest_short": -1, "reads_plain": False}
"""A socket with these attributes leaves everything to Autobahn."""


class Pace:
    """A limit for one connection, which keeps the only state: the generic cell rate algorithm (ITU-T I.371).

    :param a_minute: the number that may come at once, and in each minute; 0: any number.
    """

    def __init__(self, a_minute: int) -> None:
        self.allow(a_minute)

    def allow(self, a_minute: int) -> None:
        """Apply a new limit."""
        self._spacing = 60.0 / a_minute if a_minute else 0.0

    def next(self, until: float, now: float) -> float:
        """Count one more. Answers with what is to be handed in for the one after it; infinite: it is too many.

        :param until: what this answered before; at first 0.
        """
        until = (max(now, until)) + self._spacing
        return until if until - now <= 60.0 + _FRACTIONS else inf


class ServerSocketFactory(WebSocketServerFactory):
    """Makes sockets of one kind, watches over them with one timer, and closes them all in the end.

    :param longest_message: in bytes.
    :param of_an_address: the maximum number open from each address; 0: any number.
    :param in_all: the maximum number open in total; 0: any number.
    :param limits: what each of them may take of time and memory.
    :param unread_max: bytes that may wait for a client that does not read.
    :param pace: how fast frames of all kinds may come on one of them; without it, as fast as they are.
    :param budget: the time that all edges together may take in a turn.
    """

    noisy = False

    def __init__(
        self,
        protocol: type[ServerSocket],
        clock: IReactorTime,
        longest_message: int,
        of_an_address: int = 0,
        in_all: int = 0,
        limits: SocketSettings = NO_SETTINGS,
        unread_max: int = NO_SETTINGS.unread,
        pace: Pace | None = None,
        budget: TurnBudget | None = None,
    ) -> None:
        super().__init__(reactor=clock, server="")  # type: ignore[no-untyped-call]
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            utf8validateIncoming=True,
            maxFramePayloadSize=longest_message,
            maxMessagePayloadSize=longest_message,
            failByDrop=False,
            openHandshakeTimeout=0,  # the sweep sees to both handshakes
            closeHandshakeTimeout=0,
            tcpNoDelay=True,
            serveFlashSocketPolicy=False,
            allowNullOrigin=True,  # who may come from where is the business of ``admit``
        )
        shared = _state_of_new(self) | {"limits": limits, "unread_max": unread_max}
        if short_path.ON:
            shared["longest_short"] = min(protocol.longest_short, longest_message)
        else:
            shared |= GENERAL
        bound: Any = type(protocol.__name__, (protocol,), shared)
        self.protocol = bound
        self.clock: Final = clock
        self.sockets: OrderedDict[ServerSocket, None] = OrderedDict()
        self.crowds: Final = PerAddress(of_an_address)
        self.pace: Final = pace or Pace(0)
        self.budget: Final = budget or TurnBudget(clock)
        self.draining = False
        self._most = in_all or inf
        self.refused: Final[Counter[int]] = Counter()
        """Handshakes that were refused, by status of HTTP."""
        self.closed: Final[Counter[int]] = Counter()
        """Sockets that were closed from here, by close code."""
        self.frames_received = self.frames_sent = 0
        """Texts, those of sockets that are gone included; and the bytes in them."""
        self.bytes_received = self.bytes_sent = 0
        self._sweep: IDelayedCall | None = None
        self._looks_at = 0.0
        self._left_to_look_at = 0
        self._pause = SWEEP_EVERY
        self._all_gone: Deferred[None] | None = None

    def startFactory(self) -> None:
        """Begin to watch over the sockets."""
        super().startFactory()  # type: ignore[no-untyped-call]
        if self._sweep is None:
            self._look_in(SWEEP_EVERY)

    def web_resource(self) -> IResource:
        """Make a web resource that upgrades to these sockets. Autobahn has a ``resource`` of its own."""
        self.startFactory()
        made: IResource = _Upgrade(self)
        return made

    def shut_down(self) -> Deferred[None]:
        """Open no more sockets, close all with 1001. Fires when they are gone, after 5 s at the latest."""
        self.draining = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for socket in list(self.sockets):
            socket.go_away()
        if not self.sockets:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._all_gone = gone
        limit = self.clock.callLater(CLOSE_TIME, self._abort_all)
        return gone.addCallback(lambda _: limit.cancel() if limit.active() else None)

    def allow(self, of_an_address: int, in_all: int) -> None:
        """Apply new limits to new sockets; open ones stay."""
        self.crowds.allow(of_an_address)
        self._most = in_all or inf

    @property
    def is_full(self) -> bool:
        """True if there are too many sockets, those that are still being opened included."""
        return len(self.sockets) > self._most

    @property
    def not_reading(self) -> int:
        """The number of sockets whose clients have stopped reading."""
        return sum(socket.is_stuck for socket in self.sockets)

    @property
    def unread(self) -> int:
        """The bytes that wait for them, beyond the buffers of the system and the transport."""
        return sum(socket.unread for socket in self.sockets if socket.is_stuck)

    def remove(self, socket: ServerSocket) -> None:
        """Forget a socket that is gone."""
        self.sockets.pop(socket, None)
        self.crowds.leave(socket.site)
        if not self.sockets:
            self._end_waiting()

    def _abort_all(self) -> None:
        for socket in list(self.sockets):
            socket.transport.abortConnection()
        self._end_waiting()

    def _end_waiting(self) -> None:
        if self._all_gone is not None:
            gone, self._all_gone = self._all_gone, None
            gone.callback(None)

    def _look(self) -> None:
        now = self.clock.seconds()
        # Who stood still has heard nobody, and may have much to read before it knows who was silent.
        is_late = now - self._looks_at > _LATE
        # To copy all of them, or to leave a copy, would take as long as to look at them: they go round in a circle.
        if self._left_to_look_at <= 0:
            # The pace of a round is set at its beginning: sockets that are cut in it do not make it slower.
            self._left_to_look_at = len(self.sockets)
            self._pause = SWEEP_EVERY * min(1.0, SWEPT_AT_ONCE / max(1, self._left_to_look_at))
        some = list(islice(self.sockets, min(SWEPT_AT_ONCE, self._left_to_look_at)))
        self._left_to_look_at -= SWEPT_AT_ONCE
        for socket in some:
            self.sockets.move_to_end(socket)
            if not is_late:
                socket.look(now)
        self._look_in(self._pause)

    def _look_in(self, pause: float) -> None:
        self._looks_at = self.clock.seconds() + pause
        self._sweep = self.clock.callLater(pause, self._look)


class _Upgrade(WebSocketResource):
    """Hands a connection over. The base class would say that the client speaks HTTP/1.1, whatever it has said."""

    _factory: ServerSocketFactory

    def render(self, request: Request) -> bytes | int:
        """Upgrade the connection of a request."""
        if request.clientproto != b"HTTP/1.1":
            self._factory.refused[HTTPStatus.HTTP_VERSION_NOT_SUPPORTED] += 1
            request.setResponseCode(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
            return b""
        rendered: bytes | int = super().render(request)  # type: ignore[no-untyped-call]
        return rendered


_ITS_OWN: Final = frozenset({"factory", "is_open", "is_closed", "utf8validator"})
"""The attributes of each connection."""


def _state_of_new(factory: WebSocketServerFactory) -> dict[str, Any]:
    """The options and initial state that Autobahn gives to each new connection, as attributes of a class.

    Nothing that several connections could change is among it: what is no plain value is only counted or kept
    there by methods of Autobahn that callnet does without.
    """
    new: Any = WebSocketServerProtocol()
    new.factory = factory
    new._connectionMade()  # noqa: SLF001  there is no other way to ask
    factory.countConnections = 0
    state = {name: value for name, value in vars(new).items() if name not in _ITS_OWN}
    # As an attribute of a class a plain function would become a method. Every browser offers compression.
    state["perMessageCompressionAccept"] = staticmethod(factory.perMessageCompressionAccept)
    return state | {"websocket_version": 13, "inside_message": False, "current_frame": None}
