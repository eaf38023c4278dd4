"""All devices of a proof, and the calls between them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

from acceptance.crowd.handset import Handset
from acceptance.crowd.seen import Seen
from acceptance.crowd.talk import Talk
from acceptance.daemon import CountedDaemon
from acceptance.faults.line import Door
from bench.devices import KEY
from bench.load import IN_FLIGHT

LOOKED_AT: Final = 50
"""A free one is picked out of this number."""
AS_USUAL: Final = f'[tokens]\nsigning_key = "{KEY.decode()}"\n'
"""The settings of a daemon, in TOML, that runs as an operator would run it, and takes the tokens of handsets."""
Span = tuple[float, float]
"""Seconds, at the least and at the most."""


class Crowd:
    """The devices.

    :param rings: how long a call rings.
    :param lasts: how long it is talked in.
    """

    def __init__(self, handsets: Sequence[Handset], seen: Seen, random: Random, rings: Span, lasts: Span) -> None:
        self.handsets: Final = handsets
        self.seen: Final = seen
        self.talks: Final[set[Talk]] = set()
        """The calls that there are."""
        self.begun = 0
        self._random = random
        self._rings = rings
        self._lasts = lasts
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, rate: float, until: asyncio.Event) -> None:
        """Have calls begin at random, ``rate`` a second, until told to stop; and wait until all have ended."""
        due = time.monotonic()
        while not until.is_set():
            due += self._random.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            pair = self.free(2)
            if len(pair) == 2:
                task = asyncio.create_task(self._talk(self.talk(*pair)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        await asyncio.gather(*self._tasks)

    def free(self, count: int) -> Sequence[Handset]:
        """Some who are connected and in no call; fewer if they are not easily found. All speak the same protocol."""
        some = self._random.sample(self.handsets, min(LOOKED_AT, len(self.handsets)))
        free = [one for one in some if one.is_free]
        return [one for one in free if one.extended is free[0].extended][:count]

    def talk(self, caller: Handset, callee: Handset) -> Talk:
        """A call between two, which is to be placed."""
        self.begun += 1
        talk = Talk(caller, callee, self.seen, self._random, self._random.uniform(*self._rings))
        self.talks.add(talk)
        return talk

    async def end(self, talk: Talk) -> None:
        """Have one of the two hang up, if they are in a call."""
        if talk.in_progress:
            await talk.end(self._random.choice(talk.both))
        talk.close()
        self.talks.discard(talk)

    async def _talk(self, talk: Talk) -> None:
        if await talk.begin():
            await asyncio.sleep(self._random.uniform(*self._lasts))
        await self.end(talk)


def door_of(daemon: CountedDaemon) -> Door:
    """Where a daemon that is alone serves."""
    return Door(0, daemon.ports["account"], daemon.ports["signaling"], daemon.ports["site"])


async def come(handsets: Iterable[Handset]) -> None:
    """Connect them, some at once."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(handset: Handset) -> None:
        async with slots:
            await handset.connect()

    await asyncio.gather(*map(one, handsets))


async def leave(handsets: Iterable[Handset]) -> None:
    """Have them all go, and give their last frames the time to arrive."""
    for handset in handsets:
        handset.leave()
    await asyncio.sleep(1.0)
