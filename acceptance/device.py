"""A base client that keeps its books: its requests, the answers it is owed, and its present call.

It only knows the protocol. What it may be sent when messages cross on the wire is allowed for; anything
else is a violation in the ledger.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from acceptance.errands import Errands
from acceptance.ledger import Ledger
from harness.base_protocol import EVERY, Address, Frame, answer, call, hang_up, named
from harness.wire import WebSocket, login

CROSSING: Final = 1.5
"""Seconds in which a message that was under way must have come."""


class Asked(Struct):
    """A call that this device placed."""

    target: Address
    at: float
    left: bool = False
    """The device went away from it before it heard the answer: one may still come, and lead nowhere."""


class Device:
    """One device, with at most one connection that counts."""

    def __init__(self, address: Address, ports: tuple[int, int], ledger: Ledger) -> None:
        self.address: Final = address
        self.ledger: Final = ledger
        self.socket: WebSocket | None = None
        self.owed: Asked | None = None
        """The call whose answer must come."""
        self.pending: dict[str, Address] = {}
        """Rooms that ring this device, with their callers."""
        self.room: str | None = None
        """The room of the call that it is in."""
        self.peer: Address | None = None
        self.known: set[str] = set()
        """All rooms that it was ever told of."""
        self.history: deque[str] = deque(maxlen=15)
        self._account_port, self._port = ports
        self._token = ""
        self._crossing: list[Asked] = []
        self._heard = 0
        self._connections = 0
        self._called_here: set[str] = set()
        self._readers: Final = Errands(lambda error: self.violated(f"failed to read: {error!r}"))

    # Connections

    async def connect(self) -> None:
        """Open a connection; if there is one, it is displaced."""
        if not self._token:
            self._token = await login(self._account_port, *self.address)
        old, self.socket = self.socket, None
        self.note("connects" if old is None else "displaces itself")
        socket = await WebSocket.open(self._port, self._token)
        self._heard = 0
        self._connections += 1
        self._called_here.clear()
        for asked in self._crossing:
            asked.at = time.monotonic()
        self.socket = socket
        self._readers.begin(self._read(socket))
        # Messages that an earlier connection missed come first, and are not answers to our next frame.
        await asyncio.sleep(0.2)

    async def disconnect(self, politely: bool, left: bool) -> None:
        """Close the connection. ``left``: for so long that its call will be over."""
        # A frame sent just before might make the server believe that we have read everything.
        await asyncio.sleep(0.3)
        if self.socket is None:
            return
        self.note("closes" if politely else "drops")
        socket, self.socket = self.socket, None
        if politely:
            socket.close()
        else:
            socket.drop()
        if left:
            self.leave()

    async def finish(self) -> None:
        """Close everything for good."""
        await self.disconnect(politely=True, left=True)
        await self._readers.end()

    async def _read(self, socket: WebSocket) -> None:
        async for frame in socket:
            if socket is self.socket:
                self.hear(frame)
        if socket is self.socket:
            self.socket = None
            self.violated(f"was disconnected with {socket.close_code}")
        elif socket.close_code not in (4409, 1000, 1005, 1006):
            self.violated(f"an older connection was closed with {socket.close_code}")

    # Speaking

    def say(self, frame: Frame) -> None:
        """Send a frame, if there is a connection."""
        if self.socket is not None:
            self.note(f"> {json.dumps(frame)}")
            self.socket.say(**frame)
            self.ledger.counts[f"sent {frame['type']}"] += 1

    def call(self, target: Address) -> None:
        """Place a call; whatever this device was in, it leaves, but for a call to itself or the same call again."""
        if target == self.address or (self.owed is not None and self.owed.target == target):
            self._crossing.append(Asked(target, time.monotonic()))
        else:
            self.leave()
            for asked in self._crossing:
                asked.left = True
            self.owed = Asked(target, time.monotonic())
            self.room = self.peer = None
            self.pending.clear()
        self.ledger.called_phones[self.address].add(target.phone)
        self.say(call(target))

    def answer(self, room: str, accept: bool) -> None:
        """Accept or refuse a ringing call."""
        caller = self.pending.pop(room)
        if accept:
            self.room, self.peer = room, caller
            self.ledger.stories[room].accepted.add(self.address)
        self.say(answer(caller, room, accept))

    def hang_up(self, room: str, other: Address) -> None:
        """Hang up a room, or with ``""`` cancel the call to the phone of ``other``."""
        if not room:
            self.leave()
        elif room == self.room:
            self.room = self.peer = None
        self.pending.pop(room, None)
        self.say(hang_up(other, room))

    def leave(self) -> None:
        """Stop waiting for the owed answer: it may cross our next frame, and need not come."""
        if self.owed is not None:
            self.owed.left = True
            self.owed.at = time.monotonic()
            self._crossing.append(self.owed)
            self.owed = None

    def may_call(self, phone: str) -> bool:
        """Tell whether the answer to a call to ``phone`` could be told from the answer to an older one."""
        now = time.monotonic()
        self._crossing = [asked for asked in self._crossing if asked.at + CROSSING > now]
        return all(asked.target.phone != phone for asked in self._crossing)

    async def until(self, holds: Callable[[Device], bool], seconds: float = 10) -> bool:
        """Give something so long to happen to this device. Tell whether it has."""
        for _ in range(int(seconds * 100)):
            if holds(self):
                return True
            await asyncio.sleep(0.01)
        return False

    # Hearing

    def hear(self, frame: Frame) -> None:
        """Enter a frame of the server into the books."""
        kind = frame.get("type")
        self._heard += 1
        self.note(f"< {json.dumps(frame)}")
        self.ledger.counts[f"heard {kind}"] += 1
        if kind == "called":
            self._on_called(named(frame, "from"), frame["room_id"])
        elif kind in ("call_success", "call_refuse", "call_failed"):
            self._on_answer(kind, frame)
        elif kind == "calling_be_hangup":
            self._on_be_hangup(named(frame, "fire"), frame["room_id"])
        else:
            self.violated(f"was sent {frame}")

    @property
    def _just_back(self) -> bool:
        """True if this may be told again what an earlier connection was told: one ending, one present call."""
        return self._connections > 1 and self._heard <= 2

    def _on_called(self, caller: Address, room: str) -> None:
        if room in self._called_here:
            self.violated(f"was rung twice for {room} on one connection")
        self._called_here.add(room)
        self.known.add(room)
        story = self.ledger.stories[room]
        story.callers.add(caller)
        story.rung.add(self.address)
        if self.address.phone not in self.ledger.called_phones[caller]:
            self.violated(f"was rung by {caller}, who never called it")
        if self.owed is None:
            self.pending[room] = caller

    def _on_answer(self, kind: str, frame: Frame) -> None:
        target = named(frame, "to")
        if kind == "call_failed":
            reason = str(frame.get("reason"))
            self.ledger.counts[f"failed {reason}"] += 1
            if reason not in ("self", "offline", "busy", "no_answer"):
                self.violated(f"failed with {reason}")
        entry = self._settle(target, kind == "call_success")
        if entry is None and not self._just_back:
            self.violated(f"was sent {kind} for {target} and waits for no such thing")
        if kind == "call_success":
            room = frame["room_id"]
            self.known.add(room)
            self.ledger.stories[room].successes.add((self.address, target))
            if entry is None or not entry.left:
                self.room, self.peer = room, target
            self.pending.pop(room, None)

    def _settle(self, target: Address, success: bool) -> Asked | None:
        """Take an answer to ``target`` for the call it belongs to, if there is one."""

        def belongs(asked: Asked) -> bool:
            exact = asked.target == target
            return exact or (success and asked.target == Address(target.phone, EVERY))

        for asked in self._crossing:
            if asked.left and belongs(asked) and not (self.owed is not None and belongs(self.owed)):
                self._crossing.remove(asked)
                return asked
        if self.owed is not None and belongs(self.owed):
            found, self.owed = self.owed, None
            return found
        for asked in self._crossing:
            if belongs(asked):
                self._crossing.remove(asked)
                return asked
        return None

    def _on_be_hangup(self, fire: Address, room: str) -> None:
        back = self._just_back
        if room not in self.known and back and self.owed is not None and self.owed.target.phone == fire.phone:
            self.owed = None  # it was answered and hung up while we were away
        elif room not in self.known and not back:
            self.violated(f"was told that {room} is over, of which it never heard")
        self.known.add(room)
        self.pending.pop(room, None)
        if room == self.room or (back and fire == self.peer):
            self.room = self.peer = None

    # The books

    def note(self, what: str) -> None:
        """Remember an event, should it turn out to be wrong later."""
        self.history.append(f"{time.monotonic():.2f} {what}")

    def violated(self, what: str) -> None:
        """Tell the ledger of something that must not be."""
        self.ledger.violated(self.address, what, list(self.history))
