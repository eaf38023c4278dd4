"""The connection of a device to a cluster: it comes back by itself, on another node if necessary."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any, Final

from msgspec import Struct

from acceptance.errands import Errands
from acceptance.faults.books import Books, Spell
from acceptance.faults.bounds import TOLD
from harness.base_protocol import Address, Frame
from harness.websocket import Refused
from harness.wire import HOST, WebSocket, login

QUIET: Final = 0.3
"""The time for which a device says nothing before it leaves, or the server would believe it has read everything."""
DIAL: Final = 1.5
"""A node that does not let a device in within this is given up, in seconds."""
DEAF: Final = 2.5
"""A node that does not answer pings for so long is given up by devices that look."""
SLOWER: Final = 3
"""The factor by which a slow return to a dead node takes longer than a long absence."""
TRY_AGAIN: Final = 1011
ARRIVING: Final = 3.0
"""A node that cannot take a device in says so within this, in seconds."""


class Door(Struct):
    """Where a node serves."""

    node: int
    account: int
    signaling: int
    site: int
    host: str = HOST
    site_host: str = "localhost"


class Line:
    """The connection of one device. Its meaning is for the subclass."""

    def __init__(self, address: Address, doors: Sequence[Door], books: Books, random: Random, looks: bool) -> None:
        self.address: Final = address
        self.books: Final = books
        self.random: Final = random
        self.doors: Final = doors
        self.socket: WebSocket | None = None
        self.spell: Spell | None = None
        self.connections = 0
        self.heard_here = 0
        """Frames on the present connection."""
        self.lost_at: float | None = None
        self.broke = False
        """The last connection ended without our doing."""
        self.slow_to_return = False
        self.sent_at = 0.0
        self._looks = looks
        self._token = ""
        self._busy = False
        self._left = False
        self._closing: WebSocket | None = None
        """A connection that was closed with a close frame, which the server may not have answered yet."""
        self._errands: Final = Errands(
            lambda error: books.seen("harness", address, time.monotonic(), repr(error)),
        )
        self._frames, self._deaf_since = -1, 0.0

    # Coming and going

    async def log_in(self) -> None:
        """Get a token, at any node."""
        door = self.random.choice(self.doors)
        self._token = await login(door.account, *self.address, host=door.host)

    async def connect(self, apart_from: int | None = None) -> None:
        """Connect to some node, for as long as it takes."""
        shunned = apart_from
        while self.socket is None and not self._left:
            doors = [door for door in self.doors if door.node != shunned] or self.doors
            door = self.random.choice(doors)
            if not await self._dial(door):
                shunned = door.node
                await asyncio.sleep(self.random.uniform(0.1, 0.3))

    async def _dial(self, door: Door) -> bool:
        spell = Spell(door.node, time.monotonic())
        try:
            async with asyncio.timeout(DIAL):
                socket = await WebSocket.open(door.signaling, self._token, door.host)
        except (OSError, TimeoutError, Refused, EOFError, IndexError) as error:
            self.note(f"cannot connect to {door.node}: {type(error).__name__} {error}")
            spell.end = spell.start
            self.books.spells[self.address].append(spell)
            return False
        spell.start = time.monotonic()
        self.books.spells[self.address].append(spell)
        self.socket, self.spell = socket, spell
        self.connections += 1
        self.heard_here = 0
        self._frames, self._deaf_since = -1, spell.start
        self.note(f"connects to {door.node}")
        self.background(self._read(socket, spell))
        self.came_back()
        self.lost_at = None
        return True

    async def drop(self, politely: bool, seconds: float) -> None:
        """Leave, and come back after so long."""
        if self._busy:
            return
        self._busy = True
        try:
            await asyncio.sleep(max(0.0, self.sent_at + QUIET - time.monotonic()) + QUIET)
            socket = self.socket
            if socket is None:
                return
            self.note("closes" if politely else "drops")
            self._gone(None)
            if politely:
                self._closing = socket
                socket.close()
            else:
                socket.drop()
            await asyncio.sleep(seconds)
            await self.connect()
        finally:
            self._busy = False

    async def move(self) -> None:
        """Open a connection to another node over the present one, which is then to be closed."""
        if self._busy:
            return
        self._busy = True
        try:
            await asyncio.sleep(max(0.0, self.sent_at + QUIET - time.monotonic()) + QUIET)
            old, spell = self.socket, self.spell
            if old is None or spell is None:
                return
            self.note("moves")
            self.socket = None
            self.moving()
            await self.connect(spell.node)
            self.background(self._see_closed(old, spell))
        finally:
            self._busy = False

    async def _see_closed(self, old: WebSocket, spell: Spell) -> None:
        await asyncio.sleep(TOLD)
        if spell.end == float("inf"):
            self.books.seen("old connection", self.address, time.monotonic(), f"is held on by node {spell.node}")
            spell.end = time.monotonic()
        old.drop()

    async def leave(self) -> None:
        """Close for good."""
        self._left = True
        if self.socket is not None:
            self._gone(None).close()
        await self._errands.end()

    def look(self) -> None:
        """Once a second: give up a node that does not answer."""
        socket, now = self.socket, time.monotonic()
        if socket is None or not self._looks or self._busy:
            return
        if socket.frames != self._frames:
            self._frames, self._deaf_since = socket.frames, now
        elif now - self._deaf_since > DEAF:
            self.note("gives its node up")
            self.broke = True
            node = None if self.spell is None else self.spell.node
            self._gone(None, broke=True).drop()
            self.background(self.connect(node))
            return
        socket.ping()

    async def _read(self, socket: WebSocket, spell: Spell) -> None:
        try:
            async for frame in socket:
                if socket is self.socket:
                    self.heard_here += 1
                    self.note(f"< {json.dumps(frame)}")
                    self.hear(frame)
                elif socket is self._closing and frame.get("type") != "called":
                    # It was sent before the close frame came, so it is not sent again (RFC 6455 §1.4, protocol §2.4).
                    self.note(f"< {json.dumps(frame)}, as it closes")
                    self.hear(frame)
            if socket is self.socket:
                self._broken(socket.close_code)
            else:
                spell.end = min(spell.end, time.monotonic())
        finally:
            socket.drop()

    def _broken(self, code: int) -> None:
        """The server, or the network, closed the present connection."""
        now, spell = time.monotonic(), self.spell
        self.note(f"is disconnected with {code}")
        self._gone(code, broke=True)
        if self._left or spell is None:
            return
        kind = "turned away" if code == TRY_AGAIN and now - spell.start < ARRIVING else "disconnected"
        self.books.seen(kind, self.address, now, f"{code} by node {spell.node}")
        self.background(self._come_back(spell.node))

    async def _come_back(self, node: int | None) -> None:
        await asyncio.sleep(self.random.uniform(0.05, 0.5))
        if self.slow_to_return:
            await asyncio.sleep(SLOWER * self.slow())
        await self.connect(node)

    def slow(self) -> float:
        """The absence of a device that comes back too late, in seconds."""
        raise NotImplementedError

    def _gone(self, code: int | None, broke: bool = False) -> WebSocket:
        socket, spell = self.socket, self.spell
        if socket is None or spell is None:
            raise RuntimeError("there is no connection that could go")
        self.socket = None
        spell.end, spell.code = time.monotonic(), code
        self.lost_at, self.broke = spell.end, broke
        self.moving()
        return socket

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside, until the device leaves."""
        self._errands.begin(work)

    # Saying and hearing

    def say(self, frame: Frame) -> None:
        """Send a frame, if there is a connection."""
        if self.socket is not None:
            self.note(f"> {json.dumps(frame)}")
            self.socket.say(**frame)
            self.sent_at = time.monotonic()

    def hear(self, frame: Frame) -> None:
        """Take a frame of the present connection."""
        raise NotImplementedError

    def came_back(self) -> None:
        """A new connection is open."""
        raise NotImplementedError

    def moving(self) -> None:
        """The present connection does not count any more."""
        raise NotImplementedError

    @property
    def settled(self) -> bool:
        """True if there is a connection, and no other is being made."""
        return self.socket is not None and not self._busy

    def note(self, what: str) -> None:
        """Remember an event, should it turn out to be wrong later."""
        self.books.note(self.address, time.monotonic(), what)
