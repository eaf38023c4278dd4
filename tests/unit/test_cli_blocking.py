"""``callnet contact``: blocking, and notices to nodes of changes by the command line."""

from __future__ import annotations

import time

from callnet.model import BLOCKED_MAX
from callnet.storage.changes import SqlChanges
from callnet.storage.database import Database
from tests.support.immediate import run_at_once
from tests.unit.test_cli import A, B, C, CommandTestCase


class BlockTests(CommandTestCase):
    """``callnet contact block`` and ``unblock``."""

    def test_block(self) -> None:
        """Blocked numbers are shown after the phone's list, whether they are in the list or not."""
        self.run_("contact", "add", A, B, "--name", "电视", "--both")
        self.assertEqual(self.run_("contact", "block", A, B), "")
        self.run_("contact", "block", A, C)
        self.run_("contact", "block", B, C)
        own = f"{A}  {B}  电视\n{A}  blocks  {B}\n{A}  blocks  {C}\n"
        self.assertEqual(self.run_("contact", "list", A), own)
        self.assertEqual(self.run_("contact", "list", C), "")
        everything = f"{A}  {B}  电视\n{B}  {A}\n{A}  blocks  {B}\n{A}  blocks  {C}\n{B}  blocks  {C}\n"
        self.assertEqual(self.run_("contact", "list"), everything)

    def test_block_again(self) -> None:
        """Blocking a phone again is no error."""
        for _ in range(2):
            self.run_("contact", "block", A, B)
        self.assertEqual(self.run_("contact", "list", A), f"{A}  blocks  {B}\n")

    def test_unblock(self) -> None:
        """A phone can be unblocked once, and stays in the list."""
        self.run_("contact", "add", A, B)
        self.run_("contact", "block", A, B)
        self.assertEqual(self.run_("contact", "unblock", A, B), "")
        self.assertEqual(self.run_("contact", "list", A), f"{A}  {B}\n")
        self.assert_one_line(self.fail_("contact", "unblock", A, B), "not blocked")

    def test_remove(self) -> None:
        """A contact that is removed stays blocked."""
        self.run_("contact", "add", A, B)
        self.run_("contact", "block", A, B)
        self.run_("contact", "remove", A, B)
        self.assertEqual(self.run_("contact", "list", A), f"{A}  blocks  {B}\n")

    def test_block_what_is_no_phone(self) -> None:
        """Both must be phone numbers as the settings want them, and not the same."""
        self.run_("database", "upgrade")
        for pair in (("1", B), (A, "1"), (A, B + "\n"), ("", B)):
            self.assertIn("accounts.phone_format", self.fail_("contact", "block", *pair))
        self.assert_one_line(self.fail_("contact", "block", A, A), "itself")
        self.assertEqual(self.run_("contact", "list"), "")

    def test_unblock_what_is_no_phone(self) -> None:
        """A number that was blocked under another rule for phones can be unblocked."""
        settings = self.config.read_text()
        self.config.write_text(settings + '[accounts]\nphone_format = "[0-9]"\n')
        self.run_("contact", "block", "1", "2")
        self.config.write_text(settings)
        self.run_("contact", "unblock", "1", "2")
        self.assertEqual(self.run_("contact", "list"), "")

    def test_full_list(self) -> None:
        """A phone that blocks as many as may be is an error of one line."""
        self.run_("database", "upgrade")
        database = Database(self.url)
        self.addCleanup(database.close)
        with database.write() as connection:
            rows = [(A, str(number)) for number in range(BLOCKED_MAX)]
            connection.exec_driver_sql("INSERT INTO blocked (owner, phone) VALUES (?, ?)", rows)
        self.assert_one_line(self.fail_("contact", "block", A, B), "full", "1000")

    def test_export(self) -> None:
        """An export of contacts has no blocked numbers."""
        self.run_("contact", "add", A, B)
        self.run_("contact", "block", A, B)
        self.assertEqual(self.run_("contact", "export"), f"owner,contact,name\n{A},{B},\n")


class ChangesTests(CommandTestCase):
    """The notices to nodes."""

    def test_changes(self) -> None:
        """Nodes are told of each phone that a command puts in a list or takes out of one, and whose list that is."""
        self.run_("database", "upgrade")
        database = Database(self.url)
        self.addCleanup(database.close)
        changes = SqlChanges(database, run_at_once, time.time)
        rows = f"owner,contact,name\n{B},{A},x\n{C},{A},y\n{B},{C},z\n"
        for arguments, phones in (
            (("add", A, B), {A, B}),
            (("add", A, C, "--name", "x", "--both"), {A, C}),
            (("import", "-"), {A, B, C}),
            (("remove", A, B), {A, B}),
            (("block", A, B), {A}),
            (("unblock", A, B), {A}),
            (("list",), set()),
            (("export",), set()),
        ):
            self.run_("contact", *arguments, given=rows)
            told = self.successResultOf(changes.new())
            self.assertEqual(set(told.phones), phones, arguments)
