"""The ``callnet`` command: contacts, accounts and the database."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import click
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.validation import PhoneRule
from callnet.cli import contact
from callnet.cli.common import CommandError
from callnet.cli.main import COMMANDS, main
from callnet.model import is_seen
from callnet.storage.contacts import Pair
from callnet.storage.database import Database

A, B, C = "13651884967", "13651884968", "13651884969"


class CommandTestCase(SynchronousTestCase):
    """A configuration and a database of its own."""

    def setUp(self) -> None:
        """An empty directory, with a file of settings that leads there."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.config = self.directory / "callnet.toml"
        self.config.write_text(f'state_dir = "{self.directory}"\n')
        self.url = f"sqlite:///{self.directory}/callnet.db"

    def invoke(self, *arguments: str, given: str | bytes = "") -> Result:
        """Run a command."""
        return CliRunner().invoke(main, ["--config", str(self.config), *arguments], input=given)

    def run_(self, *arguments: str, given: str | bytes = "") -> str:
        """Run a command that must succeed; returns its standard output."""
        result = self.invoke(*arguments, given=given)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIsNone(result.exception)
        return result.stdout

    def fail_(self, *arguments: str, given: str | bytes = "") -> str:
        """Run a command that must fail with status 1; returns its standard error."""
        result = self.invoke(*arguments, given=given)
        self.assertEqual(result.exit_code, 1, result.output)
        self.assertIsInstance(result.exception, SystemExit)
        self.assertEqual(result.stdout, "")
        return result.stderr

    def assert_one_line(self, error: str, *words: str) -> None:
        """The error is one line, and says this."""
        self.assertEqual(len(error.splitlines()), 1, error)
        for word in words:
            self.assertIn(word, error)


