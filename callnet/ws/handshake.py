"""Handshakes: refusals (protocol §2), and a short path for plain ones; Autobahn reads all others."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha1
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from msgspec import Struct

_REQUEST: Final = re.compile(r"GET (/(?!/)[^\s#;?]*)(?:\?([^\s#]*))? HTTP/1\.1")
_ONE_TOKEN: Final = re.compile(r"token=([\w.-]+)", re.ASCII)
"""A query in which nothing is escaped."""
_HOST: Final = re.compile(r"(?:[^:\s\[\]]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_ORIGIN: Final = re.compile(r"null|file://|https?://[a-z0-9.-]*[a-z0-9](?::[0-9]{1,4})?")
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
_CONNECTIONS: Final = frozenset({"upgrade", "keep-alive, upgrade"})
_PROTOCOL: Final = re.compile(r"[a-z0-9.]+")
"""One subprotocol and no more."""

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
    origin = get("origin")
    return (
        get("upgrade", "").lower() == "websocket"
        and get("connection", "").lower() in _CONNECTIONS
        and get("sec-websocket-version") == "13"
        and _PROTOCOL.fullmatch(get("sec-websocket-protocol", "any")) is not None
        and _KEY.fullmatch(get("sec-websocket-key", "")) is not None
        and _HOST.fullmatch(get("host", "")) is not None
        and (origin is None or _ORIGIN.fullmatch(origin) is not None)
    )


def _read_query(query: str) -> Mapping[str, Sequence[str]]:
    token = _ONE_TOKEN.fullmatch(query)
    return parse_qs(query) if token is None else {"token": [token[1]]}


_HEADERS: Final = {
    HTTPStatus.METHOD_NOT_ALLOWED: "Allow: GET\r\n",
    HTTPStatus.UPGRADE_REQUIRED: "Upgrade: websocket\r\n",
    HTTPStatus.TOO_MANY_REQUESTS: "Retry-After: 15\r\n",
    HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After: 5\r\n",
}
"""Additional headers of a status."""


class Refused(Exception):
    """The socket may not be opened."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def refusal(code: int, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """The answer, with the words of HTTP and nothing of what the client sent."""
    status = HTTPStatus(code)
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    text = f"HTTP/1.1 {status.value} {status.phrase}\r\n{more}{_HEADERS.get(status, '')}"
    return f"{text}Content-Length: 0\r\nConnection: close\r\n\r\n".encode("ascii")
