"""The frames of a room's socket as a client sees them (docs/room.md).

Like those of devices (:mod:`callnet_client.frames`) these are not the server's own structs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from callnet_client.relayed import Relayed


class Join(Struct, frozen=True, tag="join"):
    """Take a seat."""

    room_id: str
    key: str
    """32 hex digits: a client that shows them again gets the same seat."""
    session: str
    """32 hex digits, new at each start of a client. Of two clients the one with the greater session offers."""


class Relay(Struct, frozen=True, tag="relay"):
    """A message for the other client."""

    to: str
    """The session of the other client."""
    data: Relayed


class Hangup(Struct, frozen=True, tag="hangup"):
    """End the call for both."""


class MediaSetup(Struct, frozen=True, omit_defaults=True):
    """The result of connecting with the other client."""

    path: Literal["host", "srflx", "relay", "unknown", "none"]
    seconds: float
    """At most 120."""
    relay_offered: bool = True
    """With ``none``: whether the server had named a TURN server."""
    relay_answered: bool = True
    """With ``none``: whether one of these had given this client an address."""


class Ping(Struct, frozen=True, tag="ping", omit_defaults=True):
    """Check the connection."""

    media: MediaSetup | None = None
    """Sent once, for the operator's metrics."""


Request: TypeAlias = Join | Relay | Hangup | Ping


class IceServer(Struct, frozen=True):
    """A STUN or TURN server: ``RTCIceServer`` of WebRTC."""

    urls: Sequence[str]
    username: str = ""
    credential: str = ""


class Other(Struct, frozen=True):
    """The client in the other seat."""

    session: str
    present: bool


class Room(Struct, frozen=True, tag="room"):
    """The current state of the room."""

    state: Literal["waiting", "meeting", "ended"]
    reason: str
    peer: Other | None
    ice_servers: Sequence[IceServer] = ()
    elapsed: float | None = None
    """Seconds since the call was answered."""


class Said(Struct, frozen=True, tag="relay"):
    """A message of the other client."""

    sender: str = msgspec.field(name="from")
    """The session of the other client."""
    data: Raw


class Refused(Struct, frozen=True, tag="refused"):
    """There is no seat."""

    reason: str


class Pong(Struct, frozen=True, tag="pong"):
    """The server is alive."""


Message: TypeAlias = Room | Said | Refused | Pong

_decode = msgspec.json.Decoder(Message).decode


def parse_message(payload: bytes) -> Message | None:
    """Decode a message of the server. ``None``: it is unknown, such as one of a later server."""
    try:
        message: Message = _decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return message
