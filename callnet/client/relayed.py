"""Messages of two clients in a room to each other, through the server, to connect (docs/room.md).

The server hands these on as they are and looks at none of them.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

LONGEST_SDP: Final = 60_000
"""Characters: a frame of the room's socket has at most 64 KiB."""

_Id: TypeAlias = Annotated[str, Meta(min_length=32, max_length=32, pattern="^[0-9a-f]{32}$")]
_Sdp: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_SDP)]


class _Message(Struct, frozen=True, tag_field="kind"):
    """Every message says in ``kind`` what it is."""


class Negotiate(_Message, frozen=True, tag="negotiate"):
    """A request of the answering side for an offer of a new connection."""


class Restart(_Message, frozen=True, tag="restart"):
    """A request of the answering side for an offer that restarts ICE on a connection (RFC 8445 §9)."""

    connection: _Id


class Offer(_Message, frozen=True, tag="offer"):
    """The description by which who offers wants to connect, or to go on."""

    connection: _Id
    """Of the sender's ``RTCPeerConnection``. One that is new has the other side begin anew."""
    round: Annotated[int, Meta(ge=1)]
    """Which offer of this connection it is, the first being 1."""
    sdp: _Sdp
    """RFC 8866, of type ``offer``."""


class Answer(_Message, frozen=True, tag="answer"):
    """The description by which who answers agrees to an offer."""

    connection: _Id
    round: Annotated[int, Meta(ge=1)]
    """Of the offer. An answer to another one than the latest is late, and ignored."""
    sdp: _Sdp
    """RFC 8866, of type ``answer``."""


class IceCandidate(Struct, frozen=True, rename="camel"):
    """``RTCIceCandidateInit`` of WebRTC."""

    candidate: Annotated[str, Meta(max_length=1024)]
    """As RFC 8839 §5.1 writes it; empty: there are no more."""
    sdp_mid: Annotated[str, Meta(max_length=64)] | None = None
    sdp_m_line_index: Annotated[int, Meta(ge=0, le=65535)] | None = None
    username_fragment: Annotated[str, Meta(max_length=256)] | None = None


class Candidate(_Message, frozen=True, tag="candidate"):
    """An address under which the sender may be reached on a connection."""

    connection: _Id
    candidate: IceCandidate


Relayed: TypeAlias = Negotiate | Restart | Offer | Answer | Candidate

_decode = msgspec.json.Decoder(Relayed).decode


def parse_relayed(data: bytes) -> Relayed | None:
    """Read what another client said, whatever it is. ``None``: it is none of these, and to be ignored."""
    try:
        message: Relayed = _decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return message
