"""The frames of the extended protocol, ``callnet.v2``, in addition to the seed's (protocol §2.5), and their decoding.

A request may carry an ``id``, which its answers repeat.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from callnet.frames import decode
from callnet.frames.base import Call, CalledRefuse, CalledSuccess, CallingHangup, Frame, Message
from callnet.frames.decode import SEED_FIELDS, Field, Fields, Grammar, text_of
from callnet.frames.ice import IceServer
from callnet.model import RoomId, Topic, is_plain_text
from callnet.util.schema_hints import DEVICE_ID, ID, ID_MAX, PAGE, PHONE, ROOM, one_of

SUBPROTOCOL: Final = "callnet.v2"
"""The subprotocol of an extended client's handshake (RFC 6455 §1.9)."""
LONGEST_SIGNAL: Final = 64 * 1024
"""The maximum size of a frame with a ``signal``, in bytes."""
PING_EVERY: Final = 20
"""Seconds of silence after which a client should check the socket."""

DEEPEST: Final = 64
"""The maximum depth of arrays and objects in a signal."""
_T_MAX: Final = 64


class MissedCall(Struct, frozen=True, gc=False):
    """An unanswered call to a phone."""

    room_id: RoomId
    peer_phone: str
    """The caller ..."""
    peer_device_id: str
    device_id: str
    """... the called device; ``*``: all of them."""
    started_at: float
    """Seconds since 1970."""


# Requests of clients


class ExtendedCall(Call, frozen=True, tag="call"):
    """The same as a base client's."""

    id: Annotated[str, ID] = ""


class ExtendedCalledSuccess(CalledSuccess, frozen=True, tag="called_success"):
    """A base client's ``called_success``, with ``hold``."""

    hold: bool = False
    """Hold the call that the device is in, instead of ending it."""
    id: Annotated[str, ID] = ""


class ExtendedCalledRefuse(CalledRefuse, frozen=True, tag="called_refuse"):
    """The same as a base client's."""

    id: Annotated[str, ID] = ""


class ExtendedCallingHangup(CallingHangup, frozen=True, tag="calling_hangup"):
    """The same as a base client's."""

    id: Annotated[str, ID] = ""


class Signal(Frame, frozen=True, tag="signal"):
    """A message for the other party of an active call, for clients without the page."""

    room_id: Annotated[RoomId, ROOM]
    data: Raw
    """JSON."""
    of_page: bool = False
    """Said by the page of the call, which takes a seat. The caller's may say it before the accept."""
    id: Annotated[str, ID] = ""


class Resume(Frame, frozen=True, tag="resume"):
    """A device goes on with the call that it holds, and holds its current one."""

    room_id: Annotated[RoomId, ROOM]
    id: Annotated[str, ID] = ""


class Pull(Frame, frozen=True, tag="pull"):
    """A device takes over a call from another device of its phone."""

    room_id: Annotated[RoomId, ROOM]
    id: Annotated[str, ID] = ""


class Ping(Frame, frozen=True, tag="ping"):
    """The client checks the socket: a browser cannot send the pings of RFC 6455."""

    t: int | float | Annotated[str, Meta(max_length=_T_MAX)] | None = None
    id: Annotated[str, ID] = ""


ExtendedRequest: TypeAlias = (
    ExtendedCall | ExtendedCalledSuccess | ExtendedCalledRefuse | ExtendedCallingHangup | Signal | Resume | Pull | Ping
)
"""The requests of an extended client."""

# Messages to clients


class PresentCall(Struct, frozen=True, gc=False, omit_defaults=True):
    """The current call of a device, or the one that it holds."""

    room_id: Annotated[RoomId, ROOM]
    state: Literal["ringing", "active"]
    direction: Literal["outgoing", "incoming"]
    peer_phone: Annotated[str, PHONE]
    peer_device_id: Annotated[str, DEVICE_ID]
    """``*`` while every device of that phone rings."""
    started_at: float
    """Seconds since 1970, like all times here."""
    page: Annotated[str, PAGE]
    answered_at: float | None = None
    on_hold: bool = False
    """The other party holds it."""


class CallOfPhone(Struct, frozen=True, gc=False):
    """An active call of another device of the same phone, for a pull."""

    room_id: Annotated[RoomId, ROOM]
    device_id: Annotated[str, DEVICE_ID]
    peer_phone: Annotated[str, PHONE]
    peer_device_id: Annotated[str, DEVICE_ID]
    answered_at: float | None


