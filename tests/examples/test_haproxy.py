"""HAProxy in front of two nodes, by its example."""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import DeferredList, gatherResults
from twisted.trial.unittest import TestCase

from callnet.config.load import load
from harness.redis_server import RedisServer, shared
from tests.examples.balancers import LOGINS, BehindTestCase, Haproxy, write_certificate
from tests.examples.programs import PATIENCE
from tests.support.daemon import Daemon
from tests.support.processes import ProcessEnd
from tests.support.shared_daemon import shared_daemon

SAMPLE: Final = Haproxy.example
NODES: Final = {"a": "10.0.0.11", "b": "10.0.0.12"}

reactor: Any = installed


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
        self.assertEqual(len(servers), 2 * len(NODES) * len(Haproxy.services))
        self.assertEqual([line for line in servers if " tcp-ut 15s " not in line], [])

    def test_callnet_takes_what_it_shows_of_its_settings(self) -> None:
        """The settings of a node that it shows are settings."""
        shown = re.findall(r"^#     (\[listeners\]\n(?:#     .*\n)+)", SAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
        path = self.mktemp()
        text = re.sub(r"^#     ", "", shown[0], flags=re.MULTILINE)
        Path(path).write_text(f"accounts.open_enrolment_on_network = true\n{text}", encoding="utf-8")
        self.assertEqual(len(list(load(path, {}).listeners.keyed())), 5)


@cache
def shared_place() -> tuple[str, str]:
    """A folder with a certificate, and the URL of Redis, for nodes that outlive a test."""
    folder = mkdtemp(prefix="callnet-haproxy-")
    atexit.register(rmtree, folder)
    write_certificate(Path(folder, "nodes.pem"))
    return folder, shared("redis").url()


def settings_of_node(folder: str, redis: str, name: str) -> dict[str, Any]:
    """Settings and listeners of a node: its name, and the parts that all nodes share."""
    listener = '[{ endpoint = "tcp:0:interface=127.0.0.1", proxy_protocol = ["127.0.0.1"] }]'
    settings = f'''
        # node {name}
        accounts.open_enrolment_on_network = true
        database.url = "sqlite:///{folder}/callnet.db"
        limits.logins_a_minute_from_an_address = {LOGINS}
        redis = {{ url = "{redis}", prefix = "haproxy:" }}
        tokens.signing_key = "{"k" * 32}"
        tls = {{ certificate = "{folder}/nodes.pem", private_key = "{folder}/nodes.pem" }}
        '''
    listeners = "\n".join(f"listeners.{service} = {listener}" for service in (*Haproxy.services, "admin"))
    return {"settings": settings, "listeners": listeners}


class NodesTests(BehindTestCase):
    """Two nodes behind it, which share everything that nodes must share."""

    async def begin_with_own_nodes(self) -> None:
        """Start Redis and nodes, then HAProxy."""
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        self.certificate = write_certificate(Path(folder, "nodes.pem"))
        self.redis = RedisServer("redis")
        self.addCleanup(self.redis.close)
        self.nodes = [Daemon(self.mktemp(), **settings_of_node(folder, self.redis.url(), name)) for name in NODES]
        for node in self.nodes:
            self.addCleanup(node.stop)
        await gatherResults([node.start() for node in self.nodes])
        await self.start_balancer()

    async def begin(self, is_second: bool = False) -> None:
        """Have nodes that go on living, and start HAProxy."""
        folder, redis = shared_place()
        self.certificate = Path(folder, "nodes.pem").read_bytes()
        self.nodes = [await shared_daemon(self, **settings_of_node(folder, redis, name)) for name in NODES]
        await self.start_balancer(is_second)

    async def start_balancer(self, is_second: bool = False) -> None:
        """Start HAProxy, which soon knows that both nodes are ready."""
        folder = self.mktemp()
        os.makedirs(folder)
        self.balancer = Haproxy(folder, dict(zip(NODES.values(), self.nodes, strict=True)), is_second)
        self.balancer.start()
        self.addCleanup(self.balancer.stop)
        passed = r"succeeded, reason: Layer7 check passed, code: 200,[^\n]* status: \d/\d UP"
        checks = [f"{check}/{name}" for check in ("ready", "alive") for name in NODES]
        await gatherResults([self.balancer.says(f"Health check for server {check} {passed}") for check in checks])

    async def test_devices_and_pages_come_through(self) -> None:
        """Devices on different nodes call each other, pages come over TLS, and nodes see the addresses of clients."""
        await self.begin()
        await self.assert_comes_through()

    async def test_a_reload(self) -> None:
        """A reload closes no connection of a device, and later clients are served."""
        await self.begin()
        await self.assert_reload_loses_nothing()

    async def test_limits(self) -> None:
        """The limits of all nodes together go by the addresses of clients."""
        await self.begin(is_second=True)
        await self.assert_limits_go_by_clients()

    async def test_a_node_is_killed(self) -> None:
        """When a node is killed its devices are told at once, and everybody is served by the other one."""
        await self.begin()
        members = [await self.device(f"tv{number}") for number in range(4)]
        end = ProcessEnd(self.nodes[0].pid)
        told = DeferredList([each.lost() for each in members], fireOnOneCallback=True)
        told.addTimeout(PATIENCE, reactor)
        os.kill(self.nodes[0].pid, signal.SIGKILL)
        await end.reached
        await told
        members += [await self.device(f"new{number}") for number in range(4)]
        await gatherResults([each.device.until("online").addTimeout(PATIENCE, reactor) for each in members])

    async def test_a_node_hangs(self) -> None:
        """A hanging node gets no further clients."""
        await self.begin()
        self.balancer.said = b""
        os.kill(self.nodes[0].pid, signal.SIGSTOP)
        self.addCleanup(os.kill, self.nodes[0].pid, signal.SIGCONT)
        await gatherResults([self.balancer.says(f"Server {check}/a is DOWN") for check in ("ready", "alive")])
        for number in range(4):
            await self.device(f"tv{number}")

    async def test_no_node_is_ready(self) -> None:
        """When no node is ready, clients are sent to all that live; connected ones stay connected."""
        await self.begin_with_own_nodes()
        members = [await self.device(f"tv{number}") for number in range(2)]
        # A client with an answer is known.
        await gatherResults([each.calls(self.phone, "nobody").until("over") for each in members])
        self.redis.kill()
        await gatherResults([self.balancer.says(f"Server ready/{name} is DOWN") for name in NODES])
        members += [await self.device(f"new{number}") for number in range(2)]
        self.assertEqual([each.device.state for each in members], ["online"] * 4)
