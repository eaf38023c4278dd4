"""The sample of etc/ for HAProxy, with the real one, before two real nodes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody

from callnet.client import Server, certificate_trust
from callnet.config_file import load
from callnet.operations.certificates import sign
from callnet.web.site import PAGE
from tests.daemon import STOP_TIME, Daemon
from tests.devices import Member, member
from tests.processes import ProcessEnd
from tests.redis_server import RedisServer

SAMPLE: Final = Path(__file__).parent.parent.parent / "etc" / "haproxy.cfg"
SERVICES: Final = {"account": 8083, "signaling": 8082, "site": 8080}
NODES: Final = {"a": "10.0.0.11", "b": "10.0.0.12"}
CLIENT: Final = "127.0.0.7"
"""The address that clients have here; HAProxy and the nodes have another."""
PHONE: Final = "13651884967"
PATIENCE: Final = 30
"""Seconds that anything may take on a busy machine."""

reactor: Any = installed


class Haproxy(ProcessProtocol):
    """The real one, with the sample's settings but for addresses. What it listens on is open before it starts."""

    def __init__(self, directory: str, nodes: dict[str, Daemon]) -> None:
        self.said = b""
        self.has_ended: Deferred[None] = Deferred()
        self._wanted: dict[str, Deferred[None]] = {}
        self._listening = {service: socket.create_server(("127.0.0.1", 0)) for service in SERVICES}
        self._file = Path(directory, "haproxy.cfg")
        self._file.write_text(self._settings(nodes), encoding="utf-8")

    def url(self, service: str) -> str:
        """Where clients find a service."""
        host, port = self._listening[service].getsockname()
        return {"account": "http", "signaling": "ws", "site": "https"}[service] + f"://{host}:{port}"

    def start(self) -> None:
        """Start it."""
        descriptors = {0: "w", 1: "r", 2: "r", **{each.fileno(): each.fileno() for each in self._listening.values()}}
        command = ["haproxy", "-db", "-f", self._file.name]
        reactor.spawnProcess(self, command[0], command, os.environ, str(self._file.parent), childFDs=descriptors)

    def stop(self) -> Deferred[None]:
        """Stop it; fires when it is gone."""
        for each in self._listening.values():
            each.close()
        if not self.has_ended.called:
            assert self.transport is not None
            self.transport.signalProcess("TERM")
        return self.has_ended.addTimeout(STOP_TIME, reactor)

    def says(self, text: str) -> Deferred[None]:
        """Fires when it has said this."""
        wanted: Deferred[None] = Deferred()
        self._wanted[text] = wanted
        self._look()
        return wanted.addTimeout(PATIENCE, reactor)

    def outReceived(self, data: bytes) -> None:
        """Note what it says."""
        self.said += data
        self._look()

    def errReceived(self, data: bytes) -> None:
        """Note what it says."""
        self.outReceived(data)

    def processEnded(self, reason: Failure) -> None:  # noqa: ARG002
        """Note that it is gone."""
        self.has_ended.callback(None)
        for wanted in self._wanted.values():
            wanted.errback(AssertionError(f"HAProxy has ended:\n{self.said.decode()}"))

    def _look(self) -> None:
        for text in [text for text in self._wanted if text.encode() in self.said]:
            self._wanted.pop(text).callback(None)

    def _settings(self, nodes: dict[str, Daemon]) -> str:
        text = SAMPLE.read_text(encoding="utf-8")
        text = re.sub(r"^ +(user|group) .*\n", "", text, flags=re.MULTILINE)
        for here, there in self._replacements(nodes):
            assert re.search(here, text), here
            text = re.sub(here, there, text)
        return text

    def _replacements(self, nodes: dict[str, Daemon]) -> Iterator[tuple[str, str]]:
        """What is replaced in the sample, and by what."""
        yield r"log /dev/log local0", "log stdout format raw local0"
        yield r"/run/haproxy/admin\.sock", "unix@haproxy.sock"
        yield r"maxconn \d+", "maxconn 100"
        yield r"option tcplog", "option log-health-checks"
        for service, port in SERVICES.items():
            yield rf"bind :{port}\b", f"bind fd@{self._listening[service].fileno()}"
        for name, address in NODES.items():
            daemon = nodes[name]
            urls = {8083: daemon.account_url, 8082: daemon.signaling_url, 8080: daemon.site_url, 8084: daemon.admin_url}
            for port, url in urls.items():
                yield rf"{re.escape(address)}:{port} ", f"{urlsplit(url).netloc} "


