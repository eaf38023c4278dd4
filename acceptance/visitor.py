"""A guest that is played by hand, and keeps every byte that it is sent (docs/protocol.md §2.7).

It shares no code with the server, nor with the clients that callnet ships.
"""

from __future__ import annotations

import asyncio
import json
import re
import struct
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from acceptance.faults.line import Door
from harness.base_protocol import Frame
from harness.websocket import CLOSE, TEXT, FrameReader, Handshake, client_frame
from harness.wire import HOST, PATIENCE, Closed, request

PROTOCOL: Final = "callnet.v2"
GUEST_PATH: Final = "/socket.io/guest"
DEVICE_PATH: Final = "/socket.io"

_AT_ONCE: Final = 65536
_VARIES: Final = re.compile(rb"(?i)(\r\n(?:date|x-request-id|sec-websocket-accept): )[^\r]*")


class Visitor:
    """A guest.

    :param doors: where it enters, and where it connects.
    :param secret: that of a link, or not.
    :param source: the address that it claims to come from, in a PROXY header; empty: it sends none.
    """

    def __init__(self, doors: Sequence[Door], secret: str, name: str, source: str = "") -> None:
        self.name: Final = name
        self.token = ""
        self.heard: Final[list[Frame]] = []
        """The frames that it was sent."""
        self.took: Final[dict[str, float]] = {}
        """Seconds that answers took, by their names."""
        self.entered = b""
        """The answer to its entering."""
        self.admitted = b""
        """The answer to its handshake."""
        self.stream = b""
        """The bytes after that."""
        self._doors = doors[0], doors[-1]
        self._secret = secret
        self._prefix = f"PROXY TCP4 {source} 192.0.2.1 4711 443\r\n".encode() if source else b""
        self._frames = FrameReader()
        self._taken = 0
        self._code = 0

    async def enter(self) -> None:
        """Show the link and say the name."""
        reader, writer = await asyncio.open_connection(HOST, self._doors[0].account)
        try:
            fields = json.dumps({"secret": self._secret, "name": self.name}).encode()
            began = time.perf_counter()
            writer.write(self._prefix + request("/links/enter", fields))
            async with asyncio.timeout(PATIENCE):
                self.entered = await reader.read(-1)
            self.took["enter"] = time.perf_counter() - began
        finally:
            writer.transport.abort()
        self.token = json.loads(self.entered.partition(b"\r\n\r\n")[2]).get("guest_token", "")

    async def connect(self, path: str = GUEST_PATH, token: str | None = None) -> None:
        """Open its socket, and wait until it is open.

        :param token: in place of its own.
        :raises harness.websocket.Refused: it was answered with something else than 101.
        """
        port = self._doors[1].signaling
        query = quote(self.token if token is None else token)
        handshake = Handshake(f"{path}?token={query}", f"{HOST}:{port}", protocol=PROTOCOL)
        self._reader, self._writer = await asyncio.open_connection(HOST, port)
        self._began = time.perf_counter()
        self._writer.write(self._prefix + handshake.request)
        rest = None
        async with asyncio.timeout(PATIENCE):
            while rest is None:
                data = await self._reader.read(_AT_ONCE)
                self.admitted += data
                rest = handshake.feed(data)
        self.admitted = self.admitted[: len(self.admitted) - len(rest)]
        self._take(rest)

    async def arrive(self) -> None:
        """Enter, connect, and hear the welcome."""
        await self.enter()
        await self.connect()
        await self.until("welcome")
        self.took["welcome"] = time.perf_counter() - self._began

    def say(self, kind: str, **fields: Any) -> None:
        """Send a frame."""
        self._writer.write(client_frame(TEXT, json.dumps({"type": kind, **fields}).encode()))

    async def until(self, *kinds: str) -> Frame:
        """Take frames until one is of one of these types; that one.

        :raises TimeoutError: none came.
        :raises Closed: none will come.
        """
        async with asyncio.timeout(PATIENCE):
            while True:
                while self._taken < len(self.heard):
                    self._taken += 1
                    frame = self.heard[self._taken - 1]
                    if frame["type"] in kinds:
                        return frame
                await self._read()

    async def rings(self) -> Frame:
        """Ring, and wait for the outcome; that."""
        began = time.perf_counter()
        self.say("ring")
        outcome = await self.until("call_success", "call_refuse", "call_failed")
        self.took["end"] = time.perf_counter() - began
        return outcome

    async def leave(self) -> int:
        """Say goodbye, and wait until the server closes it; the code with which it does."""
        self._writer.write(client_frame(CLOSE, struct.pack("!H", 1000)))
        return await self.ended()

    async def ended(self) -> int:
        """Wait until the server closes it; the code with which it does."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._code:
                    await self._read()
        except Closed as closed:
            return closed.code
        finally:
            self.drop()
        return self._code

    def drop(self) -> None:
        """Be gone without a word."""
        self._writer.transport.abort()

    def transcript(self) -> Sequence[bytes]:
        """All that it was sent, but for what is drawn for each, of which the length stays, and dates."""
        token = self.token.encode()
        answers = (self.entered.replace(token, b"T" * len(token)), self.admitted)
        return (*(_VARIES.sub(rb"\1", answer) for answer in answers), self.stream)

    async def _read(self) -> None:
        try:
            data = await self._reader.read(_AT_ONCE)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed(self._code or 1006)
        self._take(data)

    def _take(self, data: bytes) -> None:
        self.stream += data
        for frame in self._frames.feed(data):
            if frame.opcode == TEXT:
                self.heard.append(json.loads(frame.payload))
            elif frame.opcode == CLOSE:
                self._code = struct.unpack("!H", frame.payload[:2])[0] if frame.payload else 1005
