"""The frames of a room's socket as a client of it sees them (docs/room.md).

Like those of devices (:mod:`callnet.client.frames`) these are not the server's own structs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from callnet.client.relayed import Relayed


class Join(Struct, frozen=True, tag="join"):
    """Take a seat."""

    room_id: str
    key: str
    """32 hex digits: whoever shows them again gets the same seat."""
    session: str
    """32 hex digits, others for each start of a client. Of two clients the one with the greater session offers."""


class Relay(Struct, frozen=True, tag="relay"):
    """Say something to the other client."""

    to: str
    """Its session."""
    data: Relayed


class Hangup(Struct, frozen=True, tag="hangup"):
    """End the call for both."""


class MediaSetup(Struct, frozen=True):
    """The result of connecting with the other client."""

    path: Literal["host", "srflx", "relay", "unknown", "none"]
    seconds: float
    """Not more than 120."""


class Ping(Struct, frozen=True, tag="ping", omit_defaults=True):
    """Ask whether the server is there."""

    media: MediaSetup | None = None
    """For the operator's figures, once."""


Request: TypeAlias = Join | Relay | Hangup | Ping


class IceServer(Struct, frozen=True):
    """A server that helps to connect: ``RTCIceServer`` of WebRTC."""

    urls: Sequence[str]
    username: str = ""
    credential: str = ""


class Other(Struct, frozen=True):
    """The client in the other seat."""

    session: str
    present: bool


class Room(Struct, frozen=True, tag="room"):
    """The room as it now is."""

    state: Literal["waiting", "meeting", "ended"]
    reason: str
    peer: Other | None
    ice_servers: Sequence[IceServer] = ()


class Said(Struct, frozen=True, tag="relay"):
    """A message of the other client."""

    sender: str = msgspec.field(name="from")
    """Its session."""
    data: Raw


class Refused(Struct, frozen=True, tag="refused"):
    """There is no seat."""

    reason: str


class Pong(Struct, frozen=True, tag="pong"):
    """The server is there."""


Message: TypeAlias = Room | Said | Refused | Pong

_decode = msgspec.json.Decoder(Message).decode


def parse_message(payload: bytes) -> Message | None:
    """Read what the server says. ``None``: it is none of these; a later server may know more."""
    try:
        message: Message = _decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return message
