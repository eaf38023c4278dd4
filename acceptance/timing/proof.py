"""Is it found out by the clock why somebody is ``offline``? A daemon that is slower for one kind must be."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from acceptance.proof import Outcome, Proof
from acceptance.timing.asking import COLD, WARM, Asking, Measured
from acceptance.timing.judge import MEDIAN, P95, TENTH, Tolerance
from acceptance.timing.stage import Stage

SLOWED: Final = "acceptance.timing.slowed"
SLOW: Final = "blocked"
"""The kind that takes longer there."""
SHOWN: Final = 10
STAGES: Final[Mapping[str, int]] = {"one process": 1, "two nodes": 2}
"""How many daemons there are; the caller is on the first, the callees are on the last."""


class Plan(Struct, frozen=True):
    """How much is asked."""

    each: int
    """Callees of each kind."""
    rounds: int
    """Times that a daemon is started; each is asked for all, cold and warm."""
    slow_rounds: int
    """The same of one that takes longer,"""
    slower: int
    """and by how many microseconds."""
    tolerance: Tolerance


WHOLE: Final = Plan(1000, 10, 2, 50, {MEDIAN: 0.05, P95: 0.05})
BRIEF: Final = Plan(60, 2, 2, 500, {TENTH: 0.3})
"""Of few, and on a machine that does other things too, those say most that nothing came between."""


class Trial(Struct, frozen=True):
    """Daemons as they are, and such as take longer for one kind."""

    stage: str
    real: Measured
    slowed: Measured

    def counts(self, plan: Plan) -> Iterator[tuple[str, object]]:
        """What was measured, in words."""
        for of, measured in (("", self.real), (f"{plan.slower} µs more for {SLOW}, ", self.slowed)):
            for temperature, kinds in measured.compared.items():
                for each in kinds:
                    yield f"{self.stage}, {of}{temperature}, {each.kind}", each

    def misses(self, plan: Plan) -> Iterator[str]:
        """Where the target was missed."""
        yield from (f"{self.stage}, {miss}" for miss in self.real.misses(plan.tolerance))
        yield from (f"{self.stage}: a daemon logged {line}" for line in self.real.complaints[:SHOWN])
        found_out = self.slowed.misses(plan.tolerance)
        for temperature in (COLD, WARM):
            if not any(miss.startswith(f"{temperature}, {SLOW}: ") for miss in found_out):
                yield f"{self.stage}, {temperature}: {plan.slower} µs more for {SLOW} were not found out"


def try_on(stage: str, plan: Plan, random: Random) -> Trial:
    """Have daemons be asked, first as they are."""
    with (
        tempfile.TemporaryDirectory(prefix="callnet-timing-") as folder,
        closing(Stage(Path(folder), STAGES[stage])) as daemons,
    ):
        asking = Asking(daemons, plan.each, random)
        real = asking.measure(plan.rounds)
        return Trial(stage, real, asking.measure(plan.slow_rounds, SLOWED, str(plan.slower)))


def prove(brief: bool, seed: int) -> Outcome:
    """A few of each kind, or ten thousand cold and ten thousand warm."""
    plan, random = BRIEF if brief else WHOLE, Random(seed)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    trials = [try_on(stage, plan, random) for stage in STAGES]
    counts: dict[str, object] = {
        "calls of each kind, cold, and as many warm": plan.each * plan.rounds,
        "a kind may be off by": ", ".join(f"{most:.0%} ({part})" for part, most in plan.tolerance.items()),
    }
    for trial in trials:
        counts |= trial.counts(plan)
    return Outcome(counts, [miss for trial in trials for miss in trial.misses(plan)])


PROOF: Final = Proof(
    "timing",
    "how long the answer `offline` takes does not tell whether the callee is unknown, offline, gone, has blocked the"
    " caller, does not list them or has quiet hours, or sleeps, in which case it is not woken: medians and 95th"
    " percentiles are within 5 % of those of all, cold and warm, and 50 µs more for one of them are found out",
    prove,
)
