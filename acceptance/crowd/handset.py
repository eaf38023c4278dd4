"""A device that stays connected as a good client does: it comes back, elsewhere if it can, and not before it may."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any, Final, Protocol

import msgspec

from acceptance.crowd.seen import Seen
from acceptance.errands import Errands
from acceptance.faults.line import Door
from bench.devices import KEY, TOKEN_LIFETIME, Client, Closed, LoadError, sign_token
from harness.base_protocol import Address, Frame, socket_path
from harness.websocket import Handshake, Refused
from harness.wire import PATIENCE

TRY_AGAIN: Final = 0.1, 0.3
"""Seconds after which a server that could not be reached is tried again."""
BACK_IN: Final = 0.05, 0.5
"""Seconds after which a device comes back that was not told when to."""
SHUNNED: Final = 1.0
"""For so long a device does not go where its connection was closed, in seconds; unless there is nothing else."""
LATER: Final = frozenset({429, 503})
"""A client that is refused with one of these comes again when the answer says so."""
REMEMBERED: Final = 8
"""The number of ended calls that a device remembers: it may be told of these again."""


class Party(Protocol):
    """The call that a device has a part in."""

    @property
    def is_talked_in(self) -> bool:
        """True if both are in it."""

    def hear(self, device: Handset, frame: Frame) -> None:
        """Take a message to one of the two."""

    def came_back(self, device: Handset, away: float) -> None:
        """One of the two has a new connection, and was away for this number of seconds."""


class Link(Client):
    """One connection of a handset."""

    def __init__(self, handset: Handset, door: Door) -> None:
        super().__init__(door.signaling)
        self.door: Final = door
        self._handset = handset
        self._is_silent = False

    def handshake(self) -> Handshake:
        """Open the socket of a device."""
        protocol = "callnet.v2" if self._handset.extended else ""
        return Handshake(socket_path(self._handset.token), self.authority, protocol=protocol)

    def received(self, frame: Frame) -> None:
        """Hand a frame over."""
        self._handset.hear(self, frame)

    def fall_silent(self) -> None:
        """Stop reading and sending. The connection goes when the server ends it."""
        self._is_silent = True

    def data_received(self, data: bytes) -> None:
        """Take the server's bytes."""
        if not self._is_silent:
            super().data_received(data)

    def failed(self, error: Exception) -> None:
        """Come to an end that this side has not chosen."""
        was_open = self.opened.done()
        super().failed(error)
        if was_open:
            self._handset.lost(self, error)


