"""The frames of the protocol as devices see them, base and extended.

These are not the server's own structs (:mod:`callnet.frames.base`): a client that shared them would share their errors,
and it must keep the fields that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from callnet_client.address import DeviceAddress


class Request(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request of a device. Its answers repeat ``id``, on the extended protocol only."""

    id: str = ""


class Call(Request, frozen=True, tag="call"):
    """Ring a device, or with ``*`` all devices of a phone (protocol §2.1)."""

    to_phone: str
    to_device_id: str


class CalledSuccess(Request, frozen=True, tag="called_success"):
    """Accept a ringing call (protocol §2.2)."""

    from_phone: str
    from_device_id: str
    room_id: str
    auto_answer: bool = False
    """True if it was answered automatically. callnet's own; other servers ignore it."""
    hold: bool = False
    """True to hold the current call, instead of ending it (docs/extended-protocol.md)."""


class CalledRefuse(Request, frozen=True, tag="called_refuse"):
    """Refuse a ringing call (protocol §2.2)."""

    from_phone: str
    from_device_id: str
    room_id: str


class CallingHangup(Request, frozen=True, tag="calling_hangup"):
    """End a call; with an empty room, the device's own ringing call (protocol §2.3)."""

    notified_phone: str
    notified_device_id: str
    room_id: str


class Signal(Request, frozen=True, tag="signal"):
    """A message for the other party of an active call (docs/extended-protocol.md)."""

    room_id: str
    data: Any


class Resume(Request, frozen=True, tag="resume"):
    """Go on with the held call, and hold the current one (docs/extended-protocol.md)."""

    room_id: str


class Pull(Request, frozen=True, tag="pull"):
    """Take over a call of another device of the phone (docs/extended-protocol.md)."""

    room_id: str


class Ping(Request, frozen=True, tag="ping"):
    """Check the connection (docs/extended-protocol.md)."""


class Ring(Struct, frozen=True, tag="ring"):
    """Ring as a guest (docs/extended-protocol.md)."""


class GuestHangup(Struct, frozen=True, tag="calling_hangup"):
    """End the call of a guest (docs/extended-protocol.md)."""


class Frame(Struct, frozen=True):
    """One frame from the server.

    ``type`` and ``fields`` are empty if it is not a JSON object.
    """

    raw: bytes
    type: str
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """The field ``name``, or ``""`` if it is absent or not a string."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """The field ``name``, or ``None`` if it is absent or not a number of at least 0."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            return None
        return float(min(value, LONGEST))

    @property
    def room_id(self) -> str:
        """The room of the frame, or ``""``."""
        return self.text("room_id")

    def address(self, role: str) -> DeviceAddress:
        """The address in ``{role}_phone`` and ``{role}_device_id``: ``to``, ``from`` or ``fire``."""
        return DeviceAddress(self.text(f"{role}_phone"), self.text(f"{role}_device_id"))


LONGEST: Final = 1e9
"""The maximum of all numbers, which are seconds: larger ones are reduced, since timers cannot take them."""


class PresentCall(Struct, frozen=True):
    """The current call of a device in ``welcome``, or the one that it holds (docs/extended-protocol.md)."""

    room_id: str
    state: str
    direction: str
    peer_phone: str
    peer_device_id: str
    page: str = ""
    answered_at: float | None = None
    on_hold: bool = False

    @property
    def peer(self) -> DeviceAddress:
        """The other party."""
        return DeviceAddress(self.peer_phone, self.peer_device_id)


class CallOfPhone(Struct, frozen=True):
    """An active call of another device of the same phone, for a pull (docs/extended-protocol.md)."""

    room_id: str
    device_id: str
    peer_phone: str
    peer_device_id: str
    answered_at: float | None = None
    """Seconds since 1970."""


class MissedCall(Struct, frozen=True):
    """A missed call (docs/extended-protocol.md)."""

    room_id: str
    peer_phone: str
    peer_device_id: str
    device_id: str
    """The called device, or ``*``."""
    started_at: float
    """Seconds since 1970."""


class CloseReason(Struct, frozen=True):
    """The close code and reason of the server, or 1006 for a lost connection."""

    code: int
    reason: str


def parse_frame(payload: bytes) -> Frame:
    """Decode any frame."""
    try:
        fields = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        fields = {}
    kind = fields.get("type")
    return Frame(payload, kind if isinstance(kind, str) else "", fields)


def printable(payload: bytes) -> str:
    """Return untrusted text as one line without control characters for a terminal."""
    text = payload.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
