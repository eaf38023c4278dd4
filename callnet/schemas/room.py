"""The JSON Schemas of a room: what its socket, its relay and the data channel between its clients carry."""

from __future__ import annotations

from typing import Any, Final

from callnet.schemas.structs import FROM_PAGE, NOTE, RELAYED, TO_PAGE, Direction, Schema, reference

_DESCRIPTION: Final = """For clients that are in a room without the page (docs/room.md).

The schemas of what the server writes (`to_page`) are exact for this version of the server. All others allow further
fields, which are ignored. Clients must ignore messages of another `type` or `kind`."""
_DIRECTIONS: Final = (FROM_PAGE, TO_PAGE, RELAYED, NOTE)


def document() -> dict[str, Any]:
    """Write the schema. It takes any message of a room; each direction and each message has one of its own in it."""
    parts: dict[str, Schema] = {}
    for direction in _DIRECTIONS:
        parts[direction.name] = _any_of(direction)
        parts.update(direction.schemas())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "callnet: a room",
        "description": _DESCRIPTION,
        "anyOf": [reference(direction.name) for direction in _DIRECTIONS],
        "components": {"schemas": parts},
    }


def _any_of(direction: Direction) -> Schema:
    return {"description": direction.summary, "oneOf": [reference(name) for name in direction.frames().values()]}
