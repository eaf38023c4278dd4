"""The client's address, through everything that a listener behind a load balancer is made of."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import IOPump, connectedServerAndClient
from twisted.web.resource import Resource

from callnet.config.schema import LimitSettings
from callnet.ops.certificates import ServerTls, sign
from callnet.ops.proxy_protocol import Proxied
from callnet.web.http import CappedSite
from harness.websocket import PING, client_frame
from tests.support.wires import Wire
from tests.unit.test_proxy_header import binary
from tests.unit.test_site_sockets import TV, SiteCase

BALANCER: Final = IPv4Address("TCP", "192.0.2.7", 4711)
"""Where the wires of the tests come from."""
CLIENT: Final = IPv4Address("TCP", "203.0.113.9", 51000)
HEADER: Final = b"PROXY TCP4 203.0.113.9 198.51.100.1 51000 443\r\n"
BINARY_HEADER: Final = binary(CLIENT.host, CLIENT.port)


class _Speaking(Protocol):
    """A client that says one thing and listens."""

    def __init__(self, says: bytes) -> None:
        self.says = says
        self.heard = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.says)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class _HeaderFirst(ProtocolWrapper):
    """The load balancer's part of a connection."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(HEADER)


class ProxiedSiteCase(SiteCase):
    """The listeners of a server, behind a load balancer."""

    def proxied(self, factory: Any) -> Any:
        """A listener that believes the load balancer."""
        return Proxied(factory, [BALANCER.host], self.world.clock)

    def shake_hands(self, factory: Any, header: bytes = HEADER) -> Wire:
        """Open a device's socket with this before the handshake."""
        wire = self.world.connect(self.proxied(factory))
        wire.send(header)
        wire.handshake(f"/socket.io?token={self.token}")
        self.world.settle()
        return wire

    def assert_client_is_seen(self) -> None:
        """The one socket there is has the client for its peer."""
        (socket,) = self.world.signaling.sockets
        self.assertEqual(socket.transport.getPeer(), CLIENT)


class PlainTests(ProxiedSiteCase):
    """Without TLS."""

    def test_devices(self) -> None:
        """The socket of a device sees the device's address, with either version of the header."""
        for header in (HEADER, BINARY_HEADER):
            wire = self.shake_hands(self.world.signaling, header)
            self.assertTrue(wire.open, wire.head)
            self.assert_client_is_seen()
            wire.leave()

    def test_devices_on_the_site(self) -> None:
        """So does the socket that the site has upgraded, which still answers and can be closed."""
        wire = self.shake_hands(self.site)
        self.assertTrue(wire.open, wire.head)
        self.assert_client_is_seen()
        self.world.advance(20)  # it is pinged, and answers
        self.assertTrue(wire.open)
        self.world.signaling.shut_down()
        self.world.settle()
        self.assertEqual(wire.close_code, 1001)

    def test_a_device_that_does_not_read(self) -> None:
        """The limits for clients that do not read hold behind a load balancer too."""
        wire = self.shake_hands(self.world.signaling)
        wire.reads = False
        for _ in range(50):
            wire.send(client_frame(PING, b"x" * 125) * 500)
            self.world.settle()
        self.assertLess(len(wire.transport.value()), 200_000)
        self.world.advance(41)
        self.assertTrue(wire.lost)

    def test_requests(self) -> None:
        """A request is the client's, and so is its line in the log."""
        wire = self.world.connect(self.proxied(self.site))
        with capturedLogs() as events:
            wire.send(HEADER + b"GET /nothing?secret HTTP/1.1\r\nHost: x\r\n\r\n")
            self.world.settle()
        self.assertEqual(wire.status, 404)
        self.assertIn("203.0.113.9 GET /nothing 404 23 ", "".join(str(formatEvent(event)) for event in events))
        wire.leave()

    def test_crowds(self) -> None:
        """HTTP connections count by the client's address, not by the load balancer's."""
        site = CappedSite(Resource(), self.world.clock, counts=LimitSettings(connections_of_an_address=1))
        other = HEADER.replace(b"203.0.113.9", b"203.0.113.10")
        statuses = []
        for header in (HEADER, HEADER, other):
            wire = self.world.connect(self.proxied(site))
            wire.send(header + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.world.settle()
            statuses.append(wire.status)
        self.assertEqual(statuses, [404, 429, 404])
        for wire in self.world.wires:
            wire.leave()

    def test_without_a_header_nobody_is_served(self) -> None:
        """A client that sends no header is not served, on any listener."""
        for factory in (self.site, self.world.signaling):
            wire = self.shake_hands(factory, b"")
            self.assertEqual((wire.status, wire.lost), (None, True))
        self.assertEqual(self.world.signaling.sockets, {})


class TlsTests(ProxiedSiteCase):
    """With TLS: the header comes before it."""

    def ask(self, request: bytes) -> bytes:
        """Send a request over TLS, through a load balancer; returns the answer."""
        tls = ServerTls(sign(["localhost"], [], datetime.now(UTC)))
        listener = self.proxied(TLSMemoryBIOFactory(tls, False, self.site, self.world.clock))
        client = _Speaking(request)
        clients = Factory.forProtocol(partial(lambda made: made, client))
        balancer = WrappingFactory(TLSMemoryBIOFactory(CertificateOptions(), True, clients, self.world.clock))
        balancer.protocol = _HeaderFirst
        _, _, pump = connectedServerAndClient(
            lambda: listener.buildProtocol(BALANCER), lambda: balancer.buildProtocol(None), clock=self.world.clock
        )
        pump.flush()
        self.addCleanup(self.leave, client, pump)
        return client.heard

    def leave(self, client: Protocol, pump: IOPump) -> None:
        """Close the connection from the client's side."""
        assert client.transport is not None
        client.transport.loseConnection()
        pump.flush()

    def test_requests(self) -> None:
        """A request is the client's."""
        with capturedLogs() as events:
            self.assertTrue(self.ask(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 404 "))
        self.assertIn("203.0.113.9 GET /nothing 404 23 ", "".join(str(formatEvent(event)) for event in events))

    def test_devices(self) -> None:
        """The socket of a device sees the device's address."""
        wire = Wire(Factory.forProtocol(Protocol))
        wire.handshake(f"/socket.io?token={self.world.tokens.issue(TV)}")
        self.assertTrue(self.ask(wire.take_unsent()).startswith(b"HTTP/1.1 101 "))
        self.assert_client_is_seen()

    def test_pages(self) -> None:
        """A page that says it came without TLS did not come from here; without TLS here, a proxy may have it."""
        for scheme, secure, plain in (("https", 101, 101), ("http", 403, 101)):
            wire = Wire(Factory.forProtocol(Protocol))
            wire.handshake("/room", {"Origin": f"{scheme}://callnet.test"})
            handshake = wire.take_unsent()
            self.assertTrue(self.ask(handshake).startswith(b"HTTP/1.1 %d " % secure), scheme)
            wire = self.world.connect(self.proxied(self.site))
            wire.send(HEADER + handshake)
            self.world.settle()
            self.assertEqual(wire.status, plain, scheme)
            wire.leave()
