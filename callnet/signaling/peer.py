"""The socket of one device (protocol §2): translates between Autobahn and the session."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from autobahn.websocket.types import ConnectionRequest
from zope.interface import implementer

from callnet.calls.session import Session
from callnet.errors import TokenInvalid
from callnet.interfaces import IPeer
from callnet.websocket import Refused, ServerSocket, header

if TYPE_CHECKING:
    from callnet.signaling.factory import SignalingFactory

_BEARER = "bearer "


@implementer(IPeer)
class Peer(ServerSocket):
    """A device's socket. Who it is was said by the token of its handshake."""

    factory: SignalingFactory
    session: Session

    def admit(self, request: ConnectionRequest) -> None:
        """Check path, origin and token, in this order."""
        factory = self.factory
        if request.path not in ("/socket.io", "/socket.io/"):
            raise Refused(HTTPStatus.NOT_FOUND)
        if not factory.allows_origin(request.origin):
            raise Refused(HTTPStatus.FORBIDDEN)
        try:
            address = factory.authenticate(_token(request))
        except TokenInvalid:
            raise Refused(HTTPStatus.UNAUTHORIZED) from None
        self.session = factory.session(address, self)

    def opened(self) -> None:
        """Let the device be connected."""
        self.session.opened()

    def received(self, payload: bytes) -> None:
        """Hand a frame to the session."""
        self.session.received(payload)

    def gone(self) -> None:
        """Let the device be gone."""
        self.session.closed()


def _token(request: ConnectionRequest) -> str:
    tokens = request.params.get("token")
    if tokens:
        return str(tokens[0])
    authorization = header(request, "authorization") or ""
    return authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else ""
