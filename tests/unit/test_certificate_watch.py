"""A certificate that changes, or grows old, while callnet runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.ops.certificates import LOOK_EVERY, WARN_EVERY, CertificateWatch, ServerTls, sign

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
LIFETIME: Final = timedelta(days=824)
"""For which a certificate of the tests is good."""


class WatchTestCase(SynchronousTestCase):
    """A watch over two files."""

    is_own = False

    def setUp(self) -> None:
        """It has begun."""
        self.clock = Clock()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.files = [self.folder / name for name in ("certificate", "key")]
        for file in self.files:
            file.write_text("old")
        self.tls = ServerTls(sign(["localhost"], [], START))
        self.renewed: list[float] = []
        self.watch = CertificateWatch(
            [str(file) for file in self.files],
            self.is_own,
            self.tls,
            self.renew,
            self.clock,
            lambda: START + timedelta(seconds=self.clock.seconds()),
        )
        self.watch.start()
        self.addCleanup(self.watch.stop)

    def renew(self) -> bool:
        """Note that it was to be renewed."""
        self.renewed.append(self.clock.seconds())
        return True

    def pass_to(self, when: timedelta) -> Sequence[str]:
        """Let time go by in one step. Answers with the level and the text of each line of the log."""
        with capturedLogs() as events:
            self.clock.advance(when.total_seconds() - self.clock.seconds())
        return [f"{event['log_level'].name}: {formatEvent(event)}" for event in events]


class ChangeTests(WatchTestCase):
    """Files that change."""

    def looks(self, count: int) -> None:
        """Let the time of this number of looks pass."""
        self.clock.pump([LOOK_EVERY] * count)

    def test_unchanged(self) -> None:
        """A file that has not changed is not read again."""
        self.looks(10)
        self.assertEqual([], self.renewed)

    def test_changed(self) -> None:
        """Whichever has changed, it is read again once, when it was left alone from one look to the next."""
        for file in self.files:
            self.looks(1)
            file.write_text(f"new {file.name}")
            self.renewed.clear()
            self.looks(1)
            self.assertEqual([], self.renewed)
            self.looks(5)
            self.assertEqual(1, len(self.renewed))

    def test_one_after_the_other(self) -> None:
        """A certificate is not read before its key has come."""
        self.looks(1)
        self.files[0].write_text("new certificate")
        self.looks(1)
        self.files[1].write_text("new key")
        self.looks(1)
        self.assertEqual([], self.renewed)
        self.looks(5)
        self.assertEqual([4 * LOOK_EVERY], self.renewed)

    def test_another_file_of_the_same_size_and_time(self) -> None:
        """Another file in the same place is a change, by whatever name it is reached."""
        other, link = self.folder / "other", self.folder / "link"
        other.write_text("new")
        status = self.files[0].stat()
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        link.symlink_to(other)
        link.rename(self.files[0])
        self.looks(2)
        self.assertEqual(1, len(self.renewed))

    def test_read_meanwhile(self) -> None:
        """A file that was read since it changed, when the operator asked for it, is not read again."""
        self.looks(1)
        self.files[0].write_text("new")
        self.assertTrue(self.watch.renew())
        self.looks(5)
        self.assertEqual([LOOK_EVERY], self.renewed)

    def test_gone(self) -> None:
        """A file that is gone is a change, and so is it when it is back."""
        self.files[0].unlink()
        self.looks(5)
        self.assertEqual(1, len(self.renewed))
        self.files[0].write_text("new")
        self.looks(5)
        self.assertEqual(2, len(self.renewed))

    def test_stopped(self) -> None:
        """Nobody looks when it has been stopped."""
        self.watch.stop()
        self.assertEqual([], self.clock.getDelayedCalls())


class AgeTests(WatchTestCase):
    """A certificate that grows old."""

    def test_warnings(self) -> None:
        """From 21 days before its end there is a warning each day, and another one when it has expired."""
        self.assertEqual([], self.pass_to(LIFETIME - timedelta(days=22)))
        self.assertEqual(
            ["warn: certificate expires on 2028-04-04, in 20 days"],
            self.pass_to(LIFETIME - timedelta(days=20, seconds=LOOK_EVERY)),
        )
        self.assertEqual([], self.pass_to(LIFETIME - timedelta(days=20, hours=-1)))
        self.assertEqual(1, len(self.pass_to(LIFETIME - timedelta(days=19))))
        self.assertEqual(["warn: certificate expired on 2028-04-04"], self.pass_to(LIFETIME + timedelta(1)))
        self.assertEqual([], self.renewed)

    def test_new_one(self) -> None:
        """When there is a new one the warnings are over."""
        self.pass_to(LIFETIME)
        self.tls.renew(sign(["localhost"], [], START + LIFETIME))
        self.assertEqual([], self.pass_to(LIFETIME + timedelta(seconds=2 * WARN_EVERY)))


class OwnTests(WatchTestCase):
    """A certificate that callnet has signed itself."""

    is_own = True

    def renew(self) -> bool:
        """Make a new one, in the place of the old one."""
        for file in self.files:
            file.write_text(f"made at {self.clock.seconds()}")
        self.tls.renew(sign(["localhost"], [], START + timedelta(seconds=self.clock.seconds())))
        return super().renew()

    def test_made_anew(self) -> None:
        """It is renewed once, 30 days before its end, without a warning."""
        self.pass_to(LIFETIME - timedelta(days=31))
        self.assertEqual([], self.renewed)
        self.assertEqual([], self.pass_to(LIFETIME - timedelta(days=29)))
        self.assertEqual([], self.pass_to(LIFETIME + timedelta(days=29)))
        self.clock.pump([LOOK_EVERY] * 10)
        self.assertEqual(1, len(self.renewed))
