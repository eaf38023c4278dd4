"""The site and TURN on one port: the real daemon, with the real coturn behind it."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, readBody

from callnet.doctor.stun import Datagrams, Stream, StunClient
from callnet.frames.ice import turn_server
from callnet.util.net import lan_name
from callnet_client import certificate_trust
from harness.coturn import Coturn
from harness.ports import free_ports
from tests.integration.test_workers import settings_of_workers
from tests.support.daemon import Daemon
from tests.support.devices import log_in, member, site_of
from tests.support.turn_case import SECRET

PHONE: Final = "13651884967"
ADMIN: Final = '[listeners]\nadmin = [{ endpoint = "tcp:0:interface=127.0.0.1" }]\n'
COOKIE: Final = 0x2112A442
HOSTS: Final = ("127.0.0.1", "::1")

reactor: Any = installed


class TlsStream(Stream):
    """A way to a TURN server over TLS.

    :param certificate: the one that is trusted.
    :param offers: the protocols that ALPN offers.
    """

    def __init__(self, host: str, port: int, certificate: Path, offers: Sequence[str]) -> None:
        context = ssl.create_default_context(cafile=certificate)
        if offers:
            context.set_alpn_protocols(list(offers))
        self._socket = context.wrap_socket(socket.create_connection((host, port)), server_hostname=host)
        self.chosen: Final = self._socket.selected_alpn_protocol()
        self.address: Final = self._socket.getsockname()


class OnePortTests(TestCase):
    """A daemon with one port for all, which both families of addresses reach, and a relay behind it."""

    async def begin(self, settings: str = "") -> None:
        """Start both."""
        self.coturn = Coturn(SECRET, is_proxied=True)
        self.addCleanup(self.coturn.close)
        listeners = f"""
            [listeners]
            account = []
            signaling = []
            site = [{{ endpoint = "tcp6:0", turn = "tcp:127.0.0.1:{self.coturn.proxy_port}" }}]
        """
        listeners += ADMIN.replace("[listeners]", "")
        settings = f"accounts.open_enrolment_on_network = true\n{settings}"
        self.daemon = Daemon(self.mktemp(), settings, listeners=listeners)
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()

    def allocate(self, host: str, offers: Sequence[str]) -> tuple[str | None, bool, int]:
        """Ask for an allocation.

        Returns what ALPN has chosen, whether the relay knows where the client is, and its answer, which is 0 if it gave
        one. The connection stays open.
        """
        credentials = turn_server((), SECRET, int(time.time()) + 60, "x")
        stream = TlsStream(host, self.daemon.ports["site"], self.daemon.certificate, offers)
        client = StunClient(stream, credentials.username, credentials.credential)
        self.addCleanup(client.close)
        mask = (struct.pack("!I", COOKIE) + client.transaction)[: len(ip_address(host).packed)]
        masked = client.bind()
        assert masked is not None
        port, address = struct.unpack("!2xH", masked[:4])[0] ^ (COOKIE >> 16), masked[4:]
        seen = str(ip_address(bytes(one ^ other for one, other in zip(address, mask, strict=True)))), port
        return stream.chosen, seen == stream.address[:2], client.allocate()

    async def metric(self, name: str) -> float:
        """The value of a metric; 0: it has none yet."""
        response = await Agent(reactor).request(b"GET", f"{self.daemon.admin_url}/metrics".encode("ascii"))
        lines = [line.rpartition(" ") for line in (await readBody(response)).decode("utf-8").splitlines()]
        return sum(float(value) for key, _, value in lines if key == name)

    async def test_all(self) -> None:
        """Devices call each other and pages load on the port on which the relay allocates, with and without ALPN."""
        await self.begin()
        trust = certificate_trust(self.daemon.certificate.read_bytes())
        service = site_of(self.daemon, trust=trust)
        caller, callee = [await member(self, service, PHONE, name) for name in ("phone", "tv")]
        for offers, chosen in ((), None), (("stun.turn",), "stun.turn"), (("http/1.1", "stun.turn"), "http/1.1"):
            for host in HOSTS:
                self.assertEqual(await deferToThread(self.allocate, host, offers), (chosen, True, 0))
        self.assertEqual(await self.metric("callnet_turn_connections"), 6)
        self.assertEqual(await self.metric("callnet_turn_connections_accepted_total"), 6)
        page = await Agent(reactor, trust).request(b"GET", f"{self.daemon.site_url}/".encode("ascii"))
        self.assertEqual(page.code, 200)
        await readBody(page)
        await caller.reaches(callee)

    async def test_workers(self) -> None:
        """Each of several processes hands over by itself."""
        await self.begin(settings_of_workers())
        for _ in range(8):
            self.assertEqual(await deferToThread(self.allocate, HOSTS[0], ()), (None, True, 0))
        while await self.metric("callnet_turn_connections") != 8:
            pass  # a worker that does not answer at once is left out

    async def test_no_relay(self) -> None:
        """If the relay is away, its clients are closed at once and counted, nothing else is affected, and it may come
        back; the log says both once.
        """
        await self.begin()
        self.coturn.stop()
        for _ in range(3):
            for host in HOSTS:
                await self.assertFailure(deferToThread(self.allocate, host, ()), OSError)
        self.assertEqual(await self.metric("callnet_turn_connections"), 0)
        self.assertEqual(await self.metric('callnet_turn_connections_refused_total{status="502"}'), 6)
        service = site_of(self.daemon, trust=certificate_trust(self.daemon.certificate.read_bytes()))
        await member(self, service, PHONE, "phone")
        self.coturn.start()
        self.assertEqual(await deferToThread(self.allocate, HOSTS[0], ()), (None, True, 0))
        for line in ("cannot reach the TURN server: Connection was refused", "TURN server is reached again"):
            await self.daemon.said(line)
            self.assertEqual(self.daemon.log.count(line), 1)


class SupervisedTests(TestCase):
    """One setting for all: the daemon runs the relay itself."""

    async def relays(self, addresses: Sequence[str], host: str) -> None:
        """A device gets credentials, with which the relay allocates over UDP and on the port of the site. Nobody else
        can connect to it.
        """
        port, udp_port, proxy_port = free_ports(3)
        settings = f"""
            one_port = {port}
            accounts.open_enrolment_on_network = true
            turn.relay = "supervised"
            [turn.supervised]
            host = "{host}"
            port = {udp_port}
            proxy_port = {proxy_port}
            listening_addresses = {json.dumps(addresses)}
        """
        daemon = Daemon(self.mktemp(), settings, listeners=ADMIN)
        self.addCleanup(daemon.stop)
        await daemon.start()
        await daemon.said("relay started")
        service = site_of(daemon, trust=certificate_trust(daemon.certificate.read_bytes()))
        token = await log_in(service, PHONE, "tv")
        _, server = (await service.post("/ice", {"token": token}))["ice_servers"]
        self.assertEqual(
            server["urls"], [f"turn:{host}:{udp_port}?transport=udp", f"turns:{host}:{port}?transport=tcp"]
        )

        def allocate() -> list[int]:
            ways = Datagrams(host, udp_port), TlsStream(host, port, daemon.certificate, ())
            clients = [StunClient(way, server["username"], server["credential"]) for way in ways]
            try:
                return [client.allocate() for client in clients]
            finally:
                for client in clients:
                    client.close()

        self.assertEqual(await deferToThread(allocate), [0, 0])
        for port in (udp_port, proxy_port):
            if (host, port) != ("127.0.0.1", proxy_port):
                self.assertRaises(ConnectionRefusedError, socket.create_connection, (host, port))

    async def test_loopback(self) -> None:
        """It may be on an address of loopback."""
        await self.relays(["127.0.0.1"], "127.0.0.1")

    async def test_all_addresses(self) -> None:
        """Without addresses in the settings it is on all of the machine."""
        await self.relays([], lan_name())
