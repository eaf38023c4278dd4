"""Messages of two clients in a room on the data channel of their connection (docs/room.md)."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

LONGEST_NOTE: Final = 16 * 1024
"""Bytes."""
LONGEST_CHAT: Final = 2000
"""Characters."""

_Hex: TypeAlias = Annotated[str, Meta(min_length=64, max_length=64, pattern="^[0-9a-f]{64}$")]


class _Note(Struct, frozen=True, tag_field="kind"):
    """Every note says in ``kind`` what it is."""


class Bye(_Note, frozen=True, tag="bye"):
    """The sender has ended the call. Whoever hears it tells the server too, which the sender may not reach."""


class State(_Note, frozen=True, tag="state"):
    """The media that the sender sends now; sent when the channel opens, and whenever it changes."""

    muted: bool
    """No sound: it is switched off, or there is no microphone."""
    camera_off: bool
    """No picture of a camera: it is switched off, or there is none."""
    sharing: bool
    """There is a picture of a screen."""
    paused: bool = False
    """The picture waits for a better connection; ``camera_off`` is true then, too."""


class Chat(_Note, frozen=True, tag="chat"):
    """Something that a person wrote."""

    text: Annotated[str, Meta(min_length=1, max_length=LONGEST_CHAT)]


class Commit(_Note, frozen=True, tag="commit"):
    """Verification, first: who offers has drawn a nonce."""

    hash: _Hex


class Nonce(_Note, frozen=True, tag="nonce"):
    """Verification, second: the nonce of who answers."""

    nonce: _Hex


class Reveal(_Note, frozen=True, tag="reveal"):
    """Verification, third: the nonce to which who offers was committed."""

    nonce: _Hex


Note: TypeAlias = Bye | State | Chat | Commit | Nonce | Reveal

_decode = msgspec.json.Decoder(Note).decode


def parse_note(text: str | bytes) -> Note | None:
    """Read what came over the data channel, whatever it is. ``None``: it is none of these, and to be ignored."""
    payload = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(payload) > LONGEST_NOTE:
        return None
    try:
        note: Note = _decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return note
