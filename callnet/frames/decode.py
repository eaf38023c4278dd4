"""Decoding of devices' frames: fast for valid frames; invalid ones get an error message (protocol §2.6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct
from msgspec.structs import astuple

from callnet.frames.base import (
    Call,
    CalledRefuse,
    CalledSuccess,
    CallFailed,
    CallingHangup,
    ErrorFrame,
    Request,
)
from callnet.model import (
    DEVICE_ID_MAX,
    PHONE_MAX,
    Reason,
    has_control_characters,
    is_plain_text,
    is_room_id,
)

T = TypeVar("T", bound=Struct)

Complaint: TypeAlias = Callable[[Raw], str | None]
"""Returns the error of a field's value, in words that quote nothing of it, or ``None`` if it is valid."""


class BadFrame(Exception):
    """A frame that breaks the protocol; ``answer`` is the reply to its sender (§2.6)."""

    def __init__(self, answer: CallFailed | ErrorFrame, unknown_type: bool = False) -> None:
        super().__init__(answer.message)
        self.answer = answer
        self.unknown_type = unknown_type


class Field(Struct, frozen=True):
    """The valid values of a field."""

    complaint: Complaint
    may_be_absent: bool = False


Fields: TypeAlias = dict[str, Field]
"""The fields of a frame of one type, by name."""

FLAGS: Final = ("auto_answer", "of_page")
"""Flags that are true, or ignored if they have any other value."""

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""msgspec's exceptions for bad input: two of the three are not its own."""

_encode = msgspec.json.Encoder().encode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


class Grammar(Generic[T]):
    """All frames of one kind of client.

    :param requests: the structs, as a union.
    :param fields: by ``type``.
    """

    def __init__(self, requests: Any, fields: Mapping[str, Fields]) -> None:
        self._decode: Callable[[bytes], T] = msgspec.json.Decoder(requests).decode
        self._fields = fields
        self._id = next((of_type["id"] for of_type in fields.values() if "id" in of_type), None)

    def decode(self, payload: bytes) -> T:
        """Decode one frame.

        :param payload: valid UTF-8: the socket has checked it, and unused fields are not checked here.
        :raises BadFrame: it is not JSON, not an object, of unknown type, lacks a field, or a field is no
            acceptable value.
        """
        try:
            frame = self._decode(payload)
        except UNREADABLE:
            return self._decode_carefully(payload)
        text = payload.decode()
        has_escapes = "\\" in text
        if (has_escapes or text.count('"type"') != 1) and _has_two_types(payload):
            return self._decode_carefully(payload)
        if (has_escapes or not text.isprintable()) and _has_control_characters(frame):
            return self._decode_carefully(payload)
        return frame

    def _decode_carefully(self, payload: bytes) -> T:
        """Decode an apparently invalid frame field by field, and raise an error that quotes nothing of it.

        It may be valid: of duplicate keys the last counts, but the decoder stops at the first invalid one.
        """
        values = _values(payload)
        asked = self._id_of(values)
        if "type" not in values:
            raise _error("type is missing", asked)
        tag = text_of(values["type"])
        if tag is None:
            raise _error("type must be a string", asked)
        if _has_two_types(payload):
            raise _error('duplicate key "type"', asked)
        if tag not in self._fields:
            raise _error("unknown type", asked, unknown_type=True)
        fields = self._fields[tag]
        for name, field in fields.items():
            complaint = _complaint(field, values.get(name))
            if complaint:
                raise _refusal(tag, values, f"{tag}: {name} {complaint}", asked)
        read = {name: values[name] for name in ("type", *fields) if name in values}
        flags = {name: values[name] for name in FLAGS if bytes(values.get(name, b"")) == b"true"}
        return self._decode(_encode(read | flags))

    def _id_of(self, values: Mapping[str, Raw]) -> str:
        """The id for the answer, if it can be read and requests of this kind have one."""
        if self._id is None or "id" not in values or _complaint(self._id, values["id"]):
            return ""
        return text_of(values["id"]) or ""


