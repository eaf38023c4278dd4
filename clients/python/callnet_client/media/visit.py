"""One visit to a room, from joining to the end, as a client without a page (docs/room.md).

It connects the room's socket with the media connection to the other side. Texts of others are shown without control
characters, and invalid messages are ignored.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

import msgspec
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from callnet_client.address import DeviceAddress
from callnet_client.frames import printable
from callnet_client.media.comparison import Comparison
from callnet_client.media.connection import Connection, Peer
from callnet_client.notes import Bye, Chat, State, parse_note
from callnet_client.relayed import Choosing, Leaving, Relayed, parse_relayed
from callnet_client.room import RoomSocket, Visitor
from callnet_client.room_frames import IceServer, Join, Room

_REFUSALS: Final = {
    "full": "the room is full; trying again",
    "unknown_room": "no such room",
    "invalid": "invalid room id",
    "taken": "the seat was taken over",
    "broken": "the server rejected the request",
}


def seat_key(address: DeviceAddress, room_id: str) -> str:
    """The key of a device's seat, the same after a restart, so that it gets its seat back."""
    return sha256("\n".join((*address, room_id)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Visit:
    """A visit.

    :param open_room: makes the socket for a seat and its visitor.
    :param build: makes a peer for a connection, with these ICE servers.
    :param seat: the room, and the key of the seat in it.
    :param state: the state of this side's media.
    :param note: shows a line to the user.
    """

    def __init__(
        self,
        open_room: Callable[[Join, Visitor], RoomSocket],
        build: Callable[[Connection, Sequence[IceServer]], Peer],
        seat: tuple[str, str],
        state: State,
        note: Callable[[str], None],
        clock: IReactorTime,
    ) -> None:
        room_id, key = seat
        self._build = build
        self._state = state
        self._note = note
        self._clock = clock
        self._session = secrets.token_hex(16)
        self._gone = ""
        """The session of a page that said that it left."""
        self._other = ""
        """The session of the other side, while it is known."""
        self._connection: Connection | None = None
        self._comparison: Comparison | None = None
        self._early: tuple[str, Relayed] | None = None
        self._ice_servers: Sequence[IceServer] = ()
        self._is_present = False
        self._is_up = False
        self._is_over = False
        self._connecting_at = 0.0
        self._has_flowed = False
        self._closing: list[Deferred[None]] = []
        self._socket = open_room(Join(room_id, key, self._session), self)

    def leave(self, farewell: bool) -> Deferred[None]:
        """Leave the room.

        :param farewell: the call is over for both: the other side may not hear it from the server.
        :return: a Deferred that fires when everything is closed.
        """
        self._finish()
        self._disconnect(farewell)
        return gatherResults(self._closing).addCallback(lambda _: None)

    # Events of the room

    def reached(self, is_up: bool) -> None:
        """Handle that the server answers, or no longer does."""
        if self._is_up and not is_up:
            self._note("media: the room's socket was lost; trying again")
        self._is_up = is_up
        self._reach()

    def entered(self, room: Room) -> None:
        """Handle the current state of the room."""
        if self._is_over:
            return
        self._ice_servers = room.ice_servers
        if room.state == "ended":
            self._finish()
            self._note(f"media: the room has ended ({printable(room.reason.encode())})")
            self._disconnect()
        elif room.peer is None:
            # The other side may have lost the server permanently, but not this side.
            if self._connection is None or not self._connection.is_flowing:
                self._disconnect()
        elif room.peer.session != self._gone:
            if room.peer.session != self._other:
                self._connect(room.peer.session)
            self._is_present = room.peer.present
            self._reach()

    def told(self, session: str, data: bytes) -> None:
        """Handle a message of the other side through the room."""
        message = parse_relayed(data)
        if message is None:
            self._note("media: unknown message from the other side")
        elif isinstance(message, Choosing):
            self._note("media: the other side is choosing camera and microphone")
        elif isinstance(message, Leaving):
            self._left(session)
        elif session == self._other and self._connection is not None:
            self._connection.hear(message)
        else:
            self._early = session, message

    def _left(self, session: str) -> None:
        """Drop the connection with a page that was closed; its return has another session."""
        if session == self._other:
            self._note("media: the other side has left and may come back")
            self._disconnect()
            self._gone = session

    def refused(self, reason: str) -> None:
        """Know that there is no seat."""
        self._note(f"media: {_REFUSALS.get(reason, 'no seat')}")

    def missed(self) -> None:
        """Find out whether the room is still reached, when nothing comes from the other side."""
        self._socket.check()

    def _reach(self) -> None:
        if self._connection is not None:
            self._connection.reach(self._is_up and self._is_present)

    # The connection: one for each session of the other side

    def _connect(self, session: str) -> None:
        self._disconnect()
        self._other = session
        self._connecting_at = self._clock.seconds()
        offers = self._session > session
        self._note(f"media: connecting; {'this' if offers else 'the other'} side offers")
        self._connection = connection = Connection(offers, self._build_peer, self, self._clock)
        early, self._early = self._early, None
        if early is not None and early[0] == session:
            connection.hear(early[1])

    def _build_peer(self, connection: Connection) -> Peer:
        self._comparison = None  # it was about the previous peer
        return self._build(connection, self._ice_servers)

    def _disconnect(self, farewell: bool = False) -> None:
        connection, self._connection = self._connection, None
        self._other = ""
        if connection is not None:
            self._closing.append(connection.close(msgspec.json.encode(Bye()) if farewell else None))

    # Events of the connection

    def say(self, message: Relayed) -> None:
        """Send a message to the other side through the room."""
        self._socket.relay(self._other, message)

    def flowed(self, is_flowing: bool) -> None:
        """Know that media has begun, or ceased, to flow."""
        self._note("media: connected" if is_flowing else "media: connection lost; reconnecting")
        if is_flowing and not self._has_flowed:
            self._has_flowed = True
            self._socket.connected(self._clock.seconds() - self._connecting_at)

    def report(self, what: str) -> None:
        """Report an error."""
        self._note(f"media: {what}")

    def opened(self) -> None:
        """Send the state of this side's media, and begin the verification."""
        connection = self._connection
        if connection is None:
            return
        connection.send(msgspec.json.encode(self._state))
        self._comparison = Comparison(
            connection.offers,
            lambda: connection.descriptions,
            lambda note: connection.send(note.encode()),
            self._note,
        )
        self._comparison.begin()

    def described(self) -> None:
        """Verify that the other side is still the same."""
        if self._comparison is not None:
            self._comparison.recheck()

    def heard(self, note: str | bytes) -> None:
        """Handle any message of the data channel."""
        match parse_note(note):
            case Bye():
                self._note("media: the other side has hung up")
                # It may have lost the server: this side tells it too.
                self._socket.hang_up()
                self._finish()
                self._disconnect()
            case State() as state:
                self._note(f"media: the other side sends {_words(state)}")
            case Chat(text):
                self._note(f"media: chat: {printable(text.encode())}")
            case _ if self._comparison is not None:
                # A malformed note of the verification makes it fail.
                self._comparison.hear(note)

    def _finish(self) -> None:
        self._is_over = True
        self._socket.close()


def _words(state: State) -> str:
    sent = {"sound": not state.muted, "the camera's picture": not state.camera_off, "a screen": state.sharing}
    return ", ".join(what for what, is_sent in sent.items() if is_sent) or "nothing"
