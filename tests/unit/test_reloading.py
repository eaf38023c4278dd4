"""The files that a daemon reads again, and the effects."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import Struct
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.signing_keys import add_key, load_keys, remove_key
from callnet.acme.renewal import AcmeFolder
from callnet.app.reload import LIVE, LiveSettings, certificate, renew_certificate
from callnet.config.load import load
from callnet.config.schema import AcmeSettings, Settings, TlsSettings
from callnet.errors import StartError
from callnet.ops.certificates import Pair, ServerTls, to_pem
from callnet.ops.worker_pipes import Reload, encode
from callnet.worker import Orders
from tests.support.tap_case import DaemonTestCase

PHONE = "13651884967"
NAME = "calls.example.org"


def issued(days: int) -> Pair:
    """A certificate that an authority has signed, valid for this long."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (NAME, "authority")]
    builder = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days))
    return Pair([builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())], key)


class ReloadCase(DaemonTestCase):
    """A daemon that reloads its files."""

    settings = ""

    def setUp(self) -> None:
        """Start it, and log in."""
        super().setUp()
        self.daemon = self.begin(self.compose(self.settings))
        self.path = Path(self.state_dir, "signing.key")
        self.token = self.login()

    def login(self) -> str:
        """A new token."""
        return str(self.post(8083, "/account/login", phone=PHONE, device_id="tv")["token"])

    def error_code(self, token: str) -> int:
        """The errorCode for a token."""
        return int(self.post(8083, "/getContactPersons", phone=PHONE, token=token)["errorCode"])

    def kid(self, token: str) -> str:
        """The key that a token names."""
        return str(jwt.get_unverified_header(token)["kid"])

    def load(self, settings: str) -> Settings:
        """These, read."""
        self.write_settings(settings)
        return load(f"{self.state_dir}.toml", {"CALLNET_STATE_DIR": self.state_dir})

    def reload(self) -> list[str]:
        """Have everything read again; the level and the text of each line in the log."""
        with capturedLogs() as events:
            self.daemon.reload(self.daemon.renewals)
        return [f"{event['log_level'].name}: {formatEvent(event)}" for event in events]


class ReloadTests(ReloadCase):
    """A daemon whose files change."""

    def test_nothing_has_changed(self) -> None:
        """The log names the files, the number of keys, and the one that signs."""
        self.assertEqual(
            self.reload(),
            [
                "info: reloaded the settings; changed: nothing",
                "info: reloaded the certificate",
                f"info: reloaded the signing keys: 1 in use, {self.kid(self.token)} signs",
            ],
        )
        self.assertEqual(self.error_code(self.token), 0)

    def test_key_added_and_retired(self) -> None:
        """A new key signs after a reload; the tokens of the old one are good until it is retired, and a reload."""
        new = add_key(self.path, time.time())
        self.assertEqual(self.kid(self.login()), self.kid(self.token))
        self.assertIn(f"2 in use, {new.kid} signs", self.reload()[2])
        token = self.login()
        self.assertEqual(self.kid(token), new.kid)
        self.assertEqual((self.error_code(self.token), self.error_code(token)), (0, 0))

        remove_key(self.path, load_keys(self.path).keys[0])
        self.assertEqual(self.error_code(self.token), 0)
        self.assertIn(f"1 in use, {new.kid} signs", self.reload()[2])
        self.assertEqual((self.error_code(self.token), self.error_code(token)), (4, 0))

    def test_wrong_keys(self) -> None:
        """If one of the files is invalid, one line says which and why, and all keys stay as they were."""
        add_key(self.path, time.time())
        self.path.chmod(0o644)
        [*_, said] = self.reload()
        self.assertEqual(
            said,
            "error: kept the old signing keys:"
            f" tokens.signing_key_file: {self.path.absolute()} is accessible to others (mode 0644); chmod 600 it",
        )
        self.assertEqual(self.kid(self.login()), self.kid(self.token))
        self.assertEqual(self.error_code(self.token), 0)

    def test_no_key_any_more(self) -> None:
        """If there is no key any more, none is made, and the last one stays."""
        self.path.unlink()
        self.assertIn("No such file", self.reload()[2])
        self.assertFalse(self.path.exists())
        self.assertEqual(self.error_code(self.token), 0)

    def test_wrong_certificate(self) -> None:
        """An invalid certificate keeps no key from being read."""
        new = add_key(self.path, time.time())
        Path(self.state_dir, "self-signed.crt").unlink()
        Path(self.state_dir, "self-signed.crt").mkdir()
        lines = self.reload()
        self.assertRegex(lines[1], "^error: kept the old certificate: ")
        self.assertIn(f"{new.kid} signs", lines[2])