def _values(payload: bytes) -> dict[str, Raw]:
    try:
        values: dict[str, Raw] = _decode_fields(payload)
    except msgspec.ValidationError:
        raise _error("the frame must be a JSON object") from None
    except RecursionError:
        raise _error("the frame is nested too deeply") from None
    except UNREADABLE:
        raise _error("the frame is not JSON") from None
    return values


def _has_two_types(payload: bytes) -> bool:
    """Return whether the object itself has two ``type`` keys, escaped spellings included."""
    pairs: list[tuple[str, Any]] = []

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs[:] = found
        return {}

    try:
        json.loads(payload, object_pairs_hook=keep, parse_int=str)  # as msgspec reads it
    except (ValueError, RecursionError):
        return True
    return sum(key == "type" for key, _ in pairs) > 1


def _has_control_characters(frame: Struct) -> bool:
    return any(isinstance(value, str) and has_control_characters(value) for value in astuple(frame))


def _error(message: str, asked: str = "", unknown_type: bool = False) -> BadFrame:
    return BadFrame(error_frame(message, asked), unknown_type)


def error_frame(message: str, asked: str) -> ErrorFrame:
    """An error. ``asked``: the id of the failed request, if it has one."""
    return ErrorFrame(message=message, id=asked or UNSET)


def _refusal(tag: str, values: Mapping[str, Raw], message: str, asked: str) -> BadFrame:
    if tag != "call":
        return _error(message, asked)
    phone, device_id = _echo(values.get("to_phone"), PHONE_MAX), _echo(values.get("to_device_id"), DEVICE_ID_MAX)
    return BadFrame(CallFailed(phone, device_id, Reason.INVALID, message, asked))


def _echo(value: Raw | None, longest: int) -> str:
    text = None if value is None else text_of(value)
    return text if text is not None and is_plain_text(text, longest) else ""


def _complaint(field: Field, value: Raw | None) -> str | None:
    if value is None:
        return None if field.may_be_absent else "is missing"
    return field.complaint(value)


# The valid values of fields


def text_of(value: Raw) -> str | None:
    """The text of a value, if it is one."""
    try:
        text: str = _decode_text(value)
    except UNREADABLE:
        return None
    return text


def name(longest: int, may_be_empty: bool = True) -> Complaint:
    """A text of at most ``longest`` characters, without control characters."""

    def complaint(value: Raw) -> str | None:
        text = text_of(value)
        if text is None:
            return "must be a string"
        if len(text) > longest:
            return f"is longer than {longest} characters"
        if has_control_characters(text):
            return "has control characters"
        return None if text or may_be_empty else "is empty"

    return complaint


def anything(_: Raw) -> None:
    """Any JSON."""


def room(value: Raw) -> str | None:
    """The id of a call's room."""
    text = text_of(value)
    if text is None:
        return "must be a string"
    return None if is_room_id(text) else "must be 32 lowercase hex digits"


def _room_or_nothing(value: Raw) -> str | None:
    return None if bytes(value) in (b'""', b"null") else room(value)


# The seed's frames


_FROM: Final = {"from_phone": Field(name(PHONE_MAX)), "from_device_id": Field(name(DEVICE_ID_MAX))}
SEED_FIELDS: Final[Mapping[str, Fields]] = {
    "call": {
        "to_phone": Field(name(PHONE_MAX, may_be_empty=False)),
        "to_device_id": Field(name(DEVICE_ID_MAX, may_be_empty=False)),
    },
    "called_success": {**_FROM, "room_id": Field(room)},
    "called_refuse": {**_FROM, "room_id": Field(room)},
    "calling_hangup": {
        "notified_phone": Field(name(PHONE_MAX)),
        "notified_device_id": Field(name(DEVICE_ID_MAX)),
        "room_id": Field(_room_or_nothing, may_be_absent=True),
    },
}
BASE: Final[Grammar[Request]] = Grammar(Call | CalledSuccess | CalledRefuse | CallingHangup, SEED_FIELDS)
