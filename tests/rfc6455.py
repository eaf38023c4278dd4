"""WebSocket frames as bytes (RFC 6455 §5.2), so that a test can send what no client library would."""

from __future__ import annotations

from msgspec import Struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

_MASK = b"\x37\xfa\x21\x3d"


class Frame(Struct, frozen=True):
    """One frame that the server sent."""

    fin: bool
    opcode: int
    payload: bytes


def client_frame(opcode: int, payload: bytes = b"", fin: bool = True, mask: bytes = _MASK) -> bytes:
    """Write one masked frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 65536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    masked = (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
    return bytes((fin << 7 | opcode,)) + length + mask + masked


def take_frame(data: bytes) -> tuple[Frame, bytes] | None:
    """Take the first frame off what the server has sent."""
    if len(data) < 2:
        return None
    assert not data[0] & 0x70, "a reserved bit is set"
    assert not data[1] & 0x80, "a frame of a server is masked"
    size, begin = data[1], 2
    if size >= 126:
        begin = 4 if size == 126 else 10
        size = int.from_bytes(data[2:begin], "big")
    if len(data) < begin + size:
        return None
    frame = Frame(bool(data[0] & 0x80), data[0] & 0x0F, data[begin : begin + size])
    return frame, data[begin + size :]
