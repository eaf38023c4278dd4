"""Clients and servers that meet over wires in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.test.iosim import ConnectionCompleter, IOPump
from twisted.trial.unittest import SynchronousTestCase
from txaio import tx

from callnet_client import Account, Connection, Credentials, Device, Server, Watch

PORT = 8082
NEVER: Final = 1e9
"""When the tokens of these tests expire, unless it is about that."""


class ScriptedServer(WebSocketServerFactory):
    """A signaling service with scripted answers."""

    def __init__(self) -> None:
        WebSocketServerFactory.__init__(self)
        self.protocol = _Scripted
        self.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0)
        self.refusal = 0
        """The HTTP status that refuses the next upgrade."""
        self.retry_after: str | None = None
        """The header ``Retry-After`` of a refusal."""
        self.subprotocol: str | None = None
        """The subprotocol that it chooses from the client's offer."""
        self.answers_close = True
        self.answers_pings = True
        self.requests: list[ConnectionRequest] = []
        self.heard: list[bytes] = []
        self.socket: _Scripted

    def say(self, kind: str, **fields: Any) -> None:
        """Send a message."""
        self.say_raw(json.dumps({"type": kind, **fields}).encode())

    def say_raw(self, payload: bytes) -> None:
        """Send any text."""
        self.socket.sendMessage(payload)


class _Scripted(WebSocketServerProtocol):
    factory: ScriptedServer

    def onConnect(self, request: ConnectionRequest) -> str | None:
        self.factory.requests.append(request)
        self.factory.socket = self
        if self.factory.refusal:
            raise ConnectionDeny(self.factory.refusal)
        return self.factory.subprotocol if self.factory.subprotocol in request.protocols else None

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        after = self.factory.retry_after
        headers = responseHeaders if after is None else [("Retry-After", after)]
        super().failHandshake(reason, code, headers)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: ARG002
        self.factory.heard.append(payload)

    def onPing(self, payload: bytes) -> None:
        if self.factory.answers_pings:
            super().onPing(payload)

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        return super().onCloseFrame(code, reasonRaw) if self.factory.answers_close else None


class ClientCase(SynchronousTestCase):
    """A server listens in memory; nobody is connected yet."""

    def setUp(self) -> None:
        """Start."""
        self.reactor = MemoryReactorClock()
        self.patch(tx.config, "loop", self.reactor)  # where Autobahn looks for a clock
        self.pumps: list[IOPump] = []
        self.addCleanup(lambda: self.assertEqual([], self.reactor.getDelayedCalls()))

    def listen(self, factory: IProtocolFactory) -> None:
        """Serve."""
        self.reactor.listenTCP(PORT, factory)

    def server_of(self, **options: Any) -> Server:
        """The server as a client knows it."""
        return Server(
            "https://callnet.test:8080/",
            self.reactor,
            signaling_url="ws://callnet.test",
            endpoint=TCP4ClientEndpoint(self.reactor, "192.0.2.1", PORT),
            **options,
        )

    def connect(
        self,
        token: str,
        received: Callable[[bytes], object] = lambda _: None,
        watch: Watch | None = None,
    ) -> Deferred[Connection]:
        """Open a connection; everything that the server answers at once has been read."""
        connected = self.server_of().connect(token, received, watch=watch)
        self.arrive()
        return connected

    def arrive(self) -> None:
        """Let every waiting client connect."""
        pump = ConnectionCompleter(self.reactor).succeedOnce()
        assert pump is not None
        self.pumps.append(pump)
        self.settle()

    def device_of(self, address: tuple[str, str], **options: Any) -> Device:
        """A device that is logged in, and is closed in the end."""
        account = Account(self.server_of(), *address, kept=Credentials("a.b.c", NEVER))
        device = Device(account, **options)
        self.addCleanup(self.settle)
        self.addCleanup(device.close)
        return device

    def settle(self) -> None:
        """Carry everything that is under way."""
        while any(pump.pump() for pump in self.pumps):
            pass
