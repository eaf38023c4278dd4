"""HTTP and WebSocket by hand, on asyncio, so that a proof can say everything that a client must not.

It shares no code with the server: what this reads is what stands on the wire (RFC 6455, RFC 9112).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
from typing import Any, Final, Self
from urllib.parse import quote

from msgspec import Struct

HOST: Final = "127.0.0.1"
PATIENCE: Final = 30.0
"""Seconds after which an answer is not expected any more."""

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10


class Refused(Exception):
    """The WebSocket was not opened."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class Closed(Exception):
    """The WebSocket is closed; ``code`` is 1006 if no close frame came."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Answer(Struct, frozen=True):
    """An HTTP answer."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as the JSON object that it must be."""
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise ValueError("the answer is no JSON object")
        return value


async def exchange(port: int, request: bytes, host: str = HOST) -> Answer:
    """Send the bytes of an HTTP request that asks for the connection to be closed, and read the answer."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        async with asyncio.timeout(PATIENCE):
            raw = await _read_all(reader)
    finally:
        writer.transport.abort()
    head, _, body = raw.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    if b"transfer-encoding: chunked" in head.lower():
        body = _unchunk(body)
    return Answer(status, body)


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    """Read until the end, or until a reset: a server may answer before it has read everything."""
    parts = []
    try:
        while part := await reader.read(65536):
            parts.append(part)
    except ConnectionResetError:
        if not parts:
            raise
    return b"".join(parts)


def _unchunk(body: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return b"".join(parts)
        parts.append(body[:length])
        body = body[length + 2 :]


def request(path: str, body: bytes, method: str = "POST") -> bytes:
    """The bytes of an HTTP request with a JSON body."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def post(port: int, path: str, fields: dict[str, Any], host: str = HOST) -> dict[str, Any]:
    """Ask the account service, and return the answer's fields."""
    return (await exchange(port, request(path, json.dumps(fields).encode()), host)).json()


async def login(port: int, phone: str, device_id: str, host: str = HOST) -> str:
    """Log a device in and return its token."""
    answer = await post(port, "/account/login", {"phone": phone, "device_id": device_id}, host)
    token = answer.get("token")
    if answer.get("errorCode") != 0 or not isinstance(token, str):
        raise ValueError(f"no token in {answer}")
    return token


def upgrade_request(path: str, authority: str, origin: str = "") -> bytes:
    """The bytes of a request for a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    from_origin = f"Origin: {origin}\r\n" if origin else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\n{from_origin}"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


async def _handshake(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, authority: str, origin: str
) -> int:
    """Ask for a WebSocket; returns the HTTP status."""
    writer.write(upgrade_request(path, authority, origin))
    head = await reader.readuntil(b"\r\n\r\n")
    return int(head.split(b" ")[1])


class WebSocket:
    """The client's end of a WebSocket. Pings are answered while somebody waits for a message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.frames = 0
        """How many frames came, pongs too."""

    @classmethod
    async def open(cls, port: int, token: str, host: str = HOST) -> Self:
        """Open the signaling socket.

        :raises Refused: the server answered with something else than 101.
        """
        return await cls.upgrade(port, f"/socket.io?token={quote(token)}", host)

    @classmethod
    async def upgrade(cls, port: int, path: str, host: str = HOST, origin: str = "") -> Self:
        """Open any WebSocket.

        :raises Refused: the server answered with something else than 101.
        """
        reader, writer = await asyncio.open_connection(host, port)
        try:
            async with asyncio.timeout(PATIENCE):
                status = await _handshake(reader, writer, path, f"{host}:{port}", origin)
            if status != 101:
                raise Refused(status)
        except BaseException:
            writer.transport.abort()
            raise
        return cls(reader, writer)

    def say(self, **fields: Any) -> None:
        """Send one JSON object in a text frame."""
        self.write(frame(TEXT, json.dumps(fields).encode()))

    def write(self, data: bytes) -> None:
        """Send any bytes."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the kernel has taken what was written."""
        await self._writer.drain()

    async def hear(self) -> bytes:
        """Wait for the next message.

        :raises Closed: there is none to come.
        """
        try:
            while True:
                opcode, payload = await self._read_frame()
                self.frames += 1
                if opcode in (TEXT, BINARY):
                    return payload
                if opcode == CLOSE:
                    raise Closed(struct.unpack("!H", payload[:2])[0] if payload else 1005)
                if opcode == PING:
                    self.write(frame(PONG, payload))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Closed(1006) from None

    async def _read_frame(self) -> tuple[int, bytes]:
        """One frame; the server's are unmasked and never fragmented."""
        first, second = await self._reader.readexactly(2)
        if not first & 0x80 or second & 0x80:
            raise ValueError("the server fragmented or masked a frame")
        length = second
        if length == 126:
            (length,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
        return first & 0x0F, await self._reader.readexactly(length)

    def ping(self) -> None:
        """Ask whether the other end lives."""
        self.write(frame(PING, b""))

    def close(self, code: int = 1000) -> None:
        """Say that this is the end, and leave."""
        self.write(frame(CLOSE, struct.pack("!H", code)))
        self._writer.close()

    def drop(self) -> None:
        """Be gone without a word, as when the power fails."""
        self._writer.transport.abort()


def frame(opcode: int, payload: bytes, fin: bool = True, masked: bool = True) -> bytes:
    """The bytes of one frame of a client."""
    head = bytes([(0x80 if fin else 0) | opcode])
    length, bit = len(payload), 0x80 if masked else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", length)
    # A key of zeros masks nothing and is allowed: nobody between is to be protected here.
    return head + (bytes(4) if masked else b"") + payload
