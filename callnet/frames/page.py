"""The frames of the page's room socket, one struct each (docs/room.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from callnet.frames.base import ENDINGS
from callnet.frames.ice import IceServer
from callnet.model import is_plain_text
from callnet.util.schema_hints import PLAIN, one_of

ROOM_ID_MAX: Final = 64

_Id: TypeAlias = Annotated[str, Meta(min_length=32, max_length=32, pattern="^[0-9a-f]{32}$")]

RoomState: TypeAlias = Literal["waiting", "meeting", "ended"]
SeatRefusal: TypeAlias = Literal["full", "unknown_room"]

MediaPath: TypeAlias = Literal["host", "srflx", "relay", "unknown"]
"""The path of media: direct, through a NAT, by a TURN server of either side, or unknown."""
SETUP_MAX: Final = 120
"""The maximum of a reported duration, in seconds; longer ones are reported as this."""


class _Frame(Struct, frozen=True, tag_field="type"):
    """A frame. Its ``type`` names its kind."""


class Join(_Frame, frozen=True, tag="join"):
    """The page wants a seat."""

    room_id: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": ROOM_ID_MAX}), PLAIN]
    """A call's room or one made up by hand. An invalid one is answered by ``refused``."""
    key: _Id
    session: _Id


class RelayTo(_Frame, frozen=True, tag="relay"):
    """A message for the other page."""

    to: _Id
    data: Raw


class Hangup(_Frame, frozen=True, tag="hangup"):
    """The user hung up."""


class MediaSetup(Struct, frozen=True):
    """The result of connecting with the other page."""

    path: Literal["host", "srflx", "relay", "unknown", "none"]
    """``none``: media never flowed, and the page has given up."""
    seconds: Annotated[float, Meta(ge=0, le=SETUP_MAX)]
    """Seconds from the arrival of both pages until media flowed, or until the page gave up."""
    relay_offered: bool = True
    """With ``none``: whether the server had named a TURN server."""
    relay_answered: bool = True
    """With ``none``: whether one of these had given this page an address."""


class Ping(_Frame, frozen=True, tag="ping"):
    """The page checks the socket."""

    media: MediaSetup | None = None
    """Sent once, for the operator's metrics. It is here and not in a frame of its own, since older servers close the
    socket for an unknown frame, and ignore an unknown field."""


PageRequest: TypeAlias = Join | RelayTo | Hangup | Ping


class PeerPage(Struct, frozen=True):
    """The page in the other seat."""

    session: _Id
    present: bool


class Room(_Frame, frozen=True, tag="room", omit_defaults=True):
    """The whole state of the room."""

    state: RoomState
    reason: Annotated[str, one_of(("", *ENDINGS))]
    """``""`` unless the room is ``ended``."""
    peer: PeerPage | None
    ice_servers: Sequence[IceServer]
    """Empty unless the two may meet."""
    elapsed: Annotated[float, Meta(ge=0)] | None = None
    """Seconds since the call was answered, while the two may meet; left out in a room made up by hand."""


class RelayFrom(_Frame, frozen=True, tag="relay"):
    """A message from the other page."""

    sender: _Id = msgspec.field(name="from")
    data: Raw


class RefusedSeat(_Frame, frozen=True, tag="refused"):
    """The page gets no seat."""

    reason: SeatRefusal | Literal["invalid"]


class Pong(_Frame, frozen=True, tag="pong"):
    """The socket is alive."""


PageMessage: TypeAlias = Room | RelayFrom | RefusedSeat | Pong

_decode = msgspec.json.Decoder(PageRequest).decode


class BadPageFrame(Exception):
    """An invalid frame of a page."""


def decode_page(payload: bytes) -> PageRequest:
    """Decode one frame of a page.

    :raises BadPageFrame: it is none of :data:`PageRequest`.
    """
    try:
        frame: PageRequest = _decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise BadPageFrame from None
    return frame


def is_room_name(text: str) -> bool:
    """Return whether this is a valid name of a room, of a call or made up by hand."""
    return text != "" and is_plain_text(text, ROOM_ID_MAX)
