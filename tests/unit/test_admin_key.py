"""The operator's key, and its file."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import StartError
from callnet.ops.admin_api import AdminKey, load_admin_key, load_or_make_admin_key


class FileTests(SynchronousTestCase):
    """``admin.key_file``."""

    def setUp(self) -> None:
        """A place for it."""
        self.path = Path(self.mktemp())

    def write(self, content: str, mode: int = 0o600) -> None:
        """Put this there."""
        self.path.write_text(content)
        self.path.chmod(mode)

    def test_it_is_made(self) -> None:
        """It is made if it is missing, for its owner alone, and stays as it is then."""
        made = load_or_make_admin_key(str(self.path))
        self.assertEqual(len(made), 64)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(load_or_make_admin_key(str(self.path)), made)

    def test_each_is_another(self) -> None:
        """No two are the same."""
        self.assertNotEqual(load_or_make_admin_key(str(self.path)), load_or_make_admin_key(f"{self.path}.2"))

    def test_one_of_the_operator_s(self) -> None:
        """An operator may write one; a line break at its end is none of it."""
        self.write("k" * 32 + "\n")
        self.assertEqual(load_admin_key(str(self.path)), b"k" * 32)

    def test_what_is_none(self) -> None:
        """Short ones, and those that no header can carry, are refused, and not repeated."""
        for content in ("secret", "", "k" * 31, "k" * 40 + " k", "k" * 40 + "\nk", "ü" * 40):
            self.write(content)
            error = self.assertRaises(StartError, load_admin_key, str(self.path))
            self.assertIn("must contain at least 32 ASCII characters", str(error))
            self.assertNotIn(content or "nothing", str(error))

    def test_open_to_others(self) -> None:
        """One that others can read is refused."""
        self.write("k" * 32, 0o640)
        error = self.assertRaises(StartError, load_admin_key, str(self.path))
        self.assertIn("is accessible to others (mode 0640)", str(error))

    def test_it_cannot_be_made(self) -> None:
        """It is said if it cannot be made."""
        error = self.assertRaises(StartError, load_or_make_admin_key, f"{self.path}/nowhere/key")
        self.assertIn("admin.key_file: ", str(error))


class ShownTests(SynchronousTestCase):
    """Somebody shows a key."""

    def test_right_or_not(self) -> None:
        """It is right only if it is the same, to the last character."""
        key = AdminKey(b"k" * 32)
        self.assertTrue(key.is_right("k" * 32))
        for shown in (None, "", "k" * 31, "k" * 33, "K" * 32, "ü" * 32, "\ud800"):
            self.assertFalse(key.is_right(shown), repr(shown))
