"""Devices that stay where they are and call each other during faults: promises must hold at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

from acceptance.faults.books import Books
from acceptance.faults.bounds import ANNOUNCED, COMMAND, SLACK, UNAVAILABLE
from acceptance.faults.excuses import Fault, Kind
from acceptance.faults.line import Door
from acceptance.faults.operator import ask
from acceptance.faults.phone import Phone
from acceptance.faults.tally import Say
from harness.base_protocol import Address

AT_EACH: Final = 3
"""The number of probes that stay at each node."""
NOTICED: Final = COMMAND + SLACK
"""After so long a node knows that it cannot reach Redis."""
SUCCESS: Final = "success"


class Promises:
    """The promises, the number of trials, and the failures."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.kept: Final[Counter[str]] = Counter()
        self.broken: Final[list[str]] = []
        self.longest: Final[dict[str, float]] = {}

    def check(self, promise: str, holds: bool, otherwise: str) -> None:
        """Note whether ``promise`` held."""
        if holds:
            self.kept[promise] += 1
        else:
            self.broken.append(f"{promise}: {otherwise}")
            self._say(f"BROKEN {self.broken[-1]}")

    def took(self, what: str, seconds: float) -> None:
        """Note how long something took."""
        self.longest[what] = max(self.longest.get(what, 0.0), seconds)

    def counts(self) -> dict[str, object]:
        """The figures of the report."""
        return {
            **{f"held, {promise}": count for promise, count in sorted(self.kept.items())},
            **{f"longest, {what}, s": round(seconds, 2) for what, seconds in sorted(self.longest.items())},
        }


class Probes:
    """Some devices at each node. They never leave it by themselves."""

    def __init__(self, doors: Sequence[Door], admins: Sequence[Path], books: Books, random: Random, say: Say) -> None:
        self.promises: Final = Promises(say)
        self._admins = admins
        self._probes: Final = [
            [
                Phone(Address(f"137{door.node:04d}{index:04d}", "probe"), [door], books, random, False)
                for index in range(AT_EACH)
            ]
            for door in doors
        ]

    @property
    def phones(self) -> list[Phone]:
        """All of them."""
        return [phone for at_one in self._probes for phone in at_one]

    async def come(self) -> None:
        """Log in and connect."""
        await asyncio.gather(*(phone.log_in() for phone in self.phones))
        await asyncio.gather(*(phone.connect() for phone in self.phones))

    async def call(self, caller: Phone, callee: Phone) -> str:
        """Call, accept, hang up. Returns ``success`` or the other outcome."""
        try:
            if not (caller.free and callee.free):
                return "not free"
            caller.call(callee.address)
            attempt = caller.attempt
            until = time.monotonic() + UNAVAILABLE
            while time.monotonic() < until:
                if callee.rings:
                    callee.answer(next(iter(callee.rings)), accept=True)
                if caller.attempt is not attempt:
                    break
                await asyncio.sleep(0.005)
            answer = None if attempt is None else attempt.answer
            if answer is None:
                return "no answer"
            return f"{answer.kind} {answer.reason}".rstrip() if caller.room is None else SUCCESS
        finally:
            for phone in (caller, callee):
                phone.cancel()
                phone.hang_up()

    async def while_away(self, fault: Fault) -> None:
        """While Redis is away: inside a node calls work, across nodes they fail at once; readyz says why."""
        await asyncio.sleep(NOTICED)
        numbers = range(len(self._probes)) if fault.node is None else [fault.node]
        await asyncio.gather(*(self._while_away(number) for number in numbers))

    async def _while_away(self, number: int) -> None:
        one, other = self._probes[number][:2]
        elsewhere = self._probes[(number + 1) % len(self._probes)][-1]
        if not (one.settled and other.settled and elsewhere.settled):
            return
        health, ready = await self._asked(number, "/healthz"), await self._asked(number, "/readyz")
        self.promises.check("healthz stays 200", health[0] == 200, f"{health}")
        self.promises.check("readyz says why", ready[0] == 503 and "redis" in ready[1].lower(), f"{ready}")
        inside = await self.call(one, other)
        self.promises.check("a call inside a node cut off from Redis works", inside == SUCCESS, inside)
        placed = time.monotonic()
        across = await self.call(one, elsewhere)
        took = time.monotonic() - placed
        self.promises.check(
            "a call across nodes without Redis fails with unavailable",
            across == "call_failed unavailable" and took < UNAVAILABLE,
            f"{across} after {took:.1f} s",
        )
        self.promises.took("unavailable", took)

    async def once_back(self, fault: Fault) -> None:
        """After the return of Redis, a link or a node: calls between all nodes work again within 5 s."""
        if fault.kind is Kind.NODE_KILLED:
            await self._all_are_back(time.monotonic() + ANNOUNCED)
        began = fault.end if fault.kind is not Kind.NODE_KILLED else time.monotonic()
        until = began + ANNOUNCED + SLACK
        pairs = [
            (self._probes[number][0], self._probes[(number + 1) % len(self._probes)][1])
            for number in range(len(self._probes))
        ]
        what = f"calls across nodes within 5 s of: {fault.kind.value}"
        for came in await asyncio.gather(*(self._until_it_works(*pair, until) for pair in pairs)):
            self.promises.check(what, came == SUCCESS, came)
        self.promises.took(f"until calls across nodes work after: {fault.kind.value}", time.monotonic() - began)
        for number in range(len(self._probes)):
            await self._until_ready(number, until)

    async def _until_it_works(self, caller: Phone, callee: Phone, until: float) -> str:
        while True:
            came = await self.call(caller, callee)
            if came == SUCCESS or time.monotonic() > until:
                return came
            await asyncio.sleep(0.2)

    async def _until_ready(self, number: int, until: float) -> None:
        while True:
            status, body = await self._asked(number, "/readyz")
            if status == 200 or time.monotonic() > until:
                break
            await asyncio.sleep(0.2)
        self.promises.check("readyz is 200 again within 5 s", status == 200, body)

    async def _asked(self, number: int, path: str) -> tuple[int, str]:
        return await ask(self._admins[number], path)

    async def _all_are_back(self, until: float) -> None:
        while not all(phone.settled for phone in self.phones):
            await asyncio.sleep(0.05)
            if time.monotonic() > until:
                return
