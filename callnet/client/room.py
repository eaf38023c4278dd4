"""A seat in a room: the room's socket, which is opened again and again until it is given up (docs/room.md)."""

from __future__ import annotations

import random
from typing import Final, Protocol
from urllib.parse import urlsplit

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS

from callnet.client.errors import ClientError
from callnet.client.relayed import Relayed
from callnet.client.room_frames import (
    Hangup,
    Join,
    MediaSetup,
    Ping,
    Pong,
    Refused,
    Relay,
    Request,
    Room,
    Said,
    parse_message,
)
from callnet.client.socket import ClientSocket, open_socket

PING_EVERY: Final = 2.0
"""Seconds."""
DEAD_AFTER: Final = 6.0
"""Seconds without an answer after which a socket is given up: one over a dead path stays open for minutes."""
FULL_AGAIN_AFTER: Final = 5.0
"""Seconds until a room that was full is tried again."""
FIRST_DELAY: Final = 0.5
"""Seconds, about, until a socket that was lost is opened again, the first time ..."""
LONGEST_DELAY: Final = 8.0
"""... and at last."""
LONGEST_SETUP: Final = 120.0
"""Seconds. The server takes no more."""

BAD_FRAMES: Final = 4400
NO_SEAT: Final = 4403
TAKEN: Final = 4409


class Visitor(Protocol):
    """Whoever has the seat, or wants it."""

    def reached(self, is_up: bool) -> None:
        """Know that the server answers, or no longer does."""

    def entered(self, room: Room) -> None:
        """Know how the room now is."""

    def told(self, session: str, data: bytes) -> None:
        """Take what the client with that session said, which is JSON."""

    def refused(self, reason: str) -> None:
        """Know that there is no seat: a word of ``refused``, ``taken`` by a newer socket, or ``broken`` by a frame
        that the server did not understand. Only a ``full`` room is tried again.
        """


class RoomSocket:
    """The seat of one client.

    :param site: the origin of the site, such as ``https://calls.example.org:8080``.
    :param join: what is said first, the same on every socket.
    :param trust: whose certificates to believe; without it, the authorities of this machine.
    :param endpoint: the way to the server instead of the one that ``site`` names.
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
        self._origin = f"{parts.scheme}://{parts.hostname}:{port}"
        self._url = f"{parts.scheme.replace('http', 'ws')}://{parts.netloc}/room"
        self._join = join
        self._visitor = visitor
        self._reactor = reactor
        self._trust = trust
        self._endpoint = endpoint
        self._socket: ClientSocket | None = None
        self._opening: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._unanswered_since: float | None = None
        self._pause = FIRST_DELAY
        self._refusal = ""
        self._closed = False
        self._connect()

    def relay(self, session: str, message: Relayed) -> None:
        """Say something to the other client. It is lost if the socket is away just now."""
        self._say(Relay(session, message))

    def connected(self, seconds: float) -> None:
        """Tell the server, for its figures, how long it took until media flowed. It is lost if the socket is away."""
        self._say(Ping(MediaSetup("unknown", min(seconds, LONGEST_SETUP))))

    def hang_up(self) -> None:
        """End the call for both, if the server can be reached."""
        self._say(Hangup())

    def close(self) -> None:
        """Leave without a word. The seat stays ours for 10 seconds."""
        self._closed = True
        self._abandon(in_form=True)

    def _connect(self) -> None:
        socket = ClientSocket(self._reactor)
        socket.received = lambda payload: self._heard(socket, payload)
        socket.lost = lambda close: self._lost(socket, close.code)
        self._socket = socket
        self._unanswered_since = self._reactor.seconds()
        self._timer = self._reactor.callLater(PING_EVERY, self._beat)
        self._opening = open_socket(self._url, socket, trust=self._trust, endpoint=self._endpoint, origin=self._origin)
        self._opening.addCallbacks(lambda _: self._opened(), self._unopened, errbackArgs=(socket,))

    def _opened(self) -> None:
        self._opening = None
        self._say(self._join)

    def _unopened(self, failure: Failure, socket: ClientSocket) -> None:
        if socket is self._socket:  # else it was given up
            failure.trap(ClientError)
            self._lost(socket, None)

    def _heard(self, socket: ClientSocket, payload: bytes) -> None:
        if socket is not self._socket:
            return
        self._unanswered_since = None
        match parse_message(payload):
            case Room() as room:
                self._pause = FIRST_DELAY
                self._visitor.reached(True)
                self._visitor.entered(room)
            case Said() as said:
                self._visitor.told(said.sender, bytes(said.data))
            case Refused(reason):
                self._refusal = reason
                self._visitor.refused(reason)
            case Pong() | None:
                pass

    def _beat(self) -> None:
        now = self._reactor.seconds()
        if self._unanswered_since is not None and now - self._unanswered_since >= DEAD_AFTER:
            self._lost(self._socket, None)
            return
        if self._opening is None:
            self._unanswered_since = now if self._unanswered_since is None else self._unanswered_since
            self._say(Ping())
        self._timer = self._reactor.callLater(PING_EVERY, self._beat)

    def _lost(self, socket: ClientSocket | None, code: int | None) -> None:
        if socket is not self._socket or self._closed:
            return
        self._abandon()
        self._visitor.reached(False)
        if code in (TAKEN, BAD_FRAMES):
            self._closed = True
            self._visitor.refused("taken" if code == TAKEN else "broken")
        elif code == NO_SEAT and self._refusal != "full":
            self._closed = True
        elif not self._closed:
            self._timer = self._reactor.callLater(self._delay(code), self._connect)

    def _delay(self, code: int | None) -> float:
        if code == NO_SEAT:
            return FULL_AGAIN_AFTER
        pause, self._pause = self._pause, min(LONGEST_DELAY, 2 * self._pause)
        return pause * (0.5 + random.random())  # noqa: S311  so that not all come at once

    def _abandon(self, in_form: bool = False) -> None:
        socket, self._socket = self._socket, None
        opening, self._opening = self._opening, None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if opening is not None:
            opening.cancel()
        elif socket is not None and in_form:
            socket.sendClose(1000)
        elif socket is not None and socket.state != ClientSocket.STATE_CLOSED:
            socket.cut()

    def _say(self, request: Request) -> None:
        if self._socket is not None and self._opening is None:
            self._socket.send(msgspec.json.encode(request))
