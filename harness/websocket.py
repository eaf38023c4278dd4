"""WebSocket frames and the opening handshake of a client as bytes (RFC 6455), for tests, bench and acceptance.

The framing is that of the library ``websockets``, which shares no code with the server. Nothing here owns a socket.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Final, TypeVar

from msgspec import Struct
from websockets import frames
from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.http11 import Response
from websockets.streams import StreamReader
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri
from websockets.utils import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = map(int, frames.Opcode)

_MASK: Final = b"\x37\xfa\x21\x3d"
_T = TypeVar("_T")


class Frame(Struct, frozen=True):
    """A frame of a server."""

    opcode: int
    payload: bytes


class Refused(Exception):
    """The server answered a handshake with something else than 101. ``head``: its answer."""

    def __init__(self, head: bytes) -> None:
        self.status: Final = int(head.split(b" ")[1])
        found = re.search(rb"\r\nretry-after: *([0-9]+)", head, re.IGNORECASE)
        self.retry_after: Final = None if found is None else int(found[1])
        """Seconds after which the client may come again."""
        super().__init__(f"HTTP {self.status}")


def server_frame(opcode: int, payload: bytes = b"") -> bytes:
    """Write a frame as a server does: whole and not masked."""
    return frames.Frame(frames.Opcode(opcode), payload).serialize(mask=False)


def client_frame(opcode: int, payload: bytes = b"", fin: bool = True, mask: bytes = _MASK) -> bytes:
    """Write a masked frame.

    The mask is a constant, so that a seed repeats a stream byte for byte. The opcode may be unknown, and a control
    frame too long or not final: a test sends what no client may.
    """
    length = _length_field(len(payload))
    return bytes((fin << 7 | opcode, 0x80 | length[0])) + length[1:] + mask + apply_mask(payload, mask)


@lru_cache
def _length_field(length: int) -> bytes:
    """The length as a header has it. Written once for each length: the load generator sends millions of frames."""
    return server_frame(BINARY, bytes(length))[1 : -length or None]


class FrameReader:
    """Incremental reader of a server's frames. Our servers never send a message in parts."""

    def __init__(self) -> None:
        self._stream = StreamReader()
        self._whole: list[Frame] = []
        self._parser = self._parse()

    def feed(self, data: bytes) -> Sequence[Frame]:
        """Take some bytes; returns the frames that are now whole.

        :raises ProtocolError: a frame is masked, in parts, or otherwise against the protocol.
        """
        self._stream.feed_data(data)
        next(self._parser)
        whole, self._whole = self._whole, []
        return whole

    def _parse(self) -> Generator[None]:
        while True:
            frame = yield from frames.Frame.parse(self._stream.read_exact, mask=False)
            if not frame.fin:
                raise ProtocolError("a message in parts")
            self._whole.append(Frame(frame.opcode, bytes(frame.data)))


class Handshake:
    """The opening of one WebSocket.

    :param authority: host and port, as the ``Host`` header has them.
    :param origin: of the page that opens it, if it is one.
    :param protocol: the subprotocol that the client offers, if any.
    """

    def __init__(self, path: str, authority: str, origin: str = "", protocol: str = "") -> None:
        self._client = ClientProtocol(
            parse_uri(f"ws://{authority}{path}"),
            origin=Origin(origin) if origin else None,
            subprotocols=[Subprotocol(protocol)] if protocol else None,
        )
        self._answer = b""
        self.request: Final = self._client.connect().serialize()
        """The bytes to send."""

    def feed(self, data: bytes) -> bytes | None:
        """Take the server's bytes. Returns ``None`` until the answer is whole, then the bytes after it.

        :param data: ``b""`` if the connection has ended.
        :raises Refused: the answer is not 101.
        :raises InvalidHandshake: it is 101, but does not fit the request.
        :raises ConnectionError: the connection has ended.
        """
        if not data:
            raise ConnectionResetError("the connection ended in the handshake")
        self._answer += data
        head, end, rest = self._answer.partition(b"\r\n\r\n")
        if not end:
            return None
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Refused(head)
        stream = StreamReader()
        stream.feed_data(head + end)
        self._client.process_response(
            _returned(Response.parse(stream.read_line, stream.read_exact, stream.read_to_eof))
        )
        return rest


def _returned(parser: Generator[None, None, _T]) -> _T:
    """The result of a parser of the library that has all that it needs."""
    try:
        next(parser)
    except StopIteration as done:
        result: _T = done.value
        return result
    raise AssertionError("the parser waits for more")
