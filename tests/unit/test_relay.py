"""The relay that callnet runs: its configuration, its secrets, and its restarts on a clock of its own."""

from __future__ import annotations

import os
import resource
import socket
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from ipaddress import ip_address
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

from callnet.config.schema import Settings, SupervisedSettings, TurnSettings
from callnet.errors import StartError
from callnet.ops.addresses import host_addresses, lan_name
from callnet.ops.ice import read_turn_secret
from callnet.relay.config import RULES, configuration
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
from callnet.relay.turn_secrets import KEPT_FOR, REPLACED_AFTER, RelaySecrets
from callnet.util.timers import FIRST_PAUSE, OLD_AGE
from harness import ROOT
from harness.ports import free_ports
from tests.unit.test_config import FileTestCase

HOST: Final = '[turn]\nrelay = "supervised"\n[turn.supervised]\nhost = "calls.example.org"\n'
OF_THE_OPERATOR: Final = (
    "listening-port",
    "tls-listening-port",
    "min-port",
    "max-port",
    "realm",
    "userdb",
    "cert",
    "pkey",
)
NOW: Final = "; calls that need it fail until it runs again"


class SettingsTests(FileTestCase):
    """``[turn.supervised]``."""

    def test_made(self) -> None:
        """The URIs, and the file with the secret, follow from the settings."""
        turn = self.load(f"{HOST}tls_port = 5349", {"CALLNET_STATE_DIR": "/state"}).turn
        self.assertEqual(
            (
                "turn:calls.example.org:3478?transport=udp",
                "turn:calls.example.org:3478?transport=tcp",
                "turns:calls.example.org:5349?transport=tcp",
            ),
            turn.urls,
        )
        self.assertEqual(("stun:calls.example.org:3478",), turn.stun)
        self.assertEqual("/state/relay/secret", turn.secret_file)
        turn = self.load(HOST.replace("calls.example.org", "2001:db8::7")).turn
        self.assertEqual(("stun:[2001:db8::7]:3478",), turn.stun)

    def test_one_port(self) -> None:
        """With one port its clients come over it by TLS, and are handed over."""
        settings = self.load(f"one_port = 443\naccounts.open_enrolment_on_network = true\n{HOST}proxy_port = 5999")
        self.assertEqual(
            ("turn:calls.example.org:3478?transport=udp", "turns:calls.example.org:443?transport=tcp"),
            settings.turn.urls,
        )
        self.assertEqual("tcp:127.0.0.1:5999", settings.listeners.site[0].turn)
        self.assertEqual(
            "turn.supervised.tls_port and one_port are both set; remove one",
            self.refusal(f"one_port = 443\n{HOST}tls_port = 5349"),
        )
        for text in (f"one_port = 5348\n{HOST}", f"one_port = 443\n{HOST}port = 5348"):
            self.assertEqual(
                "turn.supervised.proxy_port must differ from one_port and turn.supervised.port", self.refusal(text)
            )

    def test_none(self) -> None:
        """Without a relay the section does nothing."""
        self.assertEqual((), self.load('turn.supervised.host = "calls.example.org"').turn.urls)

    def test_wrong(self) -> None:
        """Each wrong value is named, with the allowed ones."""
        for lines, refusal in (
            ("", 'turn.supervised.host must be set, since turn.relay is "supervised": clients are told it'),
            ('host = "a b"', 'turn.supervised.host must be a name such as "calls.example.org", or an address'),
            ('host = "a"\ntls_port = 3478', "turn.supervised.tls_port and turn.supervised.port must differ"),
            (
                'host = "a"\nlistening_addresses = ["eth0"]',
                "turn.supervised.listening_addresses[0] must be an address of this machine",
            ),
            (
                'host = "a"\nexternal_addresses = ["203.0.113.7", "203.0.113.7/::1"]',
                (
                    'turn.supervised.external_addresses[1] must be a public address such as "203.0.113.7", or it and'
                    ' the machine\'s own of the same family: "203.0.113.7/10.0.0.7"'
                ),
            ),
            (
                'host = "a"\nrelay_ports = "60000-50000"',
                "turn.supervised.relay_ports must be two ports from 1024 to 65535, the lower first",
            ),
            (
                'host = "a"\nport = 50000',
                "turn.supervised.relay_ports must not include turn.supervised.port or turn.supervised.tls_port",
            ),
            (
                'host = "a"\nrelay_ports = "all"',
                'turn.supervised.relay_ports must be two ports such as "49152-65535"',
            ),
            (
                'host = "a"\nallowed_peers = ["10.0.0.7/8"]',
                (
                    "turn.supervised.allowed_peers[0] must be one address, or a network such as 10.0.0.0/8 or"
                    " fd00::/8 without host bits"
                ),
            ),
        ):
            self.assertEqual(refusal, self.refusal(f'turn.relay = "supervised"\n[turn.supervised]\n{lines}'))

    def test_made_by_callnet_alone(self) -> None:
        """The operator does not set what callnet makes."""
        for line in ('stun = ["stun:a"]', 'secret_file = "s"', 'urls = ["turn:a"]', f'secret = "{"s" * 32}"'):
            self.assertIn(
                "remove them from the settings", self.refusal(f"{line}\n{HOST.replace('[turn]', '')}", "turn")
            )

    def refusal(self, settings: str, section: str = "") -> str:
        """The error of these settings."""
        return super().refusal(f"[{section}]\n{settings}" if section else settings)


