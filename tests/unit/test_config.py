"""The settings: the valid ones, the defaults, and the messages about mistakes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct
from twisted.trial.unittest import SynchronousTestCase

from callnet.config.load import load
from callnet.config.schema import HTTP01, Listener, Settings
from callnet.errors import StartError
from harness import ROOT

ENVIRON: Final = {"HOME": "/home/someone"}
EXAMPLE: Final = ROOT / "etc" / "callnet.toml"


def setting_paths(settings: Struct, prefix: str = "") -> Iterator[str]:
    """The key path of every setting, such as ``calls.grace``."""
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, Struct):
            yield from setting_paths(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


class FileTestCase(SynchronousTestCase):
    """Reads settings from a file."""

    def setUp(self) -> None:
        """Begin with the settings that every test here needs."""
        self.path = self.mktemp()

    def load(self, text: str, environ: dict[str, str] = ENVIRON) -> Settings:
        """The settings that ``text`` makes."""
        Path(self.path).write_text(text, encoding="utf-8")
        return load(self.path, environ)

    def refusal(self, text: str) -> str:
        """The error about ``text``, without the file's name, which comes first."""
        error = str(self.assertRaises(StartError, self.load, text))
        self.assertNotIn("\n", error)
        file, _, rest = error.partition(": ")
        self.assertEqual(file, self.path)
        return rest


class ExampleTests(FileTestCase):
    """``etc/callnet.toml`` shows every setting, commented, with its default."""

    def uncommented(self) -> str:
        """The example with every setting in effect."""
        return re.sub(r"^#(?=[a-z])", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)

    def test_as_it_is_it_changes_nothing(self) -> None:
        """As it is it changes nothing."""
        self.assertEqual(self.load(EXAMPLE.read_text(encoding="utf-8")), load(None, ENVIRON))

    def test_what_it_shows_are_the_defaults(self) -> None:
        """It shows the defaults."""
        self.assertEqual(self.load(self.uncommented()), load(None, ENVIRON))

    def test_it_shows_every_setting(self) -> None:
        """It shows every setting."""
        shown, section = set(), ""
        for line in self.uncommented().splitlines():
            if heading := re.fullmatch(r"\[([\w.]+)\]", line):
                section = f"{heading[1]}."
            elif setting := re.match(r"(\w+) = ", line):
                shown.add(section + setting[1])
        self.assertEqual(shown, set(setting_paths(Settings())))


class DefaultTests(SynchronousTestCase):
    """The defaults."""

    def test_it_listens_on_loopback_alone(self) -> None:
        """It listens on loopback alone."""
        endpoints = [listener.endpoint for _, listener in load(None, ENVIRON).listeners.keyed()]
        self.assertEqual(
            endpoints,
            [f"tcp:{port}:interface=127.0.0.1" for port in (8083, 8082, 8080, 8081, 8084)],
        )

    def test_only_the_site_speaks_tls(self) -> None:
        """Only the site speaks TLS."""
        spoken = {key: listener.tls for key, listener in load(None, ENVIRON).listeners.keyed()}
        self.assertEqual([key for key, is_spoken in spoken.items() if is_spoken], ["listeners.site[0]"])

    def test_everything_is_kept_in_the_state_directory_of_the_user(self) -> None:
        """Everything is kept in the state directory of the user."""
        settings = load(None, ENVIRON)
        self.assertEqual(settings.state_dir, "/home/someone/.local/state/callnet")
        self.assertEqual(settings.database.url, "sqlite:////home/someone/.local/state/callnet/callnet.db")
        self.assertEqual(settings.tokens.signing_key_file, "/home/someone/.local/state/callnet/signing.key")

    def test_xdg_state_home_goes_before_the_home_directory(self) -> None:
        """XDG_STATE_HOME goes before the home directory."""
        self.assertEqual(load(None, {**ENVIRON, "XDG_STATE_HOME": "/var/x"}).state_dir, "/var/x/callnet")

    def test_the_directory_of_systemd_goes_before_both(self) -> None:
        """The directory of systemd goes before both."""
        environ = {**ENVIRON, "XDG_STATE_HOME": "/var/x", "STATE_DIRECTORY": "/var/lib/callnet:/var/lib/other"}
        self.assertEqual(load(None, environ).state_dir, "/var/lib/callnet")


