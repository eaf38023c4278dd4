"""The whole proof: a run without faults, one with all of them, one with failovers, and three that must fail."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from random import Random
from typing import Final

from acceptance.faults.cluster import Cluster, linked, watched
from acceptance.faults.excuses import Kind
from acceptance.faults.run import Plan, run
from acceptance.proof import Outcome, Proof

DEVICES: Final = 200
FEWER: Final = 120
EACH: Final = 20
"""The number of times that every fault is done."""
SUBSCRIBERS_KILLED: Final = 100
IN_A_SLICE: Final = 6
SHOWN: Final = 20
"""The number of misses that are shown."""
NEVER: Final = 2**31 - 1
"""Collections of the middle generation before a full one. A full one walks the books of all calls, and makes the
harness late by half a second."""

ON_ONE_REDIS: Final = tuple(kind for kind in Kind if kind is not Kind.FAILOVER)
MUST_FAIL: Final[Mapping[str, Sequence[Kind]]] = {
    "epoch": (Kind.NODE_STOPPED_LONG, Kind.LINK_CUT_LONGER, Kind.LINK_FROZEN),
    "reread": (Kind.SUBSCRIBER_CUT,),
    "sweep": (Kind.NODE_KILLED,),
}
"""The safeguards that are taken out, with the faults that they are for."""
TRIES: Final = 12
"""The number of faults in which a suite has to find that a safeguard is missing."""


def kinds(random: Random, brief: bool) -> list[Kind]:
    """Which faults to do, in which order."""
    if brief:
        return random.sample(ON_ONE_REDIS, IN_A_SLICE)
    every: list[Kind] = [kind for kind in ON_ONE_REDIS for _ in range(EACH)]
    every += [Kind.SUBSCRIBERS_KILLED] * (SUBSCRIBERS_KILLED - EACH)
    random.shuffle(every)
    return every


def without(safeguard: str) -> Plan:
    """A run that must be seen to fail."""
    faults = [kind for _ in range(TRIES) for kind in MUST_FAIL[safeguard]][:TRIES]
    return Plan(DEVICES, faults, calm=5, forgets=False, shown=False)


def plans(random: Random, brief: bool) -> dict[str, tuple[Plan, AbstractAsyncContextManager[Cluster]]]:
    """The plans, their requirements and their clusters, by name."""
    if brief:
        return {"a slice": (Plan(FEWER, kinds(random, brief), calm=8, forgets=False), linked())}
    return {
        "without faults": (Plan(DEVICES, (), calm=60, forgets=True), linked()),
        "with faults": (Plan(DEVICES, kinds(random, brief), calm=10, forgets=True), linked()),
        "with Sentinels": (Plan(DEVICES, [Kind.FAILOVER] * EACH, calm=10, forgets=True), watched()),
    }


@contextmanager
def no_full_collection() -> Iterator[None]:
    """Have garbage looked for among young objects alone until the block ends."""
    usual = gc.get_threshold()
    gc.set_threshold(*usual[:2], NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@no_full_collection()
def prove(brief: bool, seed: int) -> Outcome:
    """Everything, which takes most of an hour; or a minute and a half of it."""
    random = Random(seed)
    counts: dict[str, object] = {}
    misses: list[str] = []
    for name, (plan, cluster) in plans(random, brief).items():
        print(f"== {name}", flush=True)
        came = asyncio.run(run(plan, random.getrandbits(32), cluster))
        counts |= {f"{name}: {what}": count for what, count in came.counts.items()}
        misses += [f"{name}: {miss.splitlines()[0]}" for miss in came.misses[:SHOWN]]
    for safeguard in () if brief else MUST_FAIL:
        print(f"== without {safeguard}, which must be seen to fail", flush=True)
        came = asyncio.run(
            run(without(safeguard), random.getrandbits(32), linked(("acceptance.faults.sabotaged", safeguard)))
        )
        counts[f"with {safeguard} taken out: calls lost"] = came.counts["calls lost"]
        counts[f"with {safeguard} taken out: found"] = _first(came.misses)
        if not came.misses:
            misses.append(f"{safeguard} was taken out, and nothing was found to be wrong")
    return Outcome(counts, misses)


def _first(misses: Iterable[str]) -> str:
    return next((miss.splitlines()[0] for miss in misses), "nothing")


PROOF: Final = Proof(
    "faults",
    "no call is lost: each that goes wrong is excused by a fault that hit its own node, link or Redis in that fault's"
    " window, nobody is stuck for longer than ring time and grace, all promises hold, the servers' numbers agree,"
    " at the end nothing is held; and runs with a safeguard taken out are seen to fail",
    prove,
)