def settings_with(state_dir: str = "/state", **values: Any) -> Settings:
    """Settings with a relay."""
    turn = TurnSettings(relay="supervised", supervised=SupervisedSettings(host="a", **values))
    return Settings(state_dir=state_dir, turn=turn)


class ConfigurationTests(SynchronousTestCase):
    """The configuration of coturn."""

    def lines(self, **values: Any) -> Sequence[str]:
        """Those that the settings make."""
        lines = configuration(settings_with(**values), ("/c.pem", "/k.pem")).splitlines()
        self.assertEqual(list(RULES), lines[-len(RULES) :])
        return lines[: -len(RULES)]

    def test_rules_are_those_of_the_sample(self) -> None:
        """Its rules are those of the sample, without what an operator sets there."""
        sample = (ROOT / "etc" / "turnserver.conf").read_text("utf-8").splitlines()
        rules = [line for line in sample if line and line[0] != "#" and line.partition("=")[0] not in OF_THE_OPERATOR]
        self.assertEqual(list(RULES), rules)

    def test_defaults(self) -> None:
        """Without more settings it listens everywhere, without TLS."""
        self.assertEqual(
            [
                "listening-port=3478",
                "no-tls",
                "min-port=49152",
                "max-port=65535",
                "realm=callnet",
                "userdb=/state/relay/turndb",
                "pidfile=/state/relay/pid",
            ],
            self.lines(),
        )

    def test_ports(self) -> None:
        """The ports, and TLS with callnet's certificate."""
        lines = self.lines(port=443, tls_port=5349, relay_ports="50000-50100")
        self.assertEqual(
            ["listening-port=443", "tls-listening-port=5349", "cert=/c.pem", "pkey=/k.pem"],
            lines[:4],
        )
        self.assertLessEqual({"min-port=50000", "max-port=50100"}, set(lines))
        self.assertNotIn("no-tls", lines)

    def test_one_port(self) -> None:
        """With one port it takes connections on loopback, where they are handed over, and listens by UDP elsewhere."""
        settings = settings_with(listening_addresses=("192.0.2.7", "2001:db8::7", "127.0.0.1"), proxy_port=5999)
        settings.one_port = 443
        self.assertEqual(
            [
                "listening-port=3478",
                "no-tls",
                "tcp-proxy-port=5999",
                "listening-ip=127.0.0.1",
                "aux-server=192.0.2.7:3478",
                "aux-server=[2001:db8::7]:3478",
                "relay-ip=192.0.2.7",
                "relay-ip=2001:db8::7",
            ],
            configuration(settings, ("/c.pem", "/k.pem")).splitlines()[:8],
        )

    def test_one_port_everywhere(self) -> None:
        """It listens on each address, and relays from one of a family: the one with the way out."""
        settings = settings_with()
        settings.one_port = 443
        lines = configuration(settings, ("/c.pem", "/k.pem")).splitlines()
        listening = {line.rpartition(":")[0] for line in lines if line.startswith("aux-server=")}
        here = [str(address) for address in host_addresses() if not address.is_loopback]
        self.assertEqual({f"aux-server={f'[{each}]' if ':' in each else each}" for each in here}, listening)
        relaying = [ip_address(line.partition("=")[2]) for line in lines if line.startswith("relay-ip=")]
        self.assertEqual(sorted({ip_address(each).version for each in here}), [each.version for each in relaying])
        self.assertIn(lan_name(), map(str, relaying))

    def test_one_port_behind_nat(self) -> None:
        """The own address that is said to have the public one goes before the first that it listens on."""
        settings = settings_with(
            listening_addresses=("10.0.0.6", "10.0.0.7"), external_addresses=("203.0.113.7/10.0.0.7",)
        )
        settings.one_port = 443
        lines = configuration(settings, ("/c.pem", "/k.pem")).splitlines()
        self.assertEqual(["relay-ip=10.0.0.7"], [line for line in lines if line.startswith("relay-ip=")])

    def test_listening_addresses(self) -> None:
        """It listens on them, and relays from the first of each family: coturn would go round."""
        lines = self.lines(listening_addresses=("192.0.2.7", "2001:db8::7", "192.0.2.8"))
        self.assertEqual(
            [
                *("listening-ip=192.0.2.7", "listening-ip=2001:db8::7", "listening-ip=192.0.2.8"),
                *("relay-ip=192.0.2.7", "relay-ip=2001:db8::7"),
            ],
            lines[2:7],
        )

    def test_external_addresses(self) -> None:
        """Behind a NAT its own address is allowed as a peer: it is the other client's, if both use this relay."""
        lines = self.lines(external_addresses=("203.0.113.7/10.0.0.7", "2001:db8::7/fd00::7"))
        self.assertEqual(
            [
                "external-ip=203.0.113.7/10.0.0.7",
                "allowed-peer-ip=10.0.0.7",
                "external-ip=2001:db8::7/fd00::7",
                "allowed-peer-ip=fd00::7",
            ],
            lines[-4:],
        )

    def test_external_address_alone(self) -> None:
        """The own address is that on which it listens; if it is the public one, there is no NAT."""
        lines = self.lines(external_addresses=("203.0.113.7",), listening_addresses=("::1", "10.0.0.7"))
        self.assertEqual(["external-ip=203.0.113.7/10.0.0.7", "allowed-peer-ip=10.0.0.7"], lines[-2:])
        lines = self.lines(external_addresses=("203.0.113.7",), listening_addresses=("203.0.113.7",))
        self.assertEqual([], [line for line in lines if "external" in line])

    def test_external_address_found(self) -> None:
        """Without any, it is that from which this machine reaches others."""
        self.assertIn(f"external-ip=203.0.113.7/{lan_name()}", self.lines(external_addresses=("203.0.113.7",)))

    def test_allowed_peers(self) -> None:
        """Networks are written as ranges; loopback needs an option more."""
        lines = self.lines(allowed_peers=("10.20.0.0/16", "10.0.0.9"))
        self.assertEqual(["allowed-peer-ip=10.20.0.0-10.20.255.255", "allowed-peer-ip=10.0.0.9"], lines[-2:])
        lines = self.lines(allowed_peers=("127.0.0.0/8", "::1"))
        self.assertEqual(
            ["allow-loopback-peers", "allowed-peer-ip=127.0.0.0-127.255.255.255", "allowed-peer-ip=::1"], lines[-3:]
        )