class SourceTests(FileTestCase):
    """Where settings come from."""

    def test_the_environment_may_name_the_file(self) -> None:
        """The environment may name the file."""
        Path(self.path).write_text("calls.grace = 7", encoding="utf-8")
        self.assertEqual(load(None, {"CALLNET_CONFIG": self.path}).calls.grace, 7)

    def test_a_file_that_is_asked_for_goes_before_that(self) -> None:
        """A file that is asked for goes before that."""
        self.assertEqual(self.load("calls.grace = 8", {"CALLNET_CONFIG": "/nowhere"}).calls.grace, 8)

    def test_a_file_that_cannot_be_read_is_named(self) -> None:
        """A file that cannot be read is named."""
        error = self.assertRaises(StartError, load, "/nowhere/callnet.toml", {})
        self.assertEqual(str(error), "/nowhere/callnet.toml: cannot read the settings: No such file or directory")

    def test_secrets_and_the_state_directory_may_come_from_the_environment(self) -> None:
        """Secrets and the state directory may come from the environment."""
        settings = self.load(
            'state_dir = "/a"\ndatabase.url = "sqlite:////b"\nredis.url = "redis://b"\ntokens.signing_key = "c"',
            {
                "CALLNET_STATE_DIR": "/x",
                "CALLNET_DATABASE_URL": "postgresql://y",
                "CALLNET_REDIS_URL": "unix:///y",
                "CALLNET_SIGNING_KEY": "z" * 32,
            },
        )
        self.assertEqual(
            (settings.state_dir, settings.database.url, settings.redis.url, settings.tokens.signing_key),
            ("/x", "postgresql://y", "unix:///y", "z" * 32),
        )

    def test_paths_do_not_depend_on_where_the_daemon_goes_later(self) -> None:
        """Paths do not depend on where the daemon goes later."""
        settings = self.load(
            'state_dir = "s"\ntokens.signing_key_file = "k"\ntls = { certificate = "c", private_key = "p" }\n'
            'redis = { url = "rediss://r", ca = "a" }'
        )
        here, tls = Path.cwd(), settings.tls
        self.assertEqual(
            (
                settings.state_dir,
                settings.tokens.signing_key_file,
                tls.certificate,
                tls.private_key,
                settings.redis.ca,
            ),
            tuple(str(here / name) for name in "skcpa"),
        )

    def test_a_service_may_have_several_listeners_or_none(self) -> None:
        """A service may have several listeners or none."""
        settings = self.load(
            'listeners.account = [{endpoint="unix:/a"}, {endpoint="unix:/b", tls=true}]\nlisteners.site = []'
        )
        self.assertEqual(
            [(key, listener.endpoint) for key, listener in settings.listeners.keyed()],
            [
                ("listeners.account[0]", "unix:/a"),
                ("listeners.account[1]", "unix:/b"),
                ("listeners.signaling[0]", "tcp:8082:interface=127.0.0.1"),
                ("listeners.admin[0]", "tcp:8084:interface=127.0.0.1"),
            ],
        )


