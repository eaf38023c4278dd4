"""When a daemon looks for garbage, and that sockets leave none that would have to be looked for."""

from __future__ import annotations

import gc
import weakref
from datetime import UTC, datetime
from time import time
from typing import Any

from OpenSSL import crypto
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, wrapClientTLS
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock, deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase

from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import Tokens
from callnet.calls.rooms import RoomManager
from callnet.config.schema import SignalingSettings
from callnet.model import DeviceAddress
from callnet.ops.certificates import sign
from callnet.ops.process import CALM, LONGEST, MINUTE, SETTLES, YOUNG, Garbage
from callnet.store.memory import MemoryBus, MemoryCallStore
from callnet.ws.device_socket import SignalingFactory
from callnet.ws.factory import ServerSocketFactory
from callnet.ws.page_socket import RoomSocketFactory
from harness.websocket import CLOSE, TEXT, client_frame
from tests.support.no_roster import NO_ROSTER
from tests.support.plain_preferences import OPEN
from tests.support.unlimited import ALONE, NO_SERVERS, UNLIMITED
from tests.support.wires import AT_ONCE
from tests.unit.test_at_once import Once, Side

reactor: Any = installed


class GarbageTests(SynchronousTestCase):
    """The instructions to Python."""

    def setUp(self) -> None:
        """Begin, with nobody connected."""
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        gc.set_threshold(700, 10, 10)
        self.living = 0
        self.kept: list[list[int]] = []
        self.clock = Clock()
        self.garbage = Garbage(lambda: self.living, self.clock)
        self.garbage.begin()
        self.addCleanup(gc.unfreeze)
        self.addCleanup(self.garbage.end)

    def settled(self) -> int:
        """Make enough objects that Python looks at the young ones; returns the number that have settled since."""
        before = gc.get_freeze_count()
        self.kept += [[number] for number in range(2 * YOUNG)]
        return gc.get_freeze_count() - before

    def test_less_often(self) -> None:
        """It looks less often than it would by itself, and does not cease to."""
        young, middle, old = gc.get_threshold()
        self.assertTrue(700 < young < 20_000 and middle < 10 < old, gc.get_threshold())
        self.assertTrue(gc.isenabled())

    def test_old(self) -> None:
        """All that has not settled is looked at every five minutes in which not many devices came or went."""
        looked: list[int] = []

        def note(phase: str, found: dict[str, int]) -> None:
            if phase == "stop" and found["generation"] == 2:
                looked.append(self.living)

        gc.callbacks.append(note)
        self.addCleanup(gc.callbacks.remove, note)
        for minute, living in enumerate([0, CALM, 0, CALM, 1, 2, 2 * CALM, *range(2 * CALM, 2 * CALM + 10)]):
            self.living = living
            self.clock.advance(MINUTE)
            if looked[-1:] == [living]:
                looked[-1] = -minute
        self.assertEqual([-4, -11, -16], looked)

    def test_never_calm(self) -> None:
        """A client that comes and goes all the time puts it off for half an hour at the most."""
        looked: list[int] = []

        def note(phase: str, found: dict[str, int]) -> None:
            if phase == "stop" and found["generation"] == 2:
                looked.append(minute)

        gc.callbacks.append(note)
        self.addCleanup(gc.callbacks.remove, note)
        for minute in range(1, 2 * LONGEST + 1):
            self.living = (CALM + 1) * (minute % 2)
            self.clock.advance(MINUTE)
        self.assertEqual([LONGEST, 2 * LONGEST], looked)

    def test_growth(self) -> None:
        """Objects settle whenever some hundred devices more than ever are connected, and at no other time."""
        self.assertEqual(0, self.settled())
        self.living = SETTLES
        self.assertGreaterEqual(self.settled(), YOUNG)
        self.assertEqual(0, self.settled())
        self.living = 0
        self.assertEqual(0, self.settled())
        self.living = 2 * SETTLES - 1
        self.assertEqual(0, self.settled())
        self.living = 2 * SETTLES
        self.assertGreaterEqual(self.settled(), YOUNG)

    def test_end(self) -> None:
        """A daemon that has ended stops watching."""
        other = Garbage(lambda: 10**6, self.clock)
        other.begin()
        other.end()
        self.assertEqual(0, self.settled())


