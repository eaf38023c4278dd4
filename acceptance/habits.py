"""The random actions of the people with the devices: they call, answer, change their mind, and lose power."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from random import Random
from typing import Final

from acceptance.device import Device
from harness.base_protocol import EVERY, Address, answer

UNKNOWN: Final = Address("19900000000", "nobody")


class Habits:
    """One device and how it is used."""

    def __init__(self, device: Device, others: Sequence[Address], random: Random, grace: float) -> None:
        self.device: Final = device
        self._others = others
        self._random = random
        self._grace = grace

    async def live(self, until: float, pause: float) -> None:
        """Do something every ``pause`` seconds or so, until the monotonic clock says ``until``."""
        while time.monotonic() < until:
            await asyncio.sleep(self._random.expovariate(1 / pause))
            if self.device.socket is None:
                await self.device.connect()
            elif self.device.room is not None and self.device.peer is not None:
                await self._in_a_call(self.device.room, self.device.peer)
            elif self.device.owed is not None:
                await self._ringing_out(self.device.owed.target)
            elif self.device.pending:
                await self._being_rung()
            else:
                await self._idle()

    def _draw(self, **weights: int) -> str:
        return self._random.choices(list(weights), list(weights.values()))[0]

    def _place(self, target: Address) -> None:
        if self.device.may_call(target.phone):
            self.device.call(target)

    def _call_someone(self) -> None:
        other = self._random.choice(self._others)
        everyone = Address(other.phone, EVERY)
        target = self._random.choices((other, everyone, self.device.address, UNKNOWN), (70, 24, 3, 3))[0]
        self._place(target)

    async def _go_away(self) -> None:
        """Lose the connection, come back: in time, too late, or over the top of the old one."""
        device, count = self.device, self.device.ledger.counts
        kind = self._draw(short=60, long=20, displace=20)
        count[f"connections lost ({kind})"] += 1
        if kind == "displace":
            await asyncio.sleep(0.3)
        else:
            await device.disconnect(politely=self._random.random() < 0.3, left=kind == "long")
            factor = self._random.uniform(0, 0.5) if kind == "short" else self._random.uniform(1.6, 2.5)
            await asyncio.sleep(self._grace * factor)
        await device.connect()

    async def _idle(self) -> None:
        match self._draw(call=75, late=5, away=5, nothing=15):
            case "call":
                self._call_someone()
            case "late" if self.device.known:
                self._answer_late()
            case "away":
                await self._go_away()

    def _answer_late(self) -> None:
        """Answer a call that is over, as devices do whose user is slow."""
        other, accept = self._random.choice(self._others), self._random.choice((True, False))
        self.device.say(answer(other, self._random.choice(sorted(self.device.known)), accept))

    async def _being_rung(self) -> None:
        device = self.device
        room, caller = self._random.choice(list(device.pending.items()))
        match self._draw(accept=55, refuse=12, ignore=12, call_back=8, hang_up=4, call=4, away=5):
            case "accept":
                device.answer(room, accept=True)
            case "refuse":
                device.answer(room, accept=False)
            case "call_back":
                device.ledger.counts["called back while rung (glare)"] += 1
                self._place(caller)
            case "hang_up":
                device.hang_up(room, caller)
            case "call":
                self._call_someone()
            case "away":
                await self._go_away()

    async def _ringing_out(self, target: Address) -> None:
        device = self.device
        match self._draw(wait=62, cancel=15, again=8, call=7, away=8):
            case "cancel":
                device.hang_up("", target)
            case "again":
                device.call(target)
            case "call":
                self._call_someone()
            case "away":
                await self._go_away()

    async def _in_a_call(self, room: str, peer: Address) -> None:
        device = self.device
        match self._draw(talk=25, hang_up=45, away=15, call_again=5, call=10):
            case "hang_up":
                device.hang_up(room, self._random.choice((peer, UNKNOWN)))
            case "away":
                await self._go_away()
            case "call_again":
                self._place(peer)
            case "call":
                self._call_someone()
