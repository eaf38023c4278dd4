"""The frames of the base protocol as its devices see them.

These are not the server's own structs (:mod:`callnet.calls.messages`): a client that shared them would
share their mistakes, and it must keep the fields that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from callnet.model import DeviceAddress


class Call(Struct, frozen=True, tag="call"):
    """Ring a device, or with ``*`` all devices of a phone (protocol §2.1)."""

    to_phone: str
    to_device_id: str


class CalledSuccess(Struct, frozen=True, omit_defaults=True, tag="called_success"):
    """Accept what rings (protocol §2.2)."""

    from_phone: str
    from_device_id: str
    room_id: str
    auto_answer: bool = False
    """Whether nobody has touched the device. callnet's own; base servers ignore it."""


class CalledRefuse(Struct, frozen=True, tag="called_refuse"):
    """Refuse what rings (protocol §2.2)."""

    from_phone: str
    from_device_id: str
    room_id: str


class CallingHangup(Struct, frozen=True, tag="calling_hangup"):
    """End a call; with an empty room, one's own ringing (protocol §2.3)."""

    notified_phone: str
    notified_device_id: str
    room_id: str


Request = Call | CalledSuccess | CalledRefuse | CallingHangup
"""What a base client may say."""


class PresentCall(Struct, frozen=True):
    """The active call that a device is in, as ``welcome`` has it (docs/extended-protocol.md)."""

    room_id: str
    peer: DeviceAddress


class Frame(Struct, frozen=True):
    """One frame from the server.

    ``type`` is empty and ``fields`` are too if it is not a JSON object.
    """

    raw: bytes
    type: str
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """The field ``name``, or ``""`` if it is absent or not a string."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    @property
    def room_id(self) -> str:
        """The room that the frame speaks of, or ``""``."""
        return self.text("room_id")

    @property
    def sender(self) -> DeviceAddress:
        """Who calls or hung up: the ``from_*`` of ``called``, the ``fire_*`` of ``calling_be_hangup``."""
        role = "fire" if self.type == "calling_be_hangup" else "from"
        return DeviceAddress(self.text(f"{role}_phone"), self.text(f"{role}_device_id"))

    @property
    def present_call(self) -> PresentCall | None:
        """What ``welcome`` says of an active call."""
        call = self.fields.get("call")
        if not isinstance(call, dict) or call.get("state") != "active":
            return None
        room_id, phone, device_id = (call.get(name) for name in ("room_id", "peer_phone", "peer_device_id"))
        if not (isinstance(room_id, str) and isinstance(phone, str) and isinstance(device_id, str)):
            return None
        return PresentCall(room_id, DeviceAddress(phone, device_id))


class CallAnswer(Struct, frozen=True):
    """How a call came out. ``room_id`` is empty unless it was accepted or the server named it."""

    outcome: Literal["call_success", "call_refuse", "call_failed"]
    to: DeviceAddress
    room_id: str
    reason: str
    frame: Frame

    @property
    def accepted(self) -> bool:
        """Whether the callee accepted: then both meet in ``room_id``."""
        return self.outcome == "call_success"


class CloseReason(Struct, frozen=True):
    """Why the WebSocket closed: the server's code and words, or 1006 when it just broke off."""

    code: int
    reason: str


def parse_frame(payload: bytes) -> Frame:
    """Read a frame, whatever it is."""
    try:
        fields = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        fields = {}
    kind = fields.get("type")
    return Frame(payload, kind if isinstance(kind, str) else "", fields)


def parse_answer(frame: Frame) -> CallAnswer | None:
    """The answer to a call, if this is one."""
    if frame.type not in ("call_success", "call_refuse", "call_failed"):
        return None
    return CallAnswer(
        cast('Literal["call_success", "call_refuse", "call_failed"]', frame.type),
        DeviceAddress(frame.text("to_phone"), frame.text("to_device_id")),
        frame.room_id,
        frame.text("reason"),
        frame,
    )


def printable(payload: bytes) -> str:
    """A text of anybody's in one line that does nothing to a terminal."""
    text = payload.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
