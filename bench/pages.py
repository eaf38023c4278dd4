"""The pages of the generator: two browsers in a room, which say things to each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from bench.devices import Client, LoadError
from bench.load import STALL, connect_all
from harness.websocket import Handshake

_DATA: Final = '{"candidate":"%s","sdpMid":"0","sdpMLineIndex":0}' % ("candidate " * 20)
"""As long as a browser's most frequent message."""


class Page(Client):
    """A page in one seat of a room. ``name``: 32 hex digits, its key and its session.

    ``on_relay`` is called when the other one, whose name is ``other``, has said something.
    """

    def __init__(
        self, port: int, room: str, name: str, other: str, on_relay: Callable[[Page, Exception | None], None]
    ) -> None:
        super().__init__(port)
        self.meets: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self._join = f'{{"type":"join","room_id":"{room}","key":"{name}","session":"{name}"}}'.encode()
        self._says = f'{{"type":"relay","to":"{other}","data":{_DATA}}}'.encode()
        self._other = other
        self._on_relay = on_relay

    def handshake(self) -> Handshake:
        """Open the socket of a page."""
        return Handshake("/room", self.authority, origin=f"http://{self.authority}")

    def join(self) -> None:
        """Take a seat."""
        self.send(self._join)

    def speak(self) -> None:
        """Say something to the other page."""
        self.send(self._says)

    def failed(self, error: Exception) -> None:
        """Fail both pages."""
        super().failed(error)
        if self.meets.done():
            self._on_relay(self, error)
        else:
            self.meets.set_exception(error)

    def received(self, frame: dict[str, Any]) -> None:
        """Meet the other page, or listen to it."""
        if frame.get("type") == "relay" and frame.get("from") == self._other:
            self._on_relay(self, None)
        elif frame.get("type") != "room" or frame.get("state") not in ("waiting", "meeting"):
            raise LoadError(f"a page was sent {frame}")
        elif frame["state"] == "meeting" and not self.meets.done():
            self.meets.set_result(None)


class Rooms:
    """Rooms with two pages each; one connects to the first of ``ports``, the other to the last."""

    def __init__(self, ports: Sequence[int], count: int) -> None:
        self._pages = [page for number in range(count) for page in self._pair(ports, number)]
        self._heard = 0
        self._until = 0.0
        self._silent = 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Open all sockets, and have the pages of each room meet.

        :raises LoadError: the server refused one.
        """
        await connect_all(self._pages)
        for page in self._pages:
            page.join()
        await asyncio.wait_for(asyncio.gather(*(page.meets for page in self._pages)), STALL)

    async def talk(self, seconds: float) -> int:
        """Have the pages of each room answer each other for some time.

        :return: how often anything was said and heard.
        :raises LoadError: anything went wrong.
        """
        self._heard = self._silent = 0
        self._until = time.perf_counter() + seconds
        self._over = asyncio.get_running_loop().create_future()
        for page in self._pages[::2]:
            page.speak()
        try:
            await asyncio.wait_for(self._over, seconds + STALL)
        except TimeoutError:
            raise LoadError("what a page said was lost") from None
        return self._heard

    def close(self) -> None:
        """Cut all connections."""
        for page in self._pages:
            page.abort()

    def _pair(self, ports: Sequence[int], number: int) -> tuple[Page, Page]:
        room, names = f"bench-{number}", (f"{number:031x}a", f"{number:031x}b")
        return (
            Page(ports[0], room, names[0], names[1], self._on_relay),
            Page(ports[-1], room, names[1], names[0], self._on_relay),
        )

    def _on_relay(self, page: Page, error: Exception | None) -> None:
        if error is not None:
            if not self._over.done():
                self._over.set_exception(error)
            return
        self._heard += 1
        if time.perf_counter() < self._until:
            page.speak()
            return
        self._silent += 1
        if self._silent == len(self._pages) // 2:
            self._over.set_result(None)
