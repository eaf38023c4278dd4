"""The nodes of a cluster: real daemons that are killed, stopped and started again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Final

from acceptance.daemon import HONEST, WITHOUT_LIMITS, CountedDaemon
from acceptance.faults.bounds import GRACE, RING_TIME
from acceptance.faults.line import Door
from harness.daemon import STOP_LIMIT
from harness.wire import HOST


class Shared:
    """The common parts of all nodes: accounts, the key that signs tokens, and their settings."""

    drain_deadline = 0
    """Seconds that they give calls when they are stopped."""

    def __init__(self, folder: Path, program: Sequence[str] = HONEST, database: str = "") -> None:
        self.folder: Final = folder
        self.program: Final = program
        self._database = database or f"sqlite:///{folder}/accounts.db"

    def settings(self, number: int, redis: str, host: str) -> str:
        """The settings of one node, in TOML. ``redis``: the URL; empty: there is no Redis."""
        return f"""
[database]
url = "{self._database}"
[tokens]
signing_key_file = "{self.folder}/signing.key"
[redis]
url = "{redis}"
[accounts]
open_enrolment_on_network = true
{WITHOUT_LIMITS}
[calls]
ring_time = {RING_TIME}
grace = {GRACE}
unseated_limit = 0
[listeners]
account = [{{ endpoint = "tcp:0:interface={host}" }}]
signaling = [{{ endpoint = "tcp:0:interface={host}" }}]
site = [{{ endpoint = "tcp:0:interface={host}", tls = false }}]
admin = [{{ endpoint = "unix:{self.folder}/node{number}/admin" }}]
"""


class Node:
    """One node through all its lives."""

    def __init__(self, number: int, shared: Shared, redis: str, host: str = HOST, before: Sequence[str] = ()) -> None:
        self.number: Final = number
        self.admin: Final = shared.folder / f"node{number}" / "admin"
        self.door: Final = Door(number, 0, 0, 0, host)
        self.lives: Final[list[CountedDaemon]] = []
        self.running = False
        self.undisturbed_since = inf
        """The time since which it was neither stopped nor killed."""
        self.before = before
        """The prefix of the program in its next life."""
        self._shared = shared
        self._settings = shared.settings(number, redis, host)

    async def start(self) -> None:
        """Start, and wait until it serves."""
        folder = self._shared.folder / f"node{self.number}-{len(self.lives)}"
        life = CountedDaemon(
            folder,
            self._settings,
            self._shared.program,
            self.before,
            listeners="",
            state_dir=self.admin.parent,
            drain_deadline=self._shared.drain_deadline,
        )
        life.launch()
        self.lives.append(life)
        await asyncio.to_thread(life.await_service)
        found = life.ports
        self.door.account, self.door.signaling, self.door.site = (
            found["account"],
            found["signaling"],
            found["site"],
        )
        self.running = True
        self.undisturbed_since = time.monotonic()

    @property
    def life(self) -> CountedDaemon:
        """The present life."""
        return self.lives[-1]

    def kill(self) -> None:
        """SIGKILL."""
        self.running = False
        self.life.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.undisturbed_since = inf if number is signal.SIGSTOP else time.monotonic()
        self.life.process.send_signal(number)

    async def stop(self) -> None:
        """End in order.

        :raises subprocess.TimeoutExpired: it had to be killed.
        """
        self.running = False
        if self.lives:
            self.signal(signal.SIGCONT)
            await asyncio.to_thread(self.life.stop, STOP_LIMIT + self._shared.drain_deadline)

    def logs(self) -> str:
        """The log of all its lives."""
        return "".join(life.log for life in self.lives)
