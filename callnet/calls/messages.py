"""The frames of the signaling protocol, one struct each (protocol §2.1-§2.3, §2.6).

:func:`decode` turns a frame of a device into one of :data:`Request`, or raises :class:`BadFrame`, which
knows the answer that the protocol names. :func:`encode` writes what a device is told.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from callnet.model import (
    DEVICE_ID_MAX,
    PHONE_MAX,
    DeviceAddress,
    Reason,
    RoomId,
    has_control_characters,
    is_plain_text,
    is_room_id,
)


class _Frame(Struct, frozen=True, gc=False, tag_field="type", omit_defaults=True):
    """Every frame says in ``type`` what it is."""


class Call(_Frame, frozen=True, tag="call"):
    """A device calls another (§2.1)."""

    to_phone: str
    to_device_id: str


class CalledSuccess(_Frame, frozen=True, tag="called_success"):
    """A called device accepts (§2.2)."""

    from_phone: str
    from_device_id: str
    room_id: str
    auto_answer: bool = False
    """It was told that it may accept without anybody touching it, and did so."""


class CalledRefuse(_Frame, frozen=True, tag="called_refuse"):
    """A called device refuses (§2.2)."""

    from_phone: str
    from_device_id: str
    room_id: str


class CallingHangup(_Frame, frozen=True, tag="calling_hangup"):
    """A party ends a call; without ``room_id`` a caller cancels its own (§2.3)."""

    notified_phone: str
    notified_device_id: str
    room_id: str = ""


Request: TypeAlias = Call | CalledSuccess | CalledRefuse | CallingHangup
"""What a base client may send."""


class CallSuccess(_Frame, frozen=True, tag="call_success"):
    """The callee accepted (§2.1)."""

    to_phone: str
    to_device_id: str
    room_id: RoomId
    page: str


class CallRefuse(_Frame, frozen=True, tag="call_refuse"):
    """The callee refused (§2.1)."""

    to_phone: str
    to_device_id: str
    room_id: RoomId
    reason: Reason


class CallFailed(_Frame, frozen=True, tag="call_failed"):
    """The call came to nothing (§2.1). It has no ``room_id``."""

    to_phone: str
    to_device_id: str
    reason: Reason
    message: str


class Called(_Frame, frozen=True, tag="called"):
    """A device is being rung (§2.2). ``page`` and ``from_name`` may be left out, or the latter be cut."""

    from_phone: str
    from_device_id: str
    room_id: RoomId
    expires_in: int
    """Seconds of ringing left."""
    page: str = ""
    from_name: str = ""
    """What the owner of the called phone calls the caller's."""
    auto_answer: bool = False
    """The owner wants this caller to be answered without anybody touching the device, if that is to do so."""


class CallingBeHangup(_Frame, frozen=True, tag="calling_be_hangup"):
    """Stops the ringing, ends the call (§2.3)."""

    fire_phone: str
    fire_device_id: str
    room_id: str
    reason: Reason


class ErrorFrame(_Frame, frozen=True, tag="error", omit_defaults=False, kw_only=True):
    """The answer to a frame that breaks the protocol (§2.6)."""

    error_code: int = msgspec.field(default=2, name="errorCode")
    error_name: str = msgspec.field(default="ERROR_CODE_DATA_INVALID", name="errorCodeName")
    message: str


Message: TypeAlias = CallSuccess | CallRefuse | CallFailed | Called | CallingBeHangup | ErrorFrame
"""What a base client may be sent."""


class BadFrame(Exception):
    """A frame that breaks the protocol; ``answer`` is what its sender is told (§2.6)."""

    def __init__(self, answer: CallFailed | ErrorFrame, unknown_type: bool = False) -> None:
        super().__init__(answer.message)
        self.answer = answer
        self.unknown_type = unknown_type


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

MESSAGE_BYTES: Final = 512
"""A base client is sent no message of so many bytes (§2)."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Request).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_KINDS: Final[dict[str, tuple[type[Request], dict[str, int]]]] = {
    "call": (Call, {"to_phone": PHONE_MAX, "to_device_id": DEVICE_ID_MAX}),
    "called_success": (CalledSuccess, {"from_phone": PHONE_MAX, "from_device_id": DEVICE_ID_MAX, "room_id": 32}),
    "called_refuse": (CalledRefuse, {"from_phone": PHONE_MAX, "from_device_id": DEVICE_ID_MAX, "room_id": 32}),
    "calling_hangup": (
        CallingHangup,
        {"notified_phone": PHONE_MAX, "notified_device_id": DEVICE_ID_MAX, "room_id": 32},
    ),
}
"""By type: the struct, and its fields with the most characters that each may have."""
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises for bad input: two of the three are not its own."""


def page_path(room: RoomId) -> str:
    """The path of the 1-to-1 page of a room (§3)."""
    return f"/static/demo/direct_chat.html?room_id={room}"


def encode(message: Message) -> bytes:
    """Write a message. Where an address of the greatest length leaves no room for them, ``called`` has no page's
    path, and as much as fits of the caller's name.
    """
    payload = _encode(message)
    if len(payload) >= MESSAGE_BYTES and isinstance(message, Called):
        return _encode_fitting(message, len(payload) - MESSAGE_BYTES + 1)
    return payload