class Handset:
    """One device.

    :param doors: where it may connect; they may change.
    :param extended: it speaks ``callnet.v2``.
    """

    def __init__(
        self, address: Address, doors: Sequence[Door], seen: Seen, random: Random, extended: bool = False
    ) -> None:
        self.address: Final = address
        self.extended: Final = extended
        self.token: Final = sign_token(address, KEY, int(time.time()) + TOKEN_LIFETIME)
        self.link: Link | None = None
        self.talk: Party | None = None
        self.seen: Final = seen
        self.away_since = self.back_since = time.monotonic()
        self._doors = doors
        self._random = random
        self._not_before: dict[int, float] = {}
        """When each node may be tried again."""
        self._back_in: float | None = None
        """As the server said."""
        self._over: deque[str] = deque(maxlen=REMEMBERED)
        self._errands: Final = Errands(lambda error: seen.wrong.append(f"{address}: {error!r}"))
        self._is_leaving = False

    @property
    def connected(self) -> bool:
        """True if there is a connection."""
        return self.link is not None and self.link.opened.done() and self.link.error is None

    @property
    def is_free(self) -> bool:
        """True if it is connected, and in no call."""
        return self.connected and self.talk is None

    @property
    def node(self) -> int | None:
        """Which node it is connected to."""
        return None if self.link is None else self.link.door.node

    # Coming and going

    async def connect(self, node: int | None = None) -> None:
        """Connect, for as long as it takes; to this node, if one is named and lets it in."""
        self._is_leaving = False
        while not self.connected and not self._is_leaving:
            door = await self._open_door()
            door, node = next((door for door in self._doors if door.node == node), door), None
            if not await self._dial(door):
                continue
            self._not_before.pop(door.node, None)
            self.back_since = time.monotonic()
            if self.talk is not None:
                self.talk.came_back(self, self.back_since - self.away_since)

    async def _open_door(self) -> Door:
        while True:
            now = time.monotonic()
            doors = [door for door in self._doors if self._not_before.get(door.node, 0.0) <= now]
            if doors:
                return self._random.choice(doors)
            await asyncio.sleep(min(self._not_before.values()) - now)

    async def _dial(self, door: Door) -> bool:
        link = self.link = Link(self, door)
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().create_connection(lambda: link, door.host, door.signaling)
            opened, _ = await asyncio.wait([link.opened], timeout=PATIENCE)
            if not opened:
                link.abort()
                raise TimeoutError
            link.opened.result()
        except Refused as refused:
            self._refused(door, refused)
        except (OSError, LoadError) as error:
            self.seen.answers[type(error).__name__] += 1
            self._shun(door, self._random.uniform(*TRY_AGAIN))
        else:
            self.seen.answers["101"] += 1
            self.seen.handshakes.append(time.monotonic() - began)
            return self.link is link
        self.link = None
        return False

    def _refused(self, door: Door, refused: Refused) -> None:
        pause = refused.retry_after
        if refused.status not in LATER or pause is None:
            self.seen.wrong.append(f"{refused}, and to come again after {pause}")
        self.seen.answers[str(refused.status)] += 1
        self._shun(door, (pause or 1) * self._random.uniform(1.0, 1.2))

    def _shun(self, door: Door, seconds: float) -> None:
        self._not_before[door.node] = time.monotonic() + seconds

    def lost(self, link: Link, error: Exception) -> None:
        """Take note that the server closed a connection, and come back."""
        code = error.code if isinstance(error, Closed) else 1006
        self.seen.closed[code] += 1
        if not isinstance(error, LoadError | OSError):
            self.seen.wrong.append(f"{self.address}: {error!r}")
        if link is self.link:
            self._gone()
            self._shun(link.door, SHUNNED)
            self.background(self._come_back())

    async def _come_back(self) -> None:
        pause, self._back_in = self._back_in, None
        await asyncio.sleep(self._random.uniform(*BACK_IN) if pause is None else pause)
        await self.connect()

    def cut(self, silently: bool = False) -> None:
        """Lose the connection: with a reset, or without a word, so that the server believes it to be open."""
        if self.link is not None:
            if silently:
                self.link.fall_silent()
            else:
                self.link.abort()
            self._gone()

    def leave(self) -> None:
        """Go in order, if it is there."""
        self._is_leaving = True
        if self.link is not None and self.connected:
            self.link.close()
            self._gone()

    def _gone(self) -> None:
        self.link = None
        self.away_since = time.monotonic()

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background. An error in it counts."""
        self._errands.begin(work)

    # Saying and hearing

    def say(self, frame: Frame) -> bool:
        """Send a frame, if there is a connection; tell whether there is."""
        if self.link is None or not self.connected:
            return False
        self.link.send(msgspec.json.encode(frame))
        return True

    def over(self, room: str) -> None:
        """Remember that a call is over. ``room``: empty if it never rang."""
        if room:
            self._over.append(room)
        self.talk = None

    def hear(self, link: Link, frame: Frame) -> None:
        """Take a frame of the server."""
        kind = frame.get("type")
        if link is not self.link or kind in ("missed", "presence", "pong"):
            return
        if kind == "going_away":
            self._back_in = frame["reconnect_in"]
        elif frame.get("room_id") in self._over:
            if kind not in ("calling_be_hangup", "signal", "peer_state"):
                self.seen.wrong.append(f"{self.address} was sent {frame} of a call that was over")
        elif self.talk is not None:
            self.talk.hear(self, frame)
        elif kind != "welcome" or frame.get("call") is not None:
            self.seen.wrong.append(f"{self.address} was sent {frame}, and is in no call")
