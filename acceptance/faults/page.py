"""Pages in the rooms of some calls, on nodes of their own choice: they must meet, and be told of the end."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from acceptance.faults.books import Books, Part, Spell
from acceptance.faults.bounds import STUCK, TOLD
from acceptance.faults.line import DIAL, Door
from acceptance.faults.phone import Phone
from harness.base_protocol import Address
from harness.websocket import Refused
from harness.wire import Closed, WebSocket

SEATED: Final = 0x20
"""The number of calls of 256 that have pages."""
WITHOUT_IT: Final = frozenset({"undone", "told answered_elsewhere"})
"""A device whose accept failed is told so, and the call of the room may go on: its page is told nothing."""
LOOKED_AT_EVERY: Final = 0.25
PINGED_EVERY: Final = 2.0


class Page:
    """One page of one call, of the party that opened it."""

    def __init__(
        self, room: str, part: Part, owner: Address, doors: Sequence[Door], books: Books, random: Random
    ) -> None:
        self.owner: Final = owner
        self.room: Final = room
        self.part: Final = part
        self.address: Final = Address("page", secrets.token_hex(4))
        self.here_since = time.monotonic()
        """When its socket was opened."""
        self.ended_at: float | None = None
        self.met: str | None = None
        """The other page."""
        self.refused = False
        """An earlier page of the same device has the seat still."""
        self.relayed = False
        """The other page has said something."""
        self._doors = doors
        self._books = books
        self._random = random
        self._key, self.session = secrets.token_hex(16), secrets.token_hex(16)
        self._socket: WebSocket | None = None

    async def sit(self) -> None:
        """Hold a seat until cancelled; come back by itself."""
        while True:
            door = self._random.choice(self._doors)
            spell = Spell(door.node, time.monotonic())
            self._books.spells[self.address].append(spell)
            try:
                async with asyncio.timeout(DIAL):
                    self._socket = await WebSocket.upgrade(
                        door.site, "/room", door.host, f"http://{door.host}:{door.site}"
                    )
                self.here_since = time.monotonic()
                await self._hear(self._socket)
            except (OSError, TimeoutError, Refused, Closed, EOFError, IndexError) as error:
                self._books.note(self.address, time.monotonic(), f"{type(error).__name__} {error}")
            finally:
                spell.end = time.monotonic()
                if self._socket is not None:
                    self._socket.drop()
                    self._socket = None
            await asyncio.sleep(self._random.uniform(0.1, 0.5))

    async def _hear(self, socket: WebSocket) -> None:
        socket.say(type="join", room_id=self.room, key=self._key, session=self.session)
        while True:
            async with asyncio.timeout(3 * PINGED_EVERY):
                frame = json.loads(await socket.hear())
            if frame["type"] != "pong":
                self._books.note(self.address, time.monotonic(), f"< {json.dumps(frame)}")
            self._take(socket, frame)

    def _take(self, socket: WebSocket, frame: dict[str, Any]) -> None:
        match frame["type"], frame.get("state"):
            case "room", "meeting":
                self.met = frame["peer"]["session"]
                socket.say(type="relay", to=self.met, data="hello")
            case "room", "ended":
                self.ended_at = self.ended_at or time.monotonic()
            case "refused", _:
                self.refused = True
            case "relay", _:
                self.relayed = True

    def ping(self) -> None:
        """Show that the page lives."""
        if self._socket is not None:
            self._socket.say(type="ping")


class Pages:
    """Opens pages for some calls, and checks the messages to them."""

    def __init__(self, phones: Sequence[Phone], doors: Sequence[Door], books: Books, random: Random) -> None:
        self.opened = 0
        self.met = 0
        self._phones = phones
        self._doors = doors
        self._books = books
        self._random = random
        self._open: Final[dict[Page, asyncio.Task[None]]] = {}
        self._had: Final[set[tuple[str, Address]]] = set()

    async def look(self) -> None:
        """Until cancelled."""
        pinged = 0.0
        try:
            while True:
                await asyncio.sleep(LOOKED_AT_EVERY)
                for phone in self._phones:
                    self._open_for(phone)
                for page, task in list(self._open.items()):
                    if self._is_done(page):
                        del self._open[page]
                        task.cancel()
                if time.monotonic() - pinged > PINGED_EVERY:
                    pinged = time.monotonic()
                    for page in self._open:
                        page.ping()
        finally:
            for task in self._open.values():
                task.cancel()
            await asyncio.gather(*self._open.values(), return_exceptions=True)

    def _open_for(self, phone: Phone) -> None:
        room, part = phone.room, phone.part
        if room is None or part is None or int(room[:2], 16) >= SEATED:
            return
        if (room, phone.address) not in self._had:
            self._had.add((room, phone.address))
            page = Page(room, part, phone.address, self._doors, self._books, self._random)
            self._open[page] = asyncio.create_task(page.sit())
            self.opened += 1

    def _is_done(self, page: Page) -> bool:
        """Look at a page, and tell whether nothing more is to be seen of it."""
        now, end = time.monotonic(), page.part.end
        if page.part.how in WITHOUT_IT or page.refused:
            return True
        if page.ended_at is None:
            return now > end + STUCK + 2 * TOLD and self._wrong(page, end, now, "was not told of the end")
        if page.ended_at - max(end, page.here_since) > TOLD:
            return self._wrong(page, end, page.ended_at, "was told late of the end")
        other = self._other(page)
        since = max(page.here_since, page.here_since if other is None else other.here_since)
        if other is not None and page.ended_at - since > TOLD and not page.relayed:
            return self._wrong(page, since, since + TOLD, "did not hear the other page")
        self.met += page.relayed
        return True

    def _other(self, page: Page) -> Page | None:
        return next((other for other in self._open if other.room == page.room and other is not page), None)

    def _wrong(self, page: Page, since: float, until: float, what: str) -> bool:
        others = tuple(other.address for other in self._open if other.room == page.room and other is not page)
        what = f"{what} of {page.room}"
        self._books.seen("page", page.address, until, what, since=since, bound=TOLD, others=(page.owner, *others))
        return True
