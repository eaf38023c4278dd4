"""The base protocol as a device speaks it, over any transport (docs/protocol.md §1 and §2).

It shares no code with the server, nor with the client that callnet ships. A device may be given as any pair of phone
and device id.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote

Frame = dict[str, Any]

EVERY: Final = "*"
"""As a device id: all devices of the phone."""


class Address(NamedTuple):
    """A device."""

    phone: str
    device_id: str


def socket_path(token: str) -> str:
    """The path and query with which a device opens its WebSocket."""
    return f"/socket.io?token={quote(token)}"


def call(target: tuple[str, str]) -> Frame:
    """A call to a device, or to :data:`EVERY` device of a phone."""
    return {"type": "call", "to_phone": target[0], "to_device_id": target[1]}


def answer(caller: tuple[str, str], room: str, accept: bool = True) -> Frame:
    """The answer to a call that rings."""
    kind = "called_success" if accept else "called_refuse"
    return {"type": kind, "from_phone": caller[0], "from_device_id": caller[1], "room_id": room}


def hang_up(other: tuple[str, str], room: str = "") -> Frame:
    """The end of a call with a device, or without a room the cancellation of the call to it."""
    return {"type": "calling_hangup", "notified_phone": other[0], "notified_device_id": other[1], "room_id": room}


def named(frame: Frame, role: Literal["from", "to", "fire"]) -> Address:
    """The device that a frame of the server names."""
    return Address(frame[f"{role}_phone"], frame[f"{role}_device_id"])
