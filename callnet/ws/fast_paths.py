"""Short paths for whole short frames and for plain handshakes; Autobahn keeps everything else."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from hashlib import sha1
from typing import Final
from urllib.parse import parse_qs

from msgspec import Struct

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


_REQUEST: Final = re.compile(r"GET (/(?!/)[^\s#;?]*)(?:\?([^\s#]*))? HTTP/1\.1")
_ONE_TOKEN: Final = re.compile(r"token=([\w.-]+)", re.ASCII)
"""A query in which nothing is escaped."""
_HOST: Final = re.compile(r"(?:[^:\s\[\]]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_ORIGIN: Final = re.compile(r"null|file://|https?://[a-z0-9.-]*[a-z0-9](?::[0-9]{1,4})?")
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
_CONNECTIONS: Final = frozenset({"upgrade", "keep-alive, upgrade"})
_PROTOCOL: Final = re.compile(r"[a-z0-9.]+")
"""One subprotocol and no more."""
_EXTENSIONS: Final = frozenset({"permessage-deflate", "permessage-deflate; client_max_window_bits"})
"""The extension that browsers offer and that is not accepted."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Opening(Struct, frozen=True):
    """The parts of a client's handshake that are used."""

    path: str
    params: Mapping[str, Sequence[str]]
    """The query, unescaped."""
    headers: Mapping[str, str]
    """By their names in lower case."""

    @property
    def has_body(self) -> bool:
        """True if a body follows, whose bytes are not frames."""
        return self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers


class PlainHandshake(Struct, frozen=True):
    """A handshake that is complete and in order."""

    opening: Opening
    key: str
    length: int
    """Bytes."""

    def answer(self, subprotocol: str | None) -> bytes:
        """The response that accepts it."""
        accept = b2a_base64(sha1(self.key.encode("ascii") + _GUID, usedforsecurity=False).digest(), newline=False)
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
            + (b"" if subprotocol is None else b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode("ascii"))
            + b"Sec-WebSocket-Accept: "
            + accept
            + b"\r\n\r\n"
        )


def read_plain(data: bytes) -> PlainHandshake | None:
    """Read the handshake that ``data`` begins with; ``None`` if it is none, not all there, or unusual in any way."""
    end = data.find(b"\r\n\r\n")
    head = data[: max(end, 0)]
    if not head.isascii():
        return None
    first, *lines = head.decode("ascii").split("\r\n")
    asked = _REQUEST.fullmatch(first)
    headers = _read_headers(lines)
    if asked is None or headers is None or not _is_plain(headers):
        return None
    path, query = asked.groups()
    return PlainHandshake(Opening(path, _read_query(query or ""), headers), headers["sec-websocket-key"], end + 4)


def _read_headers(lines: Sequence[str]) -> dict[str, str] | None:
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if not (name and value and line.isprintable()):
            return None
        headers[name.strip().lower()] = value.strip()
    return headers if len(headers) == len(lines) else None


def _is_plain(headers: Mapping[str, str]) -> bool:
    get = headers.get
    origin, offer = get("origin"), get("sec-websocket-extensions")
    return (
        get("upgrade", "").lower() == "websocket"
        and get("connection", "").lower() in _CONNECTIONS
        and get("sec-websocket-version") == "13"
        and _PROTOCOL.fullmatch(get("sec-websocket-protocol", "any")) is not None
        and _KEY.fullmatch(get("sec-websocket-key", "")) is not None
        and _HOST.fullmatch(get("host", "")) is not None
        and (origin is None or _ORIGIN.fullmatch(origin) is not None)
        and (offer is None or offer in _EXTENSIONS)
    )


def _read_query(query: str) -> Mapping[str, Sequence[str]]:
    token = _ONE_TOKEN.fullmatch(query)
    return parse_qs(query) if token is None else {"token": [token[1]]}
