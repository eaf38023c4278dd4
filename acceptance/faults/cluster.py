"""Nodes and the Redis that they meet on: with links that can be cut, or with Sentinels that watch over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

from acceptance.daemon import HONEST
from acceptance.faults.bounds import QUIET
from acceptance.faults.links import BOTH, Link
from acceptance.faults.nodes import Node, Shared
from acceptance.faults.servers import Alone, Store, Watched, socket_of
from harness.postgres import new_database_url
from harness.wire import HOST

NODES: Final = 3


class Way(Protocol):
    """One node's way to Redis."""

    def cut(self, kinds: Collection[str] = BOTH) -> None:
        """Break connections of these kinds, and let there be no new ones."""

    def freeze(self, kinds: Collection[str] = BOTH) -> None:
        """Carry nothing of these kinds, and tell nobody."""

    def heal(self) -> None:
        """Carry everything."""


class Cluster:
    """Everything that serves."""

    def __init__(self, store: Store, nodes: Sequence[Node], links: Sequence[Way]) -> None:
        self.store: Final = store
        self.nodes: Final = nodes
        self.links: Final = links

    @property
    def watched(self) -> Watched | None:
        """Redis, if Sentinels watch over it."""
        return self.store if isinstance(self.store, Watched) else None

    async def start(self) -> None:
        """Start the nodes, and wait until they serve and Redis' first quiet time is over."""
        await asyncio.gather(*(node.start() for node in self.nodes))
        await asyncio.sleep(QUIET)

    async def stop(self) -> None:
        """Stop everything."""
        for link in self.links:
            link.heal()
        await asyncio.gather(*(node.stop() for node in self.nodes))
        self.store.close()


@asynccontextmanager
async def running(made: Cluster) -> AsyncIterator[Cluster]:
    """Let a cluster run for as long as the block lasts."""
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def linked(program: Sequence[str] = HONEST) -> AsyncIterator[Cluster]:
    """Three nodes on one Redis, to which each has a link that can be cut."""
    with TemporaryDirectory(prefix="callnet-faults-") as folder:
        shared, store = Shared(Path(folder), program), Alone()
        links = [Link(socket_of(store.server)) for _ in range(NODES)]
        for link in links:
            await link.open()
        nodes = [Node(number, shared, f"redis://{HOST}:{link.port}") for number, link in enumerate(links)]
        async with running(Cluster(store, nodes, links)) as made:
            yield made
        for link in links:
            await link.close()


@asynccontextmanager
async def watched() -> AsyncIterator[Cluster]:
    """Three nodes on a Redis that Sentinels watch over."""
    with TemporaryDirectory(prefix="callnet-faults-") as folder:
        database = await asyncio.to_thread(new_database_url)
        shared, store = Shared(Path(folder), database=database), Watched()
        nodes = [Node(number, shared, store.sentinels.url()) for number in range(NODES)]
        async with running(Cluster(store, nodes, ())) as made:
            yield made
