"""Connections to a host that a client has named, on a reactor in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from callnet.push.ssrf import ANSWER_MAX, Inside, Outside, _Capped, _CappedFactory, is_global
from tests.unit.test_push_addresses import INSIDE

URL: Final = "https://push.test/x"
PUBLIC: Final = "8.8.8.8"


@implementer(IHostnameResolver)
class Names:
    """Looks names up as a test says, when it says so."""

    def __init__(self) -> None:
        self.answers: list[Sequence[str]] = []
        """The addresses that each further look-up finds."""
        self.asked: list[str] = []
        self._waiting: list[IResolutionReceiver] = []

    def resolveHostName(self, resolutionReceiver: IResolutionReceiver, hostName: str, *_: object) -> Any:
        """Look a name up."""
        self.asked.append(hostName)
        self._waiting.append(resolutionReceiver)
        if self.answers:
            self.answer(self.answers.pop(0))

    def answer(self, addresses: Sequence[str]) -> None:
        """Answer the first question."""
        receiver = self._waiting.pop(0)
        for address in addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, 443))
        receiver.resolutionComplete()


class OutsideTests(SynchronousTestCase):
    """Which connections are made."""

    def setUp(self) -> None:
        """Nobody was asked yet."""
        self.reactor = MemoryReactorClock()
        self.names = Names()
        reactor: Any = self.reactor
        self.outside = Outside(reactor, self.names, optionsForClientTLS, is_global)

    def post(self, *addresses: str) -> Deferred[int]:
        """Send something to a name with these addresses."""
        self.names.answers.append(addresses)
        return self.outside.post(URL, {}, b"x")

    def connected(self) -> list[tuple[str, int]]:
        """Where connections were begun."""
        return [(client[0], client[1]) for client in self.reactor.tcpClients]

    def refuse(self) -> None:
        """Refuse the connection that was begun last."""
        *_, factory, _, _ = self.reactor.tcpClients[-1]
        factory.clientConnectionFailed(self.reactor.connectors[-1], Failure(Refused()))

    def test_world(self) -> None:
        """An address in the world is connected to, the very one that was looked up, once."""
        for number, address in enumerate((PUBLIC, "2606:4700::1111")):
            sending = self.post(address)
            self.assertNoResult(sending)
            self.assertEqual((address, 443), self.connected()[-1])
            self.assertEqual(["push.test"] * (number + 1), self.names.asked)

    def test_inside(self) -> None:
        """An address that is not in the world is not connected to."""
        for address in INSIDE:
            self.failureResultOf(self.post(address), Inside)
        self.assertEqual([], self.connected())

    def test_both(self) -> None:
        """A name that leads inside among others leads nowhere, in whatever order."""
        for address in INSIDE:
            for found in ([PUBLIC, address], [address, PUBLIC], [PUBLIC] * 5 + [address]):
                self.failureResultOf(self.post(*found), Inside)
        self.assertEqual([], self.connected())

    def test_rebinding(self) -> None:
        """A name that leads elsewhere at the next look does so when something else is sent, and is refused then."""
        self.names.answers = [[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]]
        first = self.outside.post(URL, {}, b"x")
        self.refuse()
        self.failureResultOf(first, Refused)
        self.failureResultOf(self.outside.post(URL, {}, b"x"), Inside)
        self.assertEqual([(PUBLIC, 443)], self.connected())

    def test_another_address(self) -> None:
        """If nobody answers at an address the next is tried, and three at most."""
        found = ["8.8.8.1", "2606:4700::1", "8.8.8.1", "8.8.8.3", "8.8.8.4"]
        sending = self.post(*found)
        for _ in range(3):
            self.assertNoResult(sending)
            self.refuse()
        self.failureResultOf(sending, Refused)
        self.assertEqual(["8.8.8.1", "2606:4700::1", "8.8.8.3"], [host for host, _ in self.connected()])

    def test_no_address(self) -> None:
        """A name without an address is an error."""
        self.failureResultOf(self.post(), DNSLookupError)
        self.assertEqual([], self.connected())

    def test_cancelled(self) -> None:
        """A cancelled lookup or connection ends; a late result is ignored."""
        looking = self.outside.post(URL, {}, b"x")
        looking.cancel()
        self.failureResultOf(looking, CancelledError)
        self.names.answer([PUBLIC])
        self.assertEqual([], self.connected())
        connecting = self.post(PUBLIC)
        connecting.cancel()
        self.failureResultOf(connecting)
        self.assertTrue(self.reactor.connectors[-1].stoppedConnecting)

    def test_ports(self) -> None:
        """The port is the one of the URL."""
        self.names.answers.append([PUBLIC])
        self.outside.post("https://push.test:8443/x", {}, b"x")
        self.assertEqual([(PUBLIC, 8443)], self.connected())


class CapTests(SynchronousTestCase):
    """The limit of an answer."""

    def test_four_kibibytes(self) -> None:
        """Bytes after 4 KiB are not seen, and the connection is cut, in whatever pieces they came."""
        for pieces in ([b"x" * ANSWER_MAX], [b"x" * 3 * ANSWER_MAX], [b"x" * 1000] * 9, [b"x"] * (ANSWER_MAX + 5)):
            seen: list[bytes] = []
            capped = _Capped(_CappedFactory(None), _Sink(seen))
            transport = _Transport()
            transport.protocol = capped
            capped.makeConnection(transport)
            for piece in pieces:
                if transport.connected:
                    capped.dataReceived(piece)
            self.assertEqual(ANSWER_MAX, len(b"".join(seen)))
            self.assertFalse(transport.connected)

    def test_less(self) -> None:
        """Less than that is passed on, and cuts nothing."""
        seen: list[bytes] = []
        capped = _Capped(_CappedFactory(None), _Sink(seen))
        transport = _Transport()
        capped.makeConnection(transport)
        capped.dataReceived(b"x" * (ANSWER_MAX - 1))
        self.assertEqual(ANSWER_MAX - 1, len(b"".join(seen)))
        self.assertTrue(transport.connected)


class _Transport(StringTransportWithDisconnection):
    def abortConnection(self) -> None:
        self.loseConnection()


class _Sink(Protocol):
    def __init__(self, seen: list[bytes]) -> None:
        self._seen = seen

    def dataReceived(self, data: bytes) -> None:
        self._seen.append(data)
