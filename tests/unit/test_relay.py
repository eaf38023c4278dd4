"""The relay that callnet runs: its restarts on a clock of its own, and obstacles to its start."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from signal import SIGKILL, SIGTERM, SIGUSR2
from typing import Any, Final, cast

from msgspec.structs import replace
from twisted.internet.error import CannotListenError, ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IReactorProcess, IReactorTime, IReactorUDP
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from callnet.config.schema import Settings, SupervisedSettings
from callnet.errors import StartError
from callnet.relay.supervised import (
    ASK_EVERY,
    ASK_NEW_EVERY,
    LONGEST_PAUSE,
    LOOK_EVERY,
    SILENCE,
    STOP_LIMIT,
    IRelayReactor,
    Relay,
    prepare,
)
from callnet.relay.turnserver_conf import REPLACED_AFTER
from callnet.util.timers import FIRST_PAUSE
from harness.ports import free_ports
from tests.unit.test_relay_settings import settings_with

NOW: Final = "; calls that need it fail until it runs again"


class Process:
    """A process of coturn, as far as callnet can tell."""

    def __init__(self, protocol: Any, arguments: Sequence[str], environment: dict[str, str]) -> None:
        self.arguments = arguments
        self.environment = environment
        self.signals: list[int] = []
        self._protocol = protocol
        self._is_gone = False
        protocol.makeConnection(self)

    def signalProcess(self, number: int) -> None:
        """Take a signal."""
        if self._is_gone:
            raise ProcessExitedAlready
        self.signals.append(number)

    def end(self, signal: int | None = None, status: int = 0) -> None:
        """Come to an end."""
        self._is_gone = True
        exited = ProcessTerminated(None if signal else status, signal) if signal or status else ProcessDone(0)
        self._protocol.processEnded(Failure(exited))


class Way:
    """A way of datagrams to a server that answers, or is silent."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self.asked: list[bytes] = []
        self.is_closed = False
        protocol.makeConnection(self)

    def write(self, datagram: bytes, _address: tuple[str, int]) -> None:
        """Send a question."""
        self.asked.append(datagram)

    def stopListening(self) -> None:
        """Close."""
        self.is_closed = True

    def answer(self) -> None:
        """Answer the last question."""
        self._protocol.datagramReceived(b"\1\1" + self.asked[-1][2:20], ("127.0.0.1", 3478))


