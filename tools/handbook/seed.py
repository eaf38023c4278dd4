"""The content of the seed's interface description: the messages of the devices that were there before callnet.

It describes two calls over HTTP, eight messages on the WebSocket and a page, and of each the fields. This is all of it;
whatever else the reference shows is callnet's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from callnet.schemas import Schema

REQUESTS: Final[Mapping[str, Sequence[str]]] = {
    "/account/login": ("phone", "device_id"),
    "/getContactPersons": ("phone", "token"),
}
"""The fields of HTTP requests."""
ANSWERS: Final[Mapping[str, Sequence[str]]] = {
    "/account/login": ("errorCode", "errorCodeName", "message", "token"),
    "/getContactPersons": ("errorCode", "errorCodeName", "message", "contacts"),
}
"""The fields of HTTP answers."""
BODIES: Final[Mapping[str, tuple[str, str]]] = {
    "/account/login": ("LoginRequest", "LoginAnswer"),
    "/getContactPersons": ("ContactsRequest", "ContactPageAnswer"),
}
"""The names of callnet's schemas for them."""
PARTS: Final[Mapping[str, Sequence[str]]] = {"ContactRow": ("phone", "device_id")}
"""The fields of the parts of an answer."""
ERROR_CODES: Final = (1, 2, 3, 4, 5)
"""Besides 0."""
FRAMES: Final[Mapping[str, Sequence[str]]] = {
    "from_device.Call": ("type", "to_phone", "to_device_id"),
    "to_device.CallSuccess": ("type", "to_phone", "to_device_id", "room_id"),
    "to_device.CallFailed": ("type", "to_phone", "to_device_id"),
    "to_device.CallRefuse": ("type", "to_phone", "to_device_id"),
    "to_device.Called": ("type", "from_phone", "from_device_id", "room_id"),
    "from_device.CalledSuccess": ("type", "from_phone", "from_device_id", "room_id"),
    "from_device.CalledRefuse": ("type", "from_phone", "from_device_id", "room_id"),
    "from_device.CallingHangup": ("type", "notified_phone", "notified_device_id", "room_id"),
    "to_device.CallingBeHangup": ("type", "fire_phone", "fire_device_id", "room_id"),
}
"""The fields of the messages on the WebSocket, by the names of callnet's schemas."""


def parts(components: Mapping[str, Schema]) -> Mapping[str, Schema]:
    """Schemas in which the parts of an answer have the seed's fields alone."""
    return {name: _cut(schema, PARTS[name]) if name in PARTS else schema for name, schema in components.items()}


def _cut(schema: Schema, fields: Sequence[str]) -> Schema:
    kept = {field: what for field, what in schema["properties"].items() if field in fields}
    return {**schema, "properties": kept, "required": list(fields), "additionalProperties": False}


def schemas(frames: Mapping[str, Schema], bodies: Mapping[str, Schema]) -> Mapping[str, Schema]:
    """The schemas of the seed's messages: callnet's own with exactly the seed's fields."""
    cut_bodies = parts(bodies)
    found = {name: _cut(frames[name], fields) for name, fields in FRAMES.items()}
    for path, (asked, answered) in BODIES.items():
        found[asked] = _cut(cut_bodies[asked], REQUESTS[path])
        found[answered] = _cut(cut_bodies[answered], ANSWERS[path])
    return found
