"""Writing at once: the bytes are those that the transport's own ``write`` would have sent, at any speed of reading."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from OpenSSL import crypto
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, wrapClientTLS
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from callnet.ops.certificates import sign
from callnet.util import short_path

reactor: Any = installed


class Side(Protocol):
    """One end of a connection."""

    transport: Any

    def __init__(self) -> None:
        self.made: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self.received = bytearray()
        self.wanted: tuple[int, Deferred[None]] | None = None
        self.paused = 0
        self.reason: type[BaseException] | None = None

    def connectionMade(self) -> None:
        """It is open."""
        self.made.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """Collect it."""
        self.received += data
        if self.wanted is not None and len(self.received) >= self.wanted[0]:
            (_, wanted), self.wanted = self.wanted, None
            wanted.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note why."""
        self.reason = reason.type
        self.gone.callback(None)

    def when_received(self, count: int) -> Deferred[None]:
        """Fires when this number of bytes has arrived."""
        wanted: Deferred[None] = Deferred()
        self.wanted = count, wanted
        if len(self.received) >= count:
            self.wanted = None
            wanted.callback(None)
        return wanted

    def pauseProducing(self) -> None:
        """Count it."""
        self.paused += 1

    def resumeProducing(self) -> None:
        """Do nothing."""

    def stopProducing(self) -> None:
        """Do nothing."""


class Once(Factory):
    """Gives one protocol to one connection."""

    noisy = False

    def __init__(self, side: Side) -> None:
        self._side = side

    def buildProtocol(self, addr: IAddress | None) -> Side:  # noqa: ARG002
        """Give it."""
        return self._side


class SocketTests(TestCase):
    """Over a real connection."""

    write = staticmethod(short_path.choose(next(iter(short_path.TRIED_WITH)), True))

    async def setUp(self) -> None:  # type: ignore[override]
        """Connect both ends."""
        self.here, self.there = Side(), Side()
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(self.server(self.here))
        self.addCleanup(port.stopListening)
        client = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        await self.client(client).connect(Once(self.there))
        await self.here.made

    def server(self, side: Side) -> Any:
        """Take a connection."""
        return Once(side)

    def client(self, endpoint: TCP4ClientEndpoint) -> Any:
        """Make one."""
        return endpoint

    async def tearDown(self) -> None:  # type: ignore[override]
        """Close it."""
        for side in (self.here, self.there):
            if side.reason is None:
                side.transport.abortConnection()
            await side.gone

    async def test_small(self) -> None:
        """A few bytes are with the system when the call is over: nothing waits, and nobody watches for the socket."""
        self.write(self.here.transport, b"hello")
        self.assertNotIn(self.here.transport, reactor.getWriters())
        await self.there.when_received(5)
        self.assertEqual(b"hello", self.there.received)

    async def test_order(self) -> None:
        """However much is written in whatever way, and whenever the other end reads, it arrives in order."""
        random = Random(4)  # noqa: S311  the same each time
        sent = bytearray()
        for turn in range(200):
            data = random.randbytes(random.choice([1, 100, 5000, 300_000]))
            sent += data
            if random.random() < 0.2:
                self.here.transport.write(data)
            else:
                self.write(self.here.transport, data)
            if turn % 20 == 0:
                random.choice([self.there.transport.pauseProducing, self.there.transport.resumeProducing])()
            if turn % 3 == 0:
                await self.turn()
        self.there.transport.resumeProducing()
        await self.there.when_received(len(sent))
        self.assertEqual(sent, self.there.received)

    async def test_producer(self) -> None:
        """A producer is told to pause when the other end does not read."""
        self.there.transport.pauseProducing()
        self.here.transport.registerProducer(self.here, True)
        for _ in range(400):
            self.write(self.here.transport, bytes(100_000))
        self.assertTrue(self.here.paused)

    async def test_after_closing(self) -> None:
        """After the connection was told to close, writes go the general way."""
        self.write(self.here.transport, b"a")
        self.here.transport.loseConnection()
        self.write(self.here.transport, b"b")
        await self.there.gone
        self.assertTrue(self.there.received[:1] == b"a")

    async def test_after_aborting(self) -> None:
        """After it was cut nothing is sent any more."""
        self.here.transport.abortConnection()
        self.write(self.here.transport, b"late")
        await self.there.gone
        self.assertEqual(b"", self.there.received)

    async def test_lost(self) -> None:
        """When the other end is gone, that is found out as it would have been."""
        self.there.transport.abortConnection()
        await self.there.gone
        for _ in range(3):
            self.write(self.here.transport, b"hello?")
        await self.here.gone
        self.write(self.here.transport, b"nobody")

    def turn(self) -> Deferred[None]:
        """Let the reactor do its pending work."""
        passed: Deferred[None] = Deferred()
        reactor.callLater(0, passed.callback, None)
        return passed


class TlsTests(SocketTests):
    """Over a real connection with TLS."""

    def server(self, side: Side) -> Any:
        """Take a connection."""
        key, certificate = self.made()
        return TLSMemoryBIOFactory(CertificateOptions(privateKey=key, certificate=certificate), False, Once(side))

    def client(self, endpoint: TCP4ClientEndpoint) -> Any:
        """Make one."""
        return wrapClientTLS(CertificateOptions(verify=False), endpoint)

    def made(self) -> tuple[Any, Any]:
        """A key and its certificate."""
        signed = sign(["127.0.0.1"], [], datetime.now(UTC))
        return crypto.PKey.from_cryptography_key(signed.key), crypto.X509.from_cryptography(signed.chain[0])

    async def test_small(self) -> None:
        """As soon as hands are shaken, a few bytes are with the system when the call is over."""
        self.there.transport.write(b"hello")
        await self.here.when_received(5)
        before = len(reactor.getDelayedCalls())
        self.write(self.here.transport, b"hello")
        self.assertEqual(before, len(reactor.getDelayedCalls()))
        self.assertNotIn(self.here.transport.transport, reactor.getWriters())
        await self.there.when_received(5)
        self.assertEqual(b"hello", self.there.received)


class GeneralSocketTests(SocketTests):
    """The general writer passes the tests of any writer."""

    write = staticmethod(short_path.choose("26.10.0", False))

    async def test_small(self) -> None:
        """A few bytes arrive."""
        self.write(self.here.transport, b"hello")
        await self.there.when_received(5)


class ChoiceTests(SynchronousTestCase):
    """Which way is taken."""

    def test_unknown_version(self) -> None:
        """With a version of Twisted that it was not tried with, or when it is not wanted, all goes the general way."""
        general = short_path.choose("26.10.0", False)
        self.assertIs(general, short_path.choose("99.1.0", True))
        self.assertIsNot(general, short_path.choose("26.10.0", True))

    def test_the_installed_version(self) -> None:
        """The version that is installed is one that it was tried with."""
        self.assertTrue(short_path.IS_TRIED)

    def test_unknown_transport(self) -> None:
        """A transport of another kind is written to as it wants to be."""
        transport = StringTransport()
        short_path.choose("26.10.0", True)(transport, b"hello")
        self.assertEqual(b"hello", transport.value())