class SocketTests(TestCase):
    """Sockets over TCP, of devices and of pages, that have settled and end in every way."""

    scheme = "http"

    async def setUp(self) -> None:  # type: ignore[override]
        """Serve."""
        self.tokens = Tokens(KeyRing.of(Key.of(b"k" * 32)), 3600, time)
        bus = MemoryBus()
        rooms = RoomManager(MemoryCallStore(reactor, reactor.seconds), bus, reactor, AT_ONCE, OPEN, NO_ROSTER)
        self.addCleanup(rooms.stop)
        self.devices = SignalingFactory(
            rooms, self.tokens.verify, reactor, UNLIMITED, ALONE, NO_SERVERS, SignalingSettings()
        )
        self.pages = RoomSocketFactory(rooms, reactor, UNLIMITED, NO_SERVERS)
        self.ports: dict[ServerSocketFactory, Any] = {
            factory: await self.listen(factory) for factory in (self.devices, self.pages)
        }

    async def listen(self, factory: ServerSocketFactory) -> Any:
        """Take connections for a factory."""
        self.addCleanup(factory.shut_down)
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(self.served(factory))
        self.addCleanup(port.stopListening)
        return port

    def served(self, factory: ServerSocketFactory) -> Any:
        """The listener for these connections."""
        return factory

    def client(self, endpoint: TCP4ClientEndpoint) -> Any:
        """The maker of these connections."""
        return endpoint

    async def connect(self, factory: ServerSocketFactory, target: str, *frames: bytes) -> Side:
        """Open a socket and send frames on it."""
        side = Side()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.ports[factory].getHost().port)
        await self.client(endpoint).connect(Once(side))
        await side.made
        head = (
            f"GET {target} HTTP/1.1\r\nHost: x\r\nOrigin: {self.scheme}://x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        side.transport.write(head.encode())
        await side.when_received(100)
        self.assertIn(b" 101 ", bytes(side.received))
        for frame in frames:
            side.transport.write(frame)
        return side

    async def device(self, number: int) -> Side:
        """A device that calls the first one, which is most likely busy."""
        address = DeviceAddress(f"1360000{number:04d}", "tv")
        call = client_frame(TEXT, b'{"type":"call","to_phone":"13600000000","to_device_id":"tv"}', True)
        return await self.connect(self.devices, f"/socket.io?token={self.tokens.issue(address)}", call)

    async def page(self, number: int) -> Side:
        """A page that takes a seat."""
        join = b'{"type":"join","room_id":"%032x","key":"%032x","session":"%032x"}' % (number // 2, number, number)
        return await self.connect(self.pages, "/room", client_frame(TEXT, join, True))

    async def test_freed(self) -> None:
        """They are freed without having to be found, and so are their transports."""
        sides = [await self.device(number) for number in range(9)] + [await self.page(number) for number in range(9)]
        await deferLater(reactor, 0.05)
        there = [*self.devices.sockets, *self.pages.sockets]
        self.assertEqual(18, len(there))
        refs = [weakref.ref(part) for socket in there for part in (socket, socket.transport)]
        del there
        gc.collect()
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        for number, side in enumerate(sides):
            self.end(side, number % 3)
        for side in sides:
            if side.reason is None:
                await side.gone
        await self.all_gone()
        gc.collect()  # the error of an unclean end holds its traceback
        self.assertEqual([], [ref() for ref in refs if ref() is not None])

    def end(self, side: Side, how: int) -> None:
        """End a connection: at once, with a closing handshake, or by closing it."""
        if how == 0:
            side.transport.abortConnection()
        elif how == 1:
            side.transport.write(client_frame(CLOSE, b"\x03\xe8", True))
        else:
            side.transport.loseConnection()

    async def all_gone(self) -> None:
        """Wait until no socket is there."""
        while self.devices.sockets or self.pages.sockets:
            await deferLater(reactor, 0.01)
        turn: Deferred[None] = deferLater(reactor, 0.01)
        await turn


class TlsTests(SocketTests):
    """The same over TLS."""

    scheme = "https"

    def served(self, factory: ServerSocketFactory) -> Any:
        """Take connections over TLS."""
        made = sign(["127.0.0.1"], [], datetime.now(UTC))
        key, certificate = crypto.PKey.from_cryptography_key(made.key), crypto.X509.from_cryptography(made.chain[0])
        return TLSMemoryBIOFactory(CertificateOptions(privateKey=key, certificate=certificate), False, factory)

    def client(self, endpoint: TCP4ClientEndpoint) -> Any:
        """Make one."""
        return wrapClientTLS(CertificateOptions(), endpoint)