class ContactTests(CommandTestCase):
    """``callnet contact``."""

    def test_add(self) -> None:
        """A contact that was added is in the list of its owner, and in no other."""
        said = self.run_("contact", "add", A, B, "--name", "电视")
        self.assertTrue(said.startswith(f"{A} lists {B}\n"), said)
        self.assertEqual(self.run_("contact", "list", A), f"{A}  {B}  电视\n")
        self.assertEqual(self.run_("contact", "list", B), "")

    def test_add_says_what_is_missing(self) -> None:
        """Adding a contact says if its number has no account or no device: it is shown once there is one."""
        self.assertIn(f"{B} has no account yet", self.run_("contact", "add", A, B))
        self.run_("account", "add", B)
        self.assertIn(f"{B} has no device yet", self.run_("contact", "add", A, B))
        self.run_("account", "add", B, "tv")
        self.assertEqual(self.run_("contact", "add", A, B), f"{A} lists {B}\n")
        said = self.run_("contact", "add", A, B, "--both")
        self.assertEqual([f"{A} lists {B}", f"{B} lists {A}"], said.splitlines()[:2])
        self.assertIn(f"{A} has no account yet", said)

    def test_add_says_who_sees_whom(self) -> None:
        """Where devices are shown to mutual contacts alone, who adds a contact that lists nobody back is told so."""
        self.run_("account", "add", B, "tv")
        self.config.write_text(f'accounts.enrolment = "known"\n{self.config.read_text()}')
        self.assertIn(f"{B} does not list {A} yet", self.run_("contact", "add", A, B))
        self.run_("contact", "add", B, A)
        self.assertEqual(self.run_("contact", "add", A, B), f"{A} lists {B}\n")

    def test_add_both(self) -> None:
        """With ``--both`` each is in the list of the other; the name is the owner's own for it."""
        self.run_("contact", "add", A, B, "--name", "tv", "--both")
        self.assertEqual(self.run_("contact", "list"), f"{A}  {B}  tv\n{B}  {A}\n")

    def test_add_again(self) -> None:
        """Adding a contact again is no error; only a name that is given changes the name."""
        self.run_("contact", "add", A, B, "--name", "old")
        self.run_("contact", "add", A, B)
        self.run_("contact", "add", B, A, "--both")
        self.assertEqual(self.run_("contact", "list", A), f"{A}  {B}  old\n")
        self.run_("contact", "add", A, B, "--name", "new")
        self.assertEqual(self.run_("contact", "list", A), f"{A}  {B}  new\n")
        self.run_("contact", "add", A, B, "--name", "\u3000")  # nothing of it is seen
        self.assertEqual(self.run_("contact", "list", A), f"{A}  {B}\n")

    def test_add_what_is_no_phone(self) -> None:
        """Both must be phone numbers as the settings want them."""
        for pair in (("1", B), (A, "1"), (A, B + "\n"), ("", B), (A, "1" * 10_000)):
            self.assertIn("accounts.phone_format", self.fail_("contact", "add", *pair))
        self.config.write_text(self.config.read_text() + '[accounts]\nphone_format = "[0-9]"\n')
        self.run_("contact", "add", "1", "2")
        self.assertEqual(self.run_("contact", "list"), "1  2\n")

    def test_add_bad_names(self) -> None:
        """A name that could not be shown is refused."""
        for name in ("x" * 65, "a\nb", "a\x1b[31m", "\udcff"):
            self.assert_one_line(self.fail_("contact", "add", A, B, "--name", name), "64")
        self.run_("contact", "add", A, B, "--name", "名" * 64)

    def test_remove(self) -> None:
        """A contact can be removed once; that of the other direction stays."""
        self.run_("contact", "add", A, B, "--both")
        self.run_("contact", "remove", A, B)
        self.assertEqual(self.run_("contact", "list"), f"{B}  {A}\n")
        self.assert_one_line(self.fail_("contact", "remove", A, B), "no such contact")

    def test_punctuation(self) -> None:
        """Every command reads a number as it was read when it was added."""
        typed, read = "+49 (170) 123", "+49170123"
        self.run_("contact", "add", typed, B)
        self.run_("contact", "block", typed, C)
        self.assertEqual(f"{read}  {B}\n{read}  blocks  {C}\n", self.run_("contact", "list", typed))
        self.run_("contact", "remove", typed, B)
        self.run_("contact", "unblock", typed, C)
        self.assertEqual("", self.run_("contact", "list"))

    def test_import_and_remove(self) -> None:
        """One import puts some pairs in and takes others out, whether or not they are there; all of it or nothing."""
        self.run_("contact", "add", A, B, "--name", "tv", "--both")
        out = self.directory / "out.csv"
        out.write_text(f"owner,contact,name\n{A},{B},\n{C},{A},\n")
        done = self.invoke("contact", "import", "-", "--remove", str(out), given=f"owner,contact,name\n{A},{C},new\n")
        self.assertEqual("1 contacts imported, 2 removed\n", done.stderr)
        self.assertEqual(self.run_("contact", "list"), f"{A}  {C}  new\n{B}  {A}\n")
        for row, why in ((f"{A},{C},", "in both files"), ("1,2,", "line 2")):
            out.write_text(f"owner,contact,name\n{row}\n")
            given = f"owner,contact,name\n{A},{C},newer\n"
            self.assert_one_line(self.fail_("contact", "import", "-", "--remove", str(out), given=given), why)
        self.assertEqual(self.run_("contact", "list"), f"{A}  {C}  new\n{B}  {A}\n")

    def test_export_and_import(self) -> None:
        """An export can be imported, here and elsewhere, without change."""
        names = ("", "plain", 'a "b", c', "'; DROP TABLE contact; --", "  spaces  ", "电视 📺", "=1+1")
        for phone, name in enumerate(names, int(B)):
            self.run_("contact", "add", A, str(phone), "--name", name)
        exported = self.run_("contact", "export")
        self.assertTrue(exported.startswith("owner,contact,name\n"))
        file = self.directory / "contacts.csv"
        file.write_text(exported, encoding="utf-8")
        (self.directory / "callnet.db").unlink()
        self.assertIn("7 contacts", self.invoke("contact", "import", str(file)).stderr)
        self.assertEqual(self.run_("contact", "export"), exported)
        self.run_("contact", "import", str(file))
        self.assertEqual(self.run_("contact", "export"), exported)

    def test_import_from_a_spreadsheet(self) -> None:
        """A byte order mark, line ends of Windows and empty lines are taken as spreadsheets write them."""
        lines = f"owner,contact,name\r\n{A},{B},电视\r\n\r\n{A},{C},\r\n"
        self.run_("contact", "import", "-", given=b"\xef\xbb\xbf" + lines.encode())
        self.assertEqual(self.run_("contact", "list"), f"{A}  {B}  电视\n{A}  {C}\n")

    def test_import_changes_names(self) -> None:
        """A pair that is there already gets the name of the file."""
        self.run_("contact", "add", A, B, "--name", "old")
        self.run_("contact", "import", "-", given=f"owner,contact,name\n{A},{B},new\n")
        self.assertEqual(self.run_("contact", "list"), f"{A}  {B}  new\n")

    def test_import_with_bad_rows(self) -> None:
        """The lines of all bad rows are named, and nothing is imported."""
        self.run_("database", "upgrade")
        rows = [f"{A},{B},good", f"1,{B},x", f"{A},{B}", f"{A},x,y", f"{A},{B},twice", f"{A},{C}," + "x" * 65]
        error = self.fail_("contact", "import", "-", given="\n".join(["owner,contact,name", *rows]))
        for line, word in ((3, "owner"), (4, "fields"), (5, "contact"), (6, "duplicate"), (7, "name")):
            self.assertRegex(error, rf"(?m)^line {line}: .*{word}")
        self.assertNotIn("line 2:", error)
        self.assertIn("nothing was imported", error)
        self.assertEqual(self.run_("contact", "list"), "")

    def test_import_of_one_bad_row(self) -> None:
        """A single bad row is reported in one line."""
        self.assert_one_line(self.fail_("contact", "import", "-", given="owner,contact,name\n1,2,3\n"), "line 2: owner")

    def test_import_of_many_bad_rows(self) -> None:
        """Not more than a screen of bad rows is named."""
        error = self.fail_("contact", "import", "-", given="owner,contact,name\n" + "1,2,3\n" * 1000)
        self.assertLess(len(error.splitlines()), 25)
        self.assertIn("and 980 more", error)

    def test_import_of_something_else(self) -> None:
        """A file that is no export is refused with one line."""
        head = "owner,contact,name\n"
        for wrong in ("", "\n", f"{A},{B},x\n", "owner;contact;name\n", f'{head}{A},{B},"open', f'{head}"a"b,c,d\n'):
            self.assert_one_line(self.fail_("contact", "import", "-", given=wrong), "line")
        for data in (b"\xff\xfe\0o", b"owner,contact,name\n1,2,\xff\n", b"owner,contact,name\n\0"):
            self.assert_one_line(self.fail_("contact", "import", "-", given=data), "line")
        self.assertIn("No such file", self.invoke("contact", "import", "/nonexistent").stderr)


