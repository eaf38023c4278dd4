"""Does what goes wrong in this world, on purpose, and writes down what and when."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from acceptance.faults.bounds import BEAT, GRACE, LEASE
from acceptance.faults.cluster import Cluster
from acceptance.faults.excuses import Fault, Kind
from acceptance.faults.links import BOTH, COMMANDS, SUBSCRIBER

SHORT: Final = (0.2, LEASE - BEAT - 0.3)
"""A node or link is away for so long, and its lease does not end."""
LONG: Final = (LEASE + 0.5, LEASE + GRACE - BEAT - 0.7)
"""Its lease ends, and its devices are still within the grace."""
LONGER: Final = (LEASE + GRACE + 1.0, LEASE + GRACE + 5.0)
REDIS_AWAY: Final = (0.5, 4.0)

During = Callable[[Fault], Awaitable[None]]
"""What is tried while a fault lasts."""


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
        match kind:
            case Kind.NODE_KILLED:
                return await self._kill_node()
            case Kind.NODE_STOPPED_SHORT:
                return await self._stop_node(kind, self._random.uniform(*SHORT))
            case Kind.NODE_STOPPED_LONG:
                return await self._stop_node(kind, self._random.uniform(LONG[0], LONGER[1]))
            case Kind.REDIS_KILLED:
                return await self._kill_redis(during)
            case Kind.REDIS_STOPPED:
                return await self._stop_redis(during)
            case Kind.REDIS_FLUSHED:
                return await self._command(kind, "FLUSHALL")
            case Kind.SUBSCRIBERS_KILLED:
                return await self._command(kind, "CLIENT", "KILL", "TYPE", "pubsub")
            case Kind.LINK_CUT_SHORT:
                return await self._cut_link(kind, self._random.uniform(*SHORT), during)
            case Kind.LINK_CUT_LONG:
                return await self._cut_link(kind, self._random.uniform(*LONG), during)
            case Kind.LINK_CUT_LONGER:
                return await self._cut_link(kind, self._random.uniform(*LONGER), during)
            case Kind.LINK_FROZEN:
                return await self._freeze_link(during)
            case _:
                raise ValueError(kind)

    def _begin(self, kind: Kind, node: int | None, loses: float | None = None) -> Fault:
        now = time.monotonic()
        fault = Fault(kind, node, now, unsettled_from=now if loses is None else loses)
        self._faults.append(fault)
        return fault

    def _over(self, fault: Fault) -> Fault:
        fault.end = time.monotonic()
        return fault

    async def _kill_node(self) -> Fault:
        node = self._random.choice(self._cluster.nodes)
        fault = self._begin(Kind.NODE_KILLED, node.number)
        node.kill()
        self._over(fault)
        await asyncio.sleep(self._random.uniform(0.2, 3.0))
        await node.start()
        return fault

    async def _stop_node(self, kind: Kind, seconds: float) -> Fault:
        node = self._random.choice(self._cluster.nodes)
        fault = self._begin(kind, node.number)
        node.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        node.signal(signal.SIGCONT)
        return self._over(fault)

    async def _kill_redis(self, during: During) -> Fault:
        fault = self._begin(Kind.REDIS_KILLED, None)
        self._cluster.redis.kill()
        await self._last(fault, self._random.uniform(*REDIS_AWAY), during)
        await self._cluster.redis.start()
        return self._over(fault)

    async def _stop_redis(self, during: During) -> Fault:
        fault = self._begin(Kind.REDIS_STOPPED, None)
        self._cluster.redis.signal(signal.SIGSTOP)
        await self._last(fault, self._random.uniform(*REDIS_AWAY), during)
        self._cluster.redis.signal(signal.SIGCONT)
        return self._over(fault)

    async def _command(self, kind: Kind, *command: str) -> Fault:
        fault = self._begin(kind, None)
        await self._cluster.redis.ask(*command)
        return self._over(fault)

    async def _cut_link(self, kind: Kind, seconds: float, during: During) -> Fault:
        number = self._random.randrange(len(self._cluster.links))
        fault = self._begin(kind, number)
        self._cluster.links[number].cut()
        await self._last(fault, seconds, during)
        self._cluster.links[number].heal()
        return self._over(fault)

    async def _freeze_link(self, during: During) -> Fault:
        number = self._random.randrange(len(self._cluster.links))
        kinds = self._random.choice((BOTH, BOTH, {COMMANDS}, {SUBSCRIBER}))
        fault = self._begin(Kind.LINK_FROZEN, number)
        self._cluster.links[number].freeze(kinds)
        await self._last(fault, self._random.uniform(SHORT[0], LONGER[1]), during if kinds == BOTH else nothing)
        self._cluster.links[number].heal()
        return self._over(fault)

    async def _last(self, fault: Fault, seconds: float, during: During) -> None:
        """Let a fault last, and try something meanwhile."""
        until = time.monotonic() + seconds
        trying = asyncio.ensure_future(during(fault))
        try:
            await asyncio.wait_for(trying, max(0.0, until - time.monotonic()))
        except TimeoutError:
            pass
        await asyncio.sleep(max(0.0, until - time.monotonic()))
