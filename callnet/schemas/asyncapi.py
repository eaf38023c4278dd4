"""The AsyncAPI 3.0 document: the messages on the WebSockets of devices and of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from callnet.schemas.structs import (
    FROM_DEVICE,
    FROM_EXTENDED,
    FROM_GUEST,
    FROM_PAGE,
    TO_DEVICE,
    TO_EXTENDED,
    TO_GUEST,
    TO_PAGE,
    Direction,
    Schema,
    plain,
    reference,
)

_DESCRIPTION: Final = """The WebSockets of a callnet server, plain RFC 6455. Frames are text, one JSON object each.

The schemas of what the server reads allow further fields, which are ignored. Those of what it writes are exact for
this version of the server. Clients must ignore unknown fields: later versions add some."""


class Channel(Struct, frozen=True):
    """One kind of socket."""

    name: str
    path: str
    servers: Sequence[str]
    description: str
    directions: Sequence[Direction]
    binding: Schema
    """The request that opens the socket: the binding of AsyncAPI for WebSockets."""


_TOKEN: Final[Schema] = {
    "type": "string",
    "description": "The token from the login. It may be in the header `Authorization: Bearer` instead.",
}
_GUEST_TOKEN: Final[Schema] = {"type": "string", "description": "The token from `/links/enter`."}
_CALL_WAITING: Final[Schema] = {
    "const": "1",
    "description": "The device can show a second call while it is in an active one.",
}
DEVICES: Final = Channel(
    "devices",
    "/socket.io",
    ("signaling", "site"),
    "The socket of a device that has logged in over HTTP. Frames have at most 16 KiB; those of the server are "
    "shorter than 512 bytes.",
    (FROM_DEVICE, TO_DEVICE),
    {"method": "GET", "query": {"type": "object", "properties": {"token": _TOKEN}}},
)
EXTENDED: Final = Channel(
    "extended_devices",
    "/socket.io",
    ("signaling", "site"),
    "The same socket for a client that offers the subprotocol `callnet.v2`. A `signal` may have 64 KiB.",
    (FROM_EXTENDED, TO_EXTENDED),
    {
        "method": "GET",
        "query": {"type": "object", "properties": {"token": _TOKEN, "call_waiting": _CALL_WAITING}},
        "headers": {
            "type": "object",
            "properties": {"Sec-WebSocket-Protocol": {"type": "string", "const": "callnet.v2"}},
            "required": ["Sec-WebSocket-Protocol"],
        },
    },
)
GUESTS: Final = Channel(
    "guests",
    "/socket.io/guest",
    ("signaling", "site"),
    "The socket of a guest, who calls by a link that rings. Its token is that of `/links/enter`; a guest that offers "
    "the subprotocol `callnet.v2` is told by the close code 4401 that it is not valid. Frames have at most 16 KiB.",
    (FROM_GUEST, TO_GUEST),
    {"method": "GET", "query": {"type": "object", "properties": {"token": _GUEST_TOKEN}}},
)
PAGE: Final = Channel(
    "page",
    "/room",
    ("site",),
    "The socket of a room, for the 1-to-1 page that this site has served, and for clients without a page that name the "
    "site in `Origin`. See docs/room.json for the messages that they relay. Frames have at most 64 KiB.",
    (FROM_PAGE, TO_PAGE),
    {"method": "GET"},
)
CHANNELS: Final = (DEVICES, EXTENDED, GUESTS, PAGE)


def document() -> dict[str, Any]:
    """Write the document."""
    directions = [direction for channel in CHANNELS for direction in channel.directions]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "callnet: WebSockets", "version": "1", "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {
            "signaling": {"host": "localhost:8082", "protocol": "ws", "description": "For devices."},
            "site": {"host": "localhost:8080", "protocol": "wss", "description": "The site, which serves everything."},
        },
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {
            direction.name: _operation(channel, direction) for channel in CHANNELS for direction in channel.directions
        },
        "components": {
            "messages": {name: message for direction in directions for name, message in _messages(direction).items()},
            "schemas": {name: schema for direction in directions for name, schema in direction.schemas().items()},
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "address": channel.path,
        "description": channel.description,
        "servers": [{"$ref": f"#/servers/{server}"} for server in channel.servers],
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"}
            for direction in channel.directions
            for name in direction.frames().values()
        },
        "bindings": {"ws": channel.binding},
    }


def _operation(channel: Channel, direction: Direction) -> dict[str, Any]:
    """The description of a direction, as the server sees it."""
    return {
        "action": "send" if direction.by_server else "receive",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "summary": direction.summary,
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{name}"} for name in direction.frames().values()],
    }


def _messages(direction: Direction) -> dict[str, Any]:
    return {
        name: {"name": tag, "title": tag, "summary": plain(kind.__doc__), "payload": reference(name)}
        for kind, (tag, name) in zip(direction.kinds, direction.frames().items(), strict=True)
    }
