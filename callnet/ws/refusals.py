"""Handshakes that are answered with an HTTP status instead of an upgrade (protocol §2)."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

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