class SampleTests(TestCase):
    """The sample as it is."""

    def test_haproxy_finds_nothing_wrong(self) -> None:
        """HAProxy finds nothing wrong with it, and warns of nothing."""
        checked = subprocess.run(
            ["haproxy", "-c", "-dW", "-q", "-f", SAMPLE], check=False, capture_output=True, text=True
        )
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))

    def test_connections_to_a_machine_that_is_gone_end(self) -> None:
        """Each server of clients has ``tcp-ut`` in its line: HAProxy does not take it from ``default-server``."""
        servers = re.findall(r"^ +server .* track .*$", SAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(len(servers), 2 * len(NODES) * len(SERVICES))
        self.assertEqual([line for line in servers if " tcp-ut 15s " not in line], [])

    def test_callnet_takes_what_it_shows_of_its_settings(self) -> None:
        """The settings of a node that it shows are settings."""
        shown = re.findall(r"^#     (\[listeners\]\n(?:#     .*\n)+)", SAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
        path = self.mktemp()
        text = re.sub(r"^#     ", "", shown[0], flags=re.MULTILINE)
        Path(path).write_text(f"accounts.open_enrolment_on_network = true\n{text}", encoding="utf-8")
        self.assertEqual(len(list(load(path, {}).listeners.keyed())), 5)


class NodesTests(TestCase):
    """Two nodes behind it, which share everything that nodes must share."""

    async def begin(self) -> None:
        """Start Redis, the nodes and HAProxy, which soon knows that both nodes are ready."""
        self.shared = os.path.abspath(self.mktemp())
        os.makedirs(self.shared)
        self.certificate = self.write_certificate()
        self.redis = RedisServer("redis")
        self.addCleanup(self.redis.close)
        self.nodes = {name: self.node() for name in NODES}
        for node in self.nodes.values():
            self.addCleanup(node.stop)
        await gatherResults([node.start() for node in self.nodes.values()])
        self.haproxy = Haproxy(self.shared, self.nodes)
        self.haproxy.start()
        self.addCleanup(self.haproxy.stop)
        passed = "succeeded, reason: Layer7 check passed, code: 200"
        checks = [f"{check}/{name}" for check in ("ready", "alive") for name in NODES]
        await gatherResults([self.haproxy.says(f"Health check for server {check} {passed}") for check in checks])

    def node(self) -> Daemon:
        """One of the nodes, with what all of them share."""
        listener = '[{ endpoint = "tcp:0:interface=127.0.0.1", proxy_protocol = ["127.0.0.1"] }]'
        return Daemon(
            self.mktemp(),
            f'''
            accounts.open_enrolment_on_network = true
            database.url = "sqlite:///{self.shared}/callnet.db"
            redis.url = "{self.redis.url()}"
            tokens.signing_key = "{"k" * 32}"
            tls = {{ certificate = "{self.shared}/nodes.pem", private_key = "{self.shared}/nodes.pem" }}
            ''',
            listeners="\n".join(f"listeners.{name} = {listener}" for name in (*SERVICES, "admin")),
        )

    def write_certificate(self) -> bytes:
        """Make the file with the nodes' certificate and its key; the certificate."""
        pair = sign([], [ip_address("127.0.0.1")], datetime.now(UTC))
        certificate = pair.chain[0].public_bytes(Encoding.PEM)
        key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        Path(self.shared, "nodes.pem").write_bytes(certificate + key)
        return certificate

    def agent(self) -> Agent:
        """A client that asks from the clients' address. It keeps its connections, so that the next has another node."""
        pool = HTTPConnectionPool(reactor)
        self.addCleanup(pool.closeCachedConnections)
        return Agent(reactor, certificate_trust(self.certificate), bindAddress=(CLIENT, 0), pool=pool)

    def device(self, device_id: str) -> Deferred[Member]:
        """Log a device in and connect it."""
        service = Server(
            self.haproxy.url("site"),
            reactor,
            account_url=self.haproxy.url("account"),
            signaling_url=self.haproxy.url("signaling"),
            agent=self.agent(),
        )
        return Deferred.fromCoroutine(member(self, service, PHONE, device_id))

    async def test_devices_and_pages_come_through(self) -> None:
        """Devices on different nodes call each other, pages come over TLS, and nodes see the addresses of clients."""
        await self.begin()
        callee, caller = await self.device("tv"), await self.device("phone")
        await caller.talks_to(callee)
        for _ in NODES:
            response = await self.agent().request(b"GET", (self.haproxy.url("site") + PAGE).encode())
            self.assertIn(b"<body", await readBody(response))
        for node in self.nodes.values():
            await node.said(rf"{CLIENT} POST /account/login 200 ")
            await node.said(rf"{CLIENT} GET {PAGE} 200 ")

    async def test_a_node_is_killed(self) -> None:
        """When a node is killed its devices are told at once, and everybody is served by the other one."""
        await self.begin()
        devices = [await self.device(f"tv{number}") for number in range(4)]
        end = ProcessEnd(self.nodes["a"].pid)
        told = DeferredList([device.lost() for device in devices], fireOnOneCallback=True)
        told.addTimeout(PATIENCE, reactor)
        os.kill(self.nodes["a"].pid, signal.SIGKILL)
        await end.reached
        await told
        again = [await self.device(f"new{number}") for number in range(4)]
        self.assertEqual([each.device.state for each in again], ["online"] * 4)

    async def test_a_node_hangs(self) -> None:
        """A node that hangs gets no more clients."""
        await self.begin()
        os.kill(self.nodes["a"].pid, signal.SIGSTOP)
        self.addCleanup(os.kill, self.nodes["a"].pid, signal.SIGCONT)
        await gatherResults([self.haproxy.says(f"Server {check}/a is DOWN") for check in ("ready", "alive")])
        for number in range(4):
            await self.device(f"tv{number}")

    async def test_no_node_is_ready(self) -> None:
        """When no node is ready, all that live are sent clients; who is connected stays so."""
        await self.begin()
        devices = [await self.device(f"tv{number}") for number in range(2)]
        # Whoever is answered is known.
        await gatherResults([device.calls(PHONE, "nobody").until("over") for device in devices])
        self.redis.kill()
        await gatherResults([self.haproxy.says(f"Server ready/{name} is DOWN") for name in NODES])
        devices += [await self.device(f"new{number}") for number in range(2)]
        self.assertEqual([each.device.state for each in devices], ["online"] * 4)
