"""Cursors of pages, opaque to clients, and checked when they come back."""

from __future__ import annotations

import base64
from typing import Any, Final, TypeVar

import msgspec

from callnet.errors import DataInvalid

LONGEST: Final = 512
"""The longest cursor that is looked at, in characters."""
WRONG: Final = "after is not a cursor from an earlier answer"

_Place = TypeVar("_Place")


def encode(last: Any) -> str:
    """Encode the position of the next page."""
    return base64.urlsafe_b64encode(msgspec.json.encode(last)).decode("ascii")


def decode(cursor: str, kind: type[_Place]) -> _Place:
    """Decode a cursor.

    :raises DataInvalid: not a cursor of this kind.
    """
    try:
        if len(cursor) > LONGEST:
            raise ValueError
        return msgspec.json.decode(base64.b64decode(cursor, b"-_", validate=True), type=kind)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise DataInvalid(WRONG) from None
