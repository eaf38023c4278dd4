"""WebSockets in the turns of the reactor: nobody's frames keep the others waiting for long."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.config.schema import SocketSettings
from callnet.util.turn_budget import SECONDS, TurnBudget
from callnet.ws.factory import SWEEP_EVERY, SWEPT_AT_ONCE, ServerSocketFactory
from callnet.ws.handshake import Opening
from callnet.ws.protocol import ServerSocket
from harness.websocket import CLOSE, CONTINUATION, PING, TEXT, client_frame
from tests.support.wires import Wire, World

HOW_MANY = 40


class WorkingSocket(ServerSocket):
    """Takes some time for each frame."""

    heard: list[bytes]

    def admit(self, opening: Opening) -> None:  # noqa: ARG002
        """Let anybody in."""
        self.session = self

    def opened(self) -> None:
        """Begin to listen."""
        self.heard = []

    def received(self, payload: bytes) -> None:
        """Work for a quarter of a turn's time."""
        self.heard.append(payload)
        self._work()

    def onPing(self, payload: bytes) -> None:
        """Work as much for a ping."""
        self.heard.append(payload)
        self._work()

    def gone(self) -> None:
        """Do nothing."""

    def _work(self) -> None:
        clock: Any = self.factory.clock
        clock.rightNow += SECONDS / 4


class TurnsTests(SynchronousTestCase):
    """Many frames that come in one piece."""

    def setUp(self) -> None:
        """Some sockets that share a budget."""
        self.clock = Clock()
        self.budget = TurnBudget(self.clock)
        self.factory = ServerSocketFactory(WorkingSocket, self.clock, 1000, budget=self.budget)

    def open(self) -> tuple[Wire, Any]:
        """An open socket."""
        wire = Wire(self.factory)
        wire.handshake("/")
        wire.move()
        wire.transport.clear()
        return wire, wire.transport.protocol

    def turn(self) -> float:
        """Let one turn go by. Returns how long it took."""
        began = self.clock.seconds()
        for call in [call for call in self.clock.calls if call.getTime() <= began]:
            self.clock.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)
        return self.clock.seconds() - began

    def check(self, opcode: int, fin: bool = True) -> None:
        """Frames of several sockets are handled in turn, in their order, and no turn is much longer than its time."""
        clients = [self.open() for _ in range(5)]
        messages = [b"%d" % number for number in range(HOW_MANY)]
        for wire, _ in clients:
            wire.send(b"".join(client_frame(opcode, message, fin) for message in messages))
            wire.move()
            self.assertEqual(wire.transport.producerState, "paused")
        for _ in range(HOW_MANY * 5):
            self.assertLessEqual(self.turn(), SECONDS * 1.26)
            counts = [len(socket.heard) for _, socket in clients]
            self.assertLessEqual(max(counts) - min(counts), 5)  # the first had four before anybody waited
        for wire, socket in clients:
            self.assertEqual(socket.heard, messages)
            self.assertEqual(wire.transport.producerState, "producing")
        self.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertGreater(self.budget.postponed, 0)

    def test_texts(self) -> None:
        """Texts, which are read in the short way."""
        self.check(TEXT)

    def test_pings(self) -> None:
        """Pings, which Autobahn reads."""
        self.check(PING)

    def test_newcomer(self) -> None:
        """A frame of a socket for which nothing waits is handled at once, whatever waits for others."""
        busy, _ = self.open()
        busy.send(client_frame(TEXT, b"busy") * HOW_MANY)
        busy.move()
        wire, socket = self.open()
        for kind in (TEXT, PING):
            wire.send(client_frame(kind, b"hello"))
            wire.move()
        self.assertEqual(socket.heard, [b"hello"] * 2)

    def test_mixed(self) -> None:
        """A message in parts, with a ping between them, is the same after waiting; a close frame comes after it."""
        wire, socket = self.open()
        parts = client_frame(TEXT, b"a", False) + client_frame(PING, b"p") + client_frame(CONTINUATION, b"b")
        wire.send(client_frame(TEXT, b"first") * 6 + parts + client_frame(TEXT, b"last") + client_frame(CLOSE, b""))
        wire.move()
        while self.clock.calls:
            self.turn()
        self.assertEqual(socket.heard, [b"first"] * 6 + [b"p", b"ab", b"last"])
        self.assertEqual(wire.transport.value()[-4:], b"\x88\x02\x03\xe8")

    def test_more_while_waiting(self) -> None:
        """Bytes that TLS had read before are kept, in order."""
        wire, socket = self.open()
        wire.send(client_frame(TEXT, b"1") * 6)
        wire.move()
        socket.dataReceived(client_frame(TEXT, b"2"))
        while self.clock.calls:
            self.turn()
        self.assertEqual(socket.heard, [b"1"] * 6 + [b"2"])

    def test_gone_while_waiting(self) -> None:
        """Waiting bytes of a client that is gone are not handled any more."""
        wire, socket = self.open()
        wire.send(client_frame(TEXT, b"1") * HOW_MANY)
        wire.move()
        heard = len(socket.heard)
        wire.leave()
        while self.clock.calls:
            self.turn()
        self.assertEqual(len(socket.heard), heard)

    def test_does_not_read(self) -> None:
        """A client that does not read is not read from when its turn comes, but when it reads."""
        wire, socket = self.open()
        wire.send(client_frame(TEXT, b"1") * 6)
        wire.move()
        socket.pauseProducing()
        while self.clock.calls:
            self.turn()
        self.assertEqual(wire.transport.producerState, "paused")
        socket.resumeProducing()
        self.assertEqual(wire.transport.producerState, "producing")


class SweepTests(SynchronousTestCase):
    """Sockets that say nothing."""

    def test_many_silent(self) -> None:
        """However many sockets do not finish their handshake, all are cut off in its time and a sweep's."""
        time = 10.0
        world = World(sockets=SocketSettings(handshake_time=time))
        for _ in range(SWEPT_AT_ONCE * 20):
            world.connect()
        world.advance(time + SWEEP_EVERY + 1)
        self.assertEqual(len(world.signaling.sockets), 0)
        world.stop()
