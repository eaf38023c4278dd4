"""The file that holds the signing key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.keys import load_or_make_signing_key
from callnet.errors import StartError

BENCH_KEY = b"bench-key-bench-key-bench-key-00"


class SigningKeyTests(SynchronousTestCase):
    """A key is made on the first start and read on every other."""

    def setUp(self) -> None:
        """A directory of its own."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "signing.key"

    def given(self, content: bytes, mode: int = 0o600) -> None:
        """A key file that is there already."""
        self.path.write_bytes(content)
        self.path.chmod(mode)

    def assert_refused(self, *words: str) -> None:
        """The start fails with one line that names the setting, the file and the cause."""
        error = str(self.assertRaises(StartError, load_or_make_signing_key, self.path))
        self.assertEqual(len(error.splitlines()), 1)
        for word in ("tokens.signing_key_file", str(self.path), *words):
            self.assertIn(word, error)

    def test_first_start(self) -> None:
        """The first start makes 32 random bytes that only this user can read, and leaves nothing else behind."""
        previous = os.umask(0)
        self.addCleanup(os.umask, previous)
        key = load_or_make_signing_key(self.path)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(len(bytes.fromhex(key.secret.decode())), 32)
        self.assertEqual(os.listdir(self.directory), ["signing.key"])

    def test_next_start(self) -> None:
        """Every later start has the same key; another directory has another."""
        key = load_or_make_signing_key(self.path)
        self.assertEqual(load_or_make_signing_key(self.path), key)
        self.assertNotEqual(load_or_make_signing_key(self.directory / "other").secret, key.secret)

    def test_two_processes_at_once(self) -> None:
        """Processes that start at once all have the same key."""
        program = (
            "import sys; from callnet.accounts.keys import load_or_make_signing_key as load;"
            "sys.stdin.readline(); print(load(sys.argv[1]).secret)"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", program, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        outputs = {process.communicate("\n")[0] for process in processes}
        self.assertEqual(outputs, {f"{load_or_make_signing_key(self.path).secret!r}\n"})
        self.assertEqual(os.listdir(self.directory), ["signing.key"])

    def test_text_of_an_operator(self) -> None:
        """The content of the file is the secret, without the line break that an editor puts at its end."""
        for ending in (b"", b"\n", b"\r\n"):
            self.given(BENCH_KEY + ending)
            self.assertEqual(load_or_make_signing_key(self.path).secret, BENCH_KEY)
        self.given(BENCH_KEY + b" \n\n")
        self.assertEqual(load_or_make_signing_key(self.path).secret, BENCH_KEY + b" \n")

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
        """What is no file, or cannot be made, is refused."""
        self.path.mkdir()
        self.assert_refused("directory")
        self.path = self.directory / "missing" / "signing.key"
        self.assert_refused("No such file")
        self.path = self.directory / "dangling"
        self.path.symlink_to(self.directory / "missing" / "file")
        self.assert_refused("No such file")
