"""The network of a home, between a browser there and the site: it can be lost, and come back with another address."""

from __future__ import annotations

import asyncio
from typing import Final

from acceptance.errands import Errands
from harness.wire import HOST

_CHUNK: Final = 65536
_ADDRESSES: Final = "127.0.0.{}"


class _Connection:
    """One connection of the browser, and the one to the site behind it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writers = [writer]
        self.passes = asyncio.Event()
        """Set: bytes get through."""

    async def carry(self, reader: asyncio.StreamReader, port: int, address: str) -> None:
        """Carry bytes in both directions until one side closes."""
        try:
            await self.passes.wait()
            behind, forth = await asyncio.open_connection(HOST, port, local_addr=(address, 0))
            self._writers.append(forth)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, forth))
                both.create_task(self._pump(behind, self._writers[0]))
        except* (OSError, EOFError):
            pass
        finally:
            self.cut()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self.passes.wait()
            writer.write(data)
        await self.passes.wait()
        raise EOFError

    def cut(self) -> None:
        """Break both sides."""
        for writer in self._writers:
            writer.transport.abort()


class HomeNetwork:
    """It is a TCP port.

    :param target: the port of the site.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._errands = Errands(print)
        self._connections: Final[set[_Connection]] = set()
        self._is_lost = self._is_silent = False
        self._address = 1
        self.port = 0
        self.renewed = asyncio.Event()
        """Set: something was connected since the address was changed."""

    async def open(self) -> None:
        """Begin to carry."""
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop carrying."""
        if self._server is not None:
            self._server.close()
        await self._errands.end()

    def lose(self, *, silent: bool) -> None:
        """Carry nothing more.

        :param silent: connections stay, and nobody is told; otherwise they break.
        """
        self._is_lost, self._is_silent = True, silent
        for connection in list(self._connections):
            if silent:
                connection.passes.clear()
            else:
                connection.cut()

    def come_back(self) -> None:
        """Carry everything; what was sent in a silence arrives now."""
        self._is_lost = False
        for connection in self._connections:
            connection.passes.set()

    def change_address(self) -> None:
        """Come from another address from now on; the connections of the old one are dead, and nobody is told."""
        self._address = self._address % 250 + 1
        for connection in self._connections:
            connection.passes.clear()
        self._connections.clear()
        self.renewed.clear()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        if self._is_lost and not self._is_silent:
            connection.cut()
            return
        if not self._is_lost:
            connection.passes.set()
        self._connections.add(connection)
        self.renewed.set()
        self._errands.begin(self._carry(connection, reader))

    async def _carry(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        try:
            await connection.carry(reader, self._target, _ADDRESSES.format(self._address))
        finally:
            self._connections.discard(connection)
