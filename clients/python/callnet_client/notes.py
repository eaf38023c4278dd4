"""The notes between two clients in a room, on the data channel of their connection (docs/room.md)."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

LONGEST_NOTE: Final = 16 * 1024
"""The maximum size of a note, in bytes."""
LONGEST_CHAT: Final = 2000
"""The maximum length of a chat message, in characters."""

LONGEST_EMOJI: Final = 16
"""The maximum length of a reaction, in characters."""
LONGEST_FILE_NAME: Final = 255
"""The maximum length of a file's name, in characters."""
LARGEST_FILE: Final = 8 * 1024 * 1024
"""The maximum size of a file, in bytes."""

_Id: TypeAlias = Annotated[str, Meta(min_length=32, max_length=32, pattern="^[0-9a-f]{32}$")]
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


class Reaction(_Note, frozen=True, tag="reaction"):
    """An emoji to show once over the pictures."""

    emoji: Annotated[str, Meta(min_length=1, max_length=LONGEST_EMOJI)]


class File(_Note, frozen=True, tag="file"):
    """The sender offers a file."""

    id: _Id
    """Names the file in the notes and the data channel that follow."""
    name: Annotated[str, Meta(min_length=1, max_length=LONGEST_FILE_NAME)]
    """A suggestion, possibly a malicious one."""
    size: Annotated[int, Meta(ge=1, le=LARGEST_FILE)]
    """In bytes."""


class FileAccept(_Note, frozen=True, tag="file_accept"):
    """The sender wants an offered file."""

    id: _Id


class FileCancel(_Note, frozen=True, tag="file_cancel"):
    """The sender of this note does not want the file to be transferred, or not any more."""

    id: _Id


class Commit(_Note, frozen=True, tag="commit"):
    """Verification, first: the offerer's commitment to its nonce."""

    hash: _Hex


class Nonce(_Note, frozen=True, tag="nonce"):
    """Verification, second: the answerer's nonce."""

    nonce: _Hex


class Reveal(_Note, frozen=True, tag="reveal"):
    """Verification, third: the nonce of the offerer's commitment."""

    nonce: _Hex


Note: TypeAlias = Bye | State | Chat | Reaction | File | FileAccept | FileCancel | Commit | Nonce | Reveal

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
