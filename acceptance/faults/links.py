"""The links between nodes and Redis, which can be cut, frozen and healed, each kind of connection for itself."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from harness.wire import HOST

COMMANDS: Final = "commands"
SUBSCRIBER: Final = "subscriber"
BOTH: Final = frozenset({COMMANDS, SUBSCRIBER})
_SUBSCRIBE: Final = (b"SUBSCRIBE", b"subscribe")
_CHUNK: Final = 65536


class _Connection:
    """One connection of a node, and the one to Redis behind it."""

    def __init__(self, link: Link, writer: asyncio.StreamWriter) -> None:
        self._link = link
        self._writers = [writer]
        self.kind = COMMANDS

    async def carry(self, reader: asyncio.StreamReader, path: Path) -> None:
        """Carry bytes in both directions until one side closes."""
        try:
            first = await reader.read(_CHUNK)
            await self._passes(first)
            behind, forth = await asyncio.open_unix_connection(str(path))
            self._writers.append(forth)
            forth.write(first)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, forth, watched=True))
                both.create_task(self._pump(behind, self._writers[0], watched=False))
        except* (OSError, EOFError):
            pass
        finally:
            for writer in self._writers:
                writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watched: bool) -> None:
        while data := await reader.read(_CHUNK):
            await self._passes(data if watched else b"")
            writer.write(data)
        await self._link.passes(self.kind)
        raise EOFError

    async def _passes(self, data: bytes) -> None:
        if self.kind == COMMANDS and any(word in data for word in _SUBSCRIBE):
            self.kind = SUBSCRIBER
        await self._link.passes(self.kind)

    def cut(self) -> None:
        """Break both sides with a reset."""
        for writer in self._writers:
            with suppress(OSError):
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Link:
    """One node's way to Redis. It is a TCP port."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._connections: Final[set[_Connection]] = set()
        self._cut: frozenset[str] = frozenset()
        self._frozen: frozenset[str] = frozenset()
        self._thawed = asyncio.Event()
        self.port = 0

    async def open(self) -> None:
        """Begin to carry."""
        self._server = await asyncio.start_server(self._arrived, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop carrying."""
        self.heal()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cut()

    def kinds(self) -> list[str]:
        """The kinds of connections that it carries at present."""
        return sorted(connection.kind for connection in self._connections)

    def cut(self, kinds: Collection[str] = BOTH) -> None:
        """Reset connections of these kinds, and every new one, until healed."""
        self._cut = frozenset(kinds)
        for connection in list(self._connections):
            if connection.kind in self._cut:
                connection.cut()

    def freeze(self, kinds: Collection[str] = BOTH) -> None:
        """Carry nothing on connections of these kinds until healed; bytes from meanwhile arrive then."""
        self._frozen = frozenset(kinds)
        self._thawed.clear()

    def heal(self) -> None:
        """Carry everything."""
        self._cut = self._frozen = frozenset()
        self._thawed.set()

    async def passes(self, kind: str) -> None:
        """Wait until something of this kind may pass.

        :raises OSError: it is cut off.
        """
        while kind in self._frozen:
            await self._thawed.wait()
        if kind in self._cut:
            raise ConnectionResetError

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        if self._cut == BOTH:
            connection.cut()
            return
        self._connections.add(connection)
        try:
            await connection.carry(reader, self._target)
        finally:
            self._connections.discard(connection)
