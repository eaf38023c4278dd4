"""Rounds of calls to everybody, in random order."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from random import Random
from typing import Final

from msgspec import Struct

from acceptance.timing.callees import CALLER, DEVICE, KINDS, Callee, make
from acceptance.timing.judge import Compared, Times, Tolerance, compare
from acceptance.timing.stage import Stage
from acceptance.timing.stopwatch import Line, call
from harness.wire import login

STRANGER: Final = "13999999999"
"""Is asked for where times do not count."""
LIVE_EVERY: Final = 5.0
"""Seconds after which callees show that they live; nothing is measured meanwhile."""
SETTLED: Final = 2.0
"""Seconds until a daemon to which many devices have come has nothing to do."""
WOKEN_IN: Final = 10.0
"""Seconds until the gateway has been asked."""
WARMING_UP: Final = 200
"""Calls that do not count, before those that do."""
COLD: Final = "cold"
WARM: Final = "warm"


class Measured(Struct, frozen=True):
    """What came of some rounds."""

    compared: Mapping[str, Sequence[Compared]]
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


class Asking:
    """Asks one daemon after the other, each for the same callees.

    :param each: callees of each kind; in each round each is asked for twice, the first time cold.
    """

    def __init__(self, stage: Stage, each: int, random: Random) -> None:
        self._stage = stage
        self._random = random
        with stage.running() as nodes:
            asyncio.run(self._prepare(nodes[0]["account"], each))

    async def _prepare(self, port: int, each: int) -> None:
        self._callees = await make(port, each)
        self._token = await login(port, *CALLER)
        some = {callee.kind.name: callee.phone for callee in self._callees if callee.kind.is_online}
        self._others = {phone: await login(port, phone, "pad") for phone in some.values()}
        """Tokens of second devices, one for each kind that is online: to see that the first one is there."""
        sleeper = next(callee.phone for callee in self._callees if callee.kind.can_be_woken)
        self._sleeper = sleeper, await login(port, sleeper, "pad")

    def measure(self, rounds: int, *program: str) -> Measured:
        """Start daemons so often, and ask.

        :param program: what is run, if not a daemon as it is.
        """
        found: dict[str, list[Times]] = {COLD: [], WARM: []}
        complaints: list[str] = []
        for _ in range(rounds):
            with self._stage.running(*([program] if program else [])) as nodes:
                for name, times in self._ask(nodes[0]["signaling"], nodes[-1]["signaling"]).items():
                    found[name].append(times)
            complaints += self._stage.complaints()
        return Measured({name: compare(times) for name, times in found.items()}, complaints)

    def _ask(self, port: int, callees_port: int) -> Mapping[str, Times]:
        order = [callee for callee in self._callees for _ in (COLD, WARM)]
        self._random.shuffle(order)
        asked = [(callee.phone, callee.kind.name, call(callee.phone)) for callee in order]
        found: dict[str, dict[str, list[int]]] = {name: {kind.name: [] for kind in KINDS} for name in (COLD, WARM)}
        seen: set[str] = set()
        with closing(Lines(callees_port, self._callees)) as callees, closing(Line.open(port, self._token)) as caller:
            with without_garbage():
                lived_at = _warm_up(caller, callees)
                for phone, kind, frame in asked:
                    if time.monotonic() - lived_at > LIVE_EVERY:
                        lived_at = _warm_up(caller, callees)
                    found[WARM if phone in seen else COLD][kind].append(caller.ask(frame))
                    seen.add(phone)
            if self._stage.was_to_wake():
                raise ValueError("somebody was to be woken who must not be called")
            for phone, token in self._others.items():
                callees.require(phone, port, token)
            self._require_sleeper(port)
        return {name: dict(times) for name, times in found.items()}

    def _require_sleeper(self, port: int) -> None:
        """See to it that who sleeps could be woken: another device of its phone calls it.

        :raises ValueError: it could not.
        """
        phone, token = self._sleeper
        with closing(Line.open(port, token)) as other:
            other.say(call(phone))
            until = time.monotonic() + WOKEN_IN
            while not self._stage.was_to_wake():
                if time.monotonic() > until:
                    raise ValueError(f"the {DEVICE} of {phone} was not woken")
                time.sleep(0.05)


def _warm_up(caller: Line, callees: Lines) -> float:
    """Have everybody live, and wait until the daemon has nothing else to do; when that was."""
    callees.live()
    time.sleep(SETTLED / 4)
    frame = call(STRANGER)
    for _ in range(WARMING_UP):
        caller.ask(frame)
    return time.monotonic()


class Lines:
    """The sockets of callees who are online."""

    def __init__(self, port: int, callees: Sequence[Callee]) -> None:
        self._lines: dict[str, Line] = {}
        for number, callee in enumerate(callees):
            if callee.kind.is_online:
                self._lines[callee.phone] = Line.open(port, callee.token)
            elif callee.kind.was_online:
                Line.open(port, callee.token).close()
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
