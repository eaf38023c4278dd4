"""One run: a cluster, its devices and probes, faults in random order, and the rest when all have gone."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Final

from msgspec import Struct, field

from acceptance.faults import leftover
from acceptance.faults.books import Books
from acceptance.faults.cluster import Cluster
from acceptance.faults.excuses import Fault, Kind
from acceptance.faults.fleet import Fleet
from acceptance.faults.injector import Injector, nothing
from acceptance.faults.metrics import Scraper
from acceptance.faults.probes import Probes
from acceptance.faults.tally import Tally
from harness import ROOT
from harness.leaks import errors

GAP: Final = (0.5, 3.0)
"""The time between the visible end of one fault and the next one, in seconds."""
AWAY: Final = frozenset(
    {
        Kind.REDIS_KILLED,
        Kind.REDIS_STOPPED,
        Kind.REDIS_CUT_OFF,
        Kind.LINK_CUT_LONG,
        Kind.LINK_CUT_LONGER,
        Kind.LINK_FROZEN,
        Kind.FAILOVER,
    }
)
"""Faults during which a node may be without Redis for long enough to try the promises for that."""
PREFIX: Final = "callnet:"
SHOWN: Final = 10
"""The number of lines of a kind that are shown."""
LOGS: Final = ROOT / "build" / "acceptance" / "nodes"
"""Where the logs of the last run are kept."""
AT_ONCE: Final = frozenset({Kind.SUBSCRIBERS_KILLED})
"""Faults without a visible effect, so that nothing need be waited for."""


class Plan(Struct, frozen=True):
    """The plan of a run."""

    devices: int
    kinds: Sequence[Kind]
    """The faults, in their order."""
    calm: float
    """The time without faults at first, in seconds."""
    forgets: bool
    """True: wait until Redis has forgotten the calls that are over."""
    shown: bool = True
    """True: print actions and losses as they happen."""


class Came(Struct):
    """The result of a run."""

    counts: dict[str, object] = field(default_factory=dict)
    misses: list[str] = field(default_factory=list)


class Run:
    """One run of a plan."""

    def __init__(self, plan: Plan, made: Cluster, random: Random) -> None:
        self._plan = plan
        self._cluster = made
        self._random = random
        self._faults: list[Fault] = []
        self._books = Books()
        self._tally = Tally(self._books, self._faults)
        doors = [node.door for node in made.nodes]
        self._fleet = Fleet(doors, self._books, self._tally, plan.devices, random, self._say)
        self._probes = Probes(doors, [node.admin for node in made.nodes], self._books, random, self._say)
        self._injector = Injector(made, self._faults, random)
        self._scraper = Scraper(made.nodes)

    async def go(self) -> Came:
        """Do it all."""
        came = Came()
        before = await asyncio.to_thread(self._cluster.nodes[0].life.census)
        scraping = asyncio.create_task(self._scraper.keep_reading())
        try:
            await self._live()
        finally:
            scraping.cancel()
        await self._scraper.read()
        counted = self._scraper.total()
        injected = Counter(fault.kind.value for fault in self._faults)
        came.counts |= {f"faults, {kind}": count for kind, count in sorted(injected.items())}
        came.counts |= self._tally.counts() | self._probes.promises.counts() | self._tally.expected.counts(counted)
        came.counts["longest that a node was silent, s"] = round(self._scraper.longest, 2)
        came.counts |= {"pages": self._fleet.pages.opened, "pages that heard the other": self._fleet.pages.met}
        came.misses += [*self._fleet.misses(), *self._probes.promises.broken]
        came.misses += self._tally.expected.disagreements(counted)
        came.misses += await self._left(before)
        return came

    async def _left(self, before: Mapping[str, int]) -> list[str]:
        """The rest when everyone has left."""
        brief, nodes = not self._plan.forgets, self._cluster.nodes
        in_redis = await leftover.in_redis(self._cluster.store.server, PREFIX, len(nodes), brief)
        in_processes = await leftover.in_processes(nodes, before, brief)
        LOGS.mkdir(parents=True, exist_ok=True)
        for node in nodes:
            (LOGS / f"node{node.number}.log").write_text(node.logs())
        logs = [line for node in nodes for line in errors(node.logs())]
        return [
            *(f"Redis still holds {line}" for line in in_redis[:SHOWN]),
            *(f"a process still holds {line}" for line in in_processes[:SHOWN]),
            *(f"a node logged {line}" for line in logs[:SHOWN]),
        ]

    async def _live(self) -> None:
        """The life from the first device's coming to the last one's leaving."""
        began = time.monotonic()
        await self._fleet.come()
        await self._probes.come()
        lives = self._fleet.live()
        await asyncio.sleep(self._plan.calm)
        for kind in self._plan.kinds:
            await self._fault(kind, began)
            await asyncio.sleep(self._random.uniform(*GAP))
        await self._fleet.rest(lives)
        await self._fleet.prove_free()
        await asyncio.gather(*(probe.leave() for probe in self._probes.phones))
        await self._fleet.leave()

    def _say(self, line: str) -> None:
        if self._plan.shown:
            print(line, flush=True)

    async def _fault(self, kind: Kind, began: float) -> None:
        self._say(f"{time.monotonic():.2f} ({time.monotonic() - began:.0f} s) {kind.value}")
        fault = await self._injector.inject(kind, self._probes.while_away if kind in AWAY else nothing)
        self._say(f"{time.monotonic():.2f}   node {fault.node}, {fault.start:.2f} to {fault.end:.2f}")
        if kind not in AT_ONCE:
            await self._probes.once_back(fault)
        await self._injector.make_whole(kind)


async def run(plan: Plan, seed: int, cluster: AbstractAsyncContextManager[Cluster]) -> Came:
    """Have the cluster made, and carry out the plan."""
    async with cluster as made:
        return await Run(plan, made, Random(seed)).go()
