"""Three nodes on one Redis, each with a link of its own to it."""

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
from acceptance.faults.redis import RedisServer

NODES: Final = 3


class Cluster:
    """Everything that serves."""

    def __init__(self, folder: Path, program: Sequence[str] = HONEST) -> None:
        self.redis: Final = RedisServer(folder / "redis")
        self.links: Final = [Link(self.redis.socket) for _ in range(NODES)]
        self.nodes: list[Node] = []
        self._shared = Shared(folder, program)

    async def start(self) -> None:
        """Start everything, and wait until it serves."""
        await self.redis.start()
        for number, link in enumerate(self.links):
            await link.open()
            self.nodes.append(Node(number, self._shared, f"redis://127.0.0.1:{link.port}"))
        await asyncio.gather(*(node.start() for node in self.nodes))
        await asyncio.sleep(QUIET)  # this is a new run of Redis

    async def stop(self) -> None:
        """Stop everything."""
        for link in self.links:
            link.heal()
        await asyncio.gather(*(node.stop() for node in self.nodes))
        for link in self.links:
            await link.close()
        self.redis.kill()


@asynccontextmanager
async def cluster(program: Sequence[str] = HONEST) -> AsyncIterator[Cluster]:
    """A cluster for as long as the block lasts."""
    with TemporaryDirectory(prefix="callnet-faults-") as folder:
        made = Cluster(Path(folder), program)
        try:
            await made.start()
            yield made
        finally:
            await made.stop()
