"""Behind a load balancer: whose header is believed, and how long is waited for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from callnet.ops.proxy_protocol import HEADER_TIME, Proxied
from tests.unit.test_proxy_header import CLIENT, LINE, binary, binary_of

BALANCER: Final = IPv4Address("TCP", "10.0.0.4", 40000)


class Listening(Protocol):
    """Records its connections."""

    def __init__(self) -> None:
        self.peers: list[IAddress] = []
        self.heard = b""
        self.lost: list[Failure] = []

    def connectionMade(self) -> None:
        """Record the client."""
        assert self.transport is not None
        self.peers.append(self.transport.getPeer())

    def dataReceived(self, data: bytes) -> None:
        """Record the bytes."""
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note the end."""
        self.lost.append(reason)


class _Factory(Factory):
    """Makes protocols, and records the address of each."""

    def __init__(self) -> None:
        self.made: list[Listening] = []
        self.addresses: list[IAddress | None] = []

    def buildProtocol(self, addr: IAddress | None) -> Listening:
        """Make one."""
        self.addresses.append(addr)
        self.made.append(Listening())
        return self.made[-1]


class ProxiedTestCase(SynchronousTestCase):
    """A listener with something behind it that records its connections."""

    def setUp(self) -> None:
        """Begin."""
        self.clock = Clock()
        self.behind = _Factory()
        self.listener = Proxied(self.behind, ["10.0.0.0/24", "fd00::1"], self.clock)
        self.listener.doStart()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def connect(self, peer: IAddress = BALANCER) -> Any:
        """Open a connection; ``None`` if it is closed at once."""
        protocol = self.listener.buildProtocol(peer)
        if protocol is None:
            return None
        transport = StringTransportWithDisconnection(peerAddress=peer)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return protocol

    def is_closed(self, protocol: Any) -> bool:
        """True if the listener has closed a connection."""
        return not protocol.transport.connected

    def leave(self, protocol: Any) -> None:
        """Close a connection from the other side."""
        protocol.transport.loseConnection()


class PlaceTests(ProxiedTestCase):
    """The peers whose header is believed."""

    def test_from_the_networks(self) -> None:
        """It is believed from the networks and the addresses that are listed."""
        for host in ("10.0.0.0", "10.0.0.255", "::ffff:10.0.0.4", "fd00::1"):
            protocol = self.connect(IPv6Address("TCP", host, 1) if ":" in host else IPv4Address("TCP", host, 1))
            protocol.dataReceived(LINE)
            self.assertEqual(self.behind.addresses.pop(), CLIENT)
            self.leave(protocol)

    def test_from_elsewhere_the_connection_is_closed(self) -> None:
        """A connection from elsewhere is closed at once, before anything is read of it."""
        for peer in (
            IPv4Address("TCP", "10.0.1.0", 1),
            IPv6Address("TCP", "fd00::2", 1),
            IPv6Address("TCP", "fe80::1%eth0", 1),
            IPv6Address("TCP", "::ffff:10.0.1.4", 1),
            UNIXAddress(None),
        ):
            self.assertIsNone(self.connect(peer))
        self.assertEqual(self.behind.made, [])

    def test_from_whoever_reaches_a_unix_socket(self) -> None:
        """The header of a UNIX socket is believed if the settings say so, and from nowhere else then."""
        self.listener = Proxied(self.behind, ["unix"], self.clock)
        protocol = self.connect(UNIXAddress(None))
        protocol.dataReceived(LINE)
        self.assertEqual(self.behind.addresses, [CLIENT])
        self.leave(protocol)
        self.assertIsNone(self.connect(BALANCER))