class AcmeTests(SynchronousTestCase):
    """A certificate that comes from an authority."""

    def setUp(self) -> None:
        """None was ordered yet."""
        self.settings = Settings(state_dir=self.mktemp(), tls=TlsSettings(acme=AcmeSettings(names=(NAME,))))
        self.folder = AcmeFolder(self.settings.state_dir, self.settings.tls.acme.directory)
        self.folder.make()
        self.tls = ServerTls(certificate(self.settings))

    def have(self, pair: Pair) -> None:
        """Let there be this one."""
        self.folder.write(self.folder.certificate, to_pem(pair))

    def test_none_yet(self) -> None:
        """Until there is one, the self-signed one is read again."""
        renew_certificate(self.settings, self.tls)
        self.assertTrue(self.tls.is_self_signed)

    def test_lost(self) -> None:
        """If its file is damaged or lost, it stays in use, and no self-signed one takes its place."""
        first, second = issued(90), issued(91)
        self.have(first)
        renew_certificate(self.settings, self.tls)
        for lose in (lambda: self.folder.certificate.write_text("-"), self.folder.certificate.unlink):
            lose()
            self.assertRaises(StartError, renew_certificate, self.settings, self.tls)
            self.assertEqual(self.tls.expires, first.chain[0].not_valid_after_utc)
        self.have(second)
        renew_certificate(self.settings, self.tls)
        self.assertEqual(self.tls.expires, second.chain[0].not_valid_after_utc)


class SettingsKeyTests(DaemonTestCase):
    """A daemon whose key is in the settings."""

    def test_keys_are_not_read(self) -> None:
        """It has no keys to read again, and says nothing of them."""
        daemon = self.compose(f'tokens.signing_key = "{"k" * 32}"')
        with capturedLogs() as events:
            daemon.reload(daemon.renewals)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.info] * 2)
        self.assertNotIn("key", " ".join(str(formatEvent(event)) for event in events))


