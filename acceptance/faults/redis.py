"""A Redis server of the harness, on a socket file, and what is asked of it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

START_LIMIT: Final = 10.0
ANSWER_LIMIT: Final = 5.0


class RedisServer:
    """One server process. It keeps nothing on disk: when it is killed, everything is gone."""

    def __init__(self, folder: Path, *options: str, program: str = "redis-server") -> None:
        found = shutil.which(program)
        if found is None:
            raise FileNotFoundError(f"{program} is not installed")
        folder.mkdir(parents=True)
        self.socket: Final = folder / "socket"
        self._folder = folder
        self._command: Final = (
            *(found, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", "--daemonize", "no", *options),
        )
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220  a fork that is over at once
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        for _ in range(int(START_LIMIT / 0.02)):
            if await self.ask("PING") == "PONG":
                return
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{self._command[0]} does not answer")

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def ask(self, *command: str) -> str:
        """Give a command; returns what it prints, with nothing if the server does not answer."""
        process = await asyncio.create_subprocess_exec(
            *("redis-cli", "-s", str(self.socket), "-t", str(ANSWER_LIMIT), *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        printed, _ = await process.communicate()
        return printed.decode(errors="replace").strip()

    async def keys(self) -> Sequence[str]:
        """Every key that it holds."""
        return (await self.ask("--scan")).splitlines()


async def held_for(server: RedisServer, key: str) -> float | None:
    """How long a key is held yet, in seconds; ``None``: for ever."""
    left = int(await server.ask("PTTL", key))
    return None if left == -1 else max(left, 0) / 1000
