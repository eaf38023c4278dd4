"""The frames that devices are sent, as they are on the wire."""

from __future__ import annotations

import json
from typing import Protocol

from callnet.frames.base import Message, encode
from callnet.model import DeviceAddress, RoomId

Frame = dict[str, object]


class Addressed(Protocol):
    """Anything with an address."""

    @property
    def address(self) -> DeviceAddress:
        """Where it is reached."""


def on_wire(message: Message) -> Frame:
    """A frame as a device reads it, without the words for a person."""
    frame: Frame = json.loads(encode(message))
    frame.pop("message", None)
    return frame


def called(caller: Addressed, room: RoomId, expires_in: int = 45) -> Frame:
    """The frame that rings a device."""
    phone, device_id = caller.address
    return {
        "type": "called",
        "from_phone": phone,
        "from_device_id": device_id,
        "room_id": room,
        "expires_in": expires_in,
        "page": f"/static/demo/direct_chat.html?room_id={room}",
    }


def call_success(callee: Addressed, room: RoomId) -> Frame:
    """The frame that tells a caller the accepting device."""
    page = f"/static/demo/direct_chat.html?room_id={room}"
    return {"type": "call_success", **_to(callee.address), "room_id": room, "page": page}


def call_refuse(asked: Addressed | DeviceAddress, room: RoomId, reason: str = "refused") -> Frame:
    """The frame that tells a caller of a refusal."""
    return {"type": "call_refuse", **_to(asked), "room_id": room, "reason": reason}


def call_failed(asked: Addressed | DeviceAddress, reason: str) -> Frame:
    """The frame that tells a caller of a failure."""
    return {"type": "call_failed", **_to(asked), "reason": reason}


def be_hangup(fire: Addressed, room: RoomId, reason: str) -> Frame:
    """The frame that stops the ringing and ends calls."""
    phone, device_id = fire.address
    fired = {"fire_phone": phone, "fire_device_id": device_id}
    return {"type": "calling_be_hangup", **fired, "room_id": room, "reason": reason}


def _to(asked: Addressed | DeviceAddress) -> Frame:
    phone, device_id = asked if isinstance(asked, DeviceAddress) else asked.address
    return {"to_phone": phone, "to_device_id": device_id}
