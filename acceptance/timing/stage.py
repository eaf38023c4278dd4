"""Daemons on a processor of their own, which have the same accounts whenever they are started."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from acceptance.daemon import HONEST, WITHOUT_LIMITS, CountedDaemon
from harness.redis_server import RedisServer, new_prefix

ANNOUNCED: Final = 8.0
"""Seconds after which a new cluster knows the present devices."""


@contextmanager
def on_cpu(number: int) -> Iterator[None]:
    """Have this process, and those that it starts meanwhile, run on one processor alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [number])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Stage:
    """One daemon, or several that meet over Redis.

    :param folder: where they keep what they have in common, and their logs.
    """

    def __init__(self, folder: Path, nodes: int) -> None:
        cpus = sorted(os.sched_getaffinity(0))
        self.own_cpu: Final = cpus[0]
        self._cpu = cpus[-1]
        self._state = folder / "state"
        self._folders = [folder / f"node{number}" for number in range(nodes)]
        self._nodes: Sequence[CountedDaemon] = ()
        self._gateway = socket.create_server(("127.0.0.1", 0))
        self._gateway.setblocking(False)
        self._redis: RedisServer | None = None
        if nodes > 1:
            with on_cpu(self._cpu):
                self._redis = RedisServer("redis")

    @contextmanager
    def running(self, program: Sequence[str] = HONEST, more: str = "") -> Iterator[Sequence[Mapping[str, int]]]:
        """Run them until the block ends: the ports of each.

        :param program: the module that is run, and its first arguments.
        :param more: settings in TOML.
        """
        redis, settled = "", 0.0
        if self._redis is not None:
            redis = f'redis = {{ url = "{self._redis.url()}", prefix = "{new_prefix()}" }}\n'
            settled = ANNOUNCED
        gateway = f'url = "http://127.0.0.1:{self._gateway.getsockname()[1]}/", secret = "{"s" * 32}"'
        accounts = f'{more}accounts.who_may_call = "contacts"\npush.gateway = {{ {gateway} }}\n'
        settings = f"{redis}{accounts}{WITHOUT_LIMITS}"
        self._nodes = [CountedDaemon(each, settings, program, state_dir=self._state) for each in self._folders]
        with ExitStack() as running, on_cpu(self._cpu):
            for node in self._nodes:
                running.enter_context(node)
            time.sleep(settled)
            with on_cpu(self.own_cpu):
                yield [node.ports for node in self._nodes]

    def was_to_wake(self) -> bool:
        """Tell whether the gateway was asked to wake somebody; it is asked once for each."""
        try:
            asked, _ = self._gateway.accept()
        except BlockingIOError:
            return False
        asked.close()
        return True

    def complaints(self) -> Sequence[str]:
        """The log lines above info from when they ran last."""
        return [line for node in self._nodes for line in node.complaints()]

    def close(self) -> None:
        """End the shared servers."""
        self._gateway.close()
        if self._redis is not None:
            self._redis.close()
