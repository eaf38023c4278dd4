"""A daemon that runs coturn itself: credentials, the death of either, changes of secrets and settings."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.trial.unittest import TestCase

from harness.ports import free_ports
from tests.support.daemon import Daemon
from tests.support.devices import log_in, service_of
from tests.support.processes import ProcessEnd
from tests.support.turn_client import TurnClient

PHONE: Final = "13651884967"
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403

reactor: Any = installed


def relayed(port: int, more: str = "") -> str:
    """TOML with a relay on loopback."""
    return (
        f'turn.relay = "supervised"\n[turn.supervised]\nhost = "127.0.0.1"\nport = {port}\n'
        f'listening_addresses = ["127.0.0.1"]\n{more}'
    )


class RelayTestCase(TestCase):
    """A daemon, and clients of its relay."""

    def make(self, settings: str) -> Daemon:
        """A daemon, not started yet."""
        daemon = Daemon(self.mktemp(), settings)
        self.addCleanup(daemon.stop)
        return daemon

    def directory(self, daemon: Daemon) -> Path:
        """The directory of the relay's files."""
        return daemon.state_dir / "relay"

    def pid(self, daemon: Daemon) -> int:
        """The process of coturn."""
        return int((self.directory(daemon) / "pid").read_text())

    async def client(self, daemon: Daemon, port: int) -> TurnClient:
        """A client with credentials that the daemon gives to a device."""
        service = service_of(daemon)
        token = await log_in(service, PHONE, "tv")
        _, server = (await service.post("/ice", {"token": token}))["ice_servers"]
        self.assertEqual([f"turn:127.0.0.1:{port}?transport={way}" for way in ("udp", "tcp")], server["urls"])
        return self.client_with(port, server["username"], server["credential"])

    def client_with(self, port: int, username: str = "", password: str = "") -> TurnClient:
        """A client with these credentials."""
        client = TurnClient(("127.0.0.1", port), username, password)
        self.addCleanup(client.close)
        return client


class OneProcessTests(RelayTestCase):
    """One process."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        """Have one whose relay runs."""
        self.port = free_ports(1)[0]
        self.daemon = self.make(relayed(self.port))
        await self.daemon.start()
        await self.daemon.said("relay started")

    async def test_credentials(self) -> None:
        """Credentials of the daemon are good, others are not; the rules of the sample hold."""
        client = await self.client(self.daemon, self.port)
        self.assertEqual(0, client.allocate())
        self.assertEqual([FORBIDDEN, FORBIDDEN], [client.permit(peer) for peer in ("127.0.0.1", "10.0.0.1")])
        self.assertEqual(UNAUTHORIZED, self.client_with(self.port, "1:x", "y").allocate())

    async def test_files(self) -> None:
        """Its secret is in files for this user alone, and in no log."""
        for name in ("secret", "turndb", "turnserver.conf"):
            self.assertEqual(0o600, (self.directory(self.daemon) / name).stat().st_mode & 0o777, name)
        secret = (self.directory(self.daemon) / "secret").read_text().strip()
        self.assertNotIn(secret, (self.directory(self.daemon) / "turnserver.conf").read_text())
        self.assertNotIn(secret, self.daemon.log)

    async def test_killed(self) -> None:
        """A relay that is killed is back, and takes the same credentials."""
        client = await self.client(self.daemon, self.port)
        for _ in range(2):
            os.kill(self.pid(self.daemon), signal.SIGKILL)
            await self.daemon.said("relay was killed by SIGKILL")
            await self.daemon.said("relay started")
        self.assertEqual(0, client.allocate())

    async def test_stopped(self) -> None:
        """It ends with the daemon."""
        end = ProcessEnd(self.pid(self.daemon))
        await self.daemon.stop()
        await end.reached
        self.assertNotIn("killed", self.daemon.log)

    async def test_daemon_killed(self) -> None:
        """It ends with the daemon, even if that is killed."""
        end = ProcessEnd(self.pid(self.daemon))
        os.kill(self.daemon.pid, signal.SIGKILL)
        await end.reached