class DatabaseTests(CommandTestCase):
    """``callnet database``."""

    def test_upgrade_and_check(self) -> None:
        """A new database fails the check, an upgraded one passes it."""
        self.assert_one_line(self.fail_("database", "check"), "database.url", "callnet database upgrade")
        self.run_("database", "upgrade")
        self.run_("database", "upgrade")
        self.run_("database", "check")

    def test_newer_database(self) -> None:
        """No command touches a database that needs newer code."""
        self.run_("database", "upgrade")
        database = Database(self.url)
        self.addCleanup(database.close)
        with database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            connection.execute(text("UPDATE schema_info SET oldest_code = 9999"))
        for command in (("database", "check"), ("database", "upgrade"), ("contact", "list"), ("account", "list")):
            self.assert_one_line(self.fail_(*command), "database.url", "needs schema level 9999")

    def test_no_upgrade_by_the_way(self) -> None:
        """With ``upgrade_on_start = false`` the other commands do not upgrade either."""
        self.config.write_text(self.config.read_text() + "[database]\nupgrade_on_start = false\n")
        self.assert_one_line(self.fail_("contact", "list"), "callnet database upgrade")
        self.run_("database", "upgrade")
        self.run_("contact", "list")

    def test_unreachable_database(self) -> None:
        """A database that is no database, or not there, is one line that names the setting."""
        (self.directory / "callnet.db").write_bytes(b"no database " * 100)
        self.assert_one_line(self.fail_("contact", "list"), "database.url", "not a database")
        self.config.write_text('[database]\nurl = "postgresql://u:s3cret@/x?host=/nowhere"\n')
        error = self.fail_("contact", "list")
        self.assert_one_line(error, "database.url")
        self.assertNotIn("s3cret", error)


