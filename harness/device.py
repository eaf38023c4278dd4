"""A device that is played by hand: it sends given messages, and keeps all received ones.

It shares no code with the server, nor with the client that callnet ships.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Self

from harness.base_protocol import Address, Frame, answer, call, hang_up, named
from harness.wire import PATIENCE, Closed, WebSocket, login


class Line:
    """A WebSocket that is read all the time. Each wait raises ``TimeoutError``, or ``Closed`` if nothing can come.

    :param limit: of each wait, in seconds.
    """

    def __init__(self, socket: WebSocket, limit: float = PATIENCE) -> None:
        self.heard: Final[list[Frame]] = []
        """The frames that came on it."""
        self._socket = socket
        self._limit = limit
        self._taken = 0
        self._news = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> int:
        async for frame in self._socket:
            self.heard.append(frame)
            self._news.set()
        self._news.set()
        return self._socket.close_code

    def say(self, kind: str, **fields: Any) -> None:
        """Send a frame, even if nobody listens any more."""
        self._socket.say(type=kind, **fields)

    async def hears(self, wanted: Callable[[Frame], bool]) -> Frame:
        """The first frame of all like this; waits for it if it has not come."""
        return await self._wait(lambda: next(filter(wanted, self.heard), None))

    async def next(self) -> Frame:
        """The next frame that neither this nor :meth:`until` has taken."""

        def take() -> Frame | None:
            if self._taken == len(self.heard):
                return None
            self._taken += 1
            return self.heard[self._taken - 1]

        return await self._wait(take)

    async def until(self, *kinds: str) -> Frame:
        """Take frames until one is of one of these types; that one."""
        while (frame := await self.next())["type"] not in kinds:
            pass
        return frame

    async def _wait(self, find: Callable[[], Frame | None]) -> Frame:
        async with asyncio.timeout(self._limit):
            while (found := find()) is None:
                if self._reading.done():
                    raise Closed(self._reading.result())
                self._news.clear()
                await self._news.wait()
        return found

    def forget(self) -> None:
        """Discard the frames that were heard."""
        self.heard.clear()
        self._taken = 0

    async def ended(self) -> None:
        """Wait until the other end has closed it."""
        await self._reading

    def say_goodbye(self, code: int) -> None:
        """Send a close frame, and read on."""
        self._socket.send_close(code)

    def close(self) -> None:
        """Send a close frame, and leave."""
        self._reading.cancel()
        self._socket.close()

    def fall_silent(self) -> None:
        """Stop reading."""
        self._reading.cancel()

    def drop(self) -> None:
        """Be gone without a word."""
        self._reading.cancel()
        self._socket.drop()


class Device(Line):
    """A base device."""

    def __init__(self, socket: WebSocket, address: tuple[str, str], limit: float = PATIENCE) -> None:
        super().__init__(socket, limit)
        self.address: Final = Address(*address)

    @classmethod
    async def connect(cls, ports: tuple[int, int], address: tuple[str, str], limit: float = PATIENCE) -> Self:
        """Log it in, and connect it.

        :param ports: for accounts, and for signaling.
        """
        return cls(await WebSocket.open(ports[1], await login(ports[0], *address)), address, limit)

    def call(self, target: tuple[str, str]) -> None:
        """Call a device, or all devices of a phone."""
        self._socket.say(**call(target))

    def answer(self, called: Frame, accept: bool = True) -> None:
        """Accept or refuse the call that ``called`` announced."""
        self._socket.say(**answer(named(called, "from"), called["room_id"], accept))

    def hang_up(self, other: Device, room: str = "") -> None:
        """End the call in a room, or without one cancel the call to another device."""
        self._socket.say(**hang_up(other.address, room))
