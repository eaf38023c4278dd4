"""The settings of STUN and TURN servers, and a daemon that has them, also at SIGHUP."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from msgspec.structs import astuple
from twisted.logger import capturedLogs, formatEvent

from callnet.app.service import Daemon
from callnet.config.schema import TurnSettings
from callnet.ops.metrics import Family
from tests.support.tap_case import DaemonTestCase
from tests.support.turn_case import SECRET, STUN, STUN_URI, TURN_URIS, expiry
from tests.unit.test_config import ENVIRON, FileTestCase

URLS: Final = f'turn.urls = ["{TURN_URIS[0]}", "{TURN_URIS[1]}"]\nturn.stun = ["{STUN_URI}"]\n'
INLINE: Final = f'turn.secret = "{SECRET}"\n'
RELAYS: Final = """
[[turn.relays]]
urls = ["turn:a"]
stun = ["stun:a"]
networks = ["203.0.113.0/24", "2001:db8::/64"]

[[turn.relays]]
urls = ["turn:b", "turn:c"]
"""
OTHER: Final = "another secret, in 32 characters".replace(" ", "-")


class TurnSettingsTests(FileTestCase):
    """``[turn]``."""

    def test_none(self) -> None:
        """Without settings there are no servers."""
        self.assertEqual(TurnSettings(), self.load("").turn)

    def test_whole(self) -> None:
        """Servers need a secret, in the settings or in a file, whose place does not depend on where the daemon goes."""
        turn = self.load(URLS + INLINE).turn
        self.assertEqual((TURN_URIS, (STUN_URI,), SECRET), (turn.urls, turn.stun, turn.secret))
        turn = self.load(f"{URLS}turn.secret_file = 's'", ENVIRON).turn
        self.assertEqual(("", str(Path.cwd() / "s")), (turn.secret, turn.secret_file))

    def test_secret_of_the_environment(self) -> None:
        """The environment's secret goes before the file's."""
        environ = {"CALLNET_TURN_SECRET": SECRET}
        self.assertEqual(SECRET, self.load(f"{URLS}turn.secret = '{'x' * 32}'", environ).turn.secret)

    def test_stun_needs_no_secret(self) -> None:
        """STUN servers ask nobody for credentials."""
        self.assertEqual((STUN_URI,), self.load(f'turn.stun = ["{STUN_URI}"]').turn.stun)

    def test_wrong_uris(self) -> None:
        """An invalid URI is reported with its place and the allowed ones."""
        for uri in ("turn.example.org", "stun:turn.example.org", "turn://a", "turn:a:70000", "turn:a?transport=x", ""):
            self.assertEqual(
                'turn.urls[1] must be a URI such as "turn:turn.example.org:3478?transport=udp" or'
                ' "turns:turn.example.org:5349?transport=tcp" (RFC 7065)',
                self.refusal(f'{INLINE}turn.urls = ["turn:a", "{uri}"]'),
            )
        for uri in ("turn:turn.example.org", "stun:a?transport=udp", "stun:", "a:3478"):
            self.assertEqual(
                'turn.stun[0] must be a URI such as "stun:turn.example.org:3478" (RFC 7064)',
                self.refusal(f'turn.stun = ["{uri}"]'),
            )
        self.assertEqual("turn.urls must be an array whose entries are a string", self.refusal('turn.urls = "turn:a"'))

    def test_secrets(self) -> None:
        """There is one secret, which is long enough; it is never repeated."""
        self.assertIn("turn.secret or turn.secret_file must be set", self.refusal(URLS))
        self.assertEqual(
            "turn.secret and turn.secret_file are both set; remove one", self.refusal(f"{INLINE}turn.secret_file = 's'")
        )
        for secret in ("x" * 31, "x" * 128, "x y" * 20, "é" * 40):
            said = self.refusal(f'{URLS}turn.secret = "{secret}"')
            self.assertEqual("turn.secret must have 32 to 127 ASCII characters without spaces", said)

    def test_relays(self) -> None:
        """Several relays share the secret; with `urls` and `stun` there is one for everybody, or STUN alone."""
        turn = self.load(f"{INLINE}{RELAYS}").turn
        one, other = turn.all_relays
        self.assertEqual((("turn:a",), ("stun:a",), ("203.0.113.0/24", "2001:db8::/64")), astuple(one))
        self.assertEqual((("turn:b", "turn:c"), (), ()), astuple(other))
        self.assertEqual(("turn:a", "turn:b", "turn:c"), turn.all_urls)
        [only] = self.load(URLS + INLINE).turn.all_relays
        self.assertEqual((TURN_URIS, (STUN_URI,), ()), astuple(only))
        self.assertEqual(((), ()), (TurnSettings().all_relays, TurnSettings(stun=(STUN_URI,)).all_urls))

    def test_wrong_relays(self) -> None:
        """Faults of one of several are reported with their place."""
        for relays, said in (
            ("{ urls = [] }", "turn.relays[0].urls must not be empty"),
            ("{ stun = [] }", "turn.relays[0].urls is missing; it must be an array whose entries are a string"),
            ("{ urls = ['turn:a'], stun = ['a'] }", "turn.relays[0].stun[0] must be a URI such as"),
            ("{ urls = ['turn:a'] }, { urls = ['a'] }", "turn.relays[1].urls[0] must be a URI such as"),
            ("{ urls = ['turn:a'] }, { urls = ['turn:a'] }", "turn.relays[1].urls: one of them is another relay's too"),
            (
                "{ urls = ['turn:a'], networks = ['10.0.0.0/8', '10.0.0.1/8'] }",
                "turn.relays[0].networks[1] must be one address, or a network",
            ),
            (
                "{ urls = ['turn:a'], networks = ['10.0.0.1', '10.0.0.1/32'] }",
                "turn.relays[0].networks: one of them is listed twice",
            ),
            (
                "{ urls = ['turn:a'], networks = ['2001:db8::/65'] }",
                "turn.relays[0].networks[0] must not be smaller than a /64",
            ),
        ):
            self.assertIn(said, self.refusal(f"{INLINE}turn.relays = [{relays}]"))
        self.assertIn("since turn.relays is: TURN servers require credentials", self.refusal(RELAYS))
        for more in (URLS, f"turn.stun = ['{STUN_URI}']\n"):
            self.assertIn("turn.relays is set, and turn.urls or turn.stun too", self.refusal(INLINE + more + RELAYS))
        self.assertEqual(
            'turn.relay = "supervised" and turn.relays are both set; remove one',
            self.refusal(f"turn.relay = 'supervised'\n{RELAYS}"),
        )

    def test_lifetime(self) -> None:
        """Credentials are good for a minute at least and a day at most."""
        for lifetime in (60, 86400):
            self.assertEqual(lifetime, self.load(f"turn.lifetime = {lifetime}").turn.lifetime)
        for wrong in ("59", "86401", "-1", "1.5", '"60"'):
            self.assertEqual(
                "turn.lifetime must be a whole number from 60 to 86400", self.refusal(f"turn.lifetime = {wrong}")
            )

    def test_limit(self) -> None:
        """The number of credentials for an address is not negative."""
        self.assertIn(
            "limits.turn_credentials_a_minute_from_an_address must be a whole number of at least 0",
            self.refusal("limits.turn_credentials_a_minute_from_an_address = -1"),
        )


class TurnDaemonTests(DaemonTestCase):
    """A daemon with TURN servers."""

    def servers(self, port: int = 8083) -> list[dict[str, Any]]:
        """The servers that a device is told."""
        token = self.post(8083, "/account/login", phone="13651884967", device_id="tv")["token"]
        answer = self.post(port, "/ice", token=token)
        self.assertEqual(0, answer["errorCode"], answer)
        servers = answer["ice_servers"]
        assert isinstance(servers, list)
        return servers

    def families(self, daemon: Daemon) -> dict[str, Family]:
        """Its counts of credentials."""
        found = self.successResultOf(daemon.observed.families())
        return {family.name: family for family in found if "turn_credentials" in family.name}

    def test_served(self) -> None:
        """Devices ask at the account service and at the site, and the credentials handed out are counted."""
        daemon = self.begin(self.compose(URLS + INLINE))
        for port in (8083, 8080):
            self.assertIsNotNone(expiry(self.servers(port)))
        families = self.families(daemon)
        self.assertEqual({"callnet_turn_credentials", "callnet_turn_credentials_refused"}, families.keys())
        given = families["callnet_turn_credentials"]
        self.assertEqual(("to", "counter", False), (given.label, given.kind, given.shared))
        self.assertEqual({"device": 2, "page": 0}, {sample.label: sample.value for sample in given.samples})

    def test_stun_alone(self) -> None:
        """Without TURN servers everybody gets STUN."""
        self.begin(self.compose(f'turn.stun = ["{STUN_URI}"]\nturn.secret_file = "/nowhere"'))
        self.assertEqual(STUN, self.servers())


class SecretFileTests(TurnDaemonTests):
    """The secret in a file, which is read again at SIGHUP."""

    def setUp(self) -> None:
        """A file with a secret."""
        super().setUp()
        self.file = Path(self.mktemp()).absolute()
        self.write(f"{SECRET}\n")
        self.settings = f'{URLS}turn.secret_file = "{self.file}"\n'

    def write(self, content: str, mode: int = 0o600) -> None:
        """Change the file."""
        self.file.write_text(content, encoding="utf-8")
        self.file.chmod(mode)

    def reload(self, daemon: Daemon) -> str:
        """Have everything read again; returns the log lines about the secret."""
        with capturedLogs() as events:
            daemon.reload(daemon.renewals)
        lines = [f"{event['log_level'].name}: {formatEvent(event)}" for event in events]
        for line in lines:
            self.assertNotIn(SECRET, line)
            self.assertNotIn(OTHER, line)
        [said] = [line for line in lines if "TURN" in line]
        return said

    def test_rotation(self) -> None:
        """Another first line makes the credentials from the next reload on; the second line does nothing."""
        daemon = self.begin(self.compose(self.settings))
        self.assertIsNotNone(expiry(self.servers()))
        self.write(f"{OTHER}\n{SECRET}\n")
        self.assertIsNotNone(expiry(self.servers()))
        self.assertEqual("info: reloaded the TURN secret: changed", self.reload(daemon))
        self.assertIsNotNone(expiry(self.servers(), OTHER))
        self.write(OTHER)
        self.assertEqual("info: reloaded the TURN secret: unchanged", self.reload(daemon))
        self.assertIsNotNone(expiry(self.servers(), OTHER))

    def test_bad_file(self) -> None:
        """An invalid file stops a start with one line, and changes nothing at a reload."""
        daemon = self.begin(self.compose(self.settings))
        wrong = f"{self.file} must have one or two lines, each of 32 to 127 ASCII characters without spaces"
        for content, mode, said in (
            ("", 0o600, wrong),
            ("\n", 0o600, wrong),
            ("short\n", 0o600, wrong),
            (f"{OTHER}\n\n", 0o600, wrong),
            (f"\n{OTHER}\n", 0o600, wrong),
            (f"{OTHER} \n", 0o600, wrong),
            (f"{OTHER}\r\n", 0o600, wrong),
            (f"{OTHER}\nshort\n", 0o600, wrong),
            (f"{OTHER}\n{SECRET}\n{OTHER}\n", 0o600, wrong),
            ("é" * 40, 0o600, wrong),
            (OTHER, 0o640, f"{self.file} is accessible to others (mode 0640); chmod 600 it"),
        ):
            self.write(content, mode)
            self.assertEqual(f"turn.secret_file: {said}", self.refusal(self.settings))
            self.assertEqual(f"error: kept the old TURN secret: turn.secret_file: {said}", self.reload(daemon), content)
        self.file.unlink()
        self.assertEqual(f"turn.secret_file: {self.file}: No such file or directory", self.refusal(self.settings))
        self.assertIn("kept the old TURN secret", self.reload(daemon))
        self.assertIsNotNone(expiry(self.servers()))

    def test_secret_in_the_settings(self) -> None:
        """One in the settings is another one when the settings are, and nothing is said of it otherwise."""
        daemon = self.begin(self.compose(URLS + INLINE))
        self.assertRaises(ValueError, self.reload, daemon)
        self.write_settings(URLS + INLINE.replace(SECRET, OTHER))
        self.assertEqual("info: reloaded the TURN secret: changed", self.reload(daemon))
        self.assertIsNotNone(expiry(self.servers(), OTHER))
