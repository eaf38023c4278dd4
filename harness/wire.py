"""HTTP and WebSocket by hand, on asyncio, so that a proof can say everything that a client must not.

It shares no code with the server: what this reads is what stands on the wire (RFC 6455, RFC 9112).
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final, Self

from msgspec import Struct

from harness.base_protocol import socket_path
from harness.websocket import BINARY, CLOSE, PING, PONG, TEXT, Frame, FrameReader, Handshake, client_frame

HOST: Final = "127.0.0.1"
PATIENCE: Final = 30.0
"""Seconds after which an answer is not expected any more."""

_AT_ONCE: Final = 65536


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
        while part := await reader.read(_AT_ONCE):
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


def upgrade(raw: socket.socket, path: str, authority: str, origin: str = "") -> None:
    """Open a WebSocket on a socket that blocks, and read nothing that comes after the answer.

    :raises Refused: the server answered with something else than 101.
    """
    handshake = Handshake(path, authority, origin)
    raw.sendall(handshake.request)
    while handshake.feed(raw.recv(1)) is None:
        pass


class WebSocket:
    """The client's end of a WebSocket. Pings are answered while somebody waits for a message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming = FrameReader()
        self._frames: deque[Frame] = deque()
        self.frames = 0
        """The number of received frames, pongs too."""
        self.close_code = 0
        """The code with which it was closed, once iterating over it has ended."""

    @classmethod
    async def open(cls, port: int, token: str, host: str = HOST) -> Self:
        """Open the signaling socket.

        :raises Refused: the server answered with something else than 101.
        """
        return await cls.upgrade(port, socket_path(token), host)

    @classmethod
    async def upgrade(cls, port: int, path: str, host: str = HOST, origin: str = "") -> Self:
        """Open any WebSocket.

        :raises Refused: the server answered with something else than 101.
        """
        handshake = Handshake(path, f"{host}:{port}", origin)
        reader, writer = await asyncio.open_connection(host, port)
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(handshake.request)
                while (rest := handshake.feed(await reader.read(_AT_ONCE))) is None:
                    pass
        except BaseException:
            writer.transport.abort()
            raise
        socket = cls(reader, writer)
        socket._take(rest)
        return socket

    def say(self, **fields: Any) -> None:
        """Send one JSON object in a text frame."""
        self.write(client_frame(TEXT, json.dumps(fields).encode()))

    def write(self, data: bytes) -> None:
        """Send any bytes."""
        self._writer.write(data)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """The JSON objects that come until it is closed."""
        try:
            while True:
                yield json.loads(await self.hear())
        except Closed as closed:
            self.close_code = closed.code

    async def hear(self) -> bytes:
        """Wait for the next message.

        :raises Closed: there is none to come.
        """
        while True:
            frame = await self._read_frame()
            self.frames += 1
            if frame.opcode in (TEXT, BINARY):
                return frame.payload
            if frame.opcode == CLOSE:
                raise Closed(struct.unpack("!H", frame.payload[:2])[0] if frame.payload else 1005)
            if frame.opcode == PING:
                self.write(client_frame(PONG, frame.payload))

    async def pong(self) -> None:
        """Wait for the answer to a ping; messages before it are lost.

        :raises Closed: there is none to come.
        """
        while (await self._read_frame()).opcode != PONG:
            pass

    async def _read_frame(self) -> Frame:
        while not self._frames:
            try:
                data = await self._reader.read(_AT_ONCE)
            except ConnectionError:
                data = b""
            if not data:
                raise Closed(1006)
            self._take(data)
        return self._frames.popleft()

    def _take(self, data: bytes) -> None:
        self._frames.extend(self._incoming.feed(data))

    def ping(self) -> None:
        """Ask whether the other end lives."""
        self.write(client_frame(PING))

    def close(self) -> None:
        """Send a close frame, and leave."""
        self.send_close()
        self._writer.close()

    def send_close(self, code: int = 1000) -> None:
        """Send a close frame."""
        self.write(client_frame(CLOSE, struct.pack("!H", code)))

    def drop(self) -> None:
        """Be gone without a word, as when the power fails."""
        self._writer.transport.abort()
