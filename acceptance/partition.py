"""Two nodes and Redis in three network namespaces whose cables are pulled and put back, under load."""

from __future__ import annotations

import asyncio
import os
from random import Random
from typing import Final

from acceptance.faults.apart import WRONG_BY, apart
from acceptance.faults.excuses import Kind
from acceptance.faults.run import Plan, run
from acceptance.proof import Outcome, Proof

DEVICES: Final = 80
KINDS: Final = (Kind.LINK_CUT_SHORT, Kind.LINK_CUT_LONG, Kind.LINK_CUT_LONGER, Kind.REDIS_CUT_OFF)
EACH: Final = 8
SHOWN: Final = 20


def prove(brief: bool, seed: int) -> Outcome:
    """Every kind of cut once, or several times."""
    if os.getuid():
        return Outcome({}, ["only root can make network namespaces"])
    random = Random(seed)
    kinds = list(KINDS) if brief else [kind for kind in KINDS for _ in range(EACH)]
    random.shuffle(kinds)
    plan = Plan(DEVICES, kinds, calm=8, forgets=not brief)
    came = asyncio.run(run(plan, random.getrandbits(32), apart()))
    counts = {"clock of the second node": WRONG_BY, **came.counts}
    return Outcome(counts, [miss.splitlines()[0] for miss in came.misses[:SHOWN]])


PROOF: Final = Proof(
    "partition",
    "while two nodes and Redis in namespaces of their own are cut off from each other, calls inside a node go on and"
    " others fail at once; when they meet again, everyone is told what is over, and no call is lost without a cause;"
    " that the clocks of the nodes differ by minutes changes nothing",
    prove,
)
