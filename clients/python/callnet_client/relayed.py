"""The messages between two clients in a room, through the server, to set up their connection (docs/room.md).

The server forwards them unread.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

LONGEST_SDP: Final = 60_000
"""The maximum length in characters: a frame of the room's socket has at most 64 KiB."""

_Id: TypeAlias = Annotated[str, Meta(min_length=32, max_length=32, pattern="^[0-9a-f]{32}$")]
_Sdp: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_SDP)]


class _Message(Struct, frozen=True, tag_field="kind"):
    """A message. Its ``kind`` names its type."""


class Negotiate(_Message, frozen=True, tag="negotiate"):
    """The answerer requests an offer of a new connection."""


class Restart(_Message, frozen=True, tag="restart"):
    """The answerer requests an offer with an ICE restart on a connection (RFC 8445 §9)."""

    connection: _Id


class Offer(_Message, frozen=True, tag="offer"):
    """The offerer's description for a new or an existing connection."""

    connection: _Id
    """The id of the sender's ``RTCPeerConnection``. A new one makes the other side start over."""
    round: Annotated[int, Meta(ge=1)]
    """The number of the offer on this connection, from 1."""
    sdp: _Sdp
    """RFC 8866, of type ``offer``."""


class Answer(_Message, frozen=True, tag="answer"):
    """The answerer's description for an offer."""

    connection: _Id
    round: Annotated[int, Meta(ge=1)]
    """The number of the offer. An answer to another one than the latest is late, and ignored."""
    sdp: _Sdp
    """RFC 8866, of type ``answer``."""


class IceCandidate(Struct, frozen=True, rename="camel"):
    """``RTCIceCandidateInit`` of WebRTC."""

    candidate: Annotated[str, Meta(max_length=1024)]
    """In the form of RFC 8839 §5.1; empty: there are no more."""
    sdp_mid: Annotated[str, Meta(max_length=64)] | None = None
    sdp_m_line_index: Annotated[int, Meta(ge=0, le=65535)] | None = None
    username_fragment: Annotated[str, Meta(max_length=256)] | None = None


class Candidate(_Message, frozen=True, tag="candidate"):
    """A candidate address of the sender for a connection."""

    connection: _Id
    candidate: IceCandidate


class Choosing(_Message, frozen=True, tag="choosing"):
    """The sender does not connect yet: its user is choosing camera and microphone. Anything else it sends ends that."""


class Leaving(_Message, frozen=True, tag="leaving"):
    """The sender goes away without hanging up, and may come back with another session."""


Relayed: TypeAlias = Negotiate | Restart | Offer | Answer | Candidate | Choosing | Leaving

_decode = msgspec.json.Decoder(Relayed).decode


def parse_relayed(data: bytes) -> Relayed | None:
    """Decode a message of the other client. ``None``: it is no known message, and must be ignored."""
    try:
        message: Relayed = _decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return message
