"""Thousands of sockets are cut at once, and all devices come back within seconds: as when a network breaks down.

The daemon runs as an operator would run it: nothing is set but the key that signs tokens and the ports. All limits are
the usual ones; those of addresses (logins, sockets) do not count for loopback, from which everybody comes here, those
of a phone and of a device do. One phone has as many devices as it may have: whoever of them comes back while its old
socket still counts is refused, and comes again. Before that, one more is refused on purpose.

The storm is done twice. First each client resets its connection. Then they leave their sockets open and say nothing
more, as when a router loses its power: each that comes back displaces its older self.

Some of the devices are in calls: these must go on, and end when one of the two ends them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Final

from msgspec import Struct

from acceptance.crowd.crowd import AS_USUAL, Crowd, come, door_of, leave
from acceptance.crowd.handset import Handset
from acceptance.crowd.seen import Seen, in_milliseconds
from acceptance.crowd.talk import Talk
from acceptance.daemon import CountedDaemon, running
from acceptance.proof import Outcome, Proof
from bench.circumstances import allow_many_files
from bench.devices import address_of
from callnet.config.schema import LimitSettings
from harness.base_protocol import Address

OF_A_PHONE: Final = LimitSettings().sockets_of_a_phone
LARGE_FAMILY: Final = "13999999999"
BACK_WITHIN: Final = 60.0
"""Seconds."""
CALM: Final = 1.0
"""Seconds after which nothing is left to do for those who have just come."""


class Plan(Struct, frozen=True):
    """The amounts."""

    devices: int
    calls: int
    jitter: float
    """Seconds within which each device begins to come back."""


FULL: Final = Plan(5_000, 250, 20.0)
BRIEF: Final = Plan(800, 40, 5.0)


class Storm:
    """The devices, and their events."""

    def __init__(self, daemon: CountedDaemon, plan: Plan, random: Random) -> None:
        self._plan = plan
        self._random = random
        self._seen = Seen()
        self._doors = [door_of(daemon)]
        single = [self._device(address_of(number)) for number in range(plan.devices - OF_A_PHONE)]
        self._family = [self._device(Address(LARGE_FAMILY, f"dev{number}")) for number in range(OF_A_PHONE)]
        self._all = [*single, *self._family]
        self._crowd = Crowd(single, self._seen, random, (0.1, 1.0), (0.0, 0.0))
        self.counts: Final[dict[str, object]] = {"devices": plan.devices, "of these of one phone": OF_A_PHONE}
        self.misses: Final[list[str]] = []

    def _device(self, address: Address) -> Handset:
        return Handset(address, self._doors, self._seen, self._random)

    async def rage(self) -> None:
        """All of it."""
        await come(self._all)
        await self._see_refusal()
        talks = [self._crowd.talk(*self._crowd.free(2)) for _ in range(self._plan.calls)]
        await asyncio.gather(*(talk.begin() for talk in talks))
        self.counts["calls in progress"] = sum(talk.in_progress for talk in talks)
        for kind, silently in (("connections reset", False), ("connections left open", True)):
            await self._break_down(kind, silently)
            self._look_at(kind, talks)
        await asyncio.gather(*map(self._crowd.end, talks))
        await leave(self._all)
        self.counts.update(self._seen.counts())
        self.misses.extend(self._seen.misses())

    async def _see_refusal(self) -> None:
        """One device more than a phone may have is told when to come again, and comes in when there is room."""
        one_more, answers = self._device(Address(LARGE_FAMILY, "one more")), self._seen.answers
        comes = asyncio.create_task(one_more.connect())
        with suppress(TimeoutError):
            async with asyncio.timeout(BACK_WITHIN):
                while not (answers["429"] or comes.done()):  # noqa: ASYNC110  nobody tells of it
                    await asyncio.sleep(0.02)
        if not answers["429"]:
            self.misses.append(f"a phone may have {OF_A_PHONE} devices, and has one more")
        self.counts["refused on purpose, with Retry-After"] = answers["429"]
        one_more.leave()
        comes.cancel()
        await asyncio.wait([comes])

    async def _break_down(self, kind: str, silently: bool) -> None:
        """Cut everybody, and wait until all are back; handshakes are counted from zero."""
        seen = self._seen
        seen.answers.clear()
        seen.handshakes.clear()
        began = time.monotonic()
        for device in self._all:
            device.cut(silently)
        cut = time.monotonic() - began
        try:
            async with asyncio.timeout(2 * BACK_WITHIN):
                await asyncio.gather(*map(self._come_back, self._all))
        except TimeoutError:
            self.misses.append(f"{kind}: {sum(not device.connected for device in self._all)} devices never came back")
        took = time.monotonic() - began
        await asyncio.sleep(CALM)
        figures = {
            "until all were cut, s": round(cut, 2),
            "until all were back, s": round(took, 1),
            **seen.handshake_counts(),
            **in_milliseconds("a handshake", seen.handshakes),
        }
        self.counts.update({f"{kind}: {name}": count for name, count in figures.items()})
        if took > BACK_WITHIN:
            self.misses.append(f"{kind}: it took {took:.0f} s until all were back")

    async def _come_back(self, device: Handset) -> None:
        await asyncio.sleep(self._random.uniform(0.0, self._plan.jitter))
        await device.connect()

    def _look_at(self, kind: str, talks: Sequence[Talk]) -> None:
        """Judge the rest afterwards."""
        self.counts[f"{kind}: calls that went on"] = sum(talk.in_progress for talk in talks)
        gone = sum(not device.connected for device in self._all)
        errors = {name: count for name, count in self._seen.answers.items() if name not in ("101", "429", "503")}
        self.misses.extend([f"{kind}: handshakes ended with {errors}"] if errors else [])
        self.misses.extend([f"{kind}: {gone} devices are gone"] if gone else [])


def prove(brief: bool, seed: int) -> Outcome:
    """Five thousand devices, or some hundred."""
    allow_many_files()
    with running(AS_USUAL, limits="") as daemon:
        storm = Storm(daemon, BRIEF if brief else FULL, Random(seed))
        asyncio.run(storm.rage())
        logged = [f"the daemon logged {line}" for line in daemon.complaints()]
    return Outcome(storm.counts, [*storm.misses, *logged])


PROOF: Final = Proof(
    "storm",
    f"{FULL.devices} devices that are cut off at once and begin to come back within {FULL.jitter:.0f} s are all back"
    f" within {BACK_WITHIN:.0f} s, with no errors but 429 or 503 with Retry-After, and their calls go on",
    prove,
)
