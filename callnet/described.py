"""What the strings of the wire look like, in the words of JSON Schema, for the structs that stand for its messages.

None of it is enforced where a message is read or written: what the server sends it has made itself, and what it reads
is looked at in ways that are faster and know what to answer. ``tests/unit/test_schema_frames.py`` has both agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Meta

from callnet.model import CONTACT_NAME_MAX, DEVICE_ID_MAX, PHONE_MAX

PLAIN_TEXT: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""Text without control characters, as a regular expression."""

PLAIN: Final = Meta(extra_json_schema={"pattern": PLAIN_TEXT})
ROOM: Final = Meta(extra_json_schema={"pattern": "^[0-9a-f]{32}$"})
"""The room of a call."""
ROOM_OR_NONE: Final = Meta(extra_json_schema={"pattern": "^([0-9a-f]{32})?$"})
PAGE: Final = Meta(extra_json_schema={"pattern": r"^/static/demo/direct_chat\.html\?room_id=[0-9a-f]{32}$"})
"""The path of a room's page."""
PHONE: Final = Meta(extra_json_schema={"maxLength": PHONE_MAX, "pattern": PLAIN_TEXT})
DEVICE_ID: Final = Meta(extra_json_schema={"maxLength": DEVICE_ID_MAX, "pattern": PLAIN_TEXT})
NAME: Final = Meta(extra_json_schema={"maxLength": CONTACT_NAME_MAX, "pattern": PLAIN_TEXT})
"""What somebody calls a contact."""
NOT_EMPTY: Final = Meta(extra_json_schema={"minLength": 1})
NOT_NEGATIVE: Final = Meta(extra_json_schema={"minimum": 0})


def one_of(words: Iterable[str]) -> Meta:
    """A string that is one of these words."""
    return Meta(extra_json_schema={"enum": sorted(words)})
