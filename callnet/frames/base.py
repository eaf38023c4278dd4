"""The frames of the seed's protocol, one struct each (protocol §2.1-§2.3, §2.6), and their encoding.

For their decoding see :mod:`callnet.frames.decode`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from callnet.model import DeviceAddress, Reason, RoomId
from callnet.util.schema_hints import (
    DEVICE_ID,
    FRAME_DEVICE_ID,
    FRAME_PHONE,
    LINK_NAME,
    NAME,
    NOT_EMPTY,
    NOT_NEGATIVE,
    PAGE,
    PHONE,
    ROOM,
    ROOM_OR_NONE,
    one_of,
)

FAILURES: Final = {
    Reason.INVALID: "the call was not understood",
    Reason.SELF: "a device cannot call itself",
    Reason.OFFLINE: "the device is not online",
    Reason.BUSY: "the device is in another call",
    Reason.NO_ANSWER: "nobody answered",
    Reason.RATE_LIMITED: "too many calls; try again in a minute",
    Reason.SHUTTING_DOWN: "the server is stopping",
    Reason.UNAVAILABLE: "the device cannot be reached just now",
    Reason.INTERNAL: "internal error",
}
"""``message`` of a ``call_failed``, by its reason."""

REFUSALS: Final = (Reason.REFUSED, Reason.BUSY)
"""The reasons of a ``call_refuse``."""

ENDINGS: Final = (
    Reason.HANGUP,
    Reason.CANCELLED,
    Reason.NO_ANSWER,
    Reason.CONNECTION_LOST,
    Reason.ANSWERED_ELSEWHERE,
    Reason.REFUSED_ELSEWHERE,
    Reason.BUSY,
    Reason.MOVED,
    Reason.REPLACED,
    Reason.ABANDONED,
    Reason.TOO_LONG,
    Reason.REVOKED,
    Reason.SHUTTING_DOWN,
    Reason.EXPIRED,
)
"""The reasons of a ``calling_be_hangup`` (§2.3)."""


class Frame(Struct, frozen=True, gc=False, tag_field="type", omit_defaults=True):
    """A frame. Its ``type`` names its kind."""


class SeedRequest(Frame, frozen=True):
    """A request of a base client."""

    id = ""
    """The id for the answer: always empty."""


class Call(SeedRequest, frozen=True, tag="call"):
    """A device calls another (§2.1)."""

    to_phone: Annotated[str, FRAME_PHONE, NOT_EMPTY]
    to_device_id: Annotated[str, FRAME_DEVICE_ID, NOT_EMPTY]


class CalledSuccess(SeedRequest, frozen=True, tag="called_success"):
    """A called device accepts (§2.2)."""

    from_phone: Annotated[str, FRAME_PHONE]
    from_device_id: Annotated[str, FRAME_DEVICE_ID]
    room_id: Annotated[RoomId, ROOM]
    auto_answer: bool = False
    """The device was permitted to accept automatically, and did so."""
    hold = False
    """A base client ends the call that it is in."""


class CalledRefuse(SeedRequest, frozen=True, tag="called_refuse"):
    """A called device refuses (§2.2)."""

    from_phone: Annotated[str, FRAME_PHONE]
    from_device_id: Annotated[str, FRAME_DEVICE_ID]
    room_id: Annotated[RoomId, ROOM]


class CallingHangup(SeedRequest, frozen=True, tag="calling_hangup"):
    """A party ends a call; without ``room_id`` its own with that phone (§2.3)."""

    notified_phone: Annotated[str, FRAME_PHONE]
    notified_device_id: Annotated[str, FRAME_DEVICE_ID]
    room_id: Annotated[RoomId, ROOM_OR_NONE] | None = RoomId("")


Request: TypeAlias = Call | CalledSuccess | CalledRefuse | CallingHangup
"""The requests of a base client."""


class CallSuccess(Frame, frozen=True, tag="call_success"):
    """The callee accepted (§2.1)."""

    to_phone: Annotated[str, PHONE]
    to_device_id: Annotated[str, DEVICE_ID]
    room_id: Annotated[RoomId, ROOM]
    page: Annotated[str, PAGE]
    id: str = ""
    """The id of the extended client's request."""


