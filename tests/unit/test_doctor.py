"""``callnet doctor``, on a machine with nothing but callnet, and its parts."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.trial.unittest import SkipTest

from callnet.accounts.signing_keys import load_or_make_keys
from callnet.acme.renewal import AcmeFolder
from callnet.cli.status import places
from callnet.config.load import load
from callnet.config.schema import (
    AcmeSettings,
    DatabaseSettings,
    ListenerSettings,
    RedisSettings,
    Settings,
    TurnSettings,
)
from callnet.doctor import listeners, machine, services
from callnet.doctor.findings import Finding, Level
from callnet.ops.certificates import sign, to_pem
from callnet.storage.database import Database
from harness.ports import free_port
from tests.unit.test_cli import CommandTestCase

NOW: Final = datetime.now(UTC)
NOBODY: Final = 65534
PORTS: Final = """
[listeners]
account = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
signaling = [{ endpoint = "unix:/run/callnet/signaling" }]
site = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
admin = []
"""


def low_port() -> socket.socket:
    """A listener at a port below 1024."""
    for port in range(1023, 0, -1):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            continue
    raise SkipTest("a port below 1024 is needed")


def levels(found: Iterable[Finding]) -> list[tuple[str, Level]]:
    """The checks and their levels."""
    return [(each.about, each.level) for each in found]


class DoctorTestCase(CommandTestCase):
    """Settings, and the findings about them."""

    def settings(self, text: str = "") -> Settings:
        """Settings with this beside the state directory."""
        self.config.write_text(f'state_dir = "{self.directory / "state"}"\n{text}')
        return load(str(self.config), {})


class CommandTests(DoctorTestCase):
    """The command."""

    def test_before_the_first_start(self) -> None:
        """On a machine where nothing was started yet, nothing is bad, and nothing is made."""
        self.settings(PORTS)
        shown = self.run_("doctor")
        self.assertIn("ok    state_dir:", shown)
        self.assertIn("ok    database:                SQLite; the file will be created at the first start", shown)
        self.assertIn("warn  certificate:             self-signed", shown)
        self.assertIn("warn  turn:                    no TURN server", shown)
        self.assertNotIn("fail", shown)
        self.assertFalse((self.directory / "state").exists())

    def test_bad_settings(self) -> None:
        """A setting that is wrong is all that is shown, with exit status 1."""
        self.config.write_text("ports = 80\n")
        result = self.invoke("doctor")
        self.assertEqual((1, 1), (result.exit_code, len(result.stdout.splitlines())))
        self.assertIn("fail  settings:", result.stdout)

    def test_something_is_bad(self) -> None:
        """If anything is bad, it is shown with the remedy, all else is looked at too, and the exit status is 1."""
        self.settings(f'redis.url = "redis://127.0.0.1:{free_port()}"\n{PORTS}')
        result = self.invoke("doctor")
        self.assertEqual(1, result.exit_code)
        self.assertIn("fail  redis:", result.stdout)
        self.assertIn("-> start it, or correct redis.url", result.stdout)
        self.assertIn("turn:", result.stdout)


class MachineTests(DoctorTestCase):
    """The machine."""

    def of(self, about: str) -> list[Level]:
        """The level of one check."""
        found = machine.examine(self.settings())
        return [each.level for each in found if each.about == about]

    def test_state_dir(self) -> None:
        """A directory for the user alone is good; one that others may look into is doubtful; a file is bad."""
        path = self.directory / "state"
        path.mkdir(mode=0o700)
        self.assertEqual([Level.GOOD], self.of("state_dir"))
        path.chmod(0o755)
        self.assertEqual([Level.DOUBT], self.of("state_dir"))
        path.rmdir()
        path.write_text("")
        self.assertEqual([Level.BAD], self.of("state_dir"))

    def test_open_files(self) -> None:
        """The limit is that of a daemon which runs, whatever this process may open."""
        proc = Path(self.mktemp())
        for pid, command, limit in (
            ("7", "bash", "64"),
            ("8", "python3 /opt/callnet/bin/twistd -n --pidfile= callnet", "65536"),
            ("9", "python3 /usr/bin/twist callnet", "unlimited"),
            ("11", "python3 /opt/callnet/bin/callnet doctor", "32"),
            ("12", "python3 /opt/callnet/bin/twistd -n web", "8"),
            ("13", "python3 /usr/bin/twistd -y /etc/callnet.tac", "4096"),
        ):
            (proc / pid).mkdir(parents=True)
            (proc / pid / "cmdline").write_text(command.replace(" ", "\0") + "\0")
            (proc / pid / "limits").write_text(
                f"Max processes  1  1  processes\nMax open files  {limit}  {limit}  files\n"
            )
        (proc / "10").mkdir()  # it has just ended
        self.assertEqual([4096, 65536, math.inf], sorted(machine.limits_of_daemons(proc, os.getuid())))
        self.assertEqual([], machine.limits_of_daemons(proc, os.getuid() + 1))

    def test_keys(self) -> None:
        """Keys that are there are counted; one that others may read is bad."""
        path = self.directory / "state" / "signing.key"
        self.assertEqual([Level.GOOD], self.of("signing keys"))
        path.parent.mkdir(mode=0o700)
        load_or_make_keys(path)
        self.assertEqual([Level.GOOD], self.of("signing keys"))
        path.chmod(0o644)
        self.assertEqual([Level.BAD], self.of("signing keys"))

    def test_the_key_itself_is_not_shown(self) -> None:
        """A key in the settings is not repeated."""
        key = "k" * 32
        found = machine.examine(self.settings(f'tokens.signing_key = "{key}"'))
        self.assertNotIn(key, "".join(each.text for each in found))


class SecretTests(DoctorTestCase):
    """Files with secrets."""

    def test_open_to_others(self) -> None:
        """Settings with a secret that everybody can read are doubtful; the secret is not repeated."""
        secret = "k" * 32
        settings = self.settings(f'webhooks.url = "https://x/"\nwebhooks.secret = "{secret}"')
        for mode, level in ((0o644, Level.DOUBT), (0o640, Level.GOOD)):
            self.config.chmod(mode)
            [found] = machine.examine_secrets(settings, str(self.config))
            self.assertEqual(level, found.level)
            self.assertIn("webhooks.secret", found.text)
            self.assertNotIn(secret, found.text)

    def test_no_secret(self) -> None:
        """Settings without a secret may be read by everybody."""
        self.config.chmod(0o644)
        [found] = machine.examine_secrets(self.settings(), str(self.config))
        self.assertEqual(Level.GOOD, found.level)

    def test_file_of_its_own(self) -> None:
        """A file with a secret that cannot be used is bad."""
        settings = self.settings('webhooks.url = "https://x/"\nwebhooks.secret_file = "/nonexistent"')
        found = list(machine.examine_secrets(settings, None))
        self.assertEqual([Level.BAD], [each.level for each in found])
        self.assertIn("webhooks.secret_file", found[0].text)


class ListenerTests(DoctorTestCase):
    """Ports and certificates."""

    def found(self, endpoint: str, runs: bool = False, tls: str = "") -> list[Finding]:
        """The findings of one listener."""
        settings = self.settings(
            f"{tls}\n[listeners]\nsignaling = []\nadmin = []\nsite = []\n"
            f'account = [{{ endpoint = "{endpoint}", tls = {str(bool(tls)).lower()} }}]'
        )
        return list(listeners.examine(settings, runs, NOW))

    def test_free(self) -> None:
        """A port that nobody has is good, unless callnet runs: then it listens elsewhere."""
        endpoint = f"tcp:{free_port()}:interface=127.0.0.1"
        self.assertEqual([("listeners.account[0]", Level.GOOD)], levels(self.found(endpoint)))
        self.assertEqual([("listeners.account[0]", Level.BAD)], levels(self.found(endpoint, runs=True)))

    def test_without_ipv6(self) -> None:
        """Where there is no IPv6, a listener for all addresses is looked at as the daemon opens it: for IPv4 alone."""
        self.patch(socket, "has_dualstack_ipv6", lambda: False)
        port = free_port()
        settings = self.settings(
            "accounts.open_enrolment_on_network = true\n[listeners]\nsignaling = []\nadmin = []\nsite = []\n"
            f'account = [{{ endpoint = "tcp6:{port}" }}]'
        )
        [found] = listeners.examine(settings, False, NOW)
        self.assertEqual((Level.GOOD, f"0.0.0.0:{port} is free"), (found.level, found.text))

    def test_taken(self) -> None:
        """A port that is taken is bad, unless it is callnet that has it."""
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            endpoint = f"tcp:{server.getsockname()[1]}:interface=127.0.0.1"
            self.assertEqual([("listeners.account[0]", Level.BAD)], levels(self.found(endpoint)))
            self.assertEqual([("listeners.account[0]", Level.GOOD)], levels(self.found(endpoint, runs=True)))

    def test_privileged(self) -> None:
        """A port below 1024 is looked at by a user that may not listen there: whether anybody has it is seen."""
        if os.geteuid():
            raise SkipTest("a port below 1024 is needed")
        with closing(low_port()) as server:
            endpoint = f"tcp:{server.getsockname()[1]}:interface=127.0.0.1"
            self.assertEqual(Level.BAD, self.as_nobody(endpoint, False))
            self.assertEqual(Level.GOOD, self.as_nobody(endpoint, True))
        self.assertEqual(Level.DOUBT, self.as_nobody(endpoint, False))
        self.assertEqual(Level.BAD, self.as_nobody(endpoint, True))

    def as_nobody(self, endpoint: str, runs: bool) -> Level:
        """The level of a listener, as another user finds it."""
        settings = self.settings(
            f"accounts.open_enrolment_on_network = true\n[listeners]\nsignaling = []\nadmin = []\nsite = []\n"
            f'account = [{{ endpoint = "{endpoint}" }}]'
        )
        list(listeners.examine(settings, runs, NOW, []))  # loads all modules: that user may not read them
        child = os.fork()
        if not child:
            try:
                os.setuid(NOBODY)
                [found] = listeners.examine(settings, runs, NOW, [])
                os._exit(list(Level).index(found.level))
            finally:
                os._exit(len(Level))
        return list(Level)[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]

    def test_address_of_another_machine(self) -> None:
        """An address that this machine does not have is bad."""
        settings = self.settings(
            "accounts.open_enrolment_on_network = true\n[listeners]\nsignaling = []\nadmin = []\nsite = []\n"
            'account = [{ endpoint = "tcp:8080:interface=192.0.2.1" }]'
        )
        found = listeners.examine(settings, False, NOW)
        self.assertEqual([Level.BAD], [each.level for each in found])

    def certificate(self, now: datetime, names: list[str] | None = None) -> str:
        """Settings with a certificate that was made then."""
        pair = sign(["calls.example.org"] if names is None else names, [], now)
        files = {"crt": pair.chain[0].public_bytes(Encoding.PEM)}
        files["key"] = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for name, content in files.items():
            (self.directory / name).write_bytes(content)
            (self.directory / name).chmod(0o600)
        return f'tls = {{ certificate = "{self.directory}/crt", private_key = "{self.directory}/key" }}'

    def test_certificate(self) -> None:
        """A certificate is shown with its names; one that is about to expire is doubtful, one that has expired bad."""
        for age, level in ((0, Level.GOOD), (810, Level.DOUBT), (830, Level.BAD), (-5, Level.BAD)):
            tls = self.certificate(NOW - timedelta(days=age))
            _, found = self.found("tcp:0:interface=127.0.0.1", tls=tls)
            self.assertEqual((level, age), (found.level, age))
        self.certificate(NOW)
        _, found = self.found("tcp:0:interface=127.0.0.1", tls=tls)
        self.assertIn("for calls.example.org, until 20", found.text)

    def test_certificate_by_acme(self) -> None:
        """One that was ordered is shown like others; the failure of an order is doubtful, and bad if there is none."""
        acme = "[tls.acme]\nnames = ['a.example.org']"
        folder = AcmeFolder(str(self.directory / "state"), AcmeSettings().directory)
        (self.directory / "state").mkdir(mode=0o700)
        self.assertEqual([(Level.DOUBT, "self-signed until callnet has got one")], self.told(acme))
        folder.make()
        folder.failure = "the authority refused: rateLimited"
        self.assertEqual([(Level.BAD, folder.failure)], self.told(acme))
        folder.write(folder.certificate, to_pem(sign(["a.example.org"], [], NOW)))
        first, second = self.told(acme)
        self.assertEqual(((Level.DOUBT, folder.failure), Level.GOOD), (first, second[0]))
        folder.failure = ""
        self.assertEqual([second], self.told(acme))
        self.assertIn("for a.example.org, until 20", second[1])

    def told(self, settings: str) -> list[tuple[Level, str]]:
        """The findings about the certificate, without remedies."""
        found = listeners.examine(self.settings(settings), False, NOW)
        return [(each.level, each.text) for each in found if each.about == "certificate"]

    def test_certificate_that_is_no_good(self) -> None:
        """A certificate that cannot be read is bad."""
        tls = self.certificate(NOW)
        (self.directory / "crt").write_text("nothing")
        self.assertEqual(
            [Level.GOOD, Level.BAD], [each.level for each in self.found("tcp:0:interface=127.0.0.1", tls=tls)][:2]
        )


class ServiceTests(DoctorTestCase):
    """The database, Redis, STUN and TURN."""

    def of(self, **settings: object) -> list[tuple[str, Level]]:
        """The level of each."""
        return levels(services.examine(Settings(**settings), False, NOW))  # type: ignore[arg-type]

    def database(self, **settings: object) -> list[Level]:
        """The level of the database."""
        of = self.of(database=DatabaseSettings(self.url, **settings))  # type: ignore[arg-type]
        return [level for about, level in of if about == "database"]

    def test_sqlite(self) -> None:
        """A database is good before there is one, when it is new, and when it is up to date."""
        self.assertEqual([Level.GOOD], self.database())
        self.assertFalse((self.directory / "callnet.db").exists())
        (self.directory / "callnet.db").touch()
        self.assertEqual([Level.GOOD], self.database())
        self.assertEqual([Level.BAD], self.database(upgrade_on_start=False))
        database = Database(self.url)
        database.upgrade()
        database.close()
        self.assertEqual([Level.GOOD], self.database(upgrade_on_start=False))

    def test_what_is_no_database(self) -> None:
        """A file that is no database is bad."""
        (self.directory / "callnet.db").write_text("nothing of the kind\n" * 100)
        self.assertEqual([Level.BAD], self.database())

    def test_no_redis(self) -> None:
        """A Redis that is not there, and a URL that is none, are bad."""
        self.url = f"sqlite:///{self.directory}/none.db"
        database = DatabaseSettings(self.url)
        for url in (f"redis://127.0.0.1:{free_port()}", "http://127.0.0.1"):
            self.assertIn(("redis", Level.BAD), self.of(database=database, redis=RedisSettings(url)))

    def test_no_turn_server(self) -> None:
        """Servers that do not answer are bad, over UDP and TCP."""
        place = f"127.0.0.1:{free_port()}"
        turn = TurnSettings((f"turn:{place}", f"turn:{place}?transport=tcp"), (f"stun:{place}",), "s" * 32)
        found = self.of(database=DatabaseSettings(self.url), turn=turn)
        self.assertEqual([("turn", Level.BAD)] * 2 + [("stun", Level.BAD)], found[1:])

    def test_another_service(self) -> None:
        """A service that does not answer as a TURN server is none."""
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            place = f"127.0.0.1:{server.getsockname()[1]}"
            closes = os.fork()
            if not closes:
                client, _ = server.accept()
                client.sendall(b"220 mail.example.org ESMTP " + b"x" * 30000)
                client.close()
                os._exit(0)
            turn = TurnSettings((f"turn:{place}?transport=tcp",), (), "s" * 32)
            found = list(services.examine(Settings(database=DatabaseSettings(self.url), turn=turn), False, NOW))
            os.waitpid(closes, 0)
        self.assertEqual(("turn", Level.BAD), (found[1].about, found[1].level))


class PlaceTests(DoctorTestCase):
    """Where a daemon can be asked."""

    def test_places(self) -> None:
        """A listener of the operator's is named by its address or path, if it is known and talks HTTP to anybody."""
        text = """
accounts.open_enrolment_on_network = true
[listeners]
admin = [
    { endpoint = "tcp:8084:interface=127.0.0.1" },
    { endpoint = "tcp6:8085:interface=\\\\:\\\\:1" },
    { endpoint = "unix:/run/callnet/admin:mode=600" },
    { endpoint = "systemd:domain=UNIX:name=admin" },
    { endpoint = "tcp:0:interface=127.0.0.1" },
    { endpoint = "tcp:8086", proxy_protocol = ["192.0.2.1"] },
]
"""
        self.assertEqual(
            ["http://127.0.0.1:8084", "http://[::1]:8085", "/run/callnet/admin"],
            places(self.settings(text).listeners),
        )
        self.assertEqual(["http://127.0.0.1:8084"], places(ListenerSettings()))