class MistakeTests(FileTestCase):
    """A mistake is reported in one line: the file, the key, and the allowed values."""

    def test_an_unknown_key(self) -> None:
        """An unknown key is told with those that are known there."""
        self.assertEqual(
            self.refusal("calls.ring_tyme = 45"),
            "unknown key calls.ring_tyme: known keys are ring_time, grace, longest, unseated_limit, offline_after,"
            " adhoc_rooms",
        )

    def test_an_unknown_section(self) -> None:
        """So is an unknown section."""
        self.assertRegex(self.refusal("[call]\nring_time = 45"), r"^unknown key call: known keys are state_dir, wor")

    def test_a_wrong_type(self) -> None:
        """A wrong type is told with the right one."""
        for text, answer in {
            'calls.ring_time = "45"': "calls.ring_time must be a number from 0.1 to 2678400",
            "calls.adhoc_rooms = 1": "calls.adhoc_rooms must be true or false",
            "calls = 1": "calls must be a table with the keys ring_time, grace, longest, unseated_limit, offline_after,"
            " adhoc_rooms",
            "tokens.lifetime = 1.5": "tokens.lifetime must be a whole number from 60 to 316224000",
            "state_dir = 1987-01-01": "state_dir must be a string",
            "listeners.site = 1": (
                "listeners.site must be an array whose entries are a table with the keys endpoint, tls, proxy_protocol,"
                " turn"
            ),
            "listeners.site = [8080]": (
                "listeners.site[0] must be a table with the keys endpoint, tls, proxy_protocol, turn"
            ),
            "listeners.site = [{}]": "listeners.site[0].endpoint is missing; it must be a string",
            'listeners.site = [{endpoint="unix:/a", tsl=true}]': (
                "unknown key listeners.site[0].tsl: known keys are endpoint, tls, proxy_protocol, turn"
            ),
        }.items():
            self.assertEqual(self.refusal(text), answer)

    def test_a_number_out_of_range(self) -> None:
        """A number out of range is reported with the range, and a value that is no number is out of every range."""
        for value in ("0", "-1", "2678401", "inf", "nan"):
            self.assertEqual(self.refusal(f"calls.grace = {value}"), "calls.grace must be a number from 0.1 to 2678400")

    def test_codes_that_nobody_sends(self) -> None:
        """Enrolment ``otp`` needs somebody who sends the codes, a secret, and a text that has the code in it."""
        otp = 'accounts.enrolment = "otp"\n'
        self.assertIn("accounts.otp.url must be set", self.refusal(otp))
        url = f'{otp}accounts.otp.url = "https://codes.example.org/"\n'
        for secret in ("", "x" * 31):
            self.assertIn("at least 32", self.refusal(f'{url}accounts.otp.secret = "{secret}"'))
        whole = f'{url}accounts.otp.secret = "{"x" * 32}"\n'
        self.assertEqual("otp", self.load(whole).accounts.enrolment)
        self.assertIn("{code}", self.refusal(f'{whole}accounts.otp.text = "no code"'))
        for wrong in ("ftp://x", "codes.example.org", "https://", "https://a b"):
            self.assertIn("https://", self.refusal(f'accounts.otp.url = "{wrong}"'))

    def test_urls_that_cannot_be_asked(self) -> None:
        """Of a URL that requests go to, host and port must be valid; the refusal does not repeat it."""
        secret = f'secret = "{"x" * 32}"'
        for section in ('accounts = {{ enrolment = "otp", otp = {} }}', "webhooks = {}", "push.gateway = {}"):
            for wrong in (
                "user:pa/ss@host/",
                "hooks.example.org:80O0/x",
                "hooks.example.org:65536/",
                "hooks.example.org:0/",
                "hooks.example.org:/",
                "/x",
                "user:pass@/x",
                "[::1/x",
                "[::1]./x",
                "[::g]/x",
                "[127.0.0.1]/x",
                "[fe80::1%25eth0]/x",
                "a..b/",
                "-a/",
                "a%20b/",
                f"{'a' * 64}/",
                f"{'a.' * 127}aa/",
            ):
                refusal = self.refusal(section.format(f'{{ url = "https://{wrong}", {secret} }}'))
                self.assertRegex(refusal, r"^[a-z.]+\.url must be a URL such as https://")
                self.assertNotIn(wrong, refusal)
            for right in (
                "a",
                "user:p@ss@hooks.example.org:65535?x=1",
                "user:p%2Fss@127.0.0.1/x",
                "[2001:db8::7]:8000/x",
                "A-1.b./#x",
                f"{'a.' * 126}a/",
            ):
                self.load(section.format(f'{{ url = "http://{right}", {secret} }}'))

    def test_a_webhook_without_a_secret(self) -> None:
        """A webhook needs a secret, and gets all events unless some of them are named."""
        url = 'webhooks.url = "https://hooks.example.org/"\n'
        for secret in ("", "x" * 31):
            self.assertIn("webhooks.secret must have at least 32", self.refusal(f'{url}webhooks.secret = "{secret}"'))
        whole = f'{url}webhooks.secret = "{"x" * 32}"\n'
        self.assertEqual(5, len(self.load(whole).webhooks.wanted))
        self.assertEqual({"call_missed"}, self.load(f'{whole}webhooks.events = ["call_missed"]').webhooks.wanted)
        self.assertEqual(set(), self.load("").webhooks.wanted)
        self.assertIn("webhooks.events[0] must be one of", self.refusal('webhooks.events = ["call"]'))

    def test_a_word_that_is_none_of_the_allowed(self) -> None:
        """A word that is none of the allowed is told with those that are."""
        self.assertEqual(
            self.refusal('accounts.enrolment = "closed"'), 'accounts.enrolment must be one of "known", "open", "otp"'
        )
        self.assertEqual(
            self.refusal('accounts.phone_format = ""'),
            "accounts.phone_format must be number, cn-mobile, e164, or a regular expression",
        )
        self.assertEqual(
            self.refusal('signaling.allowed_origins = ["phones.example.org"]'),
            "signaling.allowed_origins[0] must be an origin such as https://phones.example.org",
        )

    def test_what_is_no_toml(self) -> None:
        """An error in the TOML names its place."""
        self.assertRegex(self.refusal("calls.grace = = 7"), r"^not TOML: .*\(at line 1, column 15\)$")
        self.assertRegex(self.refusal("a = " + "[" * 5000), r"^not TOML: ")

    def test_what_is_no_utf_8(self) -> None:
        """Invalid UTF-8 is not TOML either."""
        Path(self.path).write_bytes(b"state_dir = '\xff'")
        error = self.assertRaises(StartError, load, self.path, {})
        self.assertRegex(str(error), r": not TOML: 'utf-8' codec")

    def test_a_secret_is_never_repeated(self) -> None:
        """A secret is never repeated."""
        for text in (
            "database.url = {password = 'hunter2'}",
            "database.url = 'hunter2",
            "redis.url = 1\nredis.prefix = 'hunter2'",
            "tokens.signing_key = ['hunter2']",
            "database.urI = 'hunter2'",
        ):
            self.assertNotIn("hunter2", self.refusal(text))


