"""A daemon that runs coturn itself: credentials, the death of either, changes of secrets and settings."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import ssl
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from callnet.relay.turnserver_conf import REPLACED_AFTER
from harness.ports import free_ports
from tests.integration.test_workers import settings_of_workers, workers_of
from tests.support.commands import callnet
from tests.support.daemon import Daemon
from tests.support.devices import log_in, service_of
from tests.support.processes import ProcessEnd, stopped, written
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

    async def start(self, settings: str) -> Daemon:
        """A daemon whose relay answers."""
        daemon = self.make(settings)
        await daemon.start()
        await written(daemon.log_file, re.compile("relay started"))
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
        self.assertEqual(f"turn:127.0.0.1:{port}?transport=udp", server["urls"][0])
        return self.client_with(port, server["username"], server["credential"])

    def age(self, daemon: Daemon, seconds: float) -> None:
        """Have all secrets be older."""
        with closing(sqlite3.connect(self.directory(daemon) / "turndb")) as database, database:
            database.execute("UPDATE turn_secret SET made = made - ?", (seconds,))

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
        self.daemon = await self.start(relayed(self.port))

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

    async def test_privileges(self) -> None:
        """It gets no more privileges than callnet has, and no capability."""
        status = Path(f"/proc/{self.pid(self.daemon)}/status").read_text()
        self.assertRegex(status, "NoNewPrivs:\t1\n")
        self.assertRegex(status, "CapAmb:\t0+\n")

    async def test_killed(self) -> None:
        """A relay that is killed is back, and takes the same credentials."""
        client = await self.client(self.daemon, self.port)
        for _ in range(2):
            os.kill(self.pid(self.daemon), signal.SIGKILL)
            await self.daemon.said("relay was killed by SIGKILL")
            await self.daemon.said("relay started")
        self.assertEqual(0, client.allocate())

    async def test_rotation(self) -> None:
        """Old and new credentials are good when there is another secret, and no allocation is cut."""
        old, unused = await self.client(self.daemon, self.port), await self.client(self.daemon, self.port)
        self.assertEqual(0, old.allocate())
        self.age(self.daemon, REPLACED_AFTER)
        os.kill(self.daemon.pid, signal.SIGHUP)
        await self.daemon.said("reloaded the TURN secret: changed")
        new = await self.client(self.daemon, self.port)
        self.assertEqual((0, 0, 0), (new.allocate(), unused.allocate(), old.refresh()))
        self.age(self.daemon, REPLACED_AFTER)
        os.kill(self.daemon.pid, signal.SIGHUP)
        await self.daemon.said("reloaded the TURN secret: changed")
        self.age(self.daemon, 2 * REPLACED_AFTER)
        os.kill(self.daemon.pid, signal.SIGHUP)
        await self.daemon.said("reloaded the TURN secret: changed")
        self.assertEqual(0, old.refresh())
        late = self.client_with(self.port, new._username, new._password)
        self.assertEqual(UNAUTHORIZED, late.allocate())

    async def test_settings(self) -> None:
        """Other settings take effect at a reload; without a relay in them it ends."""
        [port] = free_ports(1)
        file = self.daemon.settings_file
        before = file.read_text("utf-8")
        file.write_text(before.replace(f"port = {self.port}", f"port = {port}"), "utf-8")
        os.kill(self.daemon.pid, signal.SIGHUP)
        await self.daemon.said("restarting the relay with changed settings")
        await self.daemon.said("relay started")
        self.assertEqual(0, (await self.client(self.daemon, port)).allocate())
        end = ProcessEnd(self.pid(self.daemon))
        file.write_text(before.replace('"supervised"', '"none"'), "utf-8")
        os.kill(self.daemon.pid, signal.SIGHUP)
        await end.reached
        await self.daemon.said("relay stopped, as the settings now ask")

    async def test_status(self) -> None:
        """``callnet status`` and ``callnet doctor`` say that it runs."""
        shown, _, _ = await callnet(self.daemon, "status", "--at", self.daemon.admin_url)
        self.assertRegex(shown, r"relay +running")
        shown, _, _ = await callnet(self.daemon, "doctor")
        self.assertRegex(shown, r"ok +turn: +turn:127\.0\.0\.1:[0-9]+\?transport=tcp accepts the secret and relays")

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


class NatTests(RelayTestCase):
    """A relay behind a NAT."""

    async def test_peers(self) -> None:
        """Two clients of one relay are peers at its public address, and nothing else of its network is."""
        [port] = free_ports(1)
        more = 'external_addresses = ["203.0.113.7/127.0.0.1"]\nallowed_peers = ["127.0.0.2"]\n'
        daemon = await self.start(relayed(port, more))
        client = await self.client(daemon, port)
        self.assertEqual(0, client.allocate())
        self.assertEqual(
            [0, FORBIDDEN, FORBIDDEN],
            [client.permit(peer) for peer in ("203.0.113.7", "203.0.113.8", "10.0.0.1")],
        )


class TlsTests(RelayTestCase):
    """A relay with TLS."""

    async def test_certificate(self) -> None:
        """Its certificate is callnet's, also after that has changed."""
        port, tls_port = free_ports(2)
        daemon = await self.start(relayed(port, f"tls_port = {tls_port}\n"))
        first = daemon.certificate.read_bytes()
        self.assertEqual(first.split(), ssl.get_server_certificate(("127.0.0.1", tls_port)).encode().split())
        daemon.certificate.unlink()
        os.kill(daemon.pid, signal.SIGHUP)
        await daemon.said("reloaded the certificate")
        second = daemon.certificate.read_bytes()
        self.assertNotEqual(first, second)
        while ssl.get_server_certificate(("127.0.0.1", tls_port)).encode().split() != second.split():
            await deferLater(reactor, 0.1)  # it reads it when it gets to it


class WithoutProgramTests(RelayTestCase):
    """A machine without coturn."""

    async def test_serves_on(self) -> None:
        """There is one warning; callnet serves, and says what is wrong."""
        [port] = free_ports(1)
        daemon = self.make(relayed(port, 'program = "/nowhere/turnserver"\n'))
        await daemon.start()
        await log_in(service_of(daemon), PHONE, "tv")
        self.assertEqual(1, daemon.log.count("relay not started: no program /nowhere/turnserver; install coturn"))
        shown, _, _ = await callnet(daemon, "status", "--at", daemon.admin_url)
        self.assertRegex(shown, "relay +down: program not found")
        shown, _, _ = await callnet(daemon, "doctor")
        self.assertIn("no program /nowhere/turnserver", shown)


class WorkersTests(RelayTestCase):
    """A parent and two workers."""

    async def test_one_for_all(self) -> None:
        """There is one relay, and the workers make credentials for it, also with another secret."""
        [port] = free_ports(1)
        daemon = await self.start(settings_of_workers(relayed(port)))
        for _ in range(2):
            for pid in workers_of(daemon):
                with stopped(pid):
                    self.assertEqual(0, (await self.client(daemon, port)).allocate())
            self.age(daemon, REPLACED_AFTER)
            os.kill(daemon.pid, signal.SIGHUP)
            for _ in range(3):
                await daemon.said("reloaded the TURN secret: changed")
        self.assertEqual(1, daemon.log.count("relay started"))
        end = ProcessEnd(self.pid(daemon))
        await daemon.stop()
        await end.reached
