"""``callnet backup`` and ``callnet restore``."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from callnet.accounts.signing_keys import add_key, load_keys, load_or_make_keys, remove_key
from callnet.cli.backup import MANIFEST, BackupError, bring_back
from callnet.config.load import load
from callnet.storage.database import Database
from harness.ports import free_port
from tests.support.system_errors import run_with_error
from tests.unit.test_cli import A, B, CommandTestCase

READY: Final = b'{"ready":true,"checks":{}}'


class BackupTestCase(CommandTestCase):
    """A state directory with a contact and two keys, and a place for the backup."""

    def setUp(self) -> None:
        """All of it."""
        super().setUp()
        self.port = free_port()
        self.admin = f'[listeners]\nadmin = [{{ endpoint = "tcp:{self.port}:interface=127.0.0.1" }}]\n'
        self.config.write_text(f'state_dir = "{self.directory}"\n{self.admin}')
        self.run_("contact", "add", A, B)
        load_or_make_keys(self.directory / "signing.key")
        add_key(self.directory / "signing.key", time.time())
        self.file = self.directory / "backup.tar.gz"

    def move(self) -> Path:
        """Use another state directory from now on, an empty one."""
        other = self.directory / "other"
        self.config.write_text(f'state_dir = "{other}"\n{self.admin}')
        return other

    def content(self) -> Mapping[str, bytes]:
        """The content of the backup."""
        with tarfile.open(self.file) as archive:
            return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]

    def write(self, content: Mapping[str, bytes]) -> None:
        """Make another backup of this."""
        with tarfile.open(self.file, "w:gz") as archive:
            for name, data in content.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


class RoundTripTests(BackupTestCase):
    """There and back."""

    def test_all_of_it(self) -> None:
        """The database and every key are as they were; the backup is for its owner alone."""
        shown = self.run_("backup", str(self.file))
        self.assertRegex(shown, r"backup\.tar\.gz: the database, at schema level \d+, and 2 key files\.\n$")
        self.assertEqual(0o600, stat.S_IMODE(self.file.stat().st_mode))
        ring = load_keys(self.directory / "signing.key")
        other = self.move()
        self.assertRegex(self.run_("restore", str(self.file)), "^Restored the database and the keys as of 20")
        self.assertEqual(f"{A}  {B}\n", self.run_("contact", "list"))
        self.assertEqual(ring, load_keys(other / "signing.key"))
        self.assertEqual([], [path for path in other.iterdir() if "restore" in path.name])
        for path in other.rglob("*"):
            self.assertEqual(0, stat.S_IMODE(path.stat().st_mode) & 0o077, path)

    def test_in_place_of_another(self) -> None:
        """Existing data are replaced only on request, and then nothing of them is left."""
        self.run_("backup", str(self.file))
        self.run_("contact", "add", B, A)
        self.assert_one_line(self.fail_("restore", str(self.file)), "already exists; use --replace")
        self.assertEqual(f"{A}  {B}\n{B}  {A}\n", self.run_("contact", "list"))
        self.run_("restore", str(self.file), "--replace")
        self.assertEqual(f"{A}  {B}\n", self.run_("contact", "list"))

    def test_while_it_is_written(self) -> None:
        """A backup that is made while others write is of one moment: a transaction is in it, or it is not."""
        database = Database(self.url)
        self.addCleanup(database.close)
        goes_on = threading.Event()
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                with database.write() as connection:
                    for place in ("one", "other"):
                        connection.exec_driver_sql(
                            "INSERT OR REPLACE INTO contact (owner, contact, name) VALUES (?, ?, ?)",
                            (A, place, str(number)),
                        )
                goes_on.set()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            self.assertTrue(goes_on.wait(60))
            for number in range(5):
                self.run_("backup", f"{self.file}.{number}")
        finally:
            stop.set()
            writer.join()
        self.move()
        for number in range(5):
            self.run_("restore", f"{self.file}.{number}", "--replace")
            listed = [line.split() for line in self.run_("contact", "list", A).splitlines()]
            self.assertEqual(1, len({words[2] for words in listed if words[1] in ("one", "other")}))

    def test_what_is_no_key(self) -> None:
        """A file beside the keys that is no key, such as one that is just being written, is not in it."""
        (self.directory / "signing.key.d" / "0123abcd.draft").write_text("half of a key")
        self.assertIn("2 key files", self.run_("backup", str(self.file)))
        other = self.move()
        self.run_("restore", str(self.file))
        self.assertEqual(load_keys(self.directory / "signing.key"), load_keys(other / "signing.key"))

    def test_without_links(self) -> None:
        """A backup may lie on a file system without hard links, such as that of a USB stick."""
        program = "from callnet.cli.main import main; main()"
        command = ("--config", str(self.config), "backup", str(self.file))
        for error in ("PermissionError(1, 'Operation not permitted')", "OSError(95, 'Operation not supported')"):
            done = run_with_error(error, "os.link", "True", program, *command)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            self.assertIn("callnet.db", self.content())
            self.assertEqual([], list(self.directory.glob(".callnet*")))
            self.file.unlink()

    def test_nothing_is_overwritten(self) -> None:
        """A file that is there stays as it is, and nothing is left lying about."""
        self.file.write_text("precious")
        self.assert_one_line(self.fail_("backup", str(self.file)), "already exists")
        self.assertEqual("precious", self.file.read_text())
        self.assertEqual([], [path for path in self.directory.iterdir() if path.name.startswith(".callnet")])

    def test_nowhere(self) -> None:
        """A missing folder is reported, and so is a database that was never made."""
        self.assert_one_line(self.fail_("backup", "/nowhere/backup.tar.gz"), "No such file")
        self.move()
        self.assert_one_line(self.fail_("backup", str(self.file)), "callnet was never started with these settings")

    def test_keys_since(self) -> None:
        """A key that was made since is removed, and one that was retired since is back: both are said."""
        first = str(self.directory / "signing.key")
        retired = add_key(first, 1.0)
        self.run_("backup", str(self.file))
        remove_key(first, retired)
        since = add_key(first, 2.0)
        shown = self.run_("restore", str(self.file), "--replace")
        self.assertIn(f"Removed signing keys created since: {since.kid}.\n", shown)
        self.assertIn(f"Restored retired signing keys; retire them again if they were stolen: {retired.kid}.\n", shown)
        there = {path.name for path in Path(f"{first}.d").iterdir()}
        self.assertEqual((True, False), (retired.kid in there, since.kid in there))

    def test_first_key_since(self) -> None:
        """The first key is no exception: what is done to it is said, too."""
        path, later = self.directory / "signing.key", f"{self.file}.later"
        self.run_("backup", str(self.file))
        first, _ = load_keys(path).keys
        remove_key(path, first)
        self.run_("backup", later)
        shown = self.run_("restore", str(self.file), "--replace")
        self.assertIn(f"Restored retired signing keys; retire them again if they were stolen: {first.kid}.\n", shown)
        self.assertIn(f"Removed signing keys created since: {first.kid}.\n", self.run_("restore", later, "--replace"))
        self.assertFalse(path.exists())

    def test_another_first_key(self) -> None:
        """A first key of a backup is named where there is another one."""
        path = self.directory / "signing.key"
        before = load_keys(path).keys[0]
        self.run_("backup", str(self.file))
        path.write_text("n" * 32)
        path.chmod(0o600)
        since = load_keys(path).keys[0]
        shown = self.run_("restore", str(self.file), "--replace")
        self.assertIn(f"Removed signing keys created since: {since.kid}.\n", shown)
        self.assertIn(f"stolen: {before.kid}.\n", shown)
        path.unlink()
        shutil.rmtree(f"{path}.d")
        self.assertNotIn("stolen", self.run_("restore", str(self.file), "--replace"))

    def test_database_elsewhere(self) -> None:
        """The database may be on another file system than the keys; nothing is left there of one that is replaced."""
        folder = Path(tempfile.mkdtemp(prefix="callnet-test-", dir="/dev/shm"))
        self.addCleanup(shutil.rmtree, folder)
        self.run_("backup", str(self.file))
        url = f"sqlite:///{folder}/callnet.db"
        self.config.write_text(f'state_dir = "{self.directory}/other"\ndatabase.url = "{url}"\n{self.admin}')
        self.run_("restore", str(self.file))
        with closing(Database(url)) as before:
            with before.write() as connection:
                connection.exec_driver_sql("DELETE FROM contact")
            self.assertTrue((folder / "callnet.db-wal").stat().st_size)
            self.run_("restore", str(self.file), "--replace")
            self.assertEqual([folder / "callnet.db"], list(folder.iterdir()))
        self.assertEqual(f"{A}  {B}\n", self.run_("contact", "list"))

    def test_full_disk(self) -> None:
        """A full disk is reported in one line, and nothing is left there."""
        program = (
            "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536));"
            "from callnet.cli.main import main; main()"
        )
        command = [sys.executable, "-c", program, "--config", str(self.config), "backup", str(self.file)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(1, done.returncode)
        self.assert_one_line(done.stdout.decode(), "cannot write the copy")
        self.assertFalse(self.file.exists())

    def test_postgresql(self) -> None:
        """Of a database on a server only the keys are kept, and that is said."""
        self.config.write_text(f'state_dir = "{self.directory}"\ndatabase.url = "postgresql://db.example.org/x"\n')
        self.assertIn("use pg_dump", self.run_("backup", str(self.file)))
        self.config.write_text(f'state_dir = "{self.directory / "other"}"\ndatabase.url = "postgresql://localhost/x"\n')
        self.assertIn("Restored the keys as of", self.run_("restore", str(self.file)))
        self.assertEqual(load_keys(self.directory / "signing.key"), load_keys(self.directory / "other" / "signing.key"))


class FailureTests(BackupTestCase):
    """Places that cannot take what is in a backup."""

    def test_one_place_is_missing(self) -> None:
        """If one file cannot be put in its place, all stay as they were, with the last commits of the database."""
        (self.directory / "vapid.key").write_text("a key")
        self.run_("backup", str(self.file))
        (self.directory / "signing.key").write_text("f" * 64)
        add_key(self.directory / "signing.key", time.time())
        known = self.config.read_text()
        with closing(Database(self.url)) as database:
            with database.write() as connection:
                connection.exec_driver_sql("DELETE FROM account")
            for setting in (
                'push.vapid_key_file = "/proc/nowhere/vapid.key"',
                'database.url = "sqlite:////proc/nowhere/callnet.db"',
            ):
                self.config.write_text(f"{setting}\n{known}")
                before = self.there()
                self.assertIn(Path(f"{database.file}-wal"), before)
                self.assert_one_line(self.fail_("restore", str(self.file), "--replace"), "/proc/nowhere")
                self.assertEqual(before, self.there())

    def there(self) -> Mapping[Path, bytes]:
        """The content of every file in the state directory."""
        return {path: path.read_bytes() for path in self.directory.rglob("*") if path.is_file()}


class RefusalTests(BackupTestCase):
    """Backups that are not restored. Nothing is changed then."""

    def setUp(self) -> None:
        """A backup, and another place."""
        super().setUp()
        self.run_("backup", str(self.file))
        self.other = self.move()

    def refused(self, *words: str) -> None:
        """The backup is refused in one line with these words, and nothing was made of it."""
        self.assert_one_line(self.fail_("restore", str(self.file)), *words)
        self.assertEqual([], list(self.other.iterdir()) if self.other.exists() else [])

    def test_while_callnet_runs(self) -> None:
        """Nothing is brought back while callnet runs."""

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(READY)))
                self.end_headers()
                self.wfile.write(READY)

            def log_message(self, *_: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", self.port), Answer) as server:
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            self.refused("callnet is running", "stop it first")
            thread.join()

    def test_cut_off(self) -> None:
        """A backup that is not whole is refused, wherever it ends."""
        whole = self.file.read_bytes()
        for size in (0, 10, len(whole) // 2, len(whole) - 1):
            self.file.write_bytes(whole[:size])
            self.refused(str(self.file))

    def test_missing(self) -> None:
        """So is a backup that lacks something, or does not exist."""
        content = dict(self.content())
        for name in content:
            self.write({each: data for each, data in content.items() if each != name})
            self.refused("is incomplete")
        self.file.unlink()
        self.refused("No such file")

    def test_of_something_else(self) -> None:
        """So is a backup with something else in it: nothing leaves its place."""
        for name in ("../../etc/passwd", "/etc/passwd", "keys/../../x", "keys/signing.key.d/../../x", "other"):
            self.write({**self.content(), name: b"x"})
            self.refused("not a callnet backup")
        self.write({MANIFEST: b"{}"})
        self.refused("not a callnet backup")

    def test_links(self) -> None:
        """So is a backup with links in it."""
        with tarfile.open(self.file, "w:gz") as archive:
            member = tarfile.TarInfo("callnet.db")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
        self.refused("not a callnet backup")

    def test_damaged_database(self) -> None:
        """So is a backup whose database is damaged."""
        content = dict(self.content())
        data = bytearray(content["callnet.db"])
        data[4096 + 100 : 4096 * 4] = os.urandom(4096 * 3 - 100)
        for database in (bytes(data), b"nothing of the kind"):
            self.write({**content, "callnet.db": database})
            self.refused(str(self.file), "its database is damaged")

    def test_database_of_newer_code(self) -> None:
        """So is a backup with a database that needs newer code than this."""
        with closing(Database(self.url)) as database, database.write() as connection:
            connection.exec_driver_sql("UPDATE schema_info SET oldest_code = 1000")
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '1000'")
        self.file.unlink()
        self.config.write_text(f'state_dir = "{self.directory}"\n{self.admin}')
        self.run_("backup", str(self.file))
        self.move()
        self.refused("install a newer callnet")

    def test_of_another_format(self) -> None:
        """One of a later format names the version that made it."""
        manifest = msgspec.json.decode(self.content()[MANIFEST])
        self.write({**self.content(), MANIFEST: msgspec.json.encode({**manifest, "format": 2, "callnet": "9.9"})})
        self.refused("written by callnet 9.9")

    @given(st.binary(max_size=300))
    def test_anything(self, data: bytes) -> None:
        """Whatever a file has in it, it is refused with a clear error."""
        self.file.write_bytes(data)
        self.assertRaises(BackupError, bring_back, load(str(self.config), {}), self.file, False)