def _encode_fitting(message: Called, excess: int) -> bytes:
    name = message.from_name.encode()
    if excess < len(name):
        return _encode(replace(message, from_name=name[:-excess].decode(errors="ignore").rstrip()))
    return encode(replace(message, from_name="")) if name else _encode(replace(message, page=""))


def call_failed(asked: DeviceAddress, reason: Reason) -> CallFailed:
    """The failure of a call to ``asked``."""
    return CallFailed(asked.phone, asked.device_id, reason, FAILURES.get(reason, reason.value))


def decode(payload: bytes) -> Request:
    """Read one frame of a device.

    :param payload: valid UTF-8: the socket has seen to that, and fields that nobody reads are not looked at here.
    :raises BadFrame: it is not JSON, not an object, of unknown type, lacks a field, or a field is no
        acceptable value.
    """
    try:
        frame: Request = _decode(payload)
    except _UNREADABLE:
        return _decode_carefully(payload)
    if (payload.count(b'"type"') == 1 and b"\\" not in payload) or not _has_two_types(payload):
        if isinstance(frame, Call):
            if frame.to_phone and frame.to_device_id and _are_names(frame.to_phone, frame.to_device_id):
                return frame
        elif _is_answerable(frame):
            return frame
    return _decode_carefully(payload)


def _are_names(phone: str, device_id: str) -> bool:
    """Tell whether both are beyond doubt well formed, or empty."""
    return (
        len(phone) <= PHONE_MAX and len(device_id) <= DEVICE_ID_MAX and phone.isprintable() and device_id.isprintable()
    )


def _is_answerable(frame: CalledSuccess | CalledRefuse | CallingHangup) -> bool:
    """Tell whether the fields of an answer or a hang-up are beyond doubt well formed; its names may be empty."""
    if not isinstance(frame, CallingHangup):
        return is_room_id(frame.room_id) and _are_names(frame.from_phone, frame.from_device_id)
    if frame.room_id and not is_room_id(frame.room_id):
        return False
    return _are_names(frame.notified_phone, frame.notified_device_id)


def _has_two_types(payload: bytes) -> bool:
    """Tell whether ``type`` stands twice in the object itself, escaped spellings included."""
    pairs: list[tuple[str, Any]] = []

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs[:] = found
        return {}

    try:
        json.loads(payload, object_pairs_hook=keep, parse_int=str)  # as msgspec reads it
    except (ValueError, RecursionError):
        return True
    return sum(key == "type" for key, _ in pairs) > 1


def _error(message: str, unknown_type: bool = False) -> BadFrame:
    return BadFrame(ErrorFrame(message=message), unknown_type)


def _decode_carefully(payload: bytes) -> Request:
    """Read a frame that looks bad, field by field, and say what is wrong in words that quote nothing of it.

    It may be right all the same: of duplicate keys the last counts, and the decoder stops at the first that is wrong.
    """
    fields = _fields(payload)
    if "type" not in fields:
        raise _error("type is missing")
    tag = _text(fields["type"])
    if tag is None:
        raise _error("type must be a string")
    if _has_two_types(payload):
        raise _error("type stands twice")
    if tag not in _KINDS:
        raise _error("type is not known", unknown_type=True)
    kind, names = _KINDS[tag]
    values = {name: _text(fields[name]) for name in names if name in fields}
    for name, longest in names.items():
        complaint = _complaint(tag, name, longest, values)
        if complaint:
            raise _refusal(tag, values, f"{tag}: {name} {complaint}")
    return msgspec.convert(values, kind)


def _fields(payload: bytes) -> dict[str, Raw]:
    try:
        fields: dict[str, Raw] = _decode_fields(payload)
    except msgspec.ValidationError:
        raise _error("the frame must be a JSON object") from None
    except RecursionError:
        raise _error("the frame is nested too deeply") from None
    except _UNREADABLE:
        raise _error("the frame is not JSON") from None
    return fields


def _text(value: Raw) -> str | None:
    try:
        text: str = _decode_text(value)
    except _UNREADABLE:
        return None
    return text


def _refusal(tag: str, values: dict[str, str | None], message: str) -> BadFrame:
    if tag != "call":
        return _error(message)
    phone, device_id = (_echo(values.get(name), longest) for name, longest in _KINDS["call"][1].items())
    return BadFrame(CallFailed(phone, device_id, Reason.INVALID, message))


def _echo(value: str | None, longest: int) -> str:
    return value if value is not None and is_plain_text(value, longest) else ""


def _complaint(tag: str, name: str, longest: int, values: dict[str, str | None]) -> str | None:
    may_be_absent = (tag, name) == ("calling_hangup", "room_id")
    if name not in values:
        return None if may_be_absent else "is missing"
    value = values[name]
    if value is None:
        return "must be a string"
    if name == "room_id":
        return None if is_room_id(value) or (may_be_absent and not value) else "must be 32 lowercase hex digits"
    if len(value) > longest:
        return f"is longer than {longest} characters"
    if has_control_characters(value):
        return "has control characters"
    return "is empty" if tag == "call" and not value else None
