"""Injects faults, and records them with their times."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from random import Random
from typing import Final

from acceptance.faults.bounds import BEAT, GRACE, LEASE, STANDS_STILL
from acceptance.faults.cluster import Cluster
from acceptance.faults.excuses import Fault, Kind
from acceptance.faults.links import BOTH, COMMANDS, SUBSCRIBER
from acceptance.faults.servers import ask

SHORT: Final = (0.2, LEASE - BEAT - 0.3)
"""A node or link is away for so long, and its lease does not end."""
LONG: Final = (LEASE + 0.5, GRACE - 0.5)
"""Its lease ends, and its devices are still within the grace."""
LONGER: Final = (LEASE + GRACE + 1.0, STANDS_STILL)
DEAF: Final = (0.3, 4.0)
REDIS_AWAY: Final = (0.5, 4.0)
HELD_BACK: Final = (0.2, 3.0)
"""Writes within this time before a failover are lost."""

During = Callable[[Fault], Awaitable[None]]
"""The check that runs while a fault lasts."""


async def nothing(_fault: Fault) -> None:
    """Try nothing."""


class Injector:
    """Does one fault at a time."""

    def __init__(self, cluster: Cluster, faults: list[Fault], random: Random) -> None:
        self._cluster = cluster
        self._faults = faults
        self._random = random

    async def inject(self, kind: Kind, during: During = nothing) -> Fault:
        """Do it, and undo it. Returns the fault when it is over."""
        number = self._random.randrange(len(self._cluster.nodes))
        ways: Mapping[Kind, Callable[[], Awaitable[Fault]]] = {
            Kind.NODE_KILLED: lambda: self._kill_node(number),
            Kind.NODE_STOPPED_SHORT: lambda: self._stop_node(kind, number, SHORT),
            Kind.NODE_STOPPED_LONG: lambda: self._stop_node(kind, number, (LONG[0], LONGER[1])),
            Kind.REDIS_KILLED: lambda: self._kill_redis(during),
            Kind.REDIS_STOPPED: lambda: self._stop_redis(during),
            Kind.REDIS_CUT_OFF: lambda: self._cut_off_redis(during),
            Kind.REDIS_FLUSHED: lambda: self._command(kind, "FLUSHALL"),
            Kind.SUBSCRIBERS_KILLED: lambda: self._command(kind, "CLIENT", "KILL", "TYPE", "pubsub"),
            Kind.LINK_CUT_SHORT: lambda: self._cut_link(kind, number, SHORT, during),
            Kind.LINK_CUT_LONG: lambda: self._cut_link(kind, number, LONG, during),
            Kind.LINK_CUT_LONGER: lambda: self._cut_link(kind, number, LONGER, during),
            Kind.LINK_FROZEN: lambda: self._freeze_link(number, during),
            Kind.SUBSCRIBER_CUT: lambda: self._cut_link(kind, number, DEAF, nothing, {SUBSCRIBER}),
            Kind.FAILOVER: lambda: self._fail_over(during),
        }
        return await ways[kind]()

    def _begin(self, kind: Kind, node: int | None, loses: float | None = None) -> Fault:
        now = time.monotonic()
        fault = Fault(kind, node, now, unsettled_from=now if loses is None else loses)
        self._faults.append(fault)
        return fault

    def _over(self, fault: Fault) -> Fault:
        fault.end = time.monotonic()
        return fault

    async def _kill_node(self, number: int) -> Fault:
        node = self._cluster.nodes[number]
        fault = self._begin(Kind.NODE_KILLED, node.number)
        node.kill()
        self._over(fault)
        await asyncio.sleep(self._random.uniform(0.2, 3.0))
        await node.start()
        return fault

    async def _stop_node(self, kind: Kind, number: int, seconds: tuple[float, float]) -> Fault:
        node = self._cluster.nodes[number]
        fault = self._begin(kind, node.number)
        node.signal(signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(*seconds))
        node.signal(signal.SIGCONT)
        return self._over(fault)

    async def _kill_redis(self, during: During) -> Fault:
        fault = self._begin(Kind.REDIS_KILLED, None)
        self._cluster.store.server.kill()
        await self._last(fault, self._random.uniform(*REDIS_AWAY), during)
        self._cluster.store.server.restart()
        return self._over(fault)

    async def _stop_redis(self, during: During) -> Fault:
        fault = self._begin(Kind.REDIS_STOPPED, None)
        self._cluster.store.server.stop()
        await self._last(fault, self._random.uniform(*REDIS_AWAY), during)
        self._cluster.store.server.resume()
        return self._over(fault)

    async def _cut_off_redis(self, during: During) -> Fault:
        fault = self._begin(Kind.REDIS_CUT_OFF, None)
        for link in self._cluster.links:
            link.cut()
        await self._last(fault, self._random.uniform(SHORT[0], LONGER[1]), during)
        for link in self._cluster.links:
            link.heal()
        return self._over(fault)

    async def _command(self, kind: Kind, *command: str) -> Fault:
        fault = self._begin(kind, None)
        await ask(self._cluster.store.server, *command)
        return self._over(fault)

    async def _cut_link(
        self, kind: Kind, number: int, seconds: tuple[float, float], during: During, which: Collection[str] = BOTH
    ) -> Fault:
        fault = self._begin(kind, number)
        self._cluster.links[number].cut(which)
        await self._last(fault, self._random.uniform(*seconds), during)
        self._cluster.links[number].heal()
        return self._over(fault)

    async def _freeze_link(self, number: int, during: During) -> Fault:
        kinds = self._random.choice((BOTH, BOTH, {COMMANDS}, {SUBSCRIBER}))
        fault = self._begin(Kind.LINK_FROZEN, number)
        self._cluster.links[number].freeze(kinds)
        await self._last(fault, self._random.uniform(SHORT[0], LONGER[1]), during if kinds == BOTH else nothing)
        self._cluster.links[number].heal()
        return self._over(fault)

    async def _fail_over(self, during: During) -> Fault:
        watched = self._cluster.watched
        if watched is None:
            raise ValueError("nobody watches over this Redis")
        held_back = time.monotonic()
        await watched.hold_back()
        await asyncio.sleep(self._random.uniform(*HELD_BACK))
        fault = self._begin(Kind.FAILOVER, None, held_back)
        trying = asyncio.ensure_future(during(fault))
        await watched.fail_over()
        trying.cancel()
        return self._over(fault)

    async def make_whole(self, kind: Kind) -> None:
        """Prepare for the next fault of this kind."""
        if kind is Kind.FAILOVER and self._cluster.watched is not None:
            await self._cluster.watched.bring_back()

    async def _last(self, fault: Fault, seconds: float, during: During) -> None:
        """Let a fault last, and try something meanwhile."""
        until = time.monotonic() + seconds
        trying = asyncio.ensure_future(during(fault))
        with suppress(TimeoutError):
            await asyncio.wait_for(trying, max(0.0, until - time.monotonic()))
        await asyncio.sleep(max(0.0, until - time.monotonic()))
