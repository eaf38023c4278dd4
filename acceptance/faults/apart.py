"""Two nodes and Redis, each in a network namespace of its own, joined by cables; the clock of one node is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from acceptance.faults.cluster import Cluster, running
from acceptance.faults.links import BOTH
from acceptance.faults.nodes import Node, Shared
from acceptance.namespaces import Cable, Namespace, Switch, machine_room
from harness.postgres import new_database_url
from harness.redis_server import RedisServer

WRONG_BY: Final = "+240s"
"""The clock of the second node is ahead by so much."""
_LIBRARIES: Final = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def wrong_clock() -> tuple[str, ...]:
    """The command that runs a command with a wrong clock. ``faketime`` itself would stand between us and its signals.

    :raises FileNotFoundError: Debian's package faketime is not installed.
    """
    if not _LIBRARIES:
        raise FileNotFoundError("faketime is not installed")
    return ("env", f"LD_PRELOAD={_LIBRARIES[-1]}", f"FAKETIME={WRONG_BY}", "FAKETIME_DONT_FAKE_MONOTONIC=1")


class Pulled:
    """A node's way to Redis, which is a cable: whatever is done to it, nobody is told."""

    def __init__(self, cable: Cable) -> None:
        self._cable = cable

    def cut(self, kinds: Collection[str] = BOTH) -> None:  # noqa: ARG002  a cable carries everything or nothing
        """Pull the cable."""
        self._cable.pull()

    freeze = cut

    def heal(self) -> None:
        """Put it back."""
        self._cable.put_back()


class Distant:
    """A Redis at the end of a cable."""

    def __init__(self, namespace: Namespace, back: Switch) -> None:
        self.cable: Final = Cable(f"{back.name}r", namespace.name, back)
        with namespace.entered():
            self.server: Final = RedisServer(
                "redis", tcp=True, settings=[("bind", self.cable.address), ("protected-mode", "no")]
            )

    def url(self) -> str:
        """Where it is."""
        return self.server.url(self.cable.address)

    def close(self) -> None:
        """End it."""
        self.server.close()


@asynccontextmanager
async def apart() -> AsyncIterator[Cluster]:
    """A cluster in three namespaces. Devices reach the nodes by other cables than those that lead to Redis."""
    with TemporaryDirectory(prefix="callnet-faults-") as folder, machine_room() as (switches, namespaces):
        store = Distant(namespaces["redis"], switches["back"])
        shared = Shared(Path(folder), database=await asyncio.to_thread(new_database_url))
        nodes, links = [], []
        for number, shift in enumerate(((), wrong_clock())):
            namespace = namespaces[f"node{number}"]
            front = Cable(f"{switches['front'].name}{number}", namespace.name, switches["front"])
            links.append(Pulled(Cable(f"{switches['back'].name}{number}", namespace.name, switches["back"])))
            nodes.append(Node(number, shared, store.url(), front.address, (*namespace.command, *shift)))
        async with running(Cluster(store, nodes, links)) as made:
            yield made
