"""Three nodes on one Redis, each with a link of its own to it, or on one that Sentinels watch over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from acceptance.faults.bounds import QUIET
from acceptance.faults.links import Link
from acceptance.faults.nodes import HONEST, Node, Shared
from acceptance.faults.servers import Alone, Store, Watched, socket_of

NODES: Final = 3


class Cluster:
    """Everything that serves."""

    def __init__(self, shared: Shared, store: Alone | Watched) -> None:
        self.store: Final[Store] = store
        self.watched: Final = store if isinstance(store, Watched) else None
        self.links: Final = [Link(socket_of(store.server)) for _ in range(NODES if isinstance(store, Alone) else 0)]
        self.nodes: Final[list[Node]] = []
        self._shared = shared

    async def start(self) -> None:
        """Start everything, and wait until it serves."""
        for link in self.links:
            await link.open()
        urls = [f"redis://127.0.0.1:{link.port}" for link in self.links]
        if self.watched is not None:
            urls = [self.watched.sentinels.url()] * NODES
        self.nodes.extend(Node(number, self._shared, url) for number, url in enumerate(urls))
        await asyncio.gather(*(node.start() for node in self.nodes))
        await asyncio.sleep(QUIET)  # this is a new run of Redis

    async def stop(self) -> None:
        """Stop everything."""
        for link in self.links:
            link.heal()
        await asyncio.gather(*(node.stop() for node in self.nodes))
        for link in self.links:
            await link.close()
        self.store.close()


@asynccontextmanager
async def cluster(program: Sequence[str] = HONEST, sentinels: bool = False) -> AsyncIterator[Cluster]:
    """A cluster for as long as the block lasts."""
    with TemporaryDirectory(prefix="callnet-faults-") as folder:
        made = Cluster(Shared(Path(folder), program), Watched() if sentinels else Alone())
        try:
            await made.start()
            yield made
        finally:
            await made.stop()
