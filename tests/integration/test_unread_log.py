"""Nobody reads the log of the daemon."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from harness.redis_server import new_prefix, shared
from tests.support.daemon import Daemon
from tests.support.devices import member, service_of

REQUESTS = 1000
"""Some 180 bytes of log each: far more than a pipe holds."""
CONNECTIONS = 10
PATIENCE = 60.0
"""Seconds that an answer may take on a machine that is busy with other tests."""

reactor: Any = installed


class UnreadLogTests(TestCase):
    """A daemon, and its log, which is a pipe."""

    async def begin(self, settings: str = "") -> None:
        """Start it, and let nobody read its log from then on."""
        self.daemon = Daemon(self.mktemp(), settings, is_piped=True)
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()
        self.daemon.read_log(False)
        self.service = service_of(self.daemon)

    async def ask(self) -> None:
        """Ask for so much that its log is full."""
        await gatherResults([deferToThread(self.request) for _ in range(CONNECTIONS)])

    def request(self) -> None:
        """Have it log a line for each request of one connection, and take the answers."""
        request = b"GET /none HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        requests = (request + b"\r\n") * (REQUESTS // CONNECTIONS - 1)
        with socket.create_connection(("127.0.0.1", self.daemon.ports["account"]), timeout=PATIENCE) as peer:
            peer.sendall(requests + request + b"Connection: close\r\n\r\n")
            while peer.recv(65536):
                pass

    async def served(self, settings: str) -> None:
        """It goes on to serve, and stops. All is in the log when that is read again."""
        await self.begin(settings)
        await self.ask()
        caller = await member(self, self.service, "13651884967", "phone")
        callee = await member(self, self.service, "13651884967", "tv")
        await caller.talks_to(callee)
        self.daemon.read_log(True)
        await self.daemon.stop()
        self.assertEqual(REQUESTS, self.daemon.log.count("/none"))
        self.assertIn("Server Shut Down.", self.daemon.log.splitlines()[-1])

    async def test_one_process(self) -> None:
        """A process that serves."""
        await self.served("")

    async def test_workers(self) -> None:
        """A parent and its workers."""
        redis = f'redis = {{ url = "{shared("redis").url()}", prefix = "{new_prefix()}" }}'
        await self.served(f"workers = 2\n{redis}\n")

    async def test_stop(self) -> None:
        """A stop does not wait for a reader."""
        await self.begin()
        await self.ask()
        os.kill(self.daemon.pid, signal.SIGTERM)
        await self.daemon.ended()
