"""The notes between two clients in a room, on the data channel of their connection (docs/room.md)."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

LONGEST_NOTE: Final = 16 * 1024
"""The maximum size of a note, in bytes."""
LONGEST_CHAT: Final = 2000
"""The maximum length of a chat message, in characters."""

_Hex: TypeAlias = Annotated[str, Meta(min_length=64, max_length=64, pattern="^[0-9a-f]{64}$")]


class _Note(Struct, frozen=True, tag_field="kind"):
    """A note. Its ``kind`` names its type."""


class Bye(_Note, frozen=True, tag="bye"):
    """The sender has ended the call. The receiver tells the server too, which the sender may not reach."""


class State(_Note, frozen=True, tag="state"):
    """The state of the sender's media; sent when the channel opens, and at each change."""

    muted: bool
    """No sound: the microphone is off or missing."""
    camera_off: bool
    """No camera picture: the camera is off or missing."""
    sharing: bool
    """The screen is shared."""
    paused: bool = False
    """The picture is paused until the connection is better; ``camera_off`` is true then, too."""


class Chat(_Note, frozen=True, tag="chat"):
    """A chat message."""

    text: Annotated[str, Meta(min_length=1, max_length=LONGEST_CHAT)]


class Commit(_Note, frozen=True, tag="commit"):
    """Verification, first: the offerer's commitment to its nonce."""

    hash: _Hex


class Nonce(_Note, frozen=True, tag="nonce"):
    """Verification, second: the answerer's nonce."""

    nonce: _Hex


class Reveal(_Note, frozen=True, tag="reveal"):
    """Verification, third: the nonce of the offerer's commitment."""

    nonce: _Hex


Note: TypeAlias = Bye | State | Chat | Commit | Nonce | Reveal

_decode = msgspec.json.Decoder(Note).decode


def parse_note(text: str | bytes) -> Note | None:
    """Decode a message of the data channel. ``None``: it is no known note, and must be ignored."""
    payload = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(payload) > LONGEST_NOTE:
        return None
    try:
        note: Note = _decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return note
