"""Asks for all kinds of callees in random order, of a daemon as it is and of one that is slower for one kind."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from acceptance.daemon import LISTENERS, WITHOUT_LIMITS, complaints, launch, ports, stop
from acceptance.proof import Outcome, Proof
from acceptance.timing.callees import CALLER, DEVICE, KINDS, SETTINGS, Callee, make
from acceptance.timing.judge import MEDIAN, P95, TENTH, Compared, Times, Tolerance, compare
from acceptance.timing.stopwatch import Line, call, on_one_cpu
from acceptance.wire import login

AS_IT_IS: Final = ("acceptance.census",)
SLOWED: Final = "acceptance.timing.slowed"
SLOW: Final = "blocked"
"""The kind that takes longer there."""
STRANGER: Final = "13999999999"
"""Is asked for where times do not count."""
LIVE_EVERY: Final = 5.0
"""Seconds after which callees show that they live; nothing is measured meanwhile."""
SHOWN: Final = 10
SETTLED: Final = 2.0
"""Seconds until a daemon to which many devices have come has nothing to do."""
COLD: Final = "cold"
WARM: Final = "warm"


class Plan(Struct, frozen=True):
    """How much is asked."""

    each: int
    """Callees of each kind; in each round each is asked for twice, the first time cold."""
    rounds: int
    """Times that a daemon is started."""
    control_rounds: int
    control: int
    """Microseconds that the other daemon takes longer."""
    tolerance: Tolerance
    warming_up: int = 500


WHOLE: Final = Plan(1000, 10, 2, 50, {MEDIAN: 0.05, P95: 0.05})
BRIEF: Final = Plan(60, 2, 2, 500, {TENTH: 0.3}, warming_up=100)
"""Of few, and on a machine that does other things too, those say most that nothing came between."""


class Measured(Struct, frozen=True):
    """What came of some rounds."""

    compared: dict[str, Sequence[Compared]]
    """Cold and warm."""
    complaints: Sequence[str]
    """What the daemons logged above info."""

    def misses(self, tolerance: Tolerance) -> list[str]:
        """What is off too far, in words."""
        return [
            f"{name}, {miss}"
            for name, all_kinds in self.compared.items()
            for compared in all_kinds
            for miss in compared.misses(tolerance)
        ]


class Bench:
    """Daemons one after the other, with the same accounts, on a processor of their own."""

    def __init__(self, folder: Path, plan: Plan, random: Random) -> None:
        self._folder = folder
        self._plan = plan
        self._random = random
        cpus = sorted(os.sched_getaffinity(0))
        self._own, self._daemons = cpus[0], cpus[-1]
        with self._running(AS_IT_IS) as served:
            self._callees = asyncio.run(make(served["account"], plan.each))
            self._token = asyncio.run(login(served["account"], *CALLER))
            self._own_tokens = asyncio.run(self._log_in_again(served["account"]))

    def measure(self, program: Sequence[str], rounds: int) -> Measured:
        """Ask so many daemons."""
        found: dict[str, list[Times]] = {COLD: [], WARM: []}
        complained: list[str] = []
        for _ in range(rounds):
            for name, times in self._round(program).items():
                found[name].append(times)
            complained += complaints((self._folder / "log").read_text(errors="replace"))
        return Measured({name: compare(times) for name, times in found.items()}, complained)

    async def _log_in_again(self, port: int) -> dict[str, str]:
        """Tokens of second devices, one for a phone of each kind that is online: to see that the first one is there."""
        firsts = {callee.kind.name: callee.phone for callee in self._callees if callee.kind.is_online}
        return {phone: await login(port, phone, "pad") for phone in firsts.values()}

    @contextmanager
    def _running(self, program: Sequence[str]) -> Iterator[dict[str, int]]:
        settings = f'state_dir = "{self._folder}/state"\n{SETTINGS}{WITHOUT_LIMITS}{LISTENERS}'
        process = launch(self._folder, settings, program, ("taskset", "--cpu-list", str(self._daemons)))
        try:
            yield ports(process, self._folder / "log")
        finally:
            stop(process)

    def _round(self, program: Sequence[str]) -> dict[str, Times]:
        cpus = os.sched_getaffinity(0)
        with self._running(program) as served, closing(Lines(served["signaling"], self._callees)) as callees:
            on_one_cpu([self._own])
            try:
                return self._ask_all(served["signaling"], callees)
            finally:
                os.sched_setaffinity(0, cpus)

    def _ask_all(self, port: int, callees: Lines) -> dict[str, Times]:
        order = [callee for callee in self._callees for _ in (COLD, WARM)]
        self._random.shuffle(order)
        asked = [(callee.phone, callee.kind.name, call(callee.phone)) for callee in order]
        found: dict[str, dict[str, list[int]]] = {name: {kind.name: [] for kind in KINDS} for name in (COLD, WARM)}
        seen: set[str] = set()
        with closing(Line.open(port, self._token)) as caller, without_garbage():
            self._warm_up(caller, callees)
            lived_at = time.monotonic()
            for phone, kind, frame in asked:
                if time.monotonic() - lived_at > LIVE_EVERY:
                    self._warm_up(caller, callees)
                    lived_at = time.monotonic()
                found[WARM if phone in seen else COLD][kind].append(caller.ask(frame))
                seen.add(phone)
        for phone, token in self._own_tokens.items():
            callees.require(phone, port, token)
        return {name: dict(times) for name, times in found.items()}

    def _warm_up(self, caller: Line, callees: Lines) -> None:
        """Have everybody live, and wait until the daemon has nothing else to do."""
        callees.live()
        time.sleep(SETTLED / 4)
        frame = call(STRANGER)
        for _ in range(self._plan.warming_up):
            caller.ask(frame)


class Lines:
    """The sockets of callees who are online."""

    def __init__(self, port: int, callees: Sequence[Callee]) -> None:
        self._lines: dict[str, Line] = {}
        for number, callee in enumerate(callees):
            if callee.kind.is_online:
                self._lines[callee.phone] = Line.open(port, callee.token)
            if number % 1000 == 0:
                self.live()
        time.sleep(SETTLED)

    def live(self) -> None:
        """Have all show that they live."""
        for line in self._lines.values():
            line.live()

    def require(self, phone: str, port: int, token: str) -> None:
        """See to it that a callee can be reached: another device of its phone calls it.

        :raises ValueError: it cannot.
        """
        with closing(Line.open(port, token)) as other:
            other.say(call(phone))
            if not self._lines[phone].hears(b'"called"'):
                raise ValueError(f"the {DEVICE} of {phone} was not there")

    def close(self) -> None:
        """Have all leave."""
        for line in self._lines.values():
            line.close()


@contextmanager
def without_garbage() -> Iterator[None]:
    """Have Python not look for garbage meanwhile."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def prove(brief: bool, seed: int) -> Outcome:
    """A few of each kind, or ten thousand cold and ten thousand warm."""
    plan = BRIEF if brief else WHOLE
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory(prefix="callnet-timing-") as name:
        bench = Bench(Path(name), plan, Random(seed))
        real = bench.measure(AS_IT_IS, plan.rounds)
        control = bench.measure((SLOWED, str(plan.control)), plan.control_rounds)
    tolerance = plan.tolerance
    counts: dict[str, object] = {
        "calls of each kind, cold, and as many warm": plan.each * plan.rounds,
        "a kind may be off by": ", ".join(f"{most:.0%} ({part})" for part, most in tolerance.items()),
    }
    for of, measured in (("", real), (f"with {plan.control} µs more for {SLOW}: ", control)):
        for temperature, kinds in measured.compared.items():
            counts |= {f"{of}{temperature}, {each.kind}": each for each in kinds}
    found_out = [miss for miss in control.misses(tolerance) if f", {SLOW}: " in miss]
    counts["found out where it is slower"] = "; ".join(found_out)
    misses = [*real.misses(tolerance), *(f"the daemon logged {line}" for line in real.complaints[:SHOWN])]
    misses += [
        f"{temperature}: {plan.control} µs more for {SLOW} were not found out"
        for temperature in (COLD, WARM)
        if not any(miss.startswith(temperature) for miss in found_out)
    ]
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "timing",
    "how long the answer `offline` takes does not tell whether the callee is unknown, offline, has blocked the caller,"
    " does not list them or has quiet hours: medians and 95th percentiles are within 5 % of those of all,"
    " cold and warm, and 50 µs more for one of them are found out",
    prove,
)
