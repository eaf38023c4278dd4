"""What all WebSockets of callnet have in common: limits, refusals, close codes, keep-alive, stopping.

Autobahn speaks the protocol; this tells it what callnet allows and keeps it quiet about what clients do.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource

GOING_AWAY: Final = 1001
UNSUPPORTED_DATA: Final = 1003
INTERNAL_ERROR: Final = 1011
TOO_MANY_BAD_FRAMES: Final = 4400
NO_SEAT: Final = 4403
NO_PONG: Final = 4408
DISPLACED: Final = 4409

HANDSHAKE_BYTES: Final = 8192
HANDSHAKE_TIME: Final = 10.0
"""Seconds in which a handshake must be complete."""
CLOSE_TIME: Final = 5.0
"""Seconds that a closing handshake may take."""
PING_AFTER: Final = 15.0
"""A socket that was silent for so many seconds is pinged."""
DEAD_AFTER: Final = 25.0
"""A socket that was silent for so many seconds is closed."""
SWEEP_EVERY: Final = 5.0
"""Seconds between two looks at all sockets."""

_HANDSHAKE: Final = (
    "http_request_data",
    "http_response_data",
    "http_status_line",
    "http_headers",
    "http_request_uri",
    "http_request_params",
    "http_request_host",
)
"""What Autobahn remembers of a handshake and nobody needs after it."""

log = Logger()


class _Silence:
    """Autobahn's log. It reports what clients did, with their own words; callnet does not log that."""

    def debug(self, *_: object, **__: object) -> None:
        """Say nothing."""

    trace = info = warn = error = critical = debug


