"""JSON Schema hints for the strings in the structs of the wire.

What clients send in frames is held to it when it is read (:mod:`callnet.frames.decode`); what the server sends it has
made itself. ``tests/unit/test_schema_frames.py`` has the schemas and the server agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Meta

from callnet.model import CONTACT_NAME_MAX, DEVICE_ID_MAX, DEVICE_LABEL_MAX, LINK_NAME_MAX, PHONE_MAX

ID_MAX: Final = 64
"""Characters in the id of a request."""

PLAIN_TEXT: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""Text without control characters, as a regular expression."""

END: Final = r"\Z"
"""The end of a string, in Python's regular expressions alone."""

PLAIN: Final = Meta(extra_json_schema={"pattern": PLAIN_TEXT})


def _text(pattern: str, longest: int | None = None) -> Meta:
    """A string that a pattern matches. Python's ``$`` matches before a last newline, too, and that of JSON Schema does
    not: the schemas have it again (:mod:`callnet.schemas`).
    """
    return Meta(max_length=longest, pattern=pattern.removesuffix("$") + END)


ROOM: Final = _text("^[0-9a-f]{32}$")
"""The room of a call."""
ROOM_OR_NONE: Final = _text("^([0-9a-f]{32})?$")
ROOM_OR_ALL: Final = _text(r"^(\*|[0-9a-f]{32})$")
"""A room, or ``*`` for all."""
PAIRING_ID: Final = _text("^[0-9a-f]{32}$")
"""A device that waits to be let in."""
PAIRING_CODE: Final = Meta(extra_json_schema={"pattern": "^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$"})
"""The letters that it shows."""
PIN: Final = _text("^[0-9]{4,8}$")
"""The PIN that ends a kiosk."""
PAGE: Final = Meta(extra_json_schema={"pattern": r"^/static/demo/direct_chat\.html\?room_id=[0-9a-f]{32}$"})
"""The path of a room's page."""
PHONE: Final = _text(PLAIN_TEXT, PHONE_MAX)
DEVICE_ID: Final = _text(PLAIN_TEXT, DEVICE_ID_MAX)
FRAME_PHONE: Final = Meta(max_length=PHONE_MAX, extra_json_schema={"pattern": PLAIN_TEXT})
"""A phone in a frame, whose text is looked at as a whole (:mod:`callnet.frames.decode`): two patterns take longer than
all else of its decoding."""
FRAME_DEVICE_ID: Final = Meta(max_length=DEVICE_ID_MAX, extra_json_schema={"pattern": PLAIN_TEXT})
"""A device id in a frame."""
ID: Final = _text(PLAIN_TEXT, ID_MAX)
"""The id of an extended client's request."""
NAME: Final = _text(PLAIN_TEXT, CONTACT_NAME_MAX)
"""The name that somebody calls a contact by, or itself."""
LINK_NAME: Final = _text(PLAIN_TEXT, LINK_NAME_MAX)
"""The name that somebody calls a link by."""
LINK_ID: Final = _text("^[0-9a-f]{12}$")
"""A link that rings."""
LABEL: Final = _text(PLAIN_TEXT, DEVICE_LABEL_MAX)
"""The name that somebody calls a device by."""
NOT_EMPTY: Final = Meta(min_length=1)
NOT_NEGATIVE: Final = Meta(extra_json_schema={"minimum": 0})


def one_of(words: Iterable[str]) -> Meta:
    """A string that is one of these words."""
    return Meta(extra_json_schema={"enum": sorted(words)})
