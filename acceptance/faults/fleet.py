"""Two hundred devices on a cluster: they come, live, come to rest, prove that they are free, and leave."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from random import Random
from typing import Final

from acceptance.faults.books import Books
from acceptance.faults.bounds import STUCK, TOLD
from acceptance.faults.line import Door
from acceptance.faults.page import Pages
from acceptance.faults.people import Person, Society
from acceptance.faults.phone import Phone
from acceptance.faults.tally import Say, Tally
from harness.base_protocol import Address

PAUSE: Final = 1.0
"""A person does something about as often, in seconds."""
SLOW: Final = 0.2
"""The share of devices that take longer than the grace to come back when their node dies."""
LOOKING: Final = 0.5
"""The share of devices that see by themselves that their node does not answer."""
SETTLED: Final = 16.0
"""A call is judged when nobody has been concerned with it for so long: then every window that it may be in is known."""
JUDGED_EVERY: Final = 5.0
BACK: Final = 45.0
"""Everyone is back within this, even who takes long to come back, in seconds."""
AT_ONCE: Final = 10
"""The number of devices that log in at a time."""
LATE_BY: Final = 0.5
"""A harness that is later than this measures wrongly, in seconds."""


class Fleet:
    """All devices of a run."""

    def __init__(self, doors: Sequence[Door], books: Books, tally: Tally, size: int, random: Random, say: Say) -> None:
        self._say = say
        self.books: Final = books
        self.tally: Final = tally
        self._random = random
        self._over = asyncio.Event()
        self.latest = 0.0
        """The longest delay of the harness itself."""
        addresses: list[Address] = []
        while len(addresses) < size:
            number = f"138{len(addresses):08d}"
            addresses += [Address(number, f"dev{index}") for index in range(random.choice((1, 1, 1, 2, 3)))]
        self.phones: Final = [
            Phone(address, doors, books, Random(random.getrandbits(64)), random.random() < LOOKING)
            for address in addresses[:size]
        ]
        for phone in self.phones:
            phone.slow_to_return = random.random() < SLOW
        self.pages: Final = Pages(self.phones, doors, books, random)
        self._background: list[asyncio.Task[None]] = []

    async def come(self) -> None:
        """Log everyone in and connect everyone, and begin to judge."""
        for first in range(0, len(self.phones), AT_ONCE):
            some = self.phones[first : first + AT_ONCE]
            await asyncio.gather(*(phone.log_in() for phone in some))
            await asyncio.gather(*(phone.connect() for phone in some))
        self._background = [asyncio.create_task(work) for work in (self._look(), self._judge(), self.pages.look())]

    def live(self) -> list[asyncio.Task[None]]:
        """Let everyone call everyone until :meth:`rest`."""
        society = Society(self.phones, Random(self._random.getrandbits(64)))
        people = [Person(phone, society, Random(self._random.getrandbits(64))) for phone in self.phones]
        return [asyncio.create_task(person.live(self._over, PAUSE)) for person in people]

    async def rest(self, lives: Sequence[asyncio.Task[None]]) -> None:
        """Let nobody begin anything more, and wait until everything must have come to its end."""
        self._over.set()
        await asyncio.gather(*lives)
        until = time.monotonic() + BACK
        while not all(phone.settled for phone in self.phones) and time.monotonic() < until:
            self._hang_up()
            await asyncio.sleep(0.5)
        self._hang_up()
        await asyncio.sleep(STUCK + TOLD)

    def _hang_up(self) -> None:
        for phone in self.phones:
            if phone.settled:
                phone.hang_up()

    async def _look(self) -> None:
        while True:
            due = time.monotonic() + 1.0
            await asyncio.sleep(1.0)
            self.latest = max(self.latest, time.monotonic() - due)
            for phone in self.phones:
                phone.look()

    async def _judge(self) -> None:
        while True:
            await asyncio.sleep(JUDGED_EVERY)
            now = time.monotonic()
            for _ in self.tally.judging(now - SETTLED, now, self._say):
                await asyncio.sleep(0)
            gc.freeze()  # the books are never garbage: collecting them would make everyone late

    async def prove_free(self) -> None:
        """Have each device call the next one, and be answered: nobody may be left busy, deaf or in a call."""
        for phone in self.phones:
            if not phone.free:
                self._not_free(phone)
        pairs = list(zip(self.phones, (*self.phones[1:], self.phones[0]), strict=True))
        for caller, callee in pairs:
            if caller.address.phone != callee.address.phone and caller.free and callee.free:
                await self._call_once(caller, callee)

    async def _call_once(self, caller: Phone, callee: Phone) -> None:
        caller.call(callee.address)
        for phone, state in ((callee, "rings"), (caller, "room")):
            for _ in range(int(TOLD * 500)):
                if getattr(phone, state) or caller.attempt is None:
                    break
                await asyncio.sleep(0.002)
            if state == "rings" and callee.rings:
                callee.answer(next(iter(callee.rings)), accept=True)
        if caller.room is None or caller.room != callee.room:
            self._wrong(caller, f"could not call {callee.address} when all was quiet")
            return
        caller.hang_up()
        for _ in range(int(TOLD * 500)):
            if callee.room is None:
                return
            await asyncio.sleep(0.002)
        self._wrong(callee, f"was not told that {caller.address} hung up when all was quiet")

    def _not_free(self, phone: Phone) -> None:
        starts = [ring.start for ring, _ in phone.rings.values()]
        starts += [] if phone.attempt is None else [phone.attempt.at]
        starts += [] if phone.part is None else [phone.part.start]
        state = f"waits for {phone.attempt and phone.attempt.target}, in {phone.room}, rung for {list(phone.rings)}"
        since = min(starts, default=None)
        self.books.seen(
            "quiet", phone.address, time.monotonic(), f"is not free when all is quiet: {state}", since=since
        )

    def _wrong(self, phone: Phone, what: str) -> None:
        self.books.seen("quiet", phone.address, time.monotonic(), what)

    async def leave(self) -> None:
        """Have everyone leave, and judge the rest."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(*(phone.leave() for phone in self.phones))
        self.tally.judge(float("inf"), time.monotonic(), self._say)

    def misses(self) -> list[str]:
        """Whatever makes this run worthless, or shows that something is wrong."""
        late = [f"the harness was late by {self.latest:.1f} s"] if self.latest > LATE_BY else []
        return [*self.tally.lost, *late]
