"""A daemon that systemd has started, as far as it can tell: it is given a socket by which to tell how it is."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import TestCase

from harness.daemon import START_LIMIT
from tests.integration.test_workers import with_workers
from tests.support.daemon import Daemon

reactor: Any = installed
LIMIT = 2 * START_LIMIT
"""Seconds that something may take until it is told, a start among it."""


class Systemd(DatagramProtocol):
    """The notifications to systemd."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._wanted: list[tuple[str, Deferred[None]]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:  # noqa: ARG002
        """Take a message."""
        self.heard += datagram.decode().split("\n")
        for wanted in list(self._wanted):
            if wanted[0] in self.heard:
                self._wanted.remove(wanted)
                wanted[1].callback(None)

    def hears(self, assignment: str) -> Deferred[None]:
        """Fires when it has heard this from now on."""
        self.heard.clear()
        heard = Deferred[None]()
        self._wanted.append((assignment, heard))
        return heard.addTimeout(LIMIT, reactor)


class ToldTests(TestCase):
    """One process, and a parent with two workers."""

    async def check(self, daemon: Daemon) -> None:
        """It tells that it serves once it does, that it turns, and that it stops."""
        folder = tempfile.mkdtemp(prefix="callnet-")
        self.addCleanup(shutil.rmtree, folder)
        notify_socket = os.path.join(folder, "notify")
        daemon.environment.update(NOTIFY_SOCKET=notify_socket, WATCHDOG_USEC="3000000")
        systemd = Systemd()
        port = reactor.listenUNIXDatagram(notify_socket, systemd)
        self.addCleanup(port.stopListening)
        ready = systemd.hears("READY=1")
        self.addCleanup(daemon.stop)
        await daemon.start()
        await ready
        address = ("127.0.0.1", int(daemon.account_url.rpartition(":")[2]))
        socket.create_connection(address).close()
        await systemd.hears("STATUS=Serving 0 devices and 0 pages")
        self.assertIn("WATCHDOG=1", systemd.heard)
        stopping = systemd.hears("STOPPING=1")
        await daemon.stop()
        await stopping
        self.assertIn("EXTEND_TIMEOUT_USEC=15000000", systemd.heard)
        self.assertNotIn("READY=1", systemd.heard)

    async def test_one_process(self) -> None:
        """A single process notifies for itself."""
        await self.check(Daemon(self.mktemp()))

    async def test_workers(self) -> None:
        """The parent notifies for its workers, who notify nothing themselves."""
        await self.check(with_workers(self.mktemp()))
