"""The frames of every WebSocket by sender, and the messages between two clients in a room.

A module of more structs goes into :data:`DIRECTIONS`: into one that is there, or as one that is new.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from msgspec import Struct

from callnet.client import notes, relayed
from callnet.frames import base, page, v2
from callnet.schemas.structs import Schema, reference, schemas


class Direction(Struct, frozen=True):
    """The messages of one side to the other in one place. Each ``type`` (or ``kind``) has one struct."""

    name: str
    """Also the first part of the names of its schemas."""
    kinds: tuple[type[Struct], ...]
    by_server: bool
    summary: str

    def schemas(self) -> dict[str, Schema]:
        """The schemas of its frames, and of what is in them, by name."""
        return schemas(self.kinds, f"{self.name}.", exact=self.by_server)

    @property
    def tag_field(self) -> str:
        """The field by which its frames say what they are."""
        return str(self.kinds[0].__struct_config__.tag_field)

    def frames(self) -> dict[str, str]:
        """The names of the schemas of its frames, by their tags."""
        return {str(kind.__struct_config__.tag): f"{self.name}.{kind.__name__}" for kind in self.kinds}


FROM_DEVICE: Final = Direction("from_device", get_args(base.Request), False, "The frames that a device may send.")
TO_DEVICE: Final = Direction("to_device", get_args(base.Message), True, "The frames that a device receives.")
FROM_EXTENDED: Final = Direction(
    "from_extended", get_args(v2.ExtendedRequest), False, "The frames that a device may send with callnet.v2."
)
TO_EXTENDED: Final = Direction(
    "to_extended", get_args(v2.ExtendedMessage), True, "The frames that a device receives with callnet.v2."
)
FROM_PAGE: Final = Direction("from_page", get_args(page.PageRequest), False, "The messages that the page sends.")
TO_PAGE: Final = Direction("to_page", get_args(page.PageMessage), True, "The messages that the page receives.")
RELAYED: Final = Direction(
    "relayed", get_args(relayed.Relayed), False, "The messages of the two clients of a room in `relay`."
)
NOTE: Final = Direction(
    "note", get_args(notes.Note), False, "The messages of the two clients of a room on their data channel."
)

DIRECTIONS: Final = (FROM_DEVICE, TO_DEVICE, FROM_EXTENDED, TO_EXTENDED, FROM_PAGE, TO_PAGE, RELAYED, NOTE)


def schema_of(direction: Direction) -> dict[str, Any]:
    """One JSON Schema (2020-12) that all frames of a direction satisfy, and nothing else does."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "oneOf": [reference(name) for name in direction.frames().values()],
        "components": {"schemas": direction.schemas()},
    }
