"""``callnet key``."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from callnet.accounts.signing_keys import add_key, load_keys, load_or_make_keys, remove_key
from callnet.config.load import load
from tests.unit.test_cli import CommandTestCase


class KeyTests(CommandTestCase):
    """``callnet key``."""

    def setUp(self) -> None:
        """A first key, as a start makes it."""
        super().setUp()
        self.path = self.directory / "signing.key"
        first = load_or_make_keys(self.path).without_kid
        assert first is not None
        self.first = first

    def listed(self) -> list[list[str]]:
        """The output of ``callnet key list``."""
        return [line.split(maxsplit=2) for line in self.run_("key", "list").splitlines()]

    def add(self, *options: str) -> str:
        """Add a key."""
        shown = self.run_("key", "add", *options)
        self.assertRegex(shown, r"^[0-9a-f]{8}\n$")
        return shown.strip()

    def test_first_key(self) -> None:
        """As long as there is no other, the first key signs."""
        self.assertEqual(self.listed(), [[self.first.kid, "first", "signs"]])

    def test_add(self) -> None:
        """A key that is added signs from now on, and its id is all that is shown."""
        before = int(time.time())
        kid = self.add()
        since = self.listed()[1][1]
        self.assertEqual(self.listed(), [[self.first.kid, "first", "verifies"], [kid, since, "signs"]])
        made = datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        self.assertTrue(before <= made <= time.time(), since)
        self.assertEqual([key.kid for key in load_keys(self.path).keys], [self.first.kid, kid])

    def test_add_for_later(self) -> None:
        """With ``--signs-in`` it signs that many seconds later, and the key before it goes on until then."""
        now = time.time()
        kid, last = self.add("--signs-in", "3600"), self.add("--signs-in", "7200")
        self.assertEqual([line[2] for line in self.listed()], ["signs", "will sign", "will sign"])
        ring = load_keys(self.path)
        self.assertEqual([key.kid for key in ring.keys], [self.first.kid, kid, last])
        self.assertTrue(now + 3600 <= ring.keys[1].signs_from <= time.time() + 3600)

    def test_what_is_no_time(self) -> None:
        """A number of seconds must be one, and of the next year."""
        for seconds in ("-1", "x", "1.5", str(367 * 86400)):
            self.assertEqual(self.invoke("key", "add", "--signs-in", seconds).exit_code, 2)
        self.assertFalse((self.directory / "signing.key.d").exists())

    def test_retire(self) -> None:
        """A key that does not sign now can be removed: an old one, the first, and one that was to sign later."""
        kids = [self.add(), self.add(), self.add("--signs-in", "60")]
        for kid in (kids[0], self.first.kid, kids[2]):
            self.assertEqual(self.run_("key", "retire", kid), "")
        self.assertEqual([line[::2] for line in self.listed()], [[kids[1], "signs"]])
        self.assertFalse(self.path.exists())
        self.assertEqual(os.listdir(self.directory / "signing.key.d"), [kids[1]])

    def test_retire_what_is_needed(self) -> None:
        """The only key, and the one that signs, cannot be removed."""
        self.assert_one_line(self.fail_("key", "retire", self.first.kid), "the only key", "callnet key add")
        kid = self.add()
        self.assert_one_line(self.fail_("key", "retire", kid), "is signing", "callnet key add")
        self.assertEqual(len(self.listed()), 2)

    def test_retire_what_is_not_there(self) -> None:
        """An unknown key id is reported as such; a path is never followed."""
        self.add()
        for kid in ("00000000", "", "../signing.key", self.first.kid[:7], "x" * 10_000):
            self.assert_one_line(self.fail_("key", "retire", kid), "no such key")
        self.assertEqual(len(self.listed()), 2)

    def test_sole_key_of_later(self) -> None:
        """If there is no key but one of later, it signs already."""
        key = add_key(self.path, time.time() + 3600)
        remove_key(self.path, self.first)
        self.assertEqual([line[::2] for line in self.listed()], [[key.kid, "signs"]])

    def test_before_the_first_start(self) -> None:
        """Where there is no key yet, none is shown and none is made; one that is added is all there is."""
        self.path.unlink()
        for arguments in (("list",), ("retire", self.first.kid)):
            self.assert_one_line(self.fail_("key", *arguments), "tokens.signing_key_file", "No such file")
        kid = self.add()
        self.assertEqual([line[::2] for line in self.listed()], [[kid, "signs"]])
        self.assertFalse(self.path.exists())

    def test_files_that_are_wrong(self) -> None:
        """A file that is no key is named in one line."""
        self.path.chmod(0o644)
        for arguments in (("list",), ("retire", self.first.kid)):
            self.assert_one_line(self.fail_("key", *arguments), str(self.path), "chmod 600")

    def test_folder_that_cannot_be_made(self) -> None:
        """Where no key can be made, one line says why."""
        (self.directory / "signing.key.d").write_bytes(b"")
        self.assert_one_line(self.fail_("key", "add"), "signing.key.d")

    def test_key_in_the_settings(self) -> None:
        """With the key in the settings there is nothing to manage, and nothing is made."""
        self.config.write_text(f'{self.config.read_text()}tokens.signing_key = "{"k" * 32}"\n')
        for arguments in (("list",), ("add",), ("retire", self.first.kid)):
            self.assert_one_line(self.fail_("key", *arguments), "the key is in the settings", "CALLNET_SIGNING_KEY")
        self.assertFalse((self.directory / "signing.key.d").exists())

    def test_file_of_the_settings(self) -> None:
        """The files are where ``tokens.signing_key_file`` says."""
        self.config.write_text(f'{self.config.read_text()}tokens.signing_key_file = "{self.directory}/keys/one"\n')
        kid = self.add()
        self.assertEqual(os.listdir(self.directory / "keys" / "one.d"), [kid])
        settings = load(str(self.config), {})
        self.assertEqual([key.kid for key in load_or_make_keys(settings.tokens.signing_key_file).keys], [kid])
