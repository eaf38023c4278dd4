"""One WebSocket, from its opening to its close: the layer below :class:`~callnet_client.Device`.

It gives access to raw requests and frames. It does not reconnect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from callnet_client.errors import ConnectionClosed
from callnet_client.frames import CloseReason
from callnet_client.socket import ClientSocket, Way, open_socket

Watch = Callable[[bytes, bool], object]
"""Called with each message, and whether it was sent (otherwise it was received)."""


def open_connection(
    way: Way, reactor: IReactorTime, received: Callable[[bytes], object], watch: Watch | None = None
) -> Deferred[Connection]:
    """Open a WebSocket.

    :param received: called with every received message.
    :param watch: called with every message, in either direction, before it is processed.
    :return: a Deferred with the connection.
    :raises UpgradeRefused: (the Deferred) the server did not open it.
    :raises Unreachable: (the Deferred) the server is unreachable.
    """
    socket = ClientSocket(reactor)
    connection = Connection(socket, received, watch)
    return open_socket(way, socket).addCallback(lambda _: connection)


class Connection:
    """An open WebSocket; :meth:`Server.connect` makes it."""

    def __init__(self, socket: ClientSocket, received: Callable[[bytes], object], watch: Watch | None) -> None:
        self._socket: Final = socket
        self._receive = received
        self._watch = watch
        self._close: CloseReason | None = None
        self._mourners: list[Deferred[CloseReason]] = []
        socket.received = self._received
        socket.lost = self._lost

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol chosen by the server, if any."""
        return self._socket.subprotocol

    @property
    def is_open(self) -> bool:
        """True while messages can be sent."""
        return self._socket.can_send

    def send(self, request: msgspec.Struct) -> None:
        """Send a request, as JSON.

        :raises ConnectionClosed: the connection is closed.
        """
        self.send_raw(msgspec.json.encode(request))

    def send_raw(self, payload: bytes, *, binary: bool = False) -> None:
        """Send any bytes in one message.

        :raises ConnectionClosed: the connection is closed.
        """
        if not self._socket.send(payload, binary):
            raise ConnectionClosed(self._close or CloseReason(1006, "closing"))
        if self._watch is not None:
            self._watch(payload, True)

    def ping(self, answered: Callable[[], object]) -> None:
        """Send a WebSocket ping (RFC 6455 §5.5.2)."""
        self._socket.ask(answered)

    def when_closed(self) -> Deferred[CloseReason]:
        """A new Deferred for the close of the connection."""
        if self._close is not None:
            return succeed(self._close)
        closed = Deferred[CloseReason](lambda _: self._mourners.remove(closed))
        self._mourners.append(closed)
        return closed

    def close(self, code: int = 1000, reason: str = "") -> Deferred[CloseReason]:
        """Close the connection with a closing handshake, or abort it if the server does not answer within
        ``CLOSE_TIMEOUT``.

        :param code: 1000 or 3000-4999.
        """
        if self._close is None:
            self._socket.sendClose(code, reason)
        return self.when_closed()

    def abort(self) -> Deferred[CloseReason]:
        """Abort the connection without a closing handshake."""
        if self._close is None:
            self._socket.cut()
        return self.when_closed()

    def _received(self, payload: bytes) -> None:
        if self._watch is not None:
            self._watch(payload, False)
        self._receive(payload)

    def _lost(self, close: CloseReason) -> None:
        self._close = close
        mourners, self._mourners = self._mourners, []
        for mourner in mourners:
            mourner.callback(close)
