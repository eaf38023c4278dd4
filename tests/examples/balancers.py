"""Real balancers in front of real nodes, by the files of examples/ but for addresses, users and places of files."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http.client import HTTPConnection
from ipaddress import ip_address
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody

from callnet.ops.certificates import sign
from callnet.web.site import PAGE
from callnet_client import Event, Server, StateEvent, certificate_trust
from harness.ports import free_ports
from tests.examples.programs import EXAMPLES, PATIENCE, Program
from tests.support.daemon import Daemon
from tests.support.devices import NodeLifecycle, log_in, member
from tests.support.shared_daemon import new_phone

CLIENT: Final = "127.0.0.7"
"""The address that clients have here; balancers and nodes have another."""
FAR: Final = (f"203.0.113.{number}" for number in cycle(range(1, 255)))
"""Addresses of clients, each new, as a balancer before the balancer says: limits do not count loopback addresses."""
MODULES: Final = "/usr/lib/nginx/modules"
LOGINS: Final = 20
"""The number of logins a minute from such an address."""

Replacements = Iterable[tuple[str, str]]
"""Patterns that must be in a file of examples/, and their replacements."""

reactor: Any = installed


def write_certificate(path: Path) -> bytes:
    """Make a file with a certificate for ``127.0.0.1`` and its key; the certificate."""
    pair = sign([], [ip_address("127.0.0.1")], datetime.now(UTC))
    certificate = pair.chain[0].public_bytes(Encoding.PEM)
    path.write_bytes(certificate + pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate


def replaced(text: str, replacements: Replacements) -> str:
    """A file with something else in some places."""
    for here, there in replacements:
        assert re.search(here, text), here
        text = re.sub(here, there, text)
    return text


class Balancer(Program):
    """A balancer, by a file in a folder of its own.

    :param schemes: those of the URLs by which clients come to each service.
    :param ports: where it listens.
    """

    schemes: ClassVar[Mapping[str, str]]
    reloaded_by: ClassVar[int]
    reloaded: ClassVar[str]
    """Its log line after it has reloaded its settings."""

    def __init__(
        self, command: Sequence[str], folder: str, ports: Mapping[str, int], descriptors: Sequence[int] = ()
    ) -> None:
        super().__init__(command, folder, os.environ, descriptors)
        self._ports = ports

    def url(self, service: str) -> str:
        """Where clients find a service."""
        return f"{self.schemes[service]}://127.0.0.1:{self._ports[service]}"

    async def reload(self) -> None:
        """Have it read its settings again."""
        self.said = b""
        self.signal(self.reloaded_by)
        await self.says(self.reloaded)


class Haproxy(Balancer):
    """HAProxy. The sockets that it listens on are open before it starts.

    :param nodes: by the addresses that they have in the example.
    :param is_second: whether another balancer stands before it, which tells who the client is.
    """

    services: Final = {"account": 8083, "signaling": 8082, "site": 8080}
    example: Final = EXAMPLES / "haproxy" / "haproxy.cfg"
    schemes: ClassVar[Mapping[str, str]] = {"account": "http", "signaling": "ws", "site": "https"}
    reloaded_by = signal.SIGUSR2
    reloaded = "Loading success"

    def __init__(self, folder: str, nodes: Mapping[str, Daemon], is_second: bool) -> None:
        self._listening = {service: socket.create_server(("127.0.0.1", 0)) for service in self.services}
        self._is_second = is_second
        ports = {service: each.getsockname()[1] for service, each in self._listening.items()}
        descriptors = [each.fileno() for each in self._listening.values()]
        super().__init__(("haproxy", "-W", "-f", "haproxy.cfg"), folder, ports, descriptors)
        text = re.sub(r"^ +(user|group) .*\n", "", self.example.read_text(encoding="utf-8"), flags=re.MULTILINE)
        Path(folder, "haproxy.cfg").write_text(replaced(text, self._replacements(nodes)), encoding="utf-8")

    def _replacements(self, nodes: Mapping[str, Daemon]) -> Iterator[tuple[str, str]]:
        yield r"log /dev/log local0", "log stdout format raw local0"
        yield r"/run/haproxy/admin\.sock", "unix@haproxy.sock"
        yield r"maxconn \d+", "maxconn 100"
        yield r"option tcplog", "option log-health-checks"
        for service, port in self.services.items():
            place = f"fd@{self._listening[service].fileno()}"
            yield rf"bind :{port}\b", f"bind {place}{' accept-proxy' if self._is_second else ''}"
        for address, daemon in nodes.items():
            urls = {8083: daemon.account_url, 8082: daemon.signaling_url, 8080: daemon.site_url, 8084: daemon.admin_url}
            for port, url in urls.items():
                yield rf"{re.escape(address)}:{port} ", f"{urlsplit(url).netloc} "

    def stop(self) -> Deferred[int | None]:
        """Stop it; fires when it is gone."""
        for each in self._listening.values():
            each.close()
        return super().stop()


class Nginx(Balancer):
    """nginx, which has the certificate.

    :param sockets: the folder in which callnet listens.
    :param is_second: whether another balancer stands before it, which tells who the client is.
    """

    services: Final = {"account": 8083, "signaling": 8082, "site": 443, "web": 80}
    example: Final = EXAMPLES / "nginx" / "nginx.conf"
    schemes: ClassVar[Mapping[str, str]] = {"account": "http", "signaling": "ws", "site": "https", "web": "http"}
    reloaded_by = signal.SIGHUP
    started: Final = r"start worker process \d+.*start worker process \d+"
    reloaded = f"reconfiguring.*{started}"

    def __init__(self, folder: str, sockets: str, is_second: bool = False) -> None:
        folder = os.path.abspath(folder)
        ports = dict(zip(self.services, free_ports(len(self.services)), strict=True))
        super().__init__(("nginx", "-p", folder, "-c", "nginx.conf", "-g", "daemon off;"), folder, ports)
        self._is_second = is_second
        self.certificate = write_certificate(Path(folder, "nginx.pem"))
        text = self.example.read_text(encoding="utf-8")
        Path(folder, "nginx.conf").write_text(replaced(text, self._replacements(sockets)), encoding="utf-8")

    def _replacements(self, sockets: str) -> Iterator[tuple[str, str]]:
        yield r"user www-data;", "user root;"
        yield r"worker_processes auto;", "worker_processes 2;"
        yield r"pid /run/nginx\.pid;", "pid nginx.pid;"
        yield r"error_log /var/log/nginx/error\.log;", "error_log stderr notice;"
        yield r"include /etc/nginx/modules-enabled/\*\.conf;", f"load_module {MODULES}/ngx_stream_module.so;"
        yield r"worker_rlimit_nofile \d+;", ""
        yield r"worker_connections \d+;", "worker_connections 100;"
        yield r"/var/log/nginx/", f"{self._folder}/"
        yield r"/etc/letsencrypt/live/calls\.example\.org/(fullchain|privkey)\.pem", "nginx.pem"
        yield r"/run/callnet", sockets
        yield r" +listen \[::\]:\d+( ssl)?;\n", ""
        for service, port in self.services.items():
            told = " proxy_protocol" if self._is_second and service != "web" else ""
            yield rf"listen {port}\b", f"listen 127.0.0.1:{self._ports[service]}{told}"
        if self._is_second:
            yield r"stream \{", "stream {\n    set_real_ip_from 127.0.0.1;"


class _Second(HTTPConnection):
    """A connection of a balancer that stands before another: it says first who its client is."""

    def __init__(self, url: str, client: str) -> None:
        super().__init__(urlsplit(url).netloc, timeout=PATIENCE)
        self._client = client

    def connect(self) -> None:
        super().connect()
        self.sock.sendall(f"PROXY TCP4 {self._client} 127.0.0.1 1024 8083\r\n".encode())


def login_from(url: str, client: str, phone: str) -> int:
    """Log in through a balancer that is told where the client is; the status."""
    connection = _Second(url, client)
    connection.request("POST", "/account/login", f'{{"phone": "{phone}", "device_id": "tv"}}')
    status = connection.getresponse().status
    connection.close()
    return status


class BehindTestCase(TestCase):
    """Nodes behind a balancer."""

    balancer: Balancer
    nodes: Sequence[Daemon]
    certificate: bytes
    """The certificate of the site."""

    def setUp(self) -> None:
        """Have two numbers."""
        self.phone, self.friend = new_phone(), new_phone()

    def agent(self) -> Agent:
        """A client that asks from the clients' address. It keeps its connections, so that the next has another node."""
        pool = HTTPConnectionPool(reactor)
        self.addCleanup(pool.closeCachedConnections)
        return Agent(reactor, certificate_trust(self.certificate), bindAddress=(CLIENT, 0), pool=pool)

    def service(self) -> Server:
        """The services, for a client with connections of its own."""
        url = self.balancer.url
        return Server(
            url("site"), reactor, account_url=url("account"), signaling_url=url("signaling"), agent=self.agent()
        )

    async def device(self, device_id: str) -> NodeLifecycle:
        """A connected device that accepts every call."""
        return await member(self, self.service(), self.phone, device_id, answers=True)

    async def assert_comes_through(self) -> None:
        """Devices log in, see their contacts and call each other, pages come over TLS, nodes see whose they are."""
        callee, caller = await self.device("tv"), await self.device("phone")
        await caller.account.add_contact(self.friend)
        await log_in(self.service(), self.friend, "tv")
        self.assertEqual([row.phone for row in await caller.account.contacts()], [self.friend])
        await caller.talks_to(callee)
        served = gatherResults([node.said(rf"{CLIENT} GET {PAGE} 200 ") for node in self.nodes])
        while not served.called:  # a node may look away for a moment
            response = await self.agent().request(b"GET", (self.balancer.url("site") + PAGE).encode())
            self.assertIn(b"<body", await readBody(response))
        await served

    async def assert_reload_loses_nothing(self) -> None:
        """Assert that after a reload connected devices are still connected, and can call those that have come since."""
        members = [await self.device(f"tv{number}") for number in range(8)]
        states: list[Event] = []
        for each in members:
            each.device.listen(lambda event: states.append(event) if isinstance(event, StateEvent) else None)
        await self.balancer.reload()
        await members[0].talks_to(await self.device("new"))
        for each in members[1:]:  # a client with an answer is connected
            await each.calls(self.phone, "nobody").until("over")
        self.assertEqual(states, [])

    async def assert_limits_go_by_clients(self) -> None:
        """Assert that the limit of logins applies to the address told by a balancer; others are admitted."""
        url = self.balancer.url("account")
        one, other = next(FAR), next(FAR)
        began, taken = reactor.seconds(), 0
        while (status := await deferToThread(login_from, url, one, self.phone)) == 200:
            taken += 1
        self.assertEqual(status, 429)
        self.assertGreaterEqual(taken, LOGINS)
        self.assertLessEqual(taken, LOGINS + (reactor.seconds() - began) * LOGINS / 60)
        self.assertEqual(await deferToThread(login_from, url, other, self.phone), 200)