class SettingsTests(ReloadCase):
    """A daemon whose settings change."""

    settings = "[limits]\nlogins_a_minute_of_a_phone = 3\n"

    def change(self, settings: str) -> list[str]:
        """Write other settings and reload; returns the log lines about them."""
        self.write_settings(settings)
        return [line for line in self.reload() if "the certificate" not in line and "signing keys" not in line]

    def logins(self) -> int:
        """The number of a phone's logins that are admitted, of ten."""
        codes = [self.post(8083, "/account/login", phone="13600000001", device_id="x")["errorCode"] for _ in range(10)]
        return codes.count(0)

    def test_a_limit(self) -> None:
        """A limit holds from then on, with the earlier uses; the log names the changed settings without values."""
        self.assertEqual(3, self.logins())
        self.assertEqual(
            ["info: reloaded the settings; changed: limits.logins_a_minute_of_a_phone"],
            self.change("[limits]\nlogins_a_minute_of_a_phone = 5\n"),
        )
        self.assertEqual(0, self.logins())
        self.reactor.advance(24)
        self.assertEqual(2, self.logins())
        self.change("[limits]\nlogins_a_minute_of_a_phone = 0\n")
        self.assertEqual(10, self.logins())

    def test_what_takes_a_restart(self) -> None:
        """A setting that takes a restart is named in a warning, and the rest holds all the same."""
        changed = "drain_deadline, limits.logins_a_minute_of_a_phone, calls.ring_time"
        said = self.change('drain_deadline = 5\nworkers = 2\nredis.url = "redis://127.0.0.1"\n[calls]\nring_time = 7\n')
        self.assertEqual(
            [
                f"info: reloaded the settings; changed: {changed}",
                "warn: restart required for changed settings: workers, redis.url",
            ],
            said,
        )
        in_force = self.daemon.live.settings
        self.assertEqual((5, 1, 7), (in_force.drain_deadline, in_force.workers, in_force.calls.ring_time))

    def test_turn_on_port_of_site(self) -> None:
        """Clients are told of no port where nobody listens: without a restart TURN stays as it is, whole."""
        network = "accounts.open_enrolment_on_network = true\n"
        relay = 'turn.relay = "supervised"\n[turn.supervised]\nhost = "a"\n'
        for before, after in (
            (relay, f"one_port = 443\n{network}{relay}"),
            (f"one_port = 443\n{network}{relay}", f"one_port = 8443\n{network}{relay}"),
            (f"one_port = 443\n{network}{relay}", f"one_port = 443\n{network}{relay}proxy_port = 5999\n"),
            (f"one_port = 443\n{network}", f"one_port = 443\n{network}{relay}"),
        ):
            settings, turn = self.load(before), self.load(before).turn
            changes = LiveSettings(settings).take_over(self.load(after))
            self.assertEqual(turn, settings.turn)
            self.assertIn("turn.", " ".join(changes.left))
            self.assertEqual([], changes.made)

    def test_wrong(self) -> None:
        """If anything is wrong one line says so, and all stay as they were."""
        for settings, said in (
            ("[limits]\nlogins_a_minute_of_a_phone = -1\n", "limits.logins_a_minute_of_a_phone must be"),
            ("[limits\n", "line"),
            ('[turn]\nurls = ["turn:turn.example.org"]\nsecret_file = "/nowhere"\n', "turn.secret_file"),
        ):
            [line] = self.change(f"{settings}[calls]\nring_time = 7\n")
            self.assertRegex(line, f"^error: kept the old settings: .*{said}")
            self.assertEqual(45, self.daemon.live.settings.calls.ring_time)
        Path(f"{self.state_dir}.toml").unlink()
        [line] = [line for line in self.reload() if "settings" in line]
        self.assertIn("No such file", line)

    def test_calls(self) -> None:
        """The ringing time of calls follows the present settings."""
        self.change("[calls]\nring_time = 7\n")
        caller, callee = self.ring()
        [called] = [json.loads(frame.payload) for frame in callee.frames]
        self.assertEqual(7, called["expires_in"])
        self.assertTrue(caller.open)

    def test_every_live_setting_is_one(self) -> None:
        """Every live setting exists, and a section that has one can be changed."""
        names = Settings.__struct_fields__
        self.assertEqual([], [name for name in LIVE if name not in names])
        for name in LIVE:
            section = getattr(Settings(), name)
            if isinstance(section, Struct):
                self.assertFalse(section.__struct_config__.frozen, name)


class WorkerTests(ReloadCase):
    """A worker whose settings change."""

    def test_long_settings(self) -> None:
        """It takes settings of any length over, and goes on to listen to its parent."""
        stops: list[int] = []
        orders, wire = Orders(self.daemon, lambda: stops.append(1)), StringTransport()
        orders.makeConnection(wire)
        origins = [f"https://{number}.example.org" for number in range(30_000)]
        settings = self.load(
            f"[limits]\nsockets_of_a_phone = 3\n[signaling]\nallowed_origins = {json.dumps(origins)}\n"
        )
        line = encode(Reload("settings", settings))
        for start in range(0, len(line), 2**16):
            orders.dataReceived(line[start : start + 2**16])
        self.assertEqual(3, self.daemon.live.settings.limits.sockets_of_a_phone)
        self.assertEqual((False, []), (wire.disconnecting, stops))
