"""The relay that callnet runs: its settings, its configuration and its secrets."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any, Final

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.config.schema import Settings, SupervisedSettings, TurnSettings
from callnet.ops.ice import read_turn_secret
from callnet.relay.turnserver_conf import KEPT_FOR, REPLACED_AFTER, RULES, RelaySecrets, configuration
from callnet.util.net import host_addresses, lan_name
from harness import ROOT
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
                "turn.supervised.listening_addresses[0] must be an address of this machine; for all of them use []",
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

    def test_addresses_of_nobody(self) -> None:
        """An address that clients could not be told is refused, also as the machine's own."""
        for address in (str(IPv4Address(0)), "::", "224.0.0.1", "ff02::1"):
            public = "2001:db8::7" if ":" in address else "203.0.113.7"
            for setting, value in (
                ("listening_addresses", address),
                ("external_addresses", address),
                ("external_addresses", f"{public}/{address}"),
            ):
                self.assertTrue(
                    self.refusal(f'{HOST}{setting} = ["{value}"]').startswith(f"turn.supervised.{setting}[0] must be "),
                )

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
