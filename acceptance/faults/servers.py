"""The Redis of a cluster: one server that keeps nothing, or a master and its replica that Sentinels watch over."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from harness.redis_server import RedisServer
from harness.sentinels import Sentinels

FAILS_OVER_WITHIN: Final = 60.0
"""Seconds that Sentinels may take."""
NOWHERE: Final = ("127.0.0.1", "1")
"""Nobody listens there."""


async def ask(server: RedisServer, *command: str) -> str:
    """Give a command to a server that runs."""
    return await asyncio.to_thread(server.cli, *command)


async def keys(server: RedisServer) -> Sequence[str]:
    """Every key that it holds."""
    return (await ask(server, "--scan")).splitlines()


async def held_for(server: RedisServer, key: str) -> float | None:
    """The remaining lifetime of a key, in seconds; ``None``: for ever."""
    left = int(await ask(server, "PTTL", key))
    return None if left == -1 else max(left, 0) / 1000


def socket_of(server: RedisServer) -> Path:
    """The socket that it listens on."""
    return Path(urlsplit(server.socket_url()).path)


class Store(Protocol):
    """Where nodes meet."""

    @property
    def server(self) -> RedisServer:
        """The server that takes commands just now."""

    def close(self) -> None:
        """End it."""


class Alone:
    """One server."""

    def __init__(self) -> None:
        self.server: Final = RedisServer("redis")

    def close(self) -> None:
        """End it."""
        self.server.close()


class Watched:
    """A master and a replica, which Sentinels make the master when they must."""

    def __init__(self) -> None:
        self.sentinels: Final = Sentinels("redis")
        self._master, self._replica = self.sentinels.servers

    @property
    def server(self) -> RedisServer:
        """The master."""
        return self._master

    def close(self) -> None:
        """End all of them."""
        self.sentinels.close()

    async def hold_back(self) -> None:
        """Let the replica receive no further writes."""
        if await self._is_named():  # they have failed over by themselves: a busy machine is slow to answer
            self._master, self._replica = self._replica, self._master
        await ask(self._replica, "REPLICAOF", *NOWHERE)

    async def fail_over(self) -> None:
        """Kill the master, and wait until the replica is one; then the other is its replica.

        :raises TimeoutError: the Sentinels do not do it.
        """
        self._master.kill()
        until = time.monotonic() + FAILS_OVER_WITHIN
        while "role:master" not in await self._told():
            if time.monotonic() > until:
                raise TimeoutError(f"the Sentinels made nobody the master\n{self.sentinels.told()}")
            if await self._is_named():
                # They did so just before it was told to hear nothing more, which they would never take back.
                await ask(self._replica, "REPLICAOF", "NO", "ONE")
            await asyncio.sleep(0.1)
        self._master, self._replica = self._replica, self._master

    async def bring_back(self) -> None:
        """Start the killed server as the replica that the other needs for the next time."""
        self._replica.restart()
        self._replica.replica_of(self._master)
        until = time.monotonic() + FAILS_OVER_WITHIN
        while "master_link_status:up" not in await self._told():
            if time.monotonic() > until:
                raise TimeoutError("the replica does not replicate")
            await asyncio.sleep(0.1)

    async def _is_named(self) -> bool:
        """Tell whether the Sentinels say that the replica is the master."""
        return await asyncio.to_thread(self.sentinels.master_port) == self._replica.port

    async def _told(self) -> str:
        """The replication of the replica; empty if it closes the connection, as one does that is made the master."""
        try:
            return await ask(self._replica, "INFO", "replication")
        except subprocess.CalledProcessError:
            return ""
