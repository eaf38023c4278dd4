"""A fast path for short, unfragmented text messages (RFC 6455), which are nearly all traffic."""

from __future__ import annotations

from typing import Final

SHORT: Final = 4096
"""Bytes in a message. Longer ones are unmasked so much faster by Autobahn that its other work does not matter."""

CLOSE: Final = 8
"""The opcode of a close frame (RFC 6455 §5.2)."""
OPCODE_OF_DATA: Final = 7
"""The greatest opcode of a frame that carries data; the others control the connection."""
OPCODE_BITS: Final = 0x0F
"""Those of the first byte of a frame that are its opcode."""

_TEXT: Final = 0x81
_MASKED: Final = 0x80


def take_text(data: bytes, start: int, longest: int) -> tuple[bytes, int] | None:
    """Read the frame that begins at ``start``, if it is a whole message of text and nothing is wrong with it.

    :param longest: the most bytes that the message may have.
    :return: the message and where the frame ends; ``None``: it is something else, or not all of it is there.
    """
    body, size = start + 6, len(data)
    if body > size or data[start] != _TEXT:
        return None
    length = data[start + 1] - _MASKED
    if length > 125:
        body += 2
        length = int.from_bytes(data[start + 2 : start + 4], "big") if length == 126 else -1
        if length < 126:
            return None
    end = body + length
    if not 0 <= length <= longest or end > size:
        return None
    key = int.from_bytes((data[body - 4 : body] * (length // 4 + 1))[:length], "little")
    payload = (int.from_bytes(data[body:end], "little") ^ key).to_bytes(length, "little")
    return (payload, end) if payload.isascii() or _is_utf8(payload) else None


def text_header(length: int) -> bytes:
    """Begin the frame of a whole message of text from a server (RFC 6455 §5.2)."""
    if length < 126:
        return bytes((_TEXT, length))
    return b"\x81\x7e" + length.to_bytes(2, "big") if length < 65536 else b"\x81\x7f" + length.to_bytes(8, "big")


HEADERS: Final = tuple(map(text_header, range(512)))
"""Those of all messages that base clients are sent (protocol §2), by their lengths."""


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
