"""One call between two handsets, whatever becomes of their connections, and the judge of it.

It rings, is answered, lasts, and ends because one of the two ends it: anything else is a call that was lost. What a
client says just when its connection is closed may not be heard, so each side says again what must have been.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from random import Random
from typing import Any, Final

from acceptance.crowd.handset import Handset
from acceptance.crowd.seen import Seen
from harness.base_protocol import Frame, answer, call, hang_up, named

TOLD: Final = 40.0
"""Seconds within which whatever was said must be known to the other side, were it away meanwhile."""
MISSED_FIRST: Final = 0.2
"""Seconds after which a device that is back has been told the missed messages."""
AGAIN: Final = 0.3, 0.8
"""Seconds after which a call is placed again that was to be tried later."""
LATER: Final = frozenset({"shutting_down", "unavailable"})
"""Reasons for which a call is to be tried again."""
ON_THE_WAY: Final = 1.5
"""A party that was without a connection within this number of seconds may be reported as offline."""
SIGNAL_EVERY: Final = 0.25
"""Seconds between two things that each side of a call says, if both speak ``callnet.v2``."""
NOTES: Final = 40


class Talk:
    """One call.

    :param rings: seconds until it is answered.
    """

    def __init__(self, caller: Handset, callee: Handset, seen: Seen, random: Random, rings: float) -> None:
        self.caller: Final = caller
        self.callee: Final = callee
        self.both: Final = (caller, callee)
        self.room = ""
        self.ended_by: Handset | None = None
        self.is_lost = False
        self._seen = seen
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._rings = rings
        self._answers: asyncio.TimerHandle | None = None
        self._placed_at = self._accepted_at = 0.0
        self._answered: asyncio.Future[None] = self._loop.create_future()
        self._told: asyncio.Future[None] = self._loop.create_future()
        self._heard: dict[Handset, float] = {}
        self._notes: deque[str] = deque(maxlen=NOTES)
        for device in self.both:
            device.talk = self

    @property
    def in_progress(self) -> bool:
        """True if it rings, or is talked in, and nobody has ended it."""
        return bool(self.room) and self.ended_by is None and not self.is_lost

    @property
    def is_talked_in(self) -> bool:
        """True if both are in it: the caller knows that it was answered."""
        return self.in_progress and self._answered.done()

    async def begin(self) -> bool:
        """Place it, and wait until it is answered. Tells whether it was; else it is lost."""
        self._place()
        return await self._await(self._answered, self._rings + TOLD, "was not answered")

    async def end(self, by: Handset) -> None:
        """Have one of the two hang up, and wait until the other is told."""
        for device in self.both:
            self._look_at_gap(device)
        self.ended_by = by
        self._hang_up()
        if await self._await(self._told, TOLD, f"went on for the other when {by.address} had hung up"):
            self._seen.ended += 1

    def close(self) -> None:
        """Leave nobody in it."""
        for device in self.both:
            if self.is_lost:
                self._say_hang_up(device)
            device.over(self.room)

    async def _await(self, happens: asyncio.Future[None], seconds: float, otherwise: str) -> bool:
        done, _ = await asyncio.wait([happens], timeout=seconds)
        if not done:
            self._lose(f"it {otherwise} within {seconds:.0f} s")
        return not self.is_lost

    # Saying

    def _place(self) -> None:
        if not self.room and not self.is_lost:
            self._placed_at = time.monotonic()
            self._say(self.caller, call(self.callee.address))

    def _accept(self) -> None:
        if not self.is_lost and self.ended_by is None:
            self._accepted_at = time.monotonic()
            self._say(self.callee, answer(self.caller.address, self.room))

    def _hang_up(self) -> None:
        if self.ended_by is not None and not self._told.done():
            self._say_hang_up(self.ended_by)

    def _say_hang_up(self, device: Handset) -> None:
        self._say(device, hang_up(self._other(device).address, self.room))

    def _say(self, device: Handset, frame: Frame) -> None:
        was_said = device.say(frame)
        self._note(f"{device.address.phone} {'says' if was_said else 'cannot say'} {frame['type']}")

    async def _signal(self) -> None:
        while self.in_progress:
            for device in self.both:
                device.say({"type": "signal", "room_id": self.room, "data": 0})
            await asyncio.sleep(SIGNAL_EVERY)

    # Connections

    def came_back(self, device: Handset, away: float) -> None:
        """Repeat messages that may not have been heard."""
        self._note(f"{device.address.phone} is back after {away:.2f} s, on {device.node}")
        if self.in_progress:
            self._seen.longest_away = max(self._seen.longest_away, away)
        if self.ended_by is device:
            self._loop.call_later(MISSED_FIRST, self._hang_up)
        elif device is self.caller:
            self._loop.call_later(MISSED_FIRST, self._place)

    def _is_on_the_way(self, device: Handset) -> bool:
        """Tell whether a device is, or just was, without a connection."""
        return not device.connected or time.monotonic() - device.back_since < ON_THE_WAY

    # Hearing

    def hear(self, device: Handset, frame: Frame) -> None:
        """Take a message to one of the two."""
        kind, is_caller = frame["type"], device is self.caller
        if kind == "signal":
            self._look_at_gap(device)
            return
        self._note(f"{device.address.phone} hears {kind} {frame.get('reason', '')}")
        match kind:
            case "called" if not is_caller and named(frame, "from") == self.caller.address:
                self._on_called(frame["room_id"])
            case "call_success" if is_caller and self._accepted_at and frame["room_id"] == self.room:
                self._on_success()
            case "call_failed" if is_caller:
                self._on_failed(frame["reason"])
            case "calling_be_hangup":
                self._on_be_hangup(device, frame["room_id"], frame["reason"])
            case "welcome":
                self._on_welcome(device, frame.get("call") or {})
            case "call_ringing" | "peer_state":
                pass
            case _:
                self._lose(f"{device.address} was sent {frame}")

    def _on_called(self, room: str) -> None:
        if not self.room:
            self.room = room
            self._seen.placed += 1
            self._seen.rang.append(time.monotonic() - self._placed_at)
            self._answers = self._loop.call_later(self._rings, self._accept)
        elif room != self.room:
            self._lose("it rang a second time as another call")
        elif self._answers is not None and self._answers.when() <= self._loop.time():
            self._accept()  # it was not heard

    def _on_success(self) -> None:
        if not self._answered.done():
            now = time.monotonic()
            self._seen.answered.append(now - self._accepted_at)
            self._answered.set_result(None)
            if self.caller.extended and self.callee.extended:
                self._heard = dict.fromkeys(self.both, now)
                self.caller.background(self._signal())

    def _on_failed(self, reason: str) -> None:
        may_be = reason in LATER or (reason == "offline" and self._is_on_the_way(self.callee))
        if self.room or not may_be:
            self._lose(f"its caller was told {reason}")
        else:
            self._seen.refused[reason] += 1
            self._loop.call_later(self._random.uniform(*AGAIN), self._place)

    def _on_be_hangup(self, device: Handset, room: str, reason: str) -> None:
        if room != self.room or self.ended_by is None:
            self._lose(f"{device.address} was told {reason}, and nobody had hung up")
        elif self.ended_by is not device and not self._told.done():
            self._told.set_result(None)

    def _on_welcome(self, device: Handset, call: dict[str, Any]) -> None:
        if self.is_talked_in and call.get("room_id") != self.room:
            self._lose(f"{device.address} is back, and in no call")

    def _look_at_gap(self, device: Handset) -> None:
        if device in self._heard and self.in_progress:
            now = time.monotonic()
            self._seen.longest_gap = max(self._seen.longest_gap, now - self._heard[device])
            self._heard[device] = now

    # Judging

    def _lose(self, why: str) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._seen.lost.append(f"{why}; before that: {' | '.join(self._notes)}")
        for wait in (self._answered, self._told):
            if not wait.done():
                wait.set_result(None)

    def _note(self, what: str) -> None:
        self._notes.append(f"{time.monotonic():.2f} {what}")

    def _other(self, device: Handset) -> Handset:
        return self.callee if device is self.caller else self.caller
