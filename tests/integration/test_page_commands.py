"""Commands of the manual that need no system of their own, typed as they stand there.

Where a page names a place that only a machine has to itself (a port, a file of the state, a host's name), the test's
own stands in for it; nothing else of a block is changed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shlex
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import psycopg
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from acceptance import readme
from callnet.accounts.signing_keys import load_or_make_keys
from callnet.config.load import load
from callnet.storage import devices
from callnet.storage.database import Database
from callnet.storage.outbox import OutboxEvent, SqlOutbox, Tried
from harness import ROOT
from harness.daemon import BIN, START_LIMIT
from harness.forked_program import forked_program
from harness.postgres import new_database_url
from tests.browser.camera import Camera
from tests.integration.test_device_command import DeviceProcess
from tests.integration.test_device_media import CONNECTED, MediaCase
from tests.support.daemon import Daemon
from tests.support.immediate import run_at_once

reactor: Any = installed
DOCS: Final = ROOT / "docs"
TV: Final = ("13651884967", "tv888")


class Shell(ProcessProtocol):
    """One block, typed into a shell that gives up at the first command that fails."""

    def __init__(self, script: str, folder: str, variables: Mapping[str, str], typed: str = "") -> None:
        self._output: dict[int, bytes] = {1: b"", 2: b""}
        self._typed = typed.encode()
        self.done: Deferred[str] = Deferred()
        environment = {
            "HOME": folder,
            "PATH": f"{forked_program().parent}:{BIN}:{os.environ['PATH']}",
            "CALLNET_STATE_DIR": f"{folder}/state",
            **variables,
        }
        # In a session of its own it has no terminal to ask at.
        command = ("setsid", "--wait", "bash", "-euo", "pipefail", "-c", script)
        reactor.spawnProcess(self, command[0], command, environment, folder)

    def connectionMade(self) -> None:
        """Type the answer to its prompt."""
        assert self.transport is not None
        self.transport.write(self._typed)
        self.transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Record its output."""
        self._output[childFD] += data

    def processEnded(self, reason: Failure) -> None:
        """Fire with its output, or fail."""
        if reason.check(ProcessDone):
            self.done.callback(self._output[1].decode())
        else:
            self.done.errback(AssertionError(b"".join(self._output.values()).decode()))


class CommandCase(TestCase):
    """A folder, and shells in it."""

    timeout = 120

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def type(self, script: str, typed: str = "", **variables: str) -> Deferred[str]:
        """Type a block; fires with its output."""
        return Shell(script, str(self.folder), variables, typed).done.addTimeout(START_LIMIT, reactor)

    def read(self, page: str, beginning: str) -> str:
        """The block of a page that begins like this."""
        return readme.command(DOCS / page, beginning)


class FunctionTests(CommandCase):
    """The function by which an installation by hand runs commands."""

    async def test_secrets(self) -> None:
        """Its commands use what the service uses: the file of secrets may name the database, and there need be none."""
        (self.folder / "callnet.toml").touch()
        load_or_make_keys(self.folder / "signing.key")
        script = self.read("operating.md", "callnet() (")
        for theirs, ours in (
            ("/etc/callnet", self.folder),
            ("/var/lib/callnet", self.folder),
            ("runuser -u callnet --", "env"),
            ("/opt/callnet/.venv/bin/callnet", forked_program()),
        ):
            self.assertIn(theirs, script)
            script = script.replace(theirs, str(ours))
        self.assertIn("signs", await self.type(script))
        database = self.folder / "a database.db"
        (self.folder / "secrets").write_text(f"# Ours.\nPATH=/nowhere\nCALLNET_DATABASE_URL=sqlite:///{database}")
        await self.type(f"{script}\necho owner,contact,name | callnet contact import -")
        self.assertEqual([database], list(self.folder.glob("*.db")))


class DatabaseTests(CommandCase):
    """The operator's commands for contacts, accounts and events."""

    async def test_contacts(self) -> None:
        """Contacts are added, imported, blocked and listed."""
        (self.folder / "lists.csv").write_text("owner,contact,name\n13651884967,13800138002,Dad\n")
        said = await self.type(self.read("operating.md", "callnet contact add"))
        for phone, name in (("13800138000", "Mum"), ("13800138002", "Dad")):
            self.assertRegex(said, rf"{phone}\W+{name}")

    async def test_settings(self) -> None:
        """A phone's quiet hours, and the callers that are answered automatically, are set and shown."""
        said = await self.type(self.read("operating.md", "callnet account settings"))
        for word in ("22:30", "07:00", "Europe/Berlin", "13800138000"):
            self.assertIn(word, said.splitlines()[-2] + said.splitlines()[-1])

    async def test_a_lost_device(self) -> None:
        """Its tokens are revoked; all that is kept of a phone is shown, and removed."""
        with closing(self.make_database()) as database:
            devices.provision(database, TV[0], (TV[1],), 0.0, False)
        await self.type(self.read("incidents.md", "callnet account revoke"))
        said = await self.type(self.read("incidents.md", "callnet account export"))
        self.assertIn('"tv888"', said)
        self.assertEqual("", await self.type("callnet account list"))

    async def test_dead_letters(self) -> None:
        """They are listed, sent again and dropped."""
        self.make_database().close()
        self.write_letter()
        said = await self.type(self.read("webhooks.md", "callnet webhook list"))
        self.assertIn("call_ended", said)
        self.assertNotIn("call_ended", await self.type("callnet webhook list --waiting"))
        self.write_letter()
        self.assertEqual("1\n", await self.type(self.read("incidents.md", "callnet webhook retry")))

    def make_database(self) -> Database:
        """The database, with its tables."""
        (self.folder / "state").mkdir()
        database = Database(f"sqlite:///{self.folder}/state/callnet.db")
        database.upgrade()
        return database

    def write_letter(self) -> None:
        """Have an event that was given up."""
        database = Database(f"sqlite:///{self.folder}/state/callnet.db")
        outbox = SqlOutbox(database, run_at_once, contacts_only=False)
        phone = TV[0]
        self.successResultOf(
            outbox.write([OutboxEvent(os.urandom(16).hex(), "call_ended", 0.5, b"{}", phone, phone)], 1.0)
        )
        [due] = self.successResultOf(outbox.take(9, 1.0, 61.0))
        self.successResultOf(outbox.settle([Tried(due, "status 404")], 2.0))
        database.close()


