"""TURN on the port of the site: telling it from HTTP, and connections that are handed over. Coturn is a wire here."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor as installed
from twisted.internet.defer import DeferredQueue, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionAborted, ConnectionDone, UserError
from twisted.internet.interfaces import IAddress, IConnector
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource

from callnet.config.schema import LimitSettings
from callnet.ops.certificates import ServerTls, sign
from callnet.ops.proxy_protocol import read_header
from callnet.ops.turn_handover import CLOSE_TIME, CONNECT_TIME, IDLE_TIME, TurnHandover, speaks_stun
from callnet.web.http import NO_SETTINGS, CappedSite
from tests.support.http_wire import PEER
from tests.support.still_reactor import StillReactor
from tests.support.tls_wire import TlsWire
from tests.support.transport import Transport
from tests.support.wires import Wire, World
from tests.unit.test_at_once import Once, Side
from tests.unit.test_site_sockets import PHONE, TV, SiteCase

COOKIE: Final = b"\x21\x12\xa4\x42"
ALLOCATE: Final = b"\x00\x03\x00\x08" + COOKIE + b"abcdefghijkl" + b"\x00\x19\x00\x04\x11\x00\x00\x00"
"""A request without credentials, as a client begins with."""
REQUEST: Final = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
PLACE: Final = "tcp:127.0.0.1:5348"
MUCH: Final = b"x" * 100_000
"""More than a transport takes before it pauses its producer."""

reactor: Any = installed


class FirstBytesTests(SynchronousTestCase):
    """Telling STUN from HTTP by the first bytes."""

    @given(st.integers(0, 3), st.binary(min_size=3, max_size=3), st.binary(max_size=40))
    def test_stun(self, first: int, head: bytes, rest: bytes) -> None:
        """A message of STUN is known by its eighth byte, and not before."""
        message = bytes([first]) + head + COOKIE + rest
        for size in range(1, 8):
            self.assertIsNone(speaks_stun(message[:size]))
        for size in range(8, len(message) + 1):
            self.assertIs(speaks_stun(message[:size]), True)

    @given(st.integers(4, 255), st.binary(max_size=40))
    def test_others(self, first: int, rest: bytes) -> None:
        """Whatever begins with another byte is not STUN, such as a request, TLS within TLS, or channel data."""
        self.assertIs(speaks_stun(bytes([first]) + rest), False)

    @given(st.integers(0, 3), st.binary(min_size=3, max_size=3), st.binary(min_size=4, max_size=4))
    def test_another_cookie(self, first: int, head: bytes, cookie: bytes) -> None:
        """Nor is what has another cookie, from the first byte of it that differs."""
        begin = bytes([first]) + head
        for size in range(1, 5):
            expected = None if size < 4 else True
            self.assertIs(speaks_stun(begin + cookie[:size]), expected if COOKIE.startswith(cookie[:size]) else False)


class Relay:
    """Coturn's end of a connection that it accepts.

    :param number: which of those that were asked for.
    """

    def __init__(self, reactor: StillReactor, number: int = 0) -> None:
        (host, port, factory, timeout, _), self.connector = reactor.tcpClients[number], reactor.connectors[number]
        assert (host, port, timeout) == ("127.0.0.1", 5348, CONNECT_TIME), (host, port, timeout)
        self.factory: Final = factory
        self.transport: Final = Transport()

    def accept(self) -> None:
        """Take the connection."""
        self.transport.protocol = self.factory.buildProtocol(None)
        self.transport.protocol.makeConnection(self.transport)

    def fail(self, reason: Exception) -> None:
        """Let the connection not come about."""
        self.factory.clientConnectionFailed(cast(IConnector, self.connector), Failure(reason))

    def received(self) -> bytes:
        """The bytes since this was last asked, after the header, which must name the client."""
        data = self.transport.read()
        if data.startswith(b"\r\n\r\n"):
            header = read_header(data)
            assert header is not None
            assert header.client == PEER, header
            return data[header.length :]
        return data

    def send(self, data: bytes) -> None:
        """Send some bytes."""
        self.transport.protocol.dataReceived(data)

    def leave(self) -> None:
        """Let the connection end."""
        self.transport.protocol.connectionLost(Failure(ConnectionDone()))


class HandoverCase(SiteCase):
    """A site that hands TURN clients over."""

    def setUp(self) -> None:
        """Put it together."""
        super().setUp()
        self.limits = LimitSettings(connections_of_an_address=2, connections_of_a_process=3)
        self.handover = TurnHandover(cast(Any, self.reactor), self.limits)
        self.listener = cast(Any, self.handover.beside(self.site, PLACE))

    def make_world(self) -> World:
        """One whose clock also connects to others."""
        self.reactor = StillReactor()
        return World(clock=self.reactor)

    def begin(self, data: bytes = ALLOCATE) -> tuple[Wire, Relay]:
        """A client that has sent some bytes, and the relay, which is being connected to."""
        wire = self.world.connect(self.listener)
        wire.send(data)
        self.world.settle()
        return wire, Relay(self.reactor, len(self.reactor.tcpClients) - 1)

    def meet(self) -> tuple[Wire, Relay]:
        """A client that is handed over."""
        wire, relay = self.begin()
        relay.accept()
        self.assertEqual(relay.received(), ALLOCATE)
        return wire, relay

    def part(self, wire: Wire, relay: Relay) -> None:
        """Have the client leave, which must be all it takes."""
        wire.leave()
        self.assertIs(relay.transport.ended_by, ConnectionDone)
        relay.leave()
        self.assertEqual((self.handover.connections, self.site.connections), (0, 0))


class SiteTests(HandoverCase):
    """Connections that are the site's."""

    def test_requests(self) -> None:
        """Requests are answered, wherever they are cut, and the connection counts as one of HTTP."""
        for cut in range(1, len(REQUEST)):
            wire = self.world.connect(self.listener)
            for part in (REQUEST[:cut], REQUEST[cut:]):
                wire.send(part)
                self.world.settle()
            self.assertEqual((wire.status, self.site.connections, self.handover.connections), (404, 1, 0))
            wire.leave()
        self.assertEqual(self.site.connections, 0)

    def test_sockets(self) -> None:
        """Sockets are opened and work; nothing of what has told them apart is left."""
        tv, phone = self.world.device(*TV, self.listener), self.world.device(*PHONE, self.listener)
        tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.assertEqual(phone.hears()["type"], "called")
        for device in (tv, phone):
            self.assertIn(device.wire.transport.protocol, self.world.signaling.sockets)

    def test_garbage(self) -> None:
        """The site refuses anything else, also if it begins as STUN would."""
        for data in (
            b"\x16\x03\x01\x02\x00\r\n",
            b"\x40\x00\x00\x00\r\n",
            ALLOCATE[:7] + b"\x43\r\n",
            b"\0\1\2\3\4\r\n",
        ):
            wire = self.world.connect(self.listener)
            wire.send(data)
            self.world.settle()
            self.assertEqual(wire.status, 400)
        self.assertEqual(self.reactor.tcpClients, [])

    def test_silence(self) -> None:
        """A client has the time that the site gives it, whether it says nothing or drips."""
        for size in range(8):
            wire = self.world.connect(self.listener)
            for byte in ALLOCATE[:size]:
                wire.send(bytes([byte]))
                self.world.advance(1)
            self.world.advance(NO_SETTINGS.idle_time - size - 1)
            self.assertFalse(wire.lost)
            self.world.advance(1)
            self.assertTrue(wire.lost)
        self.assertEqual((self.site.connections, self.reactor.tcpClients), (0, []))

    def test_those_that_the_site_refuses(self) -> None:
        """A connection that is one too many for the site is closed, whatever it says."""
        site = CappedSite(Resource(), self.reactor, counts=LimitSettings(connections_of_an_address=1))
        listener = self.handover.beside(site, PLACE)
        wires = [self.world.connect(cast(Any, listener)) for _ in range(2)]
        self.assertIsNotNone(wires[1].transport.ended_by)
        wires[1].transport.protocol.dataReceived(ALLOCATE)
        self.assertEqual(self.reactor.tcpClients, [])
        self.world.settle()
        self.assertEqual((wires[0].lost, wires[1].lost), (False, True))
        wires[0].leave()


