"""A seat in a room, with the room's reconnecting socket (docs/room.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.web.iweb import IPolicyForHTTPS

from callnet_client.connection import Connection, open_connection
from callnet_client.reconnecting_socket import Loss, ReconnectingSocket
from callnet_client.relayed import Relayed
from callnet_client.room_frames import (
    Hangup,
    Join,
    MediaSetup,
    Ping,
    Pong,
    Refused,
    Relay,
    Room,
    Said,
    parse_message,
)
from callnet_client.socket import Way

PING_EVERY: Final = 2.0
"""Seconds between two pings."""
FULL_AGAIN_AFTER: Final = 5.0
"""Seconds until a full room is tried again."""
LONGEST_DELAY: Final = 8.0
"""The approximate maximum of seconds between two attempts to open its socket."""
LONGEST_SETUP: Final = 120.0
"""The maximum of a reported setup time, in seconds, that the server accepts."""

BAD_FRAMES: Final = 4400
NO_SEAT: Final = 4403
TAKEN: Final = 4409


class Visitor(Protocol):
    """The client in a seat, or waiting for one."""

    def reached(self, is_up: bool) -> None:
        """Handle that the server answers, or no longer does."""

    def entered(self, room: Room) -> None:
        """Handle the current state of the room."""

    def told(self, session: str, data: bytes) -> None:
        """Handle a message, in JSON, of the client with that session."""

    def refused(self, reason: str) -> None:
        """Handle a refused seat: a reason of ``refused``, ``taken`` by a newer socket, or ``broken`` by a frame that
        the server did not understand. Only a ``full`` room is tried again.
        """


class RoomSocket:
    """The seat of one client.

    :param site: the origin of the site, such as ``https://calls.example.org:8080``.
    :param join: the first frame on every socket.
    :param trust: the trusted certificates; by default the authorities of this machine.
    :param endpoint: a way to the server instead of the one that ``site`` names.
    """

    def __init__(
        self,
        site: str,
        join: Join,
        visitor: Visitor,
        reactor: IReactorTime,
        *,
        trust: IPolicyForHTTPS | None = None,
        endpoint: IStreamClientEndpoint | None = None,
    ) -> None:
        parts = urlsplit(site)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        # The server compares it with the header Host, in which Autobahn always writes the port.
        origin = f"{parts.scheme}://{parts.hostname}:{port}"
        url = f"{parts.scheme.replace('http', 'ws')}://{parts.netloc}/room"
        self._way = Way(url, trust, endpoint, origin=origin)
        self._join = join
        self._visitor = visitor
        self._reactor = reactor
        self._refusal = ""
        self._line = ReconnectingSocket(self, reactor, LONGEST_DELAY)
        self._line.open()

    def relay(self, session: str, message: Relayed) -> None:
        """Send a message to the other client. It is lost if the socket is away."""
        self._line.say(Relay(session, message))

    def connected(self, seconds: float) -> None:
        """Report the time until media flowed to the server's metrics. It is lost if the socket is away."""
        self._line.say(Ping(MediaSetup("unknown", min(seconds, LONGEST_SETUP))))

    def check(self) -> None:
        """Check now that the server still answers: a socket over which it does not soon is replaced at once."""
        self._line.check()

    def hang_up(self) -> None:
        """End the call for both, if the server can be reached."""
        self._line.say(Hangup())

    def close(self) -> None:
        """Close the socket. The server keeps the seat for 10 seconds."""
        self._line.close()

    # Methods for the line

    @property
    def ask_every(self) -> float:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        return PING_EVERY

    def dial(self, received: Callable[[bytes], object]) -> Deferred[Connection]:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        return open_connection(self._way, self._reactor, received)

    def question(self) -> Ping:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        return Ping()

    def opened(self, connection: Connection) -> None:  # noqa: ARG002
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        self._line.say(self._join)

    def heard(self, payload: bytes) -> None:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        match parse_message(payload):
            case Room() as room:
                self._line.settle()
                self._visitor.reached(True)
                self._visitor.entered(room)
            case Said() as said:
                self._visitor.told(said.sender, bytes(said.data))
            case Refused(reason):
                self._refusal = reason
                self._visitor.refused(reason)
            case Pong() | None:
                pass

    def lost(self, loss: Loss) -> float | None:
        """See :class:`~callnet_client.reconnecting_socket.Owner`."""
        self._visitor.reached(False)
        if loss.code in (TAKEN, BAD_FRAMES):
            self._line.close()
            self._visitor.refused("taken" if loss.code == TAKEN else "broken")
        elif loss.code == NO_SEAT and self._refusal != "full":
            self._line.close()
        return FULL_AGAIN_AFTER if loss.code == NO_SEAT else None
