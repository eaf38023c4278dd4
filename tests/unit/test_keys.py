"""The files that hold the signing keys."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.signing_keys import Key, KeyRing, add_key, load_keys, load_or_make_keys, remove_key
from callnet.errors import StartError

BENCH_KEY = b"bench-key-bench-key-bench-key-00"


class KeysTestCase(SynchronousTestCase):
    """Keys in a directory of their own."""

    def setUp(self) -> None:
        """An empty directory."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "signing.key"

    def given(self, content: bytes, mode: int = 0o600) -> None:
        """A key file that is there already."""
        self.path.write_bytes(content)
        self.path.chmod(mode)

    def load(self) -> Key:
        """The first key, as a start finds or makes it."""
        key = load_or_make_keys(self.path).without_kid
        assert key is not None
        return key

    def assert_refused(self, *words: str, file: Path | None = None) -> None:
        """Start and reload fail with one line that names the setting, the file and the cause."""
        for load in (load_or_make_keys, load_keys):
            error = str(self.assertRaises(StartError, load, self.path))
            self.assertEqual(len(error.splitlines()), 1)
            for word in ("tokens.signing_key_file", f"{file or self.path}", *words):
                self.assertIn(word, error)


class FirstKeyTests(KeysTestCase):
    """The first key is made on the first start and read on every other."""

    def test_first_start(self) -> None:
        """The first start makes 32 random bytes that only this user can read, and leaves nothing else behind."""
        previous = os.umask(0)
        self.addCleanup(os.umask, previous)
        key = self.load()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(len(bytes.fromhex(key.secret.decode())), 32)
        self.assertEqual(os.listdir(self.directory), ["signing.key"])

    def test_next_start(self) -> None:
        """Every later start has the same key; another directory has another."""
        key = self.load()
        self.assertEqual(self.load(), key)
        self.path = self.directory / "other"
        self.assertNotEqual(self.load().secret, key.secret)

    def test_two_processes_at_once(self) -> None:
        """Processes that start at once all have the same key."""
        program = (
            "import sys; from callnet.accounts.signing_keys import load_or_make_keys as load;"
            "sys.stdin.readline(); print(load(sys.argv[1]).keys[0].secret)"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", program, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        outputs = {process.communicate("\n")[0] for process in processes}
        self.assertEqual(outputs, {f"{self.load().secret!r}\n"})
        self.assertEqual(os.listdir(self.directory), ["signing.key"])

    def test_text_of_an_operator(self) -> None:
        """The content of the file is the secret, without the line break that an editor puts at its end."""
        for ending in (b"", b"\n", b"\r\n"):
            self.given(BENCH_KEY + ending)
            self.assertEqual(self.load().secret, BENCH_KEY)
        self.given(BENCH_KEY + b" \n\n")
        self.assertEqual(self.load().secret, BENCH_KEY + b" \n")

    def test_too_short(self) -> None:
        """A secret that is too short for HS256 is refused."""
        for content in (b"", b"\n", BENCH_KEY[1:] + b"\n"):
            self.given(content)
            self.assert_refused("at least 32")

    def test_open_to_others(self) -> None:
        """A file that the group or the world may read or write is refused."""
        for mode in (0o640, 0o604, 0o644, 0o620, 0o602, 0o666):
            self.given(BENCH_KEY, mode)
            self.assert_refused("chmod 600")

    def test_public_key(self) -> None:
        """A public key put there by mistake is refused: everyone may know it."""
        self.given(b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7\n-----END PUBLIC KEY-----\n")
        self.assert_refused("not a secret")

    def test_unreadable(self) -> None:
        """A path that is no file, or cannot be created, is refused."""
        self.path.mkdir()
        self.assert_refused("directory")
        self.path = self.directory / "missing" / "signing.key"
        self.assert_refused("No such file")
        self.path = self.directory / "dangling"
        self.path.symlink_to(self.directory / "missing" / "file")
        self.assert_refused("No such file")

    def test_reload_makes_none(self) -> None:
        """A reload makes no key where there was one, and says so."""
        error = str(self.assertRaises(StartError, load_keys, self.path))
        self.assertEqual(error, f"tokens.signing_key_file: {self.path}: No such file or directory")
        self.assertEqual(os.listdir(self.directory), [])


class FurtherKeysTests(KeysTestCase):
    """Other keys are in a folder beside the first, each in a file of its own."""

    def setUp(self) -> None:
        """A first key, and two others."""
        super().setUp()
        self.first = self.load()
        self.older, self.newer = (add_key(self.path, signs_from) for signs_from in (1000, 2000.5))
        self.folder = self.directory / "signing.key.d"

    def store(self, name: str, content: bytes, mode: int = 0o600) -> Path:
        """A file in the folder."""
        file = self.folder / name
        file.write_bytes(content)
        file.chmod(mode)
        return file

    def test_all_are_found(self) -> None:
        """A start and a reload find all of them; tokens that name no key are the first one's."""
        ring = KeyRing((self.first, self.older, self.newer), self.first)
        self.assertEqual(load_or_make_keys(self.path), ring)
        self.assertEqual(load_keys(self.path), ring)

    def test_files(self) -> None:
        """Each has 32 random bytes in a file named by its id; folder and files are for this user alone."""
        self.assertEqual(len({key.secret for key in (self.first, self.older, self.newer)}), 3)
        self.assertEqual(sorted(os.listdir(self.folder)), sorted([self.older.kid, self.newer.kid]))
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o700)
        for key in (self.older, self.newer):
            self.assertEqual(len(key.secret), 32)
            self.assertEqual((self.folder / key.kid).stat().st_mode & 0o777, 0o600)

    def test_without_the_first(self) -> None:
        """Once the first was removed no start makes it again, and no token that names no key is accepted."""
        remove_key(self.path, self.first)
        ring = KeyRing((self.older, self.newer), None)
        self.assertEqual(load_or_make_keys(self.path), ring)
        self.assertEqual(load_keys(self.path), ring)
        self.assertEqual(os.listdir(self.directory), ["signing.key.d"])

    def test_removed(self) -> None:
        """A key that was removed is gone, and the others stay."""
        remove_key(self.path, self.older)
        self.assertEqual(load_keys(self.path).keys, (self.first, self.newer))
        error = str(self.assertRaises(StartError, remove_key, self.path, self.older))
        self.assertIn(f"{self.folder / self.older.kid}: No such file", error)

    def test_before_the_first_start(self) -> None:
        """Keys may be there before the first start; then it makes none."""
        self.path = self.directory / "new" / "signing.key"
        key = add_key(self.path, 1000)
        self.assertEqual(load_or_make_keys(self.path), KeyRing((key,), None))

    def test_first_key_that_leads_nowhere(self) -> None:
        """A first key that is there and cannot be read is an error; it does not count as removed."""
        self.path.unlink()
        self.path.symlink_to(self.directory / "missing")
        self.assert_refused("No such file")

    def test_other_names(self) -> None:
        """Files with other names than a key's id are no keys, such as half-written ones and copies."""
        for name in (f"{self.older.kid}.{'0' * 8}", f"{self.older.kid}~", f".{self.older.kid}", "README", "ABCDEF01"):
            self.store(name, b"", 0o644)
        self.assertEqual(len(load_keys(self.path).keys), 3)

    def test_open_to_others(self) -> None:
        """A key that others may read is refused, and so is a folder in which they may write."""
        file = self.folder / self.older.kid
        for mode in (0o640, 0o604, 0o602):
            file.chmod(mode)
            self.assert_refused("chmod 600", file=file)
        file.chmod(0o600)
        for mode in (0o720, 0o702):
            self.folder.chmod(mode)
            self.assert_refused("chmod 700", file=self.folder)
        self.folder.chmod(0o755)
        self.assertEqual(len(load_keys(self.path).keys), 3)

    def test_garbage(self) -> None:
        """A file that is no key is refused, and none of it is repeated."""
        secret = "5ec3e7" * 11
        for content in (
            "",
            secret,
            f"{secret} = {secret}",
            f"[{secret}]\n[{secret}]",
            f'secret = "{secret}"',
            f'secret = "{secret}"\nsigns_from = "{secret}"',
            f'secret = "{secret}"\nsigns_from = nan',
            f'secret = "{secret}"\nsigns_from = 0',
            f'secret = "{secret}"\nsigns_from = 1e12',
            f'secret = "{secret}x"\nsigns_from = 1',
            f"secret = 0x{secret}\nsigns_from = 1",
            "[" * 5000,
            "\udcff",
        ):
            file = self.store("0" * 8, content.encode("utf-8", "surrogateescape"))
            self.assert_refused("secret in hexadecimal and signs_from", file=file)
            error = str(self.assertRaises(StartError, load_keys, self.path))
            self.assertNotIn("5ec3e7", error)

    def test_too_short(self) -> None:
        """A secret that is too short is refused."""
        file = self.store("0" * 8, f'secret = "{"ab" * 31}"\nsigns_from = 1'.encode())
        self.assert_refused("31 bytes", "at least 32", file=file)

    def test_another_name(self) -> None:
        """A file that is named by another key is refused: something was mixed up."""
        file = self.store("0" * 8, (self.folder / self.older.kid).read_bytes())
        self.assert_refused(self.older.kid, file=file)

    def test_unreadable(self) -> None:
        """A file that cannot be read or created is named."""
        (self.folder / ("0" * 8)).mkdir()
        self.assert_refused("Is a directory", file=self.folder / ("0" * 8))
        self.path = self.directory / "other"
        folder = self.directory / "other.d"
        folder.symlink_to(self.directory / "missing")
        self.assert_refused("No such file", file=folder)
        folder.unlink()
        folder.write_bytes(b"")
        self.assert_refused("Not a directory", file=folder)
        self.assertIn(str(folder), str(self.assertRaises(StartError, add_key, self.path, 1)))