class TlsTests(FileTestCase):
    """Settings that depend on each other."""

    def test_a_certificate_needs_its_key(self) -> None:
        """A certificate needs its key."""
        for text in ("tls.certificate = 'c'", "tls.private_key = 'k'"):
            self.assertEqual(self.refusal(text), "tls.certificate and tls.private_key must be set together")

    def test_hsts_needs_a_certificate_of_ones_own(self) -> None:
        """HSTS needs a certificate of one's own."""
        self.assertIn("site.hsts needs your own certificate", self.refusal("site.hsts = 86400"))
        for text in ("{ certificate = 'c', private_key = 'k' }", "{ acme = { names = ['a.example.org'] } }"):
            self.assertEqual(self.load(f"site.hsts = 86400\ntls = {text}").site.hsts, 86400)

    def test_acme(self) -> None:
        """A certificate comes by ACME or from files, for names that the authority can reach."""
        names = "names = ['a.example.org']"
        for acme, rest, wrong in (
            (names, "tls.certificate = 'c'\ntls.private_key = 'k'", "tls.certificate and tls.acme.names are both set"),
            ("http01 = 'tcp:80'", "", "tls.acme.names must be set, since tls.acme.http01 is"),
            (f"{names}\nhttp01 = '80'", "", "tls.acme.http01.endpoint '80': must be an endpoint such as"),
            (names, "listeners.site = []", "tls.acme.names needs a listener with tls = true, or tls.acme.http01"),
            ("names = ['A.example.org']", "", "tls.acme.names[0] must be a name such as"),
            ("names = ['*.example.org']", "", "tls.acme.names[0] must be a name such as"),
            (f"{names}\ndirectory = 'http://a/'", "", "tls.acme.directory must be a URL that begins with https://"),
            (f"{names}\ndirectory = 'https://../x'", "", "tls.acme.directory must be a URL that begins with https://"),
            (f"{names}\ncontact = 'a@example.org'", "", "tls.acme.contact must be a contact such as mailto:"),
        ):
            self.assertIn(wrong, self.refusal(f"{rest}\n[tls.acme]\n{acme}"))
        settings = self.load(f"[tls.acme]\n{names}\nhttp01 = 'tcp:80'\nca = 'ca.pem'")
        self.assertTrue(os.path.isabs(settings.tls.acme.ca))
        self.assertIn((HTTP01, Listener("tcp:80")), list(settings.keyed_listeners()))
        self.load(f"listeners.site = []\n[tls.acme]\n{names}\nhttp01 = 'tcp:80'")


class ManyTests(FileTestCase):
    """Settings of many processes, and of many machines."""

    def test_how_many_processes(self) -> None:
        """There are from 1 to 64 processes, or one for each core."""
        for value in ("0", "65", "2.0", '"2"', '"all"', "true"):
            self.assertEqual(
                self.refusal(f"workers = {value}"), 'workers must be a whole number from 1 to 64, or "auto"'
            )

    def test_processes_need_somewhere_to_meet(self) -> None:
        """More than one need Redis, and where each core has one there may be more than one."""
        for value in ("2", '"auto"'):
            self.assertEqual(self.refusal(f"workers = {value}"), "workers: more than one process needs redis.url")
            settings = self.load(f"workers = {value}", {**ENVIRON, "CALLNET_REDIS_URL": "unix:///r"})
            self.assertEqual(str(settings.workers), value.strip('"'))

    def test_a_prefix_of_keys(self) -> None:
        """A prefix of keys has nothing in it that means something to Redis, or to who writes a pattern."""
        for value in ("callnet:", "a" * 64, "eu-1/phones_v2.x:"):
            self.assertEqual(self.load(f'redis.prefix = "{value}"').redis.prefix, value)
        for value in ("", "a b", "{a}", "a*", "é", "a\\n", "a" * 65):
            self.assertEqual(
                self.refusal(f'redis.prefix = "{value}"'),
                "redis.prefix must be 1 to 64 letters, digits, and any of : . _ / -",
            )