class HelpTests(CommandTestCase):
    """The list of commands in ``callnet --help``."""

    def test_commands(self) -> None:
        """It describes each command with the command's own words."""
        context = click.Context(main)
        commands = {name: main.get_command(context, name) for name in main.list_commands(context)}
        said = {name: command.get_short_help_str(limit=1000) for name, command in commands.items() if command}
        self.assertEqual(said, COMMANDS)


class ProcessTests(CommandTestCase):
    """The command as a process."""

    def process(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``callnet``."""
        command = [sys.executable, "-c", "from callnet.cli.main import main; main()", *arguments]
        return subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, encoding="utf-8"
        )

    def test_process(self) -> None:
        """The environment may name the settings; output and errors go where they belong."""
        self.run_("database", "upgrade")
        environment = {"CALLNET_CONFIG": str(self.config)}
        added = self.process("contact", "add", A, B, "--name", "电视", **environment)
        self.assertEqual((added.stdout.splitlines()[0], added.stderr, added.returncode), (f"{A} lists {B}", "", 0))
        self.assertEqual(self.process("contact", "export", **environment).stdout, f"owner,contact,name\n{A},{B},电视\n")
        failed = self.process("--config", "/nonexistent.toml", "contact", "list", **environment)
        self.assertEqual((failed.stdout, failed.returncode), ("", 1))
        self.assert_one_line(failed.stderr, "/nonexistent.toml")

    def test_not_loaded(self) -> None:
        """A command that needs no network, and has SQLite, loads neither Twisted's reactor nor PostgreSQL's dialect."""
        self.run_("database", "upgrade")
        program = (
            "import sys; from callnet.cli.main import main; main(standalone_mode=False);"
            "print({'twisted.internet.reactor', 'sqlalchemy.dialects.postgresql'} & sys.modules.keys())"
        )
        arguments = [sys.executable, "-c", program, "--config", str(self.config), "contact", "list"]
        self.assertEqual(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout, "set()\n")

    def test_help(self) -> None:
        """Every command is described."""
        helped = CliRunner().invoke(main, ["--help"]).stdout
        for command in ("account", "contact", "database"):
            self.assertIn(command, helped)
        self.assertEqual(CliRunner().invoke(main, ["nonsense"]).exit_code, 2)


ANY_PHONE: Final = PhoneRule("anything", lambda text: text or None)


class CsvProperties(SynchronousTestCase):
    """Properties of any contact list."""

    @given(
        st.dictionaries(
            st.tuples(*[st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=32)] * 2),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=64),
        )
    )
    def test_round_trip(self, names: dict[tuple[str, str], str]) -> None:
        """Any list that was written can be read, and is the same."""
        pairs = [Pair(*both, name if is_seen(name) else "") for both, name in names.items()]
        stream = io.StringIO()
        contact.write_csv(stream, pairs)
        # As a file of text is read: universal newlines.
        read = io.TextIOWrapper(io.BytesIO(stream.getvalue().encode()), encoding="utf-8-sig")
        self.assertEqual(contact.read_csv(read, ANY_PHONE), pairs)

    @given(st.binary() | st.text().map(lambda text: f"owner,contact,name\n{text}".encode("utf-8", "surrogatepass")))
    def test_any_file(self, data: bytes) -> None:
        """Any bytes are a contact list, or are refused with lines that name a line."""
        try:
            contact.read_csv(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig"), ANY_PHONE)
        except CommandError as error:
            self.assertIn("line ", str(error))
