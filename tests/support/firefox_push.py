"""A push service for Firefox: it takes messages over HTTP (RFC 8030), and passes them on over a WebSocket.

Firefox connects to the server that its setting ``dom.push.serverURL`` names, and subscribes there. What both say is
JSON: ``hello``, ``register``, ``notification``, ``ack``. A message for a browser that is not connected is lost.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.protocol import Factory, Protocol
from twisted.web.resource import Resource
from twisted.web.server import Request
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

_CREATED: Final = 201
_GONE: Final = 410


class PushServer(Resource):
    """Takes messages at ``/send/CHANNEL``."""

    isLeaf = True  # noqa: N815  Twisted's name

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.origin = ""
        """Where it is served, for the endpoints that it gives to browsers."""
        self.channels: Final[dict[str, _Line]] = {}
        """The connection of the browser of each subscription."""
        self.sockets: Final = Factory.forProtocol(_Line)
        """Serves browsers."""
        self.sockets.server = self  # type: ignore[attr-defined]

    def render_POST(self, request: Request) -> bytes:
        """Pass a message on."""
        content: Any = request.content
        channel = request.path.decode("ascii").rpartition("/")[2]
        line = self.channels.get(channel)
        if line is not None:
            line.notify(channel, content.read(), {"encoding": str(request.getHeader("content-encoding"))})
        request.setResponseCode(_GONE if line is None else _CREATED)
        return b""


class _Line(Protocol):
    """The WebSocket of a browser."""

    def connectionMade(self) -> None:
        """Wait for the handshake."""
        self._server: PushServer = self.factory.server
        self._socket = ServerProtocol(subprotocols=[Subprotocol("push-notification")])

    def dataReceived(self, data: bytes) -> None:
        """Read what the browser says."""
        self._socket.receive_data(data)
        for event in self._socket.events_received():
            if isinstance(event, Handshake):
                self._socket.send_response(self._socket.accept(event))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._hear(json.loads(bytes(event.data)))
        self._flush()

    def connectionLost(self, reason: object = None) -> None:  # noqa: ARG002
        """Forget its subscriptions."""
        for channel in [channel for channel, line in self._server.channels.items() if line is self]:
            del self._server.channels[channel]

    def notify(self, channel: str, data: bytes, headers: Mapping[str, str]) -> None:
        """Send the browser a message."""
        encoded = base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
        self._say("notification", channelID=channel, version=secrets.token_hex(8), data=encoded, headers=headers)
        self._flush()

    def _hear(self, said: dict[str, Any]) -> None:
        channel = said.get("channelID", "")
        match said.get("messageType"):
            case "hello":
                uaid = said.get("uaid") or secrets.token_hex(16)
                self._say("hello", uaid=uaid, status=200, use_webpush=True, broadcasts={})
            case "register":
                self._server.channels[channel] = self
                endpoint = f"{self._server.origin}/send/{channel}"
                self._say("register", channelID=channel, status=200, pushEndpoint=endpoint)
            case "unregister":
                self._server.channels.pop(channel, None)
                self._say("unregister", channelID=channel, status=200)

    def _say(self, kind: str, **fields: Any) -> None:
        if self._socket.state is State.OPEN:  # a browser that ends unregisters, and waits for no answer
            self._socket.send_text(json.dumps({"messageType": kind, **fields}).encode())

    def _flush(self) -> None:
        assert self.transport is not None
        self.transport.write(b"".join(self._socket.data_to_send()))