class Refused(Exception):
    """A handshake is answered with an HTTP status instead of an upgrade (protocol §2)."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class ServerSocket(WebSocketServerProtocol):
    """One socket. A subclass says who may open it and what its frames mean."""

    CONFIG_ATTRS: list[str] = []  # noqa: RUF012  the factory's options are attributes of a subclass of its own
    log = _Silence()
    factory: ServerSocketFactory
    transport: Any
    message_data: Any

    def admit(self, request: ConnectionRequest) -> None:
        """Look at a handshake.

        :raises Refused: the socket may not be opened.
        """
        raise NotImplementedError

    def opened(self) -> None:
        """Begin: the socket is open."""
        raise NotImplementedError

    def received(self, payload: bytes) -> None:
        """Take a text frame, which is UTF-8."""
        raise NotImplementedError

    def gone(self) -> None:
        """Come to an end: an open socket is closed. This is called once."""
        raise NotImplementedError

    def send(self, payload: bytes) -> None:
        """Send one text frame. Nothing happens if the socket is closing."""
        if self.state == self.STATE_OPEN:
            self.transport.write(_text_header(len(payload)) + payload)

    def close(self, code: int, reason: str) -> None:
        """Close the socket with a code of RFC 6455 or of protocol §2 and a few ASCII words."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code, reason.encode("ascii"))

    def heard_at(self) -> float:
        """When anything was last received, in seconds on the factory's clock."""
        return self.last_heard

    # What Autobahn calls

    def connectionMade(self) -> None:
        """Begin to count the time of the handshake."""
        self.has_opened = self.is_pinged = False
        self.last_heard = self.changed_at = self.factory.clock.seconds()
        self.factory.sockets[self] = None
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Note the time; refuse a handshake that is too long."""
        self.last_heard = self.factory.clock.seconds()
        if self.state == self.STATE_CONNECTING and len(self.data) + len(data) > HANDSHAKE_BYTES:
            self.failHandshake("", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        self._dataReceived(data)  # what Autobahn's own method does after it has worked out what to log

    def onConnect(self, request: ConnectionRequest) -> None:
        """Answer a handshake; nothing that goes wrong here may be told to the client."""
        try:
            if self.factory.draining:
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE)
            self.admit(request)
        except Refused as refused:
            raise ConnectionDeny(refused.status.value) from None
        except Exception:  # noqa: BLE001
            log.failure("admitting a socket")
            raise ConnectionDeny(HTTPStatus.INTERNAL_SERVER_ERROR.value) from None

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: object = None) -> None:  # noqa: ARG002
        """Refuse the upgrade, with the words of HTTP: Autobahn's quote what the client sent."""
        headers = {HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After: 5\r\n", 426: "Upgrade: websocket\r\n"}
        text = f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\n{headers.get(code, '')}"
        self.transport.write(f"{text}Content-Length: 0\r\nConnection: close\r\n\r\n".encode("ascii"))
        self.data = b""
        self.dropConnection()

    def onOpen(self) -> None:
        """Forget the handshake, which held a token, and begin."""
        for name in _HANDSHAKE:
            setattr(self, name, None)
        self.has_opened = True
        self.opened()

    def onMessageEnd(self) -> None:
        """Hand over a whole message."""
        payload = b"".join(self.message_data)
        self.message_data = None
        if not self.failedByMe and self.state == self.STATE_OPEN:
            self.onMessage(payload, self.message_is_binary)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Take a message."""
        if isBinary:
            self.close(UNSUPPORTED_DATA, "frames are text")
            return
        try:
            self.received(payload)
        except Exception:  # noqa: BLE001
            log.failure("taking a frame")
            self.close(INTERNAL_ERROR, "internal error")

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Note when the closing handshake began."""
        self.changed_at = self.factory.clock.seconds()
        super().sendCloseFrame(code, reasonUtf8, isReply)

    def onPong(self, payload: bytes) -> None:
        """Do nothing: that something was received has been noted."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Come to an end."""
        self.factory.remove(self)
        super().connectionLost(reason)
        if self.has_opened:
            self.has_opened = False
            self.gone()

    # What the factory's sweep asks

    def look(self, now: float) -> None:
        """Ping a silent socket; drop one that is silent for too long or never gets done."""
        if self.state == self.STATE_OPEN:
            silent = now - self.last_heard
            if silent < PING_AFTER:
                self.is_pinged = False
            elif silent >= DEAD_AFTER:
                self.close(NO_PONG, "no pong")
            elif not self.is_pinged:
                self.is_pinged = True
                self.sendPing()
        elif now - self.changed_at >= (HANDSHAKE_TIME if self.state == self.STATE_CONNECTING else CLOSE_TIME):
            self.transport.abortConnection()


class ServerSocketFactory(WebSocketServerFactory):
    """Makes sockets of one kind, watches over them with one timer, and closes them all in the end."""

    def __init__(self, protocol: type[ServerSocket], clock: IReactorTime, longest_message: int) -> None:
        super().__init__(reactor=clock)  # type: ignore[no-untyped-call]
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
        )
        options = {name: getattr(self, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}
        # As an attribute of a class a plain function would become a method. Every browser offers compression.
        options["perMessageCompressionAccept"] = staticmethod(self.perMessageCompressionAccept)
        bound: Any = type(protocol.__name__, (protocol,), options)
        self.protocol = bound
        self.clock: Final = clock
        self.sockets: dict[ServerSocket, None] = {}
        self.draining = False
        self._sweep: IDelayedCall | None = None
        self._all_gone: Deferred[None] | None = None

    def startFactory(self) -> None:
        """Begin to watch over the sockets."""
        super().startFactory()  # type: ignore[no-untyped-call]
        if self._sweep is None:
            self._sweep = self.clock.callLater(SWEEP_EVERY, self._look)

    def web_resource(self) -> IResource:
        """Make a web resource that upgrades to these sockets. (Autobahn has an attribute ``resource`` of its own.)"""
        self.startFactory()
        made: IResource = WebSocketResource(self)
        return made

    def shut_down(self) -> Deferred[None]:
        """Open no more sockets, close all with 1001. Fires when they are gone, after 5 s at the latest."""
        self.draining = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for socket in list(self.sockets):
            if socket.state == socket.STATE_OPEN:
                socket.close(GOING_AWAY, "server going away")
            elif socket.state == socket.STATE_CONNECTING:
                socket.transport.loseConnection()
        if not self.sockets:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._all_gone = gone
        limit = self.clock.callLater(CLOSE_TIME, self._abort_all)
        return gone.addCallback(lambda _: limit.cancel() if limit.active() else None)

    def remove(self, socket: ServerSocket) -> None:
        """Forget a socket that is gone."""
        self.sockets.pop(socket, None)
        if not self.sockets and self._all_gone is not None:
            gone, self._all_gone = self._all_gone, None
            gone.callback(None)

    def _abort_all(self) -> None:
        for socket in list(self.sockets):
            socket.transport.abortConnection()

    def _look(self) -> None:
        now = self.clock.seconds()
        for socket in list(self.sockets):
            socket.look(now)
        self._sweep = self.clock.callLater(SWEEP_EVERY, self._look)


def _text_header(length: int) -> bytes:
    """Begin a whole text frame from a server (RFC 6455 §5.2)."""
    if length < 126:
        return bytes((0x81, length))
    return b"\x81\x7e" + length.to_bytes(2, "big") if length < 65536 else b"\x81\x7f" + length.to_bytes(8, "big")


def header(request: ConnectionRequest, name: str) -> str | None:
    """A header of a handshake, by its lower-case name."""
    value: Any = request.headers.get(name)
    return None if value is None else str(value)
