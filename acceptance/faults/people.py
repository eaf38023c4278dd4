"""The random actions of the people with the devices: somebody is always in a call, and somebody always on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from acceptance.faults.bounds import GRACE
from acceptance.faults.phone import Phone
from harness.base_protocol import EVERY, Address

APART: Final = 25.0
"""Two devices do not call each other again so soon, in seconds: so it is always clear which call an answer is for."""
LOOKED_AT: Final = 8
"""A caller picks a free callee out of this number."""


class Society:
    """The people who may call each other now."""

    def __init__(self, phones: Sequence[Phone], random: Random) -> None:
        self.phones: Final = phones
        self._random = random
        self._met: Final[dict[frozenset[str], float]] = {}
        self._by_phone: Final[dict[str, list[Phone]]] = {}
        for phone in phones:
            self._by_phone.setdefault(phone.address.phone, []).append(phone)

    def pick(self, caller: Phone) -> Address | None:
        """Somebody to call, free if one is easily found; sometimes all devices of a phone."""
        found: Phone | None = None
        for other in self._random.sample(self.phones, min(LOOKED_AT, len(self.phones))):
            if not self._may_meet(caller.address.phone, other.address.phone):
                continue
            found = other
            if other.free or self._random.random() < 0.1:
                break
        if found is None:
            return None
        self._meet(caller.address.phone, found.address.phone)
        several = len(self._by_phone[found.address.phone]) > 1
        return Address(found.address.phone, EVERY) if several and self._random.random() < 0.5 else found.address

    def _may_meet(self, one: str, other: str) -> bool:
        met = self._met.get(frozenset((one, other)), 0.0)
        return one != other and met < time.monotonic() - APART

    def _meet(self, one: str, other: str) -> None:
        self._met[frozenset((one, other))] = time.monotonic()

    def free(self) -> int:
        """The number of devices that have nothing to do."""
        return sum(phone.free for phone in self.phones)


IDLE: Final = {"call": 35, "move": 2, "short": 2, "long": 1, "nothing": 60}
RUNG: Final = {"accept": 60, "refuse": 8, "call back": 5, "call": 2, "short": 3, "nothing": 22}
CALLING: Final = {"cancel": 6, "call": 2, "short": 3, "move": 1, "nothing": 88}
TALKING: Final = {"hang up": 12, "call": 1, "short": 3, "long": 1, "move": 2, "nothing": 81}


class Person:
    """One device and how it is used."""

    def __init__(self, phone: Phone, society: Society, random: Random) -> None:
        self._phone = phone
        self._society = society
        self._random = random

    async def live(self, until: asyncio.Event, pause: float) -> None:
        """Do something every ``pause`` seconds or so until told to stop."""
        while not until.is_set():
            await asyncio.sleep(self._random.expovariate(1 / pause))
            if self._phone.settled and not until.is_set():
                await self._act(self._phone)

    async def _act(self, phone: Phone) -> None:
        if phone.room is not None:
            await self._do(self._draw(TALKING))
        elif phone.attempt is not None:
            await self._do(self._draw(CALLING))
        elif phone.rings:
            await self._do(self._draw(RUNG))
        else:
            await self._do(self._draw(IDLE))

    def _draw(self, weights: Mapping[str, int]) -> str:
        return self._random.choices(list(weights), list(weights.values()))[0]

    async def _do(self, what: str) -> None:
        phone = self._phone
        match what:
            case "call":
                target = self._society.pick(phone)
                if target is not None:
                    phone.call(target)
            case "call back":
                phone.call(next(iter(phone.rings.values()))[1])
            case "accept" | "refuse":
                phone.answer(next(iter(phone.rings)), what == "accept")
            case "cancel":
                phone.cancel()
            case "hang up":
                phone.hang_up()
            case "move":
                await phone.move()
            case "short":
                await phone.drop(self._random.random() < 0.3, GRACE * self._random.uniform(0, 0.5))
            case "long":
                await phone.drop(self._random.random() < 0.3, phone.slow())
