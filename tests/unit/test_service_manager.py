"""The notifications to systemd, over a real socket of the kind that it listens on."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.ops.metrics import Family, of_sockets
from callnet.ops.process import LOOK_AGAIN, LOOK_EVERY, START_TIME, ServiceManager
from callnet.ops.readiness import DRAINING, Check, Report
from tests.support.observed import looked_at

READY = Report(True, {"listeners": Check(True)})
STOPPING = ["STOPPING=1", "EXTEND_TIMEOUT_USEC=45000000", "STATUS=Stopping"]
NOT_READY = Report(
    False, {"listeners": Check(True), "database": Check(False, "no answer"), "redis": Check(False, "no")}
)


class ManagerTestCase(SynchronousTestCase):
    """A process whose readiness the test sets."""

    def setUp(self) -> None:
        """It was started by systemd."""
        self.clock = Clock()
        self.report = READY
        folder = Path(self.mktemp())
        folder.mkdir()
        # A path of a socket has at most 107 bytes, and one that is relative is within the test's directory.
        self.listen(str(folder / "notify"))

    def listen(self, address: str) -> None:
        """Have systemd listen there."""
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.systemd.close)
        self.systemd.bind(address)
        self.systemd.setblocking(False)
        self.address = address.replace("\0", "@")

    def begin(self, **environment: str) -> ServiceManager:
        """Begin to tell it, with these variables beside that of the socket."""
        manager = ServiceManager({"NOTIFY_SOCKET": self.address, **environment}, self.clock)
        manager.start(looked_at(lambda: succeed(self.report), self.families))
        return manager

    def families(self) -> Deferred[Sequence[Family]]:
        """The metrics."""
        return succeed([of_sockets({"device": 12, "page": 3})])

    def told(self) -> list[list[str]]:
        """The notifications to systemd since the last call, message by message."""
        found = []
        while True:
            try:
                found.append(self.systemd.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return found


class TellingTests(ManagerTestCase):
    """A process that systemd wants to hear of."""

    def test_ready_at_once(self) -> None:
        """It tells that it serves once, and how it is again and again."""
        self.begin()
        status = "STATUS=Serving 12 devices and 3 pages"
        self.assertEqual([[status, "READY=1"]], self.told())
        self.clock.advance(LOOK_EVERY)
        self.assertEqual([[status]], self.told())

    def test_ready_later(self) -> None:
        """As long as it is not ready for the first time, it tells why, and is asked often."""
        self.report = NOT_READY
        self.begin()
        self.assertEqual([["STATUS=Not ready: database: no answer, redis: no"]], self.told())
        self.report = READY
        self.clock.advance(LOOK_AGAIN)
        self.assertIn("READY=1", self.told()[0])

    def test_not_ready_for_long(self) -> None:
        """A start is over after a minute, ready or not."""
        self.report = NOT_READY
        self.begin()
        self.clock.pump([LOOK_AGAIN] * int((START_TIME - 1) / LOOK_AGAIN))
        self.assertEqual({("STATUS=Not ready: database: no answer, redis: no",)}, {*map(tuple, self.told())})
        self.clock.pump([LOOK_AGAIN] * int(2 / LOOK_AGAIN))
        self.assertEqual(1, [each[1:] for each in self.told()].count(["READY=1"]))

    def test_trouble(self) -> None:
        """When something is away later it is said, and nothing is taken back."""
        self.begin()
        self.told()
        self.report = NOT_READY
        self.clock.advance(LOOK_EVERY)
        self.assertEqual([["STATUS=Not ready: database: no answer, redis: no"]], self.told())
        self.report = READY
        self.clock.advance(LOOK_EVERY)
        self.assertEqual([["STATUS=Serving 12 devices and 3 pages"]], self.told())

    def test_watchdog(self) -> None:
        """With a watchdog it is told that the process turns, three times in the time that there is."""
        self.begin(WATCHDOG_USEC="6000000", WATCHDOG_PID=str(os.getpid()))
        self.told()
        self.clock.pump([0.5] * 12)
        self.assertEqual(3, sum("WATCHDOG=1" in message for message in self.told()))

    def test_watchdog_of_another(self) -> None:
        """A watchdog that is meant for another process, or whose time makes no sense, is none."""
        for environment in ({"WATCHDOG_USEC": "6000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}):
            self.begin(**environment)
            self.assertNotIn("WATCHDOG=1", self.told()[0])

    def test_stopping(self) -> None:
        """It tells that it stops and how long that may take, then how it is as before, and nothing in the end."""
        manager = self.begin(WATCHDOG_USEC="6000000")
        self.told()
        manager.stopping(30.0)
        self.assertEqual([STOPPING], self.told())
        self.report = Report(False, {"listeners": Check(False, DRAINING)})
        self.clock.advance(2)
        status = "STATUS=Draining 12 devices and 3 pages; waiting for calls to end"
        self.assertEqual([[status, "WATCHDOG=1"]], self.told())
        manager.end()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stopping_while_it_asks(self) -> None:
        """A result that comes after the end is not reported any more."""
        asked = Deferred[Report]()
        manager = ServiceManager({"NOTIFY_SOCKET": self.address}, self.clock)
        manager.start(looked_at(lambda: asked, self.families))
        manager.stopping(30.0)
        manager.end()
        asked.callback(READY)
        self.assertEqual([STOPPING], self.told())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_abstract_socket(self) -> None:
        """Systemd may listen on an abstract socket, as it does for services of a user."""
        self.listen(f"\0callnet-test-{os.getpid()}-{id(self)}")
        self.begin()
        self.assertEqual(1, len(self.told()))

    def test_nobody_listens(self) -> None:
        """A listener that is gone, or does not read, disturbs nothing."""
        self.begin()
        self.clock.pump([LOOK_EVERY] * 1000)
        self.systemd.close()
        self.clock.pump([LOOK_EVERY] * 2)


class SilentTests(ManagerTestCase):
    """A process that somebody else has started."""

    def test_nobody_is_told(self) -> None:
        """It asks for nothing and sends nothing."""
        manager = ServiceManager({}, self.clock)
        manager.start(looked_at(lambda: self.fail("asked"), self.families))
        manager.stopping(30.0)
        manager.end()
        self.assertEqual(([], []), (self.told(), self.clock.getDelayedCalls()))
