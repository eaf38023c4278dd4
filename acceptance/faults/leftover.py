"""The rest when everyone has gone: in Redis the permanent keys, in a process the earlier objects, and no more."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from acceptance.faults.bounds import GRACE, LEASE, SLACK
from acceptance.faults.nodes import Node
from acceptance.faults.servers import ask, held_for, keys
from harness.redis_server import RedisServer

REMEMBERED: Final = 120.0
"""A call that is over is remembered for so long, in seconds, and a device that is gone not longer."""
FORGOTTEN: Final = GRACE + 2 * REMEMBERED
LET_GO: Final = GRACE + LEASE + 2.0 + SLACK
PERMANENT: Final = frozenset({"meta"})
"""The keys that are documented as permanent."""
OF_THE_LIVING: Final = frozenset({"nodes"})
"""The keys that name the live nodes."""
KEPT: Final = ("callnet.calls.records.", "callnet.redis.", "callnet.store.", "callnet.model.")
"""Classes that are remembered for some time after everyone has gone."""
COUNTED: Final = ("callnet.calls.counts.", "callnet.storage.", "callnet.config.schema.")
"""Modules that only count, a number for each known reason; the database, which keeps a few connections; and the
settings, which are read at a start: the collector sees one of them or not, depending on when it ran (msgspec)."""


async def in_redis(server: RedisServer, prefix: str, nodes: int, brief: bool) -> list[str]:
    """Keys that Redis should not hold, once it has had time to forget.

    ``brief``: do not wait until it has forgotten what it remembers for a while; that may still be there.
    """
    until = time.monotonic() + (LET_GO if brief else FORGOTTEN)
    while True:
        left = [line for key in await keys(server) if (line := await is_left(server, key, prefix, nodes, brief))]
        if not left or time.monotonic() > until:
            return left
        await asyncio.sleep(2)


async def is_left(server: RedisServer, key: str, prefix: str, nodes: int, brief: bool) -> str | None:
    """Describe the fault of a key that is still there, if there is one."""
    name = key.removeprefix(prefix)
    if name in PERMANENT:
        return None
    if name in OF_THE_LIVING:
        members = int(await ask(server, "ZCARD", key))
        return None if members == nodes else f"{name} names {members} nodes, {nodes} live"
    if brief and (name.startswith("p:") or name == "due"):
        return None  # devices that have gone, to be forgotten later
    if brief and name.startswith(("c:", "s:")) and await held_for(server, key) is not None:
        return None  # a call that is over
    if brief and name.startswith("r:") and await _goes_with_its_call(server, key, prefix):
        return None
    return name


async def _goes_with_its_call(server: RedisServer, alias: str, prefix: str) -> bool:
    """Tell whether an alias leads to a call that is over and is remembered for at least as long."""
    of_call = await held_for(server, f"{prefix}c:{await ask(server, 'GET', alias)}".strip())
    of_alias = await held_for(server, alias)
    return of_call is not None and of_alias is not None and of_alias <= of_call


async def in_processes(nodes: Sequence[Node], before: Mapping[str, int], brief: bool) -> list[str]:
    """The objects that the nodes hold more than before anyone came.

    ``before``: the census of a node that nobody had come to yet.
    """
    until = time.monotonic() + LET_GO
    while True:
        left = [line for node in nodes for line in await asyncio.to_thread(_more, node, before, brief)]
        if not left or time.monotonic() > until:
            return left
        await asyncio.sleep(2)


def _more(node: Node, before: Mapping[str, int], brief: bool) -> list[str]:
    grown = Counter(node.life.census())
    grown.subtract(before)
    return [
        f"node {node.number}: {name} +{size}"
        for name, size in grown.items()
        if size > 0 and not name.startswith(COUNTED) and not (brief and name.startswith(KEPT))
    ]
