"""The shared store of one node, composed, with its two connections to Redis."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from callnet.calls.ports import EVERY_NODE
from callnet.config.schema import CallSettings
from callnet.ops.admin_commands import NodeShown
from callnet.redis import scripts
from callnet.redis.connection import RedisLink
from callnet.redis.ended import EndedAnywhere
from callnet.redis.limits import SharedLimits
from callnet.redis.local_cache import LocalCache
from callnet.redis.node import NodeLifecycle, channel_of
from callnet.redis.store import SharedBus, SharedCallStore
from callnet.redis.subscription import RedisSubscription
from callnet.redis.url import RedisTarget
from callnet.store.cluster_handle import ClusterHandle
from callnet.util.histogram import Histogram

NAME_BYTES: Final = 5
"""The length of a node's random name: no two of thousands are equal. It is in the record of each of its devices, and
records longer than 64 bytes take nearly twice the memory in Redis."""


def open_shared(target: RedisTarget, prefix: str, clock: IReactorTime, settings: CallSettings) -> ClusterHandle:
    """Make the store and the bus of a node with a name of its own. It connects when it joins."""
    name: Final = secrets.token_hex(NAME_BYTES)
    cache = LocalCache(name)
    bus, round_trips = SharedBus(cache), Histogram()
    member = NodeLifecycle(
        lambda connected, lost: RedisLink(target, clock, scripts.load(), connected, lost, round_trips),
        lambda subscribed, lost: RedisSubscription(
            target, clock, bus.received, subscribed, lost, channel_of(prefix, EVERY_NODE)
        ),
        prefix,
        cache,
        clock,
        settings,
        bus.deliver,
        name,
    )
    bus.go_by(member)
    store = SharedCallStore(member, cache, bus)
    ended = EndedAnywhere(member, store.ended)
    limits = SharedLimits(member, clock)

    def start() -> None:
        member.start()
        limits.start()

    def stop() -> Deferred[None]:
        limits.stop()
        return Deferred.fromCoroutine(member.stop())

    def nodes() -> Deferred[Sequence[NodeShown]]:
        return member.commands.nodes().addCallback(
            lambda seen: [NodeShown(node.name, cache.is_here(node.name), node.lease, node.holds) for node in seen]
        )

    return ClusterHandle(
        store, store, bus, ended, limits, limits.share, start, stop, member.why_away, nodes, round_trips
    )