class Welcome(Frame, frozen=True, tag="welcome"):
    """The first frame on a connection; again if that named too few calls, since nodes were apart."""

    phone: Annotated[str, PHONE]
    device_id: Annotated[str, DEVICE_ID]
    server_time: float
    ping_every: int
    """Seconds."""
    ice_servers: Sequence[IceServer]
    """As ``POST /ice`` answers."""
    calls_of_phone: Sequence[CallOfPhone]
    call: PresentCall | None = None
    held_call: PresentCall | None = None
    """The call that the device holds."""


class CallRinging(Frame, frozen=True, tag="call_ringing"):
    """A called device was notified on a live socket."""

    to_phone: Annotated[str, PHONE]
    to_device_id: Annotated[str, DEVICE_ID]
    room_id: Annotated[RoomId, ROOM]


class SignalFrom(Frame, frozen=True, tag="signal"):
    """A message from the other party."""

    room_id: Annotated[RoomId, ROOM]
    data: Raw


class PeerState(Frame, frozen=True, tag="peer_state"):
    """The other party lost its socket, is back, continues with another device, holds the call, or goes on with it."""

    room_id: Annotated[RoomId, ROOM]
    state: Literal["reconnecting", "back", "moved", "held", "resumed"]
    device_id: Annotated[str, DEVICE_ID] = ""
    """The new device."""


class PresenceOf(Frame, frozen=True, tag="presence"):
    """A device of a contact has come or gone."""

    phone: Annotated[str, PHONE]
    device_id: Annotated[str, DEVICE_ID]
    online: bool


class MissedCalls(Frame, frozen=True, tag="missed"):
    """Unanswered calls while the device was away, the latest first."""

    calls: Sequence[MissedCall]


class Changed(Frame, frozen=True, tag="changed"):
    """Data of the phone were changed, by any of its devices or by others: they are to be read again."""

    what: Sequence[Annotated[Topic, one_of(Topic)]]
    """``contacts``: the phone's lists, or the profile of a contact; ``added``: the phones that list it."""


class Pong(Frame, frozen=True, tag="pong"):
    """The socket is alive."""

    t: int | float | str | None = None
    id: Annotated[str, ID] = ""


class GoingAway(Frame, frozen=True, tag="going_away"):
    """The server is stopping. A client in a call is told so at once, and again when the socket is closed."""

    reconnect_in: float
    """Seconds, different for each client."""
    deadline: float
    """Seconds until the socket is closed."""


ExtendedMessage: TypeAlias = (
    Message | Welcome | CallRinging | SignalFrom | PeerState | PresenceOf | MissedCalls | Changed | Pong | GoingAway
)
"""The messages to an extended client."""

# Decoding

_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_BRACKETS: Final = re.compile(rb"[^][{}]+")


def compact(data: Raw) -> bytes:
    """JSON without insignificant whitespace."""
    return msgspec.json.format(bytes(data), indent=-1)


def is_deep(data: bytes) -> bool:
    """Return whether JSON has more than :data:`DEEPEST` levels of arrays and objects."""
    depth = 0
    for bracket in _BRACKETS.sub(b"", _STRINGS.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False


def _flag(value: Raw) -> str | None:
    return None if bytes(value) in (b"true", b"false") else "must be true or false"


def _t(value: Raw) -> str | None:
    try:
        t = msgspec.json.decode(value, type=int | float | str | None)
    except decode.UNREADABLE:
        return "must be a number or a string"
    return f"is longer than {_T_MAX} characters" if isinstance(t, str) and len(t) > _T_MAX else None


def _id(value: Raw) -> str | None:
    text = text_of(value)
    return (
        None if text is not None and is_plain_text(text, ID_MAX) else f"must be a string of up to {ID_MAX} characters"
    )


_MAY_HAVE_ID: Final = {"id": Field(_id, may_be_absent=True)}
PING_FIELDS: Final = {"t": Field(_t, may_be_absent=True), **_MAY_HAVE_ID}


_FIELDS: Final[Mapping[str, Fields]] = {
    **{tag: fields | _MAY_HAVE_ID for tag, fields in SEED_FIELDS.items()},
    "called_success": SEED_FIELDS["called_success"] | {"hold": Field(_flag, may_be_absent=True)} | _MAY_HAVE_ID,
    "signal": {"room_id": Field(decode.room), "data": Field(decode.anything), **_MAY_HAVE_ID},
    "resume": {"room_id": Field(decode.room), **_MAY_HAVE_ID},
    "pull": {"room_id": Field(decode.room), **_MAY_HAVE_ID},
    "ping": PING_FIELDS,
}
EXTENDED: Final[Grammar[ExtendedRequest]] = Grammar(ExtendedRequest, _FIELDS)