@implementer(IReactorTime, IReactorProcess, IReactorUDP)
class Reactor(Clock):
    """A reactor that starts no processes, and remembers which it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.ways: list[Way] = []
        self.is_full = False

    def spawnProcess(self, protocol: Any, _executable: Any, args: Any, env: Any, **_options: Any) -> Any:  # type: ignore[override]
        """Start a process."""
        self.processes.append(Process(protocol, args, env))

    def listenUDP(self, _port: int, protocol: Any, _interface: str, _size: int) -> Any:
        """Open a way."""
        if self.is_full:
            raise CannotListenError("", 0, OSError(24, "Too many open files"))
        self.ways.append(Way(protocol))


class RelayTestCase(SynchronousTestCase):
    """A relay with scripted processes."""

    def setUp(self) -> None:
        """Start it."""
        self.reactor = Reactor()
        self.reactor.advance(1_800_000_000)
        self.port = free_ports(1)[0]
        self.settings = settings_with(self.mktemp(), program="sh", port=self.port, listening_addresses=("127.0.0.1",))
        prepare(self.settings, self.reactor.seconds)
        self.renewed = 0
        self.certificate = "c", "k"
        self.has_way_out = True
        self.relay = Relay(
            self.settings,
            lambda: self.certificate,
            self.note,
            cast(IRelayReactor, self.reactor),
            self.reactor.seconds,
            lambda: self.has_way_out,
        )

    def note(self) -> None:
        """Take notice of another secret."""
        self.renewed += 1

    @property
    def newest(self) -> Process:
        """The process that was started last."""
        return self.reactor.processes[-1]

    def use(self, **values: Any) -> None:
        """Have other settings."""
        self.settings.turn.supervised = settings_with(**{"program": "sh", "port": self.port, **values}).turn.supervised
        self.relay.changed()


class RestartTests(RelayTestCase):
    """Restarts."""

    def setUp(self) -> None:
        """Start it."""
        super().setUp()
        self.relay.start()
        self.reactor.ways[-1].answer()

    def pauses(self, lived: float, times: int) -> Sequence[float]:
        """The pauses after each of this number of processes, with this lifetime in seconds."""
        found = []
        for _ in range(times):
            self.live(lived)
            self.newest.end(status=1)
            before, number = self.reactor.seconds(), len(self.reactor.processes)
            while len(self.reactor.processes) == number:
                self.reactor.advance(
                    min(call.getTime() for call in self.reactor.getDelayedCalls()) - self.reactor.seconds()
                )
            found.append(round(self.reactor.seconds() - before, 3))
        return found

    def live(self, seconds: float) -> None:
        """Let time pass, while the relay answers."""
        for _ in range(int(seconds / ASK_EVERY)):
            self.reactor.ways[-1].answer()
            self.reactor.advance(ASK_EVERY)

    def test_dies_young(self) -> None:
        """Pauses grow to a limit while none answers, or only once; after one that answered again the next comes at
        once: calls wait for it.
        """
        pauses = self.pauses(0, 12)
        self.assertEqual([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE], pauses[:3])
        self.assertEqual(LONGEST_PAUSE, pauses[-1])
        self.assertEqual([LONGEST_PAUSE], self.pauses(ASK_EVERY, 1))
        self.assertEqual([FIRST_PAUSE, FIRST_PAUSE], self.pauses(2 * ASK_EVERY, 2))
        self.assertEqual(15, self.relay.restarts)

    def test_said_once(self) -> None:
        """The same end is logged once, until it has answered in between."""
        with capturedLogs() as events:
            self.pauses(0, 5)
            self.reactor.ways[-1].answer()
            self.newest.end(signal=9)
        self.assertEqual(
            [
                "relay exited with status 1; calls that need it fail until it runs again",
                "relay started",
                "relay was killed by SIGKILL; calls that need it fail until it runs again",
            ],
            [formatEvent(event) for event in events],
        )

    def test_state(self) -> None:
        """Its state is that of its process."""
        self.assertEqual("up", self.relay.state)
        self.newest.end(status=1)
        self.assertEqual("ended", self.relay.state)
        self.reactor.advance(FIRST_PAUSE)
        self.assertEqual("starting", self.relay.state)

    def test_silent(self) -> None:
        """One that does not answer any more is killed, and replaced when it is gone; one lost answer is not enough."""
        self.live(SILENCE)
        self.reactor.advance(ASK_EVERY)
        self.assertEqual([], self.newest.signals)
        for _ in range(int(SILENCE / ASK_EVERY)):
            self.reactor.advance(ASK_EVERY)
        self.assertEqual([SIGKILL], self.newest.signals)
        self.newest.end(signal=9)
        self.reactor.advance(FIRST_PAUSE)
        self.assertEqual(2, len(self.reactor.processes))
        self.assertTrue(self.reactor.ways[0].is_closed)

    def test_never_answers(self) -> None:
        """The same goes for one that never answers."""
        self.newest.end(status=1)
        self.reactor.advance(FIRST_PAUSE)
        for _ in range(int(SILENCE / ASK_NEW_EVERY) + 1):
            self.reactor.advance(ASK_NEW_EVERY)
        self.assertEqual([SIGKILL], self.newest.signals)

    def test_secrets_stay_here(self) -> None:
        """Its arguments and its environment hold nothing but paths."""
        self.assertEqual({"PATH"}, set(self.newest.environment))
        secret = Path(self.settings.state_dir, "relay", "secret").read_text().strip()
        self.assertNotIn(secret, " ".join(self.newest.arguments))

    def test_certificate(self) -> None:
        """It is told of another certificate."""
        self.relay.certificate_renewed()
        self.assertEqual([SIGUSR2], self.newest.signals)

    def test_certificate_in_another_file(self) -> None:
        """It is started again if the certificate has another file, as the first one of an authority."""
        self.use(listening_addresses=("127.0.0.1",), tls_port=5349)
        self.newest.end()
        self.reactor.ways[-1].answer()
        self.certificate = "acme", "acme"
        self.relay.certificate_renewed()
        self.assertEqual([SIGTERM], self.newest.signals)
        self.newest.end()
        text = Path(self.settings.state_dir, "relay", "turnserver.conf").read_text()
        self.assertIn("cert=acme\npkey=acme\n", text)

    def test_certificate_at_the_start(self) -> None:
        """One that does not answer yet is told when it does."""
        self.newest.end(status=1)
        self.reactor.advance(FIRST_PAUSE)
        self.relay.certificate_renewed()
        self.assertEqual([], self.newest.signals)
        self.reactor.ways[-1].answer()
        self.reactor.ways[-1].answer()
        self.assertEqual([SIGUSR2], self.newest.signals)

    def test_secret(self) -> None:
        """When there is another secret, those who make credentials are told."""
        self.live(REPLACED_AFTER + 700)
        self.assertEqual(1, self.renewed)

    def test_changed(self) -> None:
        """Other settings end it and start another at once; the same do nothing."""
        self.use(listening_addresses=("127.0.0.1",))
        self.assertEqual([], self.newest.signals)
        self.use(listening_addresses=("127.0.0.1",), relay_ports="50000-50010")
        self.assertEqual([SIGTERM], self.newest.signals)
        self.newest.end()
        self.assertEqual((2, 0), (len(self.reactor.processes), self.relay.restarts))

    def test_changed_and_changed_back(self) -> None:
        """One that was told to end is no failure, though the settings are as before when it does."""
        self.use(listening_addresses=("127.0.0.1",), relay_ports="50000-50010")
        self.use(listening_addresses=("127.0.0.1",))
        with capturedLogs() as events:
            self.newest.end()
        self.assertEqual(["restarting the relay with changed settings"], [formatEvent(event) for event in events])
        self.assertEqual((2, 0), (len(self.reactor.processes), self.relay.restarts))

    def test_another_program(self) -> None:
        """Another program takes the place of the old one."""
        self.use(listening_addresses=("127.0.0.1",), program="cat")
        self.newest.end()
        self.assertIn("cat", self.newest.arguments)

    def test_other_addresses(self) -> None:
        """That the machine has other addresses is noticed."""
        self.settings.turn.supervised = replace(
            self.settings.turn.supervised, external_addresses=("203.0.113.7/127.0.0.1",)
        )
        self.live(LOOK_EVERY)
        self.assertEqual([SIGTERM], self.newest.signals)

    def test_lost_network(self) -> None:
        """While the network is lost, what other addresses the machine has means nothing."""
        self.has_way_out = False
        self.settings.turn.supervised = replace(
            self.settings.turn.supervised, external_addresses=("203.0.113.7/127.0.0.1",)
        )
        self.live(LOOK_EVERY)
        self.assertEqual([], self.newest.signals)
        self.has_way_out = True
        self.live(LOOK_EVERY)
        self.assertEqual([SIGTERM], self.newest.signals)

    def test_no_network_ever(self) -> None:
        """On a machine that had no way out from the start, other addresses are noticed."""
        self.has_way_out = False
        self.newest.end()
        self.reactor.advance(FIRST_PAUSE)
        self.test_other_addresses()

    def test_no_descriptor(self) -> None:
        """A system without descriptors keeps it from being started, which is tried again."""
        self.settings.one_port = 443
        self.use()
        self.newest.end()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            self.relay.changed()
            self.assertEqual([], self.newest.signals)
            self.newest.end(signal=9)
            self.reactor.advance(FIRST_PAUSE)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.assertEqual((2, "cannot_listen"), (len(self.reactor.processes), self.relay.state))
        self.reactor.advance(LONGEST_PAUSE)
        self.assertEqual((3, "starting"), (len(self.reactor.processes), self.relay.state))

    def test_cannot_ask(self) -> None:
        """A port from which nobody can ask it keeps it from being started."""
        self.newest.end(signal=9)
        self.reactor.is_full = True
        self.reactor.advance(FIRST_PAUSE)
        self.assertEqual((1, "ended"), (len(self.reactor.processes), self.relay.state))
        self.reactor.is_full = False
        self.reactor.advance(LONGEST_PAUSE)
        self.assertEqual((2, "starting"), (len(self.reactor.processes), self.relay.state))

    def test_not_wanted_any_more(self) -> None:
        """Without a relay in the settings it ends, and there are no metrics; with one again it starts."""
        self.settings.turn.relay = "none"
        self.relay.changed()
        self.assertEqual([SIGTERM], self.newest.signals)
        self.newest.end()
        self.assertEqual((), self.relay.families())
        self.settings.turn.relay = "supervised"
        self.relay.changed()
        self.assertEqual(2, len(self.reactor.processes))

    def test_stop(self) -> None:
        """At the end it is told to stop, and killed if it does not; nothing is left to do."""
        stopped = self.relay.stop()
        self.assertEqual([SIGTERM], self.newest.signals)
        self.reactor.advance(STOP_LIMIT)
        self.assertEqual([SIGTERM, SIGKILL], self.newest.signals)
        self.assertNoResult(stopped)
        self.newest.end(signal=9)
        self.successResultOf(stopped)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_stop_while_it_is_gone(self) -> None:
        """No other is started then."""
        self.newest.end(status=1)
        self.successResultOf(self.relay.stop())
        self.assertEqual([], self.reactor.getDelayedCalls())


class ObstacleTests(RelayTestCase):
    """Obstacles to its start."""

    def begun(self) -> Sequence[str]:
        """The log of the first minutes."""
        with capturedLogs() as events:
            self.relay.start()
            for _ in range(600):
                self.reactor.advance(1)
        self.assertEqual([], self.reactor.processes)
        return [formatEvent(event) for event in events]

    def test_no_program(self) -> None:
        """That the program is missing is said once; it is started when it is there."""
        self.settings.turn.supervised = SupervisedSettings(host="a", program="no-such-program", port=self.port)
        self.assertEqual(
            [f"relay not started: no program no-such-program; install coturn, or correct turn.supervised.program{NOW}"],
            self.begun(),
        )
        self.assertEqual("no_program", self.relay.state)

    def test_port_in_use(self) -> None:
        """So is that its port is taken, over UDP or TCP."""
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
            other.bind(("127.0.0.1", self.port))
            self.assertEqual(
                [f"relay not started: port {self.port} is in use by another program{NOW}"],
                self.begun(),
            )
        self.assertEqual("port_in_use", self.relay.state)
        self.reactor.advance(LONGEST_PAUSE)
        self.assertEqual(1, len(self.reactor.processes))

    def test_not_its_address(self) -> None:
        """So is an address that this machine does not have."""
        self.use(listening_addresses=("192.0.2.254",))
        self.assertEqual("cannot_listen", self.relay.state)


class PrepareTests(SynchronousTestCase):
    """The files that are made before anything is started."""

    def test_none(self) -> None:
        """Without a relay there is nothing to make."""
        state_dir = self.mktemp()
        prepare(Settings(state_dir=state_dir), Clock().seconds)
        self.assertFalse(os.path.exists(state_dir))

    def test_of_another(self) -> None:
        """A relay that another callnet of the machine runs stops the start, and is what to use instead."""
        state_dir = self.mktemp()
        Path(state_dir, "relay").mkdir(parents=True)
        with Path(state_dir, "relay", "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            error = self.assertRaises(StartError, prepare, settings_with(state_dir), Clock().seconds)
        self.assertRegex(
            str(error), "^turn.relay: another callnet uses .*/relay; its relay is there; set turn.urls and"
        )

    def test_cannot_be_written(self) -> None:
        """A file that cannot be written stops the start."""
        state_dir = self.mktemp()
        Path(state_dir, "relay", "turndb").mkdir(parents=True)
        error = self.assertRaises(StartError, prepare, settings_with(state_dir), Clock().seconds)
        self.assertIn("turn.relay: cannot write the secrets", str(error))