class ConnectionTests(ProxiedTestCase):
    """The life of a connection from a load balancer."""

    def headers(self) -> Iterator[bytes]:
        """One of each version."""
        yield LINE
        yield binary()

    def test_nothing_begins_before_the_header(self) -> None:
        """Nothing begins before the header is there; later bytes are handed on."""
        for header in self.headers():
            protocol = self.connect()
            for byte in header[:-1]:
                protocol.dataReceived(bytes([byte]))
            self.assertEqual(self.behind.made, [])
            protocol.dataReceived(header[-1:] + b"hello")
            protocol.dataReceived(b", world")
            (behind,) = self.behind.made
            self.assertEqual((behind.peers, behind.heard), ([CLIENT], b"hello, world"))
            self.leave(protocol)
            self.behind.made.clear()

    def test_one_header_is_read(self) -> None:
        """A client cannot put another header after that of the load balancer."""
        protocol = self.connect()
        protocol.dataReceived(LINE + LINE)
        self.assertEqual((self.behind.addresses, self.behind.made[0].heard), ([CLIENT], LINE))
        self.leave(protocol)

    def test_of_health_checks_the_load_balancer_is_the_client(self) -> None:
        """If a load balancer speaks for itself it is the client."""
        for header in (b"PROXY UNKNOWN\r\n", binary_of(0x20, 0, b"")):
            protocol = self.connect()
            protocol.dataReceived(header)
            self.assertEqual((self.behind.addresses.pop(), self.behind.made.pop().peers), (BALANCER, [BALANCER]))
            self.leave(protocol)

    def test_no_header_closes_it(self) -> None:
        """A connection that begins otherwise is closed, and nobody behind hears of it."""
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"PROXY nobody\r\n"):
            protocol = self.connect()
            protocol.dataReceived(data)
            self.assertTrue(self.is_closed(protocol))
        self.assertEqual(self.behind.made, [])

    def test_a_header_must_be_there_in_time(self) -> None:
        """A header that is not there in time closes the connection, however steadily it drips in."""
        silent, slow = self.connect(), self.connect()
        for byte in LINE[:15]:
            slow.dataReceived(bytes([byte]))
            self.clock.advance(HEADER_TIME / 16)
        self.assertFalse(self.is_closed(silent) or self.is_closed(slow))
        self.clock.advance(HEADER_TIME / 16)
        self.assertTrue(self.is_closed(silent) and self.is_closed(slow))

    def test_then_there_is_no_limit(self) -> None:
        """After it there is no limit of time."""
        protocol = self.connect()
        protocol.dataReceived(LINE)
        self.clock.advance(10 * HEADER_TIME)
        self.assertFalse(self.is_closed(protocol))
        self.leave(protocol)

    def test_who_leaves_is_gone(self) -> None:
        """A client that leaves is gone, once, and before the header nobody behind hears of it."""
        self.leave(self.connect())
        self.assertEqual(self.behind.made, [])
        protocol = self.connect()
        protocol.dataReceived(LINE)
        self.leave(protocol)
        self.assertEqual(len(self.behind.made[0].lost), 1)

    def test_a_listener_that_closes_waits_for_no_header(self) -> None:
        """A listener that closes does not wait for headers any more, and leaves established clients alone."""
        waiting, through = self.connect(), self.connect()
        through.dataReceived(LINE)
        self.listener.doStop()
        self.assertEqual((self.is_closed(waiting), self.is_closed(through)), (True, False))
        self.leave(through)

    def test_who_is_refused_is_told_to_the_log(self) -> None:
        """The log names a refused peer and the reason, so that the settings can be corrected."""
        with capturedLogs() as events:
            self.connect(IPv4Address("TCP", "198.51.100.9", 1))
            self.connect().dataReceived(b"GET /socket.io?token=x HTTP/1.1")
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                "closed 198.51.100.9: not in the networks of proxy_protocol",
                "closed 10.0.0.4: trusted proxy sent no PROXY header",
            ],
        )

    def test_behind_it_a_connection_may_be_refused(self) -> None:
        """The server behind it may refuse a client."""
        self.listener = Proxied(_Refusing(), ["10.0.0.4"], self.clock)
        protocol = self.connect()
        protocol.dataReceived(LINE)
        self.assertTrue(self.is_closed(protocol))


class _Refusing(Factory):
    """Takes nobody."""

    def buildProtocol(self, addr: IAddress | None) -> None:
        """Refuse."""
