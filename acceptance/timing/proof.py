"""The proof that the clock does not tell why somebody is ``offline``; of a daemon that answers at once it must."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from acceptance.proof import Outcome, Proof
from acceptance.timing.asking import Asking
from acceptance.timing.judge import misses
from acceptance.timing.stage import Stage

SLOW: Final = "blocked"
"""The kind that the daemons take longer to refuse ..."""
SLOWER: Final = 5
"""... by this number of milliseconds."""
SLOWED: Final = ("acceptance.timing.slowed", str(SLOWER))
AT_ONCE: Final = "calls.offline_after = 0\n"
SHOWN: Final = 10
STAGES: Final[Mapping[str, int]] = {"one process": 1, "two nodes": 2}
"""The number of daemons; the caller is on the first, the callees are on the last."""


class Plan(Struct, frozen=True):
    """The number of requests."""

    each: int
    """Callees of each kind."""
    rounds: int
    """Times that daemons are started; each callee is called once."""
    tolerance: float
    """The most that the median of a kind may be off that of all, in milliseconds."""


WHOLE: Final = Plan(300, 5, 1.0)
BRIEF: Final = Plan(40, 1, 3.0)
"""The median of so few differs by chance."""


def prove(brief: bool, seed: int) -> Outcome:
    """A few of each kind, or fifteen hundred."""
    plan, random = BRIEF if brief else WHOLE, Random(seed)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    counts: dict[str, object] = {
        "calls of each kind": plan.each * plan.rounds,
        "the median of a kind may be off by, in milliseconds": plan.tolerance,
    }
    missed: list[str] = []
    for name, nodes in STAGES.items():
        with (
            tempfile.TemporaryDirectory(prefix="callnet-timing-") as folder,
            closing(Stage(Path(folder), nodes)) as stage,
        ):
            asking = Asking(stage, plan.each, random)
            hidden, complaints = asking.measure(plan.rounds, SLOWED)
            shown, _ = asking.measure(1, SLOWED, AT_ONCE)
        for how, compared in (("", hidden), ("at once, ", shown)):
            counts |= {f"{name}, {how}{one.kind}": one for one in compared}
        missed += [f"{name}, {miss}" for miss in misses(hidden, plan.tolerance)]
        missed += [f"{name}: a daemon logged {line}" for line in complaints[:SHOWN]]
        if not any(one.kind == SLOW and one.off > plan.tolerance for one in shown):
            missed.append(f"{name}: {SLOWER} ms more for {SLOW} were not found out of a daemon that answers at once")
    return Outcome(counts, missed)


PROOF: Final = Proof(
    "timing",
    "how long the answer `offline` takes does not tell whether the callee is unknown, offline, gone, has blocked the"
    " caller, does not list them or has quiet hours, or sleeps, in which case it is not woken: it comes 150 ms after"
    f" the call, with the same median for all, though the daemon takes {SLOWER} ms more for one of them, which of one"
    " that answers at once is found out",
    prove,
)