class SecretsTests(SynchronousTestCase):
    """The secrets, on a clock."""

    def setUp(self) -> None:
        """Have a directory, and the first secret."""
        self.state_dir = self.mktemp()
        Path(self.state_dir, "relay").mkdir(parents=True)
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.secrets = RelaySecrets(self.state_dir, self.clock.seconds)
        self.assertTrue(self.secrets.renew())
        self.first = self.current()

    def current(self) -> str:
        """The secret that credentials are made with."""
        file = os.path.join(self.state_dir, "relay", "secret")
        return read_turn_secret(TurnSettings(urls=("turn:a",), secret_file=file))

    def accepted(self) -> Sequence[str]:
        """The secrets that coturn accepts."""
        with closing(sqlite3.connect(os.path.join(self.state_dir, "relay", "turndb"))) as database:
            return [value for (value,) in database.execute("SELECT value FROM turn_secret ORDER BY rowid")]

    def test_first(self) -> None:
        """There is one from the start, and it stays for a day, also if callnet starts again meanwhile."""
        self.clock.advance(REPLACED_AFTER - 1)
        self.assertFalse(RelaySecrets(self.state_dir, self.clock.seconds).renew())
        self.assertEqual([self.first], self.accepted())

    def test_rotation(self) -> None:
        """After a day there is another; the old one is accepted until its last credentials have expired."""
        self.clock.advance(REPLACED_AFTER)
        self.assertTrue(self.secrets.renew())
        second = self.current()
        self.assertEqual([self.first, second], self.accepted())
        self.clock.advance(KEPT_FOR - 1)
        self.assertTrue(self.secrets.renew())
        third = self.current()
        self.assertEqual([self.first, second, third], self.accepted())
        self.clock.advance(1)
        self.assertFalse(self.secrets.renew())
        self.assertEqual([second, third], self.accepted())

    def test_bounded(self) -> None:
        """There are never more than three."""
        for _ in range(1000):
            self.clock.advance(3600)
            self.secrets.renew()
            self.assertLessEqual(len(self.accepted()), 3)

    def test_clock_put_back(self) -> None:
        """If the clock is put back there is another one, which stays."""
        self.clock.rightNow -= 1000
        self.assertTrue(self.secrets.renew())
        self.clock.advance(600)
        self.assertFalse(self.secrets.renew())

    def test_damaged(self) -> None:
        """A database that is damaged, or was made by coturn, is made again; whoever has it open sees the new one."""
        path = Path(self.state_dir, "relay", "turndb")
        for damage in (b"SQLite format 3\0" + 8192 * b"x", b"no database" * 1000):
            with closing(sqlite3.connect(path)) as coturn:
                path.write_bytes(damage)
                self.assertTrue(self.secrets.renew())
                self.assertEqual([(self.current(),)], coturn.execute("SELECT value FROM turn_secret").fetchall())
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DROP TABLE turn_secret")
            database.execute("CREATE TABLE turn_secret (realm VARCHAR(127), value VARCHAR(256))")
        self.assertTrue(self.secrets.renew())
        self.assertEqual([self.current()], self.accepted())

    def test_file_lost(self) -> None:
        """A file that was lost is written again."""
        os.unlink(os.path.join(self.state_dir, "relay", "secret"))
        self.assertTrue(self.secrets.renew())
        self.assertEqual(self.first, self.current())


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
        self.relay = Relay(
            self.settings, lambda: self.certificate, self.note, cast(IRelayReactor, self.reactor), self.reactor.seconds
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
        """Pauses grow to a limit; when one was well for a while they begin again."""
        pauses = self.pauses(0, 12)
        self.assertEqual([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE], pauses[:3])
        self.assertEqual(LONGEST_PAUSE, pauses[-1])
        self.assertEqual([FIRST_PAUSE, FIRST_PAUSE], self.pauses(OLD_AGE + 1, 2))
        self.assertEqual(14, self.relay.restarts)

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

    def test_cannot_be_written(self) -> None:
        """A file that cannot be written stops the start."""
        state_dir = self.mktemp()
        Path(state_dir, "relay", "turndb").mkdir(parents=True)
        error = self.assertRaises(StartError, prepare, settings_with(state_dir), Clock().seconds)
        self.assertIn("turn.relay: cannot write the secrets", str(error))
