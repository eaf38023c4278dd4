"""Makes the WebSockets of one kind, watches over them, closes them all in the end."""

from __future__ import annotations

from typing import Any, Final

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web.resource import IResource

from callnet.model import CloseCode
from callnet.websocket.socket import CLOSE_TIME, ServerSocket

SWEEP_EVERY: Final = 5.0
"""Seconds between two looks at all sockets."""


class ServerSocketFactory(WebSocketServerFactory):
    """Makes sockets of one kind, watches over them with one timer, and closes them all in the end."""

    noisy = False

    def __init__(self, protocol: type[ServerSocket], clock: IReactorTime, longest_message: int) -> None:
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
        options = {name: getattr(self, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}
        # As an attribute of a class a plain function would become a method. Every browser offers compression.
        options["perMessageCompressionAccept"] = staticmethod(self.perMessageCompressionAccept)
        options["longest_short"] = min(protocol.longest_short, longest_message)
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
        """Make a web resource that upgrades to these sockets. Autobahn has a ``resource`` of its own."""
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
                socket.close(CloseCode.GOING_AWAY, "server going away")
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
        for socket in list(self.sockets):
            socket.look(now)
        self._sweep = self.clock.callLater(SWEEP_EVERY, self._look)
