"""The packets of a connection, by whose absence a dead path is detected."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from callnet_client.media.packets import LISTEN_EVERY, Packets


class PacketsTests(SynchronousTestCase):
    """Missed and lost packets of a connection."""

    def setUp(self) -> None:
        """Begin."""
        self.now = 100.0
        self.count = 0
        self.packets = Packets(self.now)

    def pass_time(self, seconds: float, each: int) -> None:
        """Let time pass, with packets between each look and the next."""
        for _ in range(round(seconds / LISTEN_EVERY)):
            self.now += LISTEN_EVERY
            self.count += each
            self.packets.look(self.count, self.now)

    def seen(self) -> tuple[bool, bool]:
        """Return ``(are_missed, are_lost)``."""
        return self.packets.are_missed(self.now), self.packets.are_lost(self.now)

    def test_steady(self) -> None:
        """A steady stream is missed after 1.5 s and lost after 3 s, and then no more if it goes on."""
        self.pass_time(5, 25)
        for seconds, seen in ((1, (False, False)), (0.5, (True, False)), (1, (True, False)), (0.5, (True, True))):
            self.pass_time(seconds, 0)
            self.assertEqual(seen, self.seen())
        self.pass_time(0.5, 25)
        self.assertEqual((False, False), self.seen())

    def test_rare(self) -> None:
        """Packets that come every five seconds are not missed before six."""
        for _ in range(3):
            self.pass_time(0.5, 1)
            self.pass_time(4.5, 0)
            self.assertEqual((False, False), self.seen())
        self.pass_time(1.5, 0)
        self.assertEqual((False, True), self.seen())

    def test_once(self) -> None:
        """After a pause a stream has to be steady again before it is missed so soon."""
        self.pass_time(5, 25)
        self.pass_time(3, 0)
        self.pass_time(1, 25)
        self.pass_time(3, 0)
        self.assertEqual((False, False), self.seen())
