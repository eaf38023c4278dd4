"""Limits on one WebSocket's time and memory, and the counts of their violations."""

from __future__ import annotations

from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.config.schema import SocketSettings
from tests.support.wires import World
from tests.unit.test_config import FileTestCase

TV: Final = ("13651884967", "tv")
PHONE: Final = ("13651884968", "phone")
SHORT: Final = SocketSettings(
    handshake_bytes=1024, handshake_time=3, ping_after=2, silence=11, unread=4096, unread_of_pages=8192
)


class SetTests(SynchronousTestCase):
    """Limits other than the defaults."""

    def setUp(self) -> None:
        """A server with short ones."""
        self.world = World(sockets=SHORT)

    def test_a_long_handshake(self) -> None:
        """A handshake that is longer is refused with 431."""
        self.assertEqual(self.world.ask("/socket.io", {"X-Long": "x" * 1100}).status, 431)
        self.assertEqual(self.world.signaling.refused, {431: 1})

    def test_a_slow_handshake(self) -> None:
        """A handshake that is not there in time is given up, which is counted as 408."""
        wire = self.world.connect()
        wire.send(b"GET /socket.io HTTP/1.1\r\n")
        self.world.advance(2)
        self.assertFalse(wire.lost)
        self.world.advance(7)
        self.assertTrue(wire.lost)
        self.assertEqual(self.world.signaling.refused, {408: 1})

    def test_silence(self) -> None:
        """A silent client is pinged, and closed, after the times of the settings."""
        tv = self.world.device(*TV)
        tv.wire.answers_ping = False
        self.world.advance(10.5)
        self.assertTrue(tv.wire.open)
        self.world.advance(6)
        self.assertEqual(tv.wire.close_code, 4408)

    def test_a_device_that_does_not_read(self) -> None:
        """A device that does not read is cut off (4413) when this number of bytes waits for it."""
        tv, phone = self.world.device(*TV), self.world.device(*PHONE)
        tv.wire.reads = False
        producer = tv.wire.transport.producer
        assert producer is not None
        producer.pauseProducing()  # as the transport does when its buffer is full
        [peer] = [socket for socket in self.world.signaling.sockets if socket.is_stuck]
        for _ in range(40):
            phone.say("call", to_phone=TV[0], to_device_id=TV[1])
            phone.say("calling_hangup", notified_phone=TV[0], notified_device_id=TV[1], room_id="")
            self.world.settle()
            if self.world.signaling.closed:
                break
            self.assertEqual(self.world.signaling.unread, peer.unread)
        self.assertEqual(self.world.signaling.closed, {4413: 1})
        self.assertLess(peer.unread, 4096 + 512)


class FileTests(FileTestCase):
    """``[sockets]``."""

    def test_there_must_be_time_for_a_pong(self) -> None:
        """Between the ping and the end there must be time for an answer."""
        self.assertIn(
            "sockets.silence must exceed sockets.ping_after by 8 s",
            self.refusal("sockets = { ping_after = 20, silence = 27 }"),
        )
        self.load("sockets = { ping_after = 20, silence = 28 }")

    def test_no_more_than_is_sane(self) -> None:
        """A limit that would be none is refused with its key."""
        for setting in ("unread = 1", "handshake_bytes = 1000000", "handshake_time = 0"):
            self.assertIn(f"sockets.{setting.split()[0]}", self.refusal(f"sockets = {{ {setting} }}"))