class CallRefuse(Frame, frozen=True, tag="call_refuse"):
    """The callee refused (§2.1)."""

    to_phone: Annotated[str, PHONE]
    to_device_id: Annotated[str, DEVICE_ID]
    room_id: Annotated[RoomId, ROOM]
    reason: Annotated[Reason, one_of(REFUSALS)]
    id: str = ""
    """The id of the extended client's request."""


class CallFailed(Frame, frozen=True, tag="call_failed"):
    """The call failed (§2.1). It has no ``room_id``."""

    to_phone: Annotated[str, PHONE]
    to_device_id: Annotated[str, DEVICE_ID]
    reason: Annotated[Reason, one_of(FAILURES)]
    message: str
    id: str = ""
    """The id of the extended client's request."""


class Called(Frame, frozen=True, tag="called"):
    """A device is being rung (§2.2). ``page`` and the names may be omitted, and ``from_name`` may be truncated."""

    from_phone: Annotated[str, PHONE]
    from_device_id: Annotated[str, DEVICE_ID]
    room_id: Annotated[RoomId, ROOM]
    expires_in: Annotated[int, NOT_NEGATIVE]
    """Seconds of ringing left."""
    page: Annotated[str, PAGE] = ""
    from_name: Annotated[str, NAME] = ""
    """The name of the caller's phone in the contacts of the called phone, or the one that a guest gives itself."""
    auto_answer: bool = False
    """The owner allows the device to answer this caller automatically."""
    guest: bool = False
    """The caller came by a link of the called phone. It has no account and cannot be called back."""
    link_name: Annotated[str, LINK_NAME] = ""
    """The name of that link."""
    can_hold: bool = False
    """The call that the device is in can be held while it is in this one. For extended devices."""


class CallingBeHangup(Frame, frozen=True, tag="calling_be_hangup"):
    """Stops the ringing, ends the call (§2.3)."""

    fire_phone: Annotated[str, PHONE]
    fire_device_id: Annotated[str, DEVICE_ID]
    room_id: Annotated[RoomId, ROOM]
    reason: Annotated[Reason, one_of(ENDINGS)]
    id: str = ""
    """The id of the extended client's request."""


class ErrorFrame(Frame, frozen=True, tag="error", omit_defaults=False, kw_only=True):
    """The answer to a frame that breaks the protocol (§2.6)."""

    error_code: Literal[2] = msgspec.field(default=2, name="errorCode")
    error_name: Literal["ERROR_CODE_DATA_INVALID"] = msgspec.field(
        default="ERROR_CODE_DATA_INVALID", name="errorCodeName"
    )
    message: str
    id: str | UnsetType = UNSET
    """As above."""


Message: TypeAlias = CallSuccess | CallRefuse | CallFailed | Called | CallingBeHangup | ErrorFrame
"""The messages to a base client."""


MESSAGE_BYTES: Final = 512
"""The size limit of a message to a base client, in bytes; messages are shorter (§2)."""

PAGE_OF: Final = "/static/demo/direct_chat.html?room_id="
"""The path of the 1-to-1 page of a room (§3), without the room's id at its end."""

encode: Final = msgspec.json.Encoder().encode
"""Encode a message; ``called`` is encoded by :func:`encode_called`."""


def encode_called(message: Called) -> bytes:
    """Encode ``called``. If a long address leaves too little room, the page's path and the link's name are omitted and
    the caller's name is truncated.
    """
    payload = encode(message)
    excess = len(payload) - MESSAGE_BYTES + 1
    if excess <= 0:
        return payload
    if message.link_name:
        return encode_called(replace(message, link_name=""))
    name = message.from_name.encode()
    if excess < len(name):
        return encode(replace(message, from_name=name[:-excess].decode(errors="ignore").rstrip()))
    return encode_called(replace(message, from_name="")) if name else encode(replace(message, page=""))


def call_failed(asked: DeviceAddress, reason: Reason) -> CallFailed:
    """The failure of a call to ``asked``."""
    return CallFailed(asked.phone, asked.device_id, reason, FAILURES.get(reason, reason.value))
