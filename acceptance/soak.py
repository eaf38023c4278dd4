"""Half an hour as on any day: thousands of devices, calls all the time, and some who come and go.

The daemon runs as an operator would run it, with the usual limits (see :mod:`acceptance.storm`). 5 000 devices are
connected. Twenty calls begin in a second, each rings and is talked in for a while; and ten times a second a device is
cut off or leaves. One that is in no call stays away and another one comes in its place, out of a tenth more than are
there; one in a call comes back, and its call must go on.

**Memory.** After a warm-up, in which the daemon comes to know everybody and begins to forget calls that are over (two
minutes after their end), its resident memory must not grow by more than 40 KiB in a minute, by a line through all
samples. In a minute there are 1 200 calls and 600 connections. The least that could be left of one is an entry of a
dict and what it is about, 100 bytes and more: of each connection that would be 59 KiB in a minute, of each call 117. So
a leak of either is seen, and what an allocator does by itself is let pass: in half an hour that evens out.

**Files.** When everybody has left, as many are open as before anybody came; a census of the living objects says the
same (:mod:`acceptance.census`).

**Numbers.** What ``/metrics`` counts of sockets and calls is what the devices know.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from statistics import linear_regression
from typing import Final

from msgspec import Struct

from acceptance.calls import left_over
from acceptance.crowd.crowd import AS_USUAL, Crowd, come, door_of, leave
from acceptance.crowd.handset import Handset
from acceptance.crowd.seen import Seen, in_milliseconds
from acceptance.daemon import CountedDaemon, running
from acceptance.faults.operator import ask, series
from acceptance.proof import Outcome, Proof
from bench.circumstances import allow_many_files, circumstances
from bench.devices import address_of
from harness import ROOT
from harness.wire import PATIENCE

RESULTS: Final = ROOT / "bench" / "results" / "soak.txt"
RATE: Final = 20.0
"""Calls that begin in a second."""
CHURN: Final = 10.0
"""Devices that are cut off or leave in a second."""
RINGS: Final = 0.5, 5.0
LASTS: Final = 1.0, 20.0
AWAY: Final = 0.2, 3.0
"""Seconds for which somebody is gone who is in a call."""
POLITELY: Final = 0.5
"""The share of those leaving that close their socket in order."""
MORE: Final = 0.1
"""The share of devices beyond those that are connected."""
GROWTH: Final = 40.0
"""KiB in a minute."""
SAMPLED_EVERY: Final = 5.0
"""Seconds."""
MINUTE: Final = 60.0
FILES_LEFT: Final = 2
"""The pool of connections to the database may have opened one more, of two files, since the first were counted."""


class Plan(Struct, frozen=True):
    """The amounts. Seconds."""

    sockets: int
    lasts: float
    warm_up: float


FULL: Final = Plan(5_000, 1800.0, 300.0)
BRIEF: Final = Plan(500, 20.0, 5.0)


class Sample(Struct, frozen=True):
    """The state of the daemon at some time."""

    at: float
    """Seconds since the load began."""
    memory: int
    """KiB."""
    files: int
    calls: int
    """In progress."""


def growth(samples: Sequence[Sample]) -> float:
    """The growth of memory in KiB in a minute: the slope of the line that fits the samples best."""
    return linear_regression([one.at / MINUTE for one in samples], [one.memory for one in samples]).slope


class Soak:
    """The load, and the measurements."""

    def __init__(self, daemon: CountedDaemon, plan: Plan, random: Random) -> None:
        self._daemon = daemon
        self._plan = plan
        self._random = random
        self.seen: Final = Seen()
        doors = [door_of(daemon)]
        numbers = range(round(plan.sockets * (1 + MORE)))
        self._all = [Handset(address_of(number), doors, self.seen, random) for number in numbers]
        self._absent = self._all[plan.sockets :]
        self._crowd = Crowd(self._all, self.seen, random, RINGS, LASTS)
        self._left = self._cut_in_calls = 0
        self.samples: Final[list[Sample]] = []
        self.counted: dict[str, float] = {}
        self.connected = 0

    async def run(self) -> None:
        """All of it."""
        await come(self._all[: self._plan.sockets])
        over = asyncio.Event()
        calling = asyncio.create_task(self._crowd.call(RATE, over))
        churning = asyncio.create_task(self._churn(over))
        await self._watch()
        over.set()
        await churning
        await calling
        await asyncio.sleep(max(AWAY))
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self._present() < self._plan.sockets:  # noqa: ASYNC110  nobody tells of it
                    await asyncio.sleep(0.1)
        self.connected = self._present()
        self.counted = await self._ask()
        await leave(self._all)

    def _present(self) -> int:
        return sum(device.connected for device in self._all)

    async def _ask(self) -> dict[str, float]:
        status, text = await ask(self._daemon.admin, "/metrics")
        if status != 200:
            raise ConnectionError(f"/metrics: {status}")
        return series(text)

    async def _watch(self) -> None:
        """Look at the daemon as long as the load lasts, and print it every minute."""
        began, printed = time.monotonic(), 0.0
        while (at := time.monotonic() - began) < self._plan.lasts:
            sample = Sample(at, self._daemon.memory(), self._daemon.files(), len(self._crowd.talks))
            self.samples.append(sample)
            if at >= printed:
                printed += MINUTE
                print(line_of(sample), f"lost: {len(self.seen.lost)}", flush=True)
            await asyncio.sleep(SAMPLED_EVERY)

    async def _churn(self, over: asyncio.Event) -> None:
        due = time.monotonic()
        while not over.is_set():
            due += self._random.expovariate(CHURN)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            device = self._random.choice(self._all)
            while not device.connected:
                device = self._random.choice(self._all)
            if device.is_free:
                self._replace(device)
            elif device.talk is not None and device.talk.is_talked_in:
                self._cut_in_calls += 1
                device.cut()
                device.background(self._come_back(device))

    def _replace(self, device: Handset) -> None:
        """One goes, and another comes."""
        self._left += 1
        if self._random.random() < POLITELY:
            device.leave()
        else:
            device.cut()
        other = self._absent.pop(self._random.randrange(len(self._absent)))
        self._absent.append(device)
        other.background(other.connect())

    async def _come_back(self, device: Handset) -> None:
        await asyncio.sleep(self._random.uniform(*AWAY))
        await device.connect()

    @property
    def _settled(self) -> Sequence[Sample]:
        return [sample for sample in self.samples if sample.at >= self._plan.warm_up]

    def counts(self, brief: bool) -> dict[str, object]:
        """The figures. The growth of memory is no figure of a short slice, which is all warm-up."""
        settled = self._settled
        grows = {} if brief else {"memory grows in a minute, KiB": round(growth(settled), 1)}
        return {
            "sockets": self._plan.sockets,
            "calls begun": self._crowd.begun,
            "devices that left, and others that came": self._left,
            "devices that were cut off in a call": self._cut_in_calls,
            **self.seen.counts(),
            **self.seen.handshake_counts(),
            **in_milliseconds("from a call until it rings", self.seen.rang),
            **in_milliseconds("from the answer until the caller knows", self.seen.answered),
            "memory at the end of the warm-up, KiB": settled[0].memory,
            "memory at last, KiB": settled[-1].memory,
            **grows,
            "open files at most": max(sample.files for sample in self.samples),
        }

    def misses(self, brief: bool) -> list[str]:
        """Where the target was missed."""
        grows = growth(self._settled)
        errors = {name: count for name, count in self.seen.answers.items() if name != "101"}
        return [
            *self.seen.misses(),
            *self._disagreements(),
            *([f"handshakes ended with {errors}"] if errors else []),
            *([f"memory grows by {grows:.0f} KiB in a minute"] if grows > GROWTH and not brief else []),
        ]

    def _disagreements(self) -> list[str]:
        """Where ``/metrics`` counts something else than the devices, when all is quiet."""
        known = {
            'callnet_sockets{kind="device"}': (self.connected, self._plan.sockets),
            "callnet_calls_placed_total": (self.seen.placed, self._crowd.begun),
            "callnet_calls_answered_total": (len(self.seen.answered), self._crowd.begun),
            'callnet_calls_ended_total{reason="hangup"}': (self.seen.ended, self._crowd.begun),
        }
        counted = self.counted
        failed = sum(count for name, count in counted.items() if name.startswith("callnet_calls_failed_total"))
        return [
            *(
                f"{name} is {counted.get(name, 0):.0f}, the devices know of {seen}, and {begun} it should be"
                for name, (seen, begun) in known.items()
                if not counted.get(name, 0) == seen == begun
            ),
            *([f"{failed:.0f} calls have failed"] if failed else []),
        ]


def line_of(sample: Sample) -> str:
    """A line of the table."""
    minutes = f"{sample.at / MINUTE:.1f} min"
    return f"{minutes:>9}{sample.memory:>12} KiB{sample.files:>9} files{sample.calls:>7} calls in progress"


def write_figures(soak: Soak, counts: dict[str, object], path: Path) -> None:
    """Put the figures where those of ``make bench`` are."""
    minutes = soak.samples[:: round(MINUTE / SAMPLED_EVERY)]
    what = f"{RATE:g} calls and {CHURN:g} comings and goings a second; memory is resident, of the process"
    lines = [
        circumstances(what),
        "",
        *map(line_of, minutes),
        "",
        *(f"{name}: {count}" for name, count in counts.items()),
    ]
    path.write_text("\n".join(lines) + "\n")


def prove(brief: bool, seed: int) -> Outcome:
    """Half an hour with five thousand devices, or half a minute with some hundred."""
    allow_many_files()
    with running(AS_USUAL, limits="") as daemon:
        before, files = daemon.census(), daemon.files()
        soak = Soak(daemon, BRIEF if brief else FULL, Random(seed))
        asyncio.run(soak.run())
        held = left_over(daemon, before, brief)
        left = daemon.files()
        logged = daemon.complaints()
    counts = {**soak.counts(brief), "open files at first": files, "open files at last": left}
    misses = [
        *soak.misses(brief),
        *([f"{left - files} more files are open at last than at first"] if left > files + FILES_LEFT else []),
        *(f"the daemon still holds {line}" for line in held),
        *(f"the daemon logged {line}" for line in logged),
    ]
    if not brief:
        write_figures(soak, counts, RESULTS)
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "soak",
    f"in half an hour with {FULL.sockets} sockets, {RATE:g} calls and {CHURN:g} comings and goings a second no call"
    f" goes wrong, /metrics counts what the devices know, memory grows by no more than {GROWTH:g} KiB in a minute, and"
    " at the end nothing is held",
    prove,
)
