"""PeriodicRuns of calls to everybody, in random order."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from random import Random
from typing import Final

from acceptance.timing.callees import CALLER, DEVICE, KINDS, Callee, make
from acceptance.timing.judge import Compared, compare
from acceptance.timing.stage import Stage
from acceptance.timing.stopwatch import Line, ask, call
from harness.wire import login

STRANGER: Final = "13999999999"
"""Is called where times do not count."""
AT_A_TIME: Final = 400
"""Calls that take less time than callees may be silent; nothing is measured while they show that they live."""
SETTLED: Final = 2.0
"""Seconds until a daemon to which many devices have come has nothing to do."""
WOKEN_IN: Final = 10.0
"""Seconds until the gateway has been asked."""
CALLERS: Final = 20
"""Devices that call in turn: each has its answer before it calls again."""


class Asking:
    """Asks one daemon after the other, each for the same callees.

    :param each: callees of each kind.
    """

    def __init__(self, stage: Stage, each: int, random: Random) -> None:
        self._stage = stage
        self._random = random
        with stage.running() as nodes:
            asyncio.run(self._prepare(nodes[0]["account"], each))

    async def _prepare(self, port: int, each: int) -> None:
        self._callees = await make(port, each)
        self._tokens = [await login(port, CALLER[0], f"{CALLER[1]}{number}") for number in range(CALLERS)]
        some = {callee.kind.name: callee.phone for callee in self._callees if callee.kind.is_online}
        self._others = {phone: await login(port, phone, "pad") for phone in some.values()}
        """Tokens of second devices, one for each kind that is online: to see that the first one is there."""
        sleeper = next(callee.phone for callee in self._callees if callee.kind.can_be_woken)
        self._sleeper = sleeper, await login(port, sleeper, "pad")

    def measure(
        self, rounds: int, program: Sequence[str], settings: str = ""
    ) -> tuple[Sequence[Compared], Sequence[str]]:
        """Start daemons this number of times, and ask: returns the results, and the log lines above info.

        :param program: what is run; see :meth:`Stage.running`.
        :param settings: in TOML.
        """
        times: dict[str, list[float]] = {kind.name: [] for kind in KINDS}
        complaints: list[str] = []
        for _ in range(rounds):
            with self._stage.running(program, settings) as nodes:
                self._ask(nodes[0]["signaling"], nodes[-1]["signaling"], times)
            complaints += self._stage.complaints()
        return compare(times), complaints

    def _ask(self, port: int, callees_port: int, times: dict[str, list[float]]) -> None:
        kinds = {callee.phone: callee.kind.name for callee in self._callees}
        order = list(kinds)
        self._random.shuffle(order)
        with closing(Lines(callees_port, self._callees)) as callees, ExitStack() as stack:
            callers = [stack.enter_context(closing(Line.open(port, token))) for token in self._tokens]
            with without_garbage():
                for start in range(0, len(order), AT_A_TIME):
                    callees.live()
                    time.sleep(SETTLED / 4)
                    list(ask(callers, [STRANGER] * CALLERS))
                    for phone, took in ask(callers, order[start : start + AT_A_TIME]):
                        times[kinds[phone]].append(took)
            if self._stage.was_to_wake():
                raise ValueError("somebody was to be woken who must not be called")
            for phone, token in self._others.items():
                callees.require(phone, port, token)
            self._require_sleeper(port)

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
