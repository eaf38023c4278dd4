"""A client's WebSocket, with timers on the clock of its reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from autobahn.exception import Disconnected
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS

from callnet_client.errors import UpgradeRefused, in_time, retry_after, unreachable
from callnet_client.frames import CloseReason
from callnet_client.trust import public_trust

OPEN_TIMEOUT: Final = 30
"""Seconds from the TCP connection to the open WebSocket."""

CLOSE_TIMEOUT: Final = 5
"""Seconds for the server to complete the close, before the connection is aborted."""

LARGEST_MESSAGE: Final = 1 << 20
"""The maximum size of a message from the server, in bytes."""


class Way(Struct, frozen=True):
    """The address of a server, and the parameters of the handshake."""

    url: str
    """``ws://`` or ``wss://``."""
    trust: IPolicyForHTTPS | None = None
    """The trusted certificates; by default the authorities of this machine."""
    endpoint: IStreamClientEndpoint | None = None
    """A way to the server instead of the one that ``url`` names."""
    subprotocols: tuple[str, ...] = ()
    """The offered subprotocols."""
    origin: str | None = None
    """The value of the header ``Origin``; by default there is none."""


class ClientSocket(WebSocketClientProtocol):
    """The Autobahn protocol of a client's socket: translates, decides nothing.

    Its owner sets ``received``, for each message, and ``lost``, for the end of a socket that was open.
    """

    http_status_line = ""
    http_headers: dict[str, str]
    transport: ITCPTransport
    received: Callable[[bytes], None]
    lost: Callable[[CloseReason], None]
    subprotocol: str | None = None
    """The subprotocol that the server has chosen."""
    _lost_because: Failure

    def __init__(self, reactor: IReactorTime) -> None:
        super().__init__()
        self.http_headers = {}
        self.reactor: Final = reactor
        self._cutting: IDelayedCall | None = None
        self._asked: Callable[[], object] | None = None
        self.opened: Deferred[None] = Deferred(lambda _: self.cut())

    @property
    def can_send(self) -> bool:
        """True until either side begins to close it."""
        return bool(self.state == WebSocketClientProtocol.STATE_OPEN)

    def send(self, payload: bytes, binary: bool = False) -> bool:
        """Send a message; return whether that is still possible."""
        try:
            self.sendMessage(payload, binary)
        except Disconnected:
            return False
        return True

    def ask(self, answered: Callable[[], object]) -> None:
        """Send a ping; ``answered`` is called at the next pong."""
        self._asked = answered
        self.sendPing()

    def onPong(self, payload: bytes) -> None:  # noqa: ARG002, N802
        """Handle a pong."""
        if self._asked is not None:
            self._asked()

    def cut(self) -> None:
        """Abort the connection."""
        self.transport.abortConnection()

    def connectionMade(self) -> None:  # noqa: N802
        """Start the timeout of the handshake."""
        in_time(self.opened, OPEN_TIMEOUT, self.reactor)
        super().connectionMade()

    def onOpen(self) -> None:  # noqa: N802
        """Handle the open connection."""
        self.subprotocol = self.websocket_protocol_in_use
        self.opened.callback(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: ARG002, N802, N803
        """Deliver a message."""
        self.received(payload)

    def sendCloseFrame(self, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        """Start the timeout of the closing handshake."""
        super().sendCloseFrame(*args, **kwargs)
        if self._cutting is None:
            self._cutting = self.reactor.callLater(CLOSE_TIMEOUT, self.cut)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Handle the end of the connection."""
        if self._cutting is not None and self._cutting.active():
            self._cutting.cancel()
        self._lost_because = reason
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: ARG002, N802, N803
        """Report the reason of the end."""
        if self.opened.called:
            self.lost(CloseReason(self.remoteCloseCode or 1006, self.remoteCloseReason or ""))
        else:
            _, _, text = self.http_status_line.partition(" ")
            status = text[:3]
            if status.isdecimal():
                after = retry_after(self.http_headers.get("retry-after"))
                self.opened.errback(UpgradeRefused(int(status), text, after))
            else:
                self.opened.errback(self._lost_because)


def open_socket(way: Way, socket: ClientSocket) -> Deferred[None]:
    """Open a WebSocket.

    :return: a Deferred that fires when it is open.
    :raises UpgradeRefused: (the Deferred) the server did not open it.
    :raises Unreachable: (the Deferred) the server is unreachable.
    """
    factory = _Factory(way, socket)
    endpoint = way.endpoint or _endpoint(factory, socket.reactor, way.trust or public_trust())
    return Deferred.fromCoroutine(_open(endpoint, factory, socket)).addErrback(unreachable)


class _Factory(WebSocketClientFactory):
    noisy = False

    def __init__(self, way: Way, socket: ClientSocket) -> None:
        WebSocketClientFactory.__init__(
            self, way.url, origin=way.origin, protocols=list(way.subprotocols), reactor=socket.reactor
        )
        # Autobahn's timers use a clock of their own: ClientSocket has the two needed ones on ours.
        self.setProtocolOptions(
            maxMessagePayloadSize=LARGEST_MESSAGE,
            failByDrop=False,
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            serverConnectionDropTimeout=0,
        )
        self._socket = socket
        socket.factory = self

    def buildProtocol(self, addr: IAddress | None) -> ClientSocket:  # noqa: ARG002, N802
        return self._socket


def _endpoint(factory: _Factory, reactor: IReactorTime, trust: IPolicyForHTTPS) -> IStreamClientEndpoint:
    endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, factory.host, factory.port)
    if factory.isSecure:
        endpoint = wrapClientTLS(trust.creatorForNetloc(factory.host.encode("idna"), factory.port), endpoint)
    return endpoint


async def _open(endpoint: IStreamClientEndpoint, factory: _Factory, socket: ClientSocket) -> None:
    await endpoint.connect(factory)
    await socket.opened
