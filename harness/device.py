"""A device that is played by hand: it says what it is told to say, and keeps all that it hears.

It shares no code with the server, nor with the client that callnet ships.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, Self

from harness.wire import PATIENCE, Closed, WebSocket, login

Frame = dict[str, Any]


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

    async def _read(self) -> Closed:
        try:
            while True:
                self.heard.append(json.loads(await self._socket.hear()))
                self._news.set()
        except Closed as closed:
            self._news.set()
            return closed

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
                    raise self._reading.result()
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
        """Read no more."""
        self._reading.cancel()

    def drop(self) -> None:
        """Be gone without a word."""
        self._reading.cancel()
        self._socket.drop()


class Device(Line):
    """A base device."""

    def __init__(self, socket: WebSocket, phone: str, device_id: str, limit: float = PATIENCE) -> None:
        super().__init__(socket, limit)
        self.phone: Final = phone
        self.device_id: Final = device_id

    @classmethod
    async def connect(cls, ports: tuple[int, int], phone: str, device_id: str, limit: float = PATIENCE) -> Self:
        """Log it in, and connect it.

        :param ports: for accounts, and for signaling.
        """
        return cls(await WebSocket.open(ports[1], await login(ports[0], phone, device_id)), phone, device_id, limit)

    def call(self, phone: str, device_id: str) -> None:
        """Call a device, or with ``*`` all devices of a phone."""
        self.say("call", to_phone=phone, to_device_id=device_id)

    def answer(self, called: Frame, accept: bool = True) -> None:
        """Accept or refuse what ``called`` told it of."""
        named = {name: called[name] for name in ("from_phone", "from_device_id", "room_id")}
        self.say("called_success" if accept else "called_refuse", **named)

    def hang_up(self, other: Device, room: str = "") -> None:
        """End the call in a room, or without one cancel the call to another device."""
        self.say("calling_hangup", notified_phone=other.phone, notified_device_id=other.device_id, room_id=room)
