"""The contact sync of examples/contacts: a CSV file, a database, and the command line of callnet between them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.database import Database
from harness.forked_program import forked_program
from tests.examples.programs import EXAMPLES

FOLDER: Final = EXAMPLES / "contacts"
LI, WANG, ZHANG, MEI = (f"1380013800{number}" for number in range(1, 5))
OTHER: Final = "13651884967"
HEADER: Final = "phone,name,group"

_left: list[tuple[list[tuple[str, str, str]], bytes]] = []
"""Contact lists and state as a run with the example's directory has left them, once it was made."""


class SyncTests(SynchronousTestCase):
    """Runs of it, one after the other."""

    def setUp(self) -> None:
        """A database, and a directory of two groups."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.directory, self.state = self.folder / "directory.csv", self.folder / "state.csv"
        self.directory.write_bytes((FOLDER / "directory.csv").read_bytes())
        (self.folder / "callnet.toml").write_text(f'state_dir = "{self.folder}"\n')
        self.database = Database(f"sqlite:///{self.folder}/callnet.db")
        self.addCleanup(self.database.close)
        self.database.upgrade()

    def run_(self, *options: str, callnet: Path | None = None) -> tuple[int, str, str]:
        """Run it: its exit status, and its output."""
        environ = {
            "CALLNET": str(callnet or forked_program()),
            "CALLNET_CONFIG": str(self.folder / "callnet.toml"),
            "PATH": "/bin",
        }
        command = [sys.executable, str(FOLDER / "sync.py"), *options, str(self.directory), str(self.state)]
        done = subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", check=False)
        return done.returncode, done.stdout, done.stderr

    def run_first(self) -> None:
        """Begin after a run with the example's directory, which is made but once for all tests."""
        if not _left:
            self.run_()
            _left.append((self.lists(), self.state.read_bytes()))
        [(rows, state)] = _left
        contacts.add(self.database, [Pair(*row) for row in rows], 1.0)
        self.state.write_bytes(state)

    def write(self, *rows: str) -> None:
        """Have the directory say this."""
        self.directory.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")

    def lists(self) -> list[tuple[str, str, str]]:
        """All contact lists."""
        return [(pair.owner, pair.contact, pair.name) for pair in contacts.pairs_of(self.database, None)]

    def test_the_first_run(self) -> None:
        """Members of a group have each other in the list by their names; each change is told, without numbers."""
        status, told, error = self.run_()
        self.assertEqual((status, error), (0, ""))
        names = {LI: "李伟", WANG: "王芳", ZHANG: "Zhang Min", MEI: "Mei Lin"}
        pairs = [(LI, WANG), (LI, ZHANG), (LI, MEI), (WANG, LI), (ZHANG, LI), (ZHANG, MEI), (MEI, LI), (MEI, ZHANG)]
        self.assertEqual(self.lists(), [(owner, other, names[other]) for owner, other in pairs])
        self.assertEqual(len(told.splitlines()), len(pairs))
        self.assertIn("+ 138****8002: 李伟 (138****8001)\n", told)
        self.assertNotIn(LI, told)
        self.assertEqual(self.state.stat().st_mode & 0o077, 0)

    def test_again(self) -> None:
        """A second run changes nothing and says nothing, so that cron mails nothing."""
        self.run_first()
        before = self.lists()
        self.assertEqual(self.run_(), (0, "", ""))
        self.assertEqual(self.lists(), before)

    def test_a_dry_run(self) -> None:
        """A dry run prints the changes, and changes nothing."""
        status, told, _ = self.run_("--dry-run")
        self.assertEqual((status, len(told.splitlines())), (0, 8))
        self.assertEqual((self.lists(), self.state.exists()), ([], False))

    def test_changes(self) -> None:
        """A person who leaves a group goes from its lists, and a new name is taken; entries that people added stay."""
        contacts.add(self.database, [Pair(LI, OTHER, "Mum"), Pair(OTHER, LI, "Son")], 1.0)
        people = [f"{13_700_000_000 + number},P{number},Office" for number in range(5)]
        self.write(f"{LI},Li,Sales", f"{WANG},Wang,Sales", *people)
        self.run_()
        self.write(f"{LI},Li Wei,Workshop", f"{WANG},Wang,Sales", *people, f"{MEI},Mei,Workshop")
        status, told, error = self.run_()
        self.assertEqual((status, error), (0, ""))
        self.assertEqual(sorted(line[0] for line in told.splitlines()), ["+", "+", "-", "-"])
        ours = [row for row in self.lists() if not row[0].startswith("137")]
        self.assertEqual(ours, [(OTHER, LI, "Son"), (LI, OTHER, "Mum"), (LI, MEI, "Mei"), (MEI, LI, "Li Wei")])
        self.write(f"{LI},Li,Workshop", f"{WANG},Wang,Sales", *people, f"{MEI},Mei,Workshop")
        self.assertEqual(self.run_(), (0, "~ 138****8004: Li (138****8001)\n", ""))

    def test_half_a_file(self) -> None:
        """A directory that was cut off changes nothing, wherever it was; only ``--anyway`` takes so much out."""
        self.run_first()
        before, whole = self.lists(), self.directory.read_bytes()
        for cut in (0, 10, len(HEADER) + 1, whole.index(b"13800138003"), whole.index(b"13800138003") + 5):
            self.directory.write_bytes(whole[:cut])
            status, told, error = self.run_()
            self.assertEqual((status, told), (1, ""), cut)
            self.assertEqual(len(error.splitlines()), 1, error)
            self.assertEqual(self.lists(), before)
        self.directory.write_bytes(whole[: whole.index(b"13800138003")])
        status, told, _ = self.run_("--anyway")
        self.assertEqual((status, len(told.splitlines())), (0, 6))
        self.assertEqual(self.lists(), [(LI, WANG, "王芳"), (WANG, LI, "李伟")])

    def test_what_callnet_refuses(self) -> None:
        """If callnet refuses a row nothing is changed, and the next run, with a good one, goes on from there."""
        self.run_first()
        before = self.lists()
        self.directory.write_bytes((FOLDER / "directory.csv").read_bytes() + b"12,Nobody,Sales\n")
        status, _, error = self.run_()
        self.assertEqual(status, 1)
        self.assertIn("is not a valid number", error)
        self.assertEqual(self.lists(), before)
        self.directory.write_bytes((FOLDER / "directory.csv").read_bytes())
        self.assertEqual(self.run_(), (0, "", ""))

    def test_a_run_that_was_cut_off(self) -> None:
        """Entries of an interrupted run are removed by a later one if they are to go."""
        killing = self.folder / "killing"
        program = forked_program()
        killing.write_text(f'#!/bin/sh\n{program} "$@"\n[ "$2" = export ] || kill -9 $PPID\n', encoding="utf-8")
        killing.chmod(0o700)
        people = [f"{13_700_000_000 + number},P{number},Office" for number in range(9)]
        self.write(*people)
        self.assertEqual(self.run_(callnet=killing)[0], -signal.SIGKILL)
        self.assertEqual(len(self.lists()), 9 * 8)
        self.write(*people[1:])
        self.assertEqual(self.run_("--anyway")[0], 0)
        self.assertEqual(len(self.lists()), 8 * 7)

    def test_the_cron_line(self) -> None:
        """The line for cron runs it, with files of those names; as callnet's user, each night."""
        lines = (FOLDER / "contacts.cron").read_text(encoding="utf-8").splitlines()
        [line] = [line for line in lines if re.match("[0-9]", line)]
        *_, user, command = line.split(maxsplit=6)
        self.assertEqual(user, "callnet")
        names = dict(line.split("=") for line in lines if re.match("[A-Z_]+=", line))
        for there, here in (
            ("/usr/local/lib/callnet/sync.py", FOLDER / "sync.py"),
            ("/srv/directory/directory.csv", self.directory),
            (f"{names['CALLNET_STATE_DIR']}/directory-state.csv", self.state),
        ):
            self.assertIn(there, command)
            command = command.replace(there, str(here))
        environ = dict.fromkeys(names, str(self.folder)) | {"CALLNET_CONFIG": str(self.folder / "callnet.toml")}
        environ["PATH"] = f"{forked_program().parent}:/bin"
        done = subprocess.run(["/bin/sh", "-c", command], env=environ, capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(len(self.lists()), 8)