class HandedOverTests(HandoverCase):
    """Connections that are handed over."""

    def test_both_ways(self) -> None:
        """The bytes of the client come to the relay after a header with its address, and the answers come back. The
        site does not count it any more.
        """
        wire, relay = self.meet()
        self.assertEqual((self.site.connections, self.handover.connections, self.handover.accepted), (0, 1, 1))
        self.assertTrue(wire.transport.has_no_delay and relay.transport.has_no_delay)
        relay.send(b"an answer")
        self.assertEqual(wire.transport.read(), b"an answer")
        wire.send(b"more")
        self.world.settle()
        self.assertEqual(relay.received(), b"more")
        self.part(wire, relay)

    @given(st.lists(st.integers(1, len(ALLOCATE)), max_size=6), st.integers(0, 7))
    def test_pieces(self, cuts: Sequence[int], accepted_after: int) -> None:
        """It comes whole, wherever it is cut and whenever the relay accepts."""
        places = [0, *sorted(cuts), len(ALLOCATE)]
        wire, relay, received = self.world.connect(self.listener), None, b""
        count = len(self.reactor.tcpClients)
        for number, (begin, end) in enumerate(itertools.pairwise(places)):
            # As over TLS, what was read before reading was paused still comes.
            if begin < end:
                wire.transport.protocol.dataReceived(ALLOCATE[begin:end])
            if relay is None and len(self.reactor.tcpClients) > count and number >= accepted_after:
                relay = Relay(self.reactor, count)
                relay.accept()
                received += relay.received()
        if relay is None:
            relay = Relay(self.reactor, count)
            relay.accept()
        self.assertEqual(received + relay.received(), ALLOCATE)
        self.part(wire, relay)

    def test_meanwhile_nothing_is_read(self) -> None:
        """Until the relay has accepted, nothing more is read."""
        wire, relay = self.begin()
        self.assertEqual(wire.transport.producerState, "paused")
        relay.accept()
        self.assertEqual(wire.transport.producerState, "producing")
        self.part(wire, relay)

    def test_a_client_that_does_not_read(self) -> None:
        """The relay is read no faster than the client reads."""
        wire, relay = self.meet()
        wire.reads = False
        relay.send(MUCH)
        self.assertEqual(relay.transport.producerState, "paused")
        self.assertEqual(wire.transport.read(), MUCH)
        self.assertEqual(relay.transport.producerState, "producing")
        self.part(wire, relay)

    def test_a_relay_that_does_not_read(self) -> None:
        """A client is read no faster than the relay reads."""
        wire, relay = self.meet()
        wire.send(MUCH)
        self.world.settle()
        self.assertEqual(wire.transport.producerState, "paused")
        self.assertEqual(relay.received(), MUCH)
        self.assertEqual(wire.transport.producerState, "producing")
        self.part(wire, relay)

    def test_the_relay_ends_it(self) -> None:
        """When the relay closes, the client gets the rest; if it does not read it in time, it is cut off."""
        for is_slow in (False, True):
            wire, relay = self.meet()
            relay.send(b"the rest")
            relay.leave()
            self.assertEqual(wire.transport.read(), b"the rest")
            self.assertIs(wire.transport.ended_by, ConnectionDone)
            wire.transport.protocol.dataReceived(b"unheard")
            if is_slow:
                self.reactor.advance(CLOSE_TIME)
                self.assertIsNot(wire.transport.ended_by, ConnectionDone)
            self.world.settle()
            self.assertEqual((wire.lost, self.handover.connections), (True, 0))

    def test_the_client_ends_it_and_the_relay_hangs(self) -> None:
        """A relay that does not take the rest in time is cut off."""
        wire, relay = self.meet()
        wire.send(b"the rest")
        self.world.settle()
        wire.leave()
        self.reactor.advance(CLOSE_TIME)
        self.assertIs(relay.transport.ended_by, ConnectionAborted)
        relay.leave()
        self.assertEqual(self.handover.connections, 0)

    def test_the_client_ends_it(self) -> None:
        """When the client is gone, the relay gets the rest; until it is gone too the connection counts."""
        wire, relay = self.meet()
        wire.send(b"the rest")
        self.world.settle()
        wire.leave()
        self.assertEqual((relay.received(), relay.transport.ended_by), (b"the rest", ConnectionDone))
        self.assertEqual(self.handover.connections, 1)
        relay.send(b"unheard")
        relay.leave()
        self.assertEqual(self.handover.connections, 0)

    def test_the_client_ends_it_early(self) -> None:
        """A client that is gone before the relay has accepted is nobody's fault."""
        wire, relay = self.begin()
        wire.leave()
        relay.fail(UserError())  # so the system's connector says when it is told to stop
        self.assertEqual((self.handover.connections, self.handover.refused), (0, {}))

    def test_idle(self) -> None:
        """A client from which nothing comes is cut off, whatever the relay sends; one that says something now and then
        is not.
        """
        wire, relay = self.meet()
        for _ in range(5):
            wire.send(b"still here")
            self.world.settle()
            self.reactor.advance(IDLE_TIME)
        self.assertIsNone(wire.transport.ended_by)
        relay.send(b"are you?")
        self.reactor.advance(IDLE_TIME)
        self.world.settle()
        self.assertTrue(wire.lost)
        relay.leave()
        self.assertEqual(self.handover.connections, 0)

    def test_too_many(self) -> None:
        """There are limits for an address and in all, which may change."""
        pairs = [self.meet() for _ in range(2)]
        wire = self.world.connect(self.listener)
        wire.send(ALLOCATE)
        self.world.settle()
        self.assertEqual((wire.lost, self.handover.refused), (True, {429: 1}))
        self.limits.connections_of_an_address = 0
        self.handover.changed()
        pairs.append(self.meet())
        wire = self.world.connect(self.listener)
        wire.send(ALLOCATE)
        self.world.settle()
        self.assertEqual((wire.lost, self.handover.refused), (True, {429: 1, 503: 1}))
        self.limits.connections_of_a_process = 0
        pairs.append(self.meet())
        self.assertEqual((self.handover.connections, self.site.connections), (4, 0))
        for wire, relay in pairs:
            wire.leave()
            relay.leave()
        self.assertEqual(self.handover.connections, 0)