class SecretTests(CommandCase):
    """The commands for many machines."""

    async def test_signing_key(self) -> None:
        """The line that is printed is one for the secrets, and callnet takes it."""
        said = await self.type(self.read("many-machines.md", "python3 -c"))
        name, _, value = said.strip().partition("=")
        path = self.folder / "callnet.toml"
        path.write_text("")
        self.assertEqual(value, load(str(path), {name: value}).tokens.signing_key)

    async def test_postgresql(self) -> None:
        """The database is its user's, who makes tables in it."""
        [place] = parse_qs(urlsplit(new_database_url()).query)["host"]
        await self.type(self.read("many-machines.md", "runuser -u postgres"), "secret\nsecret\n", PGHOST=place)
        with psycopg.connect(host=place, user="callnet", dbname="callnet") as connection:
            connection.execute("CREATE TABLE one (two TEXT)")
            [(encoding,)] = connection.execute("SHOW server_encoding").fetchall()
        self.assertEqual("UTF8", encoding)


class DaemonTests(CommandCase):
    """The commands that ask a daemon."""

    async def test_orders(self) -> None:
        """The operator's API is asked with the key, which no process shows."""
        daemon = Daemon(str(self.folder / "daemon"))
        self.addCleanup(daemon.stop)
        await daemon.start()
        script = self.read("admin-api.md", "order() {")
        for theirs, ours in (("http://127.0.0.1:8084", daemon.admin_url), ("/var/lib/callnet", str(daemon.state_dir))):
            self.assertIn(theirs, script)
            script = script.replace(theirs, ours)
        answer = json.loads(await self.type(script))
        self.assertEqual((0, []), (answer["errorCode"], answer["calls"]))


class MediaCommandTests(MediaCase):
    """A device to test against."""

    async def test_devices(self) -> None:
        """One answers; the other calls it, sends a film, and records the incoming picture."""
        Camera.RED.record(self.directory).rename(self.daemon.folder / "clip.mp4")
        text = readme.command(DOCS / "operating.md", "callnet device 13651884967 tv888 --media")
        site = f"{self.daemon.site_url} --certificate {self.daemon.certificate}"
        answers, calls = text.replace("https://calls.example.org:8080", site).splitlines()
        tv = self.typed(answers)
        await tv.shows("waiting for calls")
        phone = self.typed(f"{calls} --server {site}")
        await phone.shows(CONNECTED)
        await phone.shows("media: 30 frames of the camera")
        phone.interrupt()
        self.assertEqual(0, await phone.status())
        self.assertGreater((self.daemon.folder / "theirs.webm").stat().st_size, 1000)

    def typed(self, line: str) -> DeviceProcess:
        """Start the device of a line."""
        _, _, *arguments = shlex.split(line)
        process = DeviceProcess(self.daemon, *arguments, network=self.network.name)
        self.addCleanup(process.stop)
        return process


class PythonTests(SynchronousTestCase):
    """Blocks of Python."""

    def run_block(self, page: str) -> dict[str, Any]:
        """Run the only block of a page in docs/. Returns its definitions."""
        [block] = [block for block in readme.blocks(DOCS / page) if block.language == "python"]
        names: dict[str, Any] = {}
        before = os.getcwd()
        os.chdir(DOCS)
        try:
            exec(block.text, names)  # noqa: S102
        finally:
            os.chdir(before)
        return names

    def test_schemas(self) -> None:
        """A frame is checked against its schema."""
        self.assertIn("call", self.run_block("schemas.md"))

    def test_webhooks(self) -> None:
        """A signature of callnet is accepted, and nothing else."""
        is_from_callnet = self.run_block("webhooks.md")["is_from_callnet"]
        now, body = int(time.time()), b"{}"
        signed = hmac.new(b"secret", f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        self.assertTrue(is_from_callnet(b"secret", f"t={now},v1={signed}", body))
        self.assertFalse(is_from_callnet(b"other", f"t={now},v1={signed}", body))
        self.assertFalse(is_from_callnet(b"secret", f"t={now - 999},v1={signed}", body))
