"""Everything that may be wrong with a request or a frame, while an innocent pair calls and is not disturbed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Final

from acceptance import bad_frames, bad_http
from acceptance.calls import left_over
from acceptance.daemon import CountedDaemon, running
from acceptance.device import Device
from acceptance.ledger import Ledger
from acceptance.proof import Outcome, Proof
from harness.base_protocol import Address
from harness.wire import login

FRAMES: Final = 80
REQUESTS: Final = 8
ROUNDS: Final = 1250
BRIEF: Final = 18
BUSY: Final = 8
"""The number of bad clients that are at it at once."""
SHOWN: Final = 10
"""The number of wrong answers that are shown."""
GROWTH: Final = 64 * 1024
"""The growth of the daemon's memory that is allowed after all this, in KiB."""

Trial = Callable[[str], Awaitable[str | None]]
"""Does something bad with a token; returns the fault of the answer, if there is one."""


class Innocents:
    """Two devices that call each other all the time, and must not notice anything."""

    def __init__(self, ports: tuple[int, int], ledger: Ledger) -> None:
        self._ledger = ledger
        self.rang_after: Final[list[float]] = []
        """Seconds from each call until it rang."""
        self.caller: Final = Device(Address("13812345678", "tv"), ports, ledger)
        self.callee: Final = Device(Address("13887654321", "phone"), ports, ledger)

    @property
    def waited(self) -> str:
        """The time until they rang, in words."""
        ordered = sorted(self.rang_after) or [0.0]
        median, p99 = (ordered[int(len(ordered) * part)] * 1000 for part in (0.5, 0.99))
        return f"median {median:.1f}, p99 {p99:.1f}"

    async def connect(self) -> None:
        """Come online."""
        await self.caller.connect()
        await self.callee.connect()

    async def call_on(self) -> None:
        """Call, answer, talk, hang up, for ever."""
        caller, callee = self.caller, self.callee
        while True:
            began = time.monotonic()
            caller.call(callee.address)
            if not await callee.until(lambda callee: bool(callee.pending)):
                callee.violated("was not rung")
                continue
            self.rang_after.append(time.monotonic() - began)
            room = next(iter(callee.pending))
            callee.answer(room, accept=True)
            if not await caller.until(lambda caller: caller.room is not None):
                caller.violated("was not told of the answer")
            await asyncio.sleep(0.1)
            if caller.room != room or callee.room != room:
                caller.violated("the call ended by itself")
            caller.hang_up(room, callee.address)
            if not await callee.until(lambda callee: callee.room is None):
                callee.violated("was not told of the end")
            self._ledger.counts["calls of the innocent"] += 1


class Attack:
    """Gives trials to a few bad clients at once and gathers wrong answers."""

    def __init__(self, daemon: CountedDaemon, ledger: Ledger, random: Random) -> None:
        self._daemon = daemon
        self._ledger = ledger
        self._random = random
        self.wrong: Final[list[str]] = []
        self._tokens: list[str] = []

    async def begin(self) -> None:
        """Log the bad clients in."""
        port = self._daemon.ports["account"]
        self._tokens = [await login(port, f"139{number:08d}", "fuzz") for number in range(BUSY)]

    async def give(self, kind: str, trials: list[Trial]) -> None:
        """Do every trial once, each with a token of its own for as long as it lasts."""
        waiting = list(reversed(trials))

        async def client(token: str) -> None:
            while waiting:
                wrong = await waiting.pop()(token)
                self._ledger.counts[kind] += 1
                if wrong is not None:
                    self.wrong.append(wrong)

        await asyncio.gather(*map(client, self._tokens))

    async def named(self) -> None:
        """All cases that the protocol has one answer for."""
        http, ws = self._daemon.ports["account"], self._daemon.ports["signaling"]
        for case in bad_http.cases():
            await self.give_one("bad requests", bad_http.try_case(http, case))
        await self.give("bad frames", [partial(bad_frames.try_case, ws, case) for case in bad_frames.cases()])
        good = self._tokens[0]
        for token in ("", "x", "a.b.c", good[:-2], good + "A", "é" * 50, good * 40, "\x00", " " + good):
            await self.give_one("bad tokens", bad_frames.try_token(ws, token))

    async def give_one(self, kind: str, trial: Awaitable[str | None]) -> None:
        """Do one trial."""
        wrong = await trial
        self._ledger.counts[kind] += 1
        if wrong is not None:
            self.wrong.append(wrong)

    async def at_random(self, rounds: int) -> None:
        """Accidents, this number of times :data:`FRAMES` and :data:`REQUESTS`."""
        http, ws = self._daemon.ports["account"], self._daemon.ports["signaling"]

        def request_trial(_token: str) -> Awaitable[str | None]:
            return bad_http.try_random(http, self._random)

        for _ in range(rounds):
            await self.give("random frames", [partial(bad_frames.try_random, ws, self._random)] * FRAMES)
            await self.give("random requests", [request_trial] * REQUESTS)

    async def at_others(self, innocents: Innocents, tries: int) -> None:
        """Answer and hang up the call of others, whose room somebody has told us."""
        port = self._daemon.ports["signaling"]
        for _ in range(tries):
            await innocents.caller.until(lambda caller: caller.room is not None)
            case = bad_frames.into_a_call_of_others(innocents.caller.room or bad_frames.ROOM, self._random)
            await self.give_one("frames into calls of others", bad_frames.try_case(port, case, self._tokens[0]))


async def run(daemon: CountedDaemon, ledger: Ledger, random: Random, rounds: int) -> tuple[list[str], str]:
    """The innocent call beside the bad clients. Returns the faults, and the waits."""
    attack = Attack(daemon, ledger, random)
    await attack.begin()
    innocents = Innocents((daemon.ports["account"], daemon.ports["signaling"]), ledger)
    await innocents.connect()
    calling = asyncio.create_task(innocents.call_on())
    await attack.named()
    await attack.at_others(innocents, 100)
    await attack.at_random(rounds)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    for device in (innocents.caller, innocents.callee):
        await device.finish()
    return attack.wrong, innocents.waited


def prove(brief: bool, seed: int) -> Outcome:
    """Every named case once, then a hundred thousand frames and ten thousand bodies broken by chance, or few."""
    ledger = Ledger()
    with running("[calls]\nunseated_limit = 0\ngrace = 2\n") as daemon:
        before, memory = daemon.census(), daemon.memory()
        wrong, waited = asyncio.run(run(daemon, ledger, Random(seed), BRIEF if brief else ROUNDS))
        held = left_over(daemon, before, brief)
        growth = daemon.memory() - memory
        complaints = daemon.complaints()
    ledger.counts["daemon's growth, KiB"] = growth
    return Outcome(
        {**dict(sorted(ledger.counts.items())), "until an innocent rang, ms": waited},
        [
            *wrong[:SHOWN],
            *ledger.violations[:SHOWN],
            *ledger.disagreements()[:SHOWN],
            *(f"the daemon still holds {line}" for line in held),
            *(f"the daemon logged {line}" for line in complaints[:SHOWN]),
            *([f"the daemon grew by {growth} KiB"] if growth > GROWTH else []),
        ],
    )


PROOF: Final = Proof(
    "fuzz",
    "bad input gets the answer that the protocol names, disturbs nobody, and leaves nothing in the log above info",
    prove,
)