class AwayTests(SynchronousTestCase):
    """A relay that is away."""

    def test_away(self) -> None:
        """Clients are closed at once and counted; the log says so once, and once when it is back."""
        reactor = StillReactor()
        handover = TurnHandover(cast(Any, reactor), LimitSettings())
        listener = handover.beside(CappedSite(Resource(), reactor), PLACE)
        with capturedLogs() as events:
            for is_there in (False, False, True, True, False):
                wire = Wire(cast(Any, listener))
                wire.send(ALLOCATE)
                wire.move()
                relay = Relay(reactor, -1)
                if is_there:
                    relay.accept()
                    wire.leave()
                    relay.leave()
                else:
                    relay.fail(ConnectError(string="no"))
                    wire.move()
                self.assertTrue(wire.lost)
        self.assertEqual((handover.connections, handover.refused, handover.accepted), (0, {502: 3}, 2))
        away, back = (
            "cannot reach the TURN server: An error occurred while connecting: no.",
            "TURN server is reached again",
        )
        self.assertEqual([formatEvent(event) for event in events], [away, back, away])
        self.assertEqual(reactor.getDelayedCalls(), [])


class TlsTests(HandoverCase):
    """The same over TLS."""

    def test_both_ways(self) -> None:
        """Bytes go both ways."""
        wire = TlsWire(self.listener, self.reactor)
        for byte in ALLOCATE:
            wire.send(bytes([byte]))
        relay = Relay(self.reactor)
        relay.accept()
        wire.send(b"more")
        self.assertEqual(relay.received(), ALLOCATE + b"more")
        relay.send(b"an answer")
        self.assertEqual(wire.received(), b"an answer")
        wire.leave()
        relay.leave()
        self.assertEqual((self.handover.connections, self.site.connections), (0, 0))

    def test_back_pressure(self) -> None:
        """Neither side is read faster than the other reads."""
        wire = TlsWire(self.listener, self.reactor)
        wire.send(ALLOCATE)
        relay = Relay(self.reactor)
        relay.accept()
        relay.send(MUCH)
        self.reactor.advance(0)
        self.assertEqual(relay.transport.producerState, "paused")
        self.assertEqual(wire.received(), MUCH)
        self.assertEqual(relay.transport.producerState, "producing")
        wire.send(MUCH)
        self.assertEqual(wire.transport.producerState, "paused")
        self.assertEqual(relay.received(), ALLOCATE + MUCH)
        self.assertEqual(wire.transport.producerState, "producing")
        wire.leave()
        relay.leave()

    def test_the_relay_ends_it(self) -> None:
        """When the relay closes, the client gets the rest, and then the end of TLS; it is cut off if it does not
        answer that.
        """
        wire = TlsWire(self.listener, self.reactor)
        wire.send(ALLOCATE)
        relay = Relay(self.reactor)
        relay.accept()
        relay.send(b"the rest")
        relay.leave()
        self.assertEqual(wire.received(), b"the rest")
        self.assertFalse(wire.closed)
        self.reactor.advance(CLOSE_TIME)
        self.assertTrue(wire.closed)
        wire.leave()
        self.assertEqual(self.handover.connections, 0)

    def test_handshakes(self) -> None:
        """The time limits of handshakes and of silence after them are the site's."""
        for shakes_hands, time in ((False, NO_SETTINGS.handshake_time), (True, NO_SETTINGS.idle_time)):
            wire = TlsWire(self.listener, self.reactor, shakes_hands)
            self.reactor.advance(time - 1)
            self.assertFalse(wire.closed)
            self.reactor.advance(1)
            self.assertTrue(wire.closed)
            wire.leave()

    def test_requests(self) -> None:
        """Requests are answered."""
        wire = TlsWire(self.listener, self.reactor)
        wire.send(REQUEST)
        self.assertTrue(wire.received().startswith(b"HTTP/1.1 404 "))
        wire.leave()


class _Each(Factory):
    """Gives a protocol to each connection, and into a queue."""

    noisy = False

    def __init__(self, made: DeferredQueue[Side]) -> None:
        self._made = made

    def buildProtocol(self, addr: IAddress | None) -> Side:  # noqa: ARG002
        """Give one."""
        side = Side()
        self._made.put(side)
        return side


class GarbageTests(TestCase):
    """Connections over TCP that have settled and end in every way."""

    def served(self, factory: Any) -> Any:
        """The listener for the connections of clients."""
        return factory

    def client(self, endpoint: TCP4ClientEndpoint) -> Any:
        """The maker of these connections."""
        return endpoint

    async def listen(self, factory: Any) -> int:
        """Take connections; the port."""
        port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        return cast(int, port.getHost().port)

    async def meet(self, port: int, relays: DeferredQueue[Side]) -> tuple[Side, Side]:
        """Both sides of a connection that is handed over."""
        client = Side()
        await self.client(TCP4ClientEndpoint(reactor, "127.0.0.1", port)).connect(Once(client))
        await client.made
        client.transport.write(ALLOCATE)
        relay = await relays.get()
        await relay.when_received(len(ALLOCATE) + 28)
        relay.transport.write(b"an answer")
        await client.when_received(9)
        return client, relay

    async def test_freed(self) -> None:
        """All that belongs to them is freed without having to be found."""
        relays: DeferredQueue[Side] = DeferredQueue()
        handover = TurnHandover(reactor, LimitSettings())
        place = f"tcp:127.0.0.1:{await self.listen(_Each(relays))}"
        site = CappedSite(Resource(), reactor)
        port = await self.listen(self.served(handover.beside(site, place)))
        pairs = [await self.meet(port, relays) for _ in range(6)]
        clients: list[Any] = [
            each
            for each in gc.get_objects()
            if isinstance(each, Protocol) and getattr(each, "_handover", None) is handover
        ]
        parts = [(each, each.transport, each._relay, each._relay.transport) for each in clients]
        self.assertEqual(len(parts), len(pairs))
        refs = [weakref.ref(each) for group in parts for each in (*group, group[-1].connector)]
        del clients, parts
        gc.collect()
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        for number, (client, relay) in enumerate(pairs):
            side = (client, relay)[number % 2]
            (side.transport.abortConnection if number > 3 else side.transport.loseConnection)()
        for client, relay in pairs:
            await gatherResults([client.gone, relay.gone])
        while handover.connections or site.connections:
            await deferLater(reactor, 0.01)
        await deferLater(reactor, 0.01)
        del pairs, client, relay, side
        gc.collect()  # the error of an unclean end holds its traceback
        self.assertEqual([], [ref() for ref in refs if ref() is not None])


class TlsGarbageTests(GarbageTests):
    """The same over TLS."""

    def served(self, factory: Any) -> Any:
        """Take connections over TLS."""
        return TLSMemoryBIOFactory(ServerTls(sign(["127.0.0.1"], [], datetime.now(UTC))), False, factory, reactor)

    def client(self, endpoint: TCP4ClientEndpoint) -> Any:
        """Make one."""
        return wrapClientTLS(CertificateOptions(), endpoint)
