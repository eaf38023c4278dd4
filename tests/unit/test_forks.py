"""Processes that are forked from one that has loaded callnet (`harness/forks.py`)."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from harness.forked_program import forked_program
from harness.forks import Fork

PROGRAM = """
import atexit, json, os, signal, sys, threading
atexit.register(print, "the end")
print(json.dumps({
    "reactor": "twisted.internet.reactor" in sys.modules,
    "loaded": "callnet.model" in sys.modules,
    "threads": threading.active_count(),
    "name": __name__,
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "files": sorted(os.listdir("/proc/self/fd")),
    "umask": os.umask(0),
    "interrupts": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
}))
print("an error", file=sys.stderr)
if sys.argv[1] == "wait":
    signal.pause()
sys.exit(3)
"""


class ForkTests(SynchronousTestCase):
    """A process."""

    def setUp(self) -> None:
        """A program in a folder."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.program = self.folder / "program"
        self.program.write_text(PROGRAM, "utf-8")
        self.output = self.folder / "output"

    def begin(self, argument: str) -> Fork:
        """Start it."""
        with self.output.open("wb") as output:
            process = Fork((str(self.program), argument), self.folder, {"HOME": "/nowhere"}, output, umask=0o027)
        self.addCleanup(process.kill)
        return process

    def test_like_a_new_process(self) -> None:
        """It has its own arguments, environment, folder, files, umask and exit status, does what is registered for
        its end, and has no reactor; callnet is loaded.
        """
        process = self.begin("end")
        self.assertEqual(3, process.wait())
        self.assertEqual(3, process.poll())
        *others, said = sorted(self.output.read_text("utf-8").splitlines())
        self.assertEqual(["an error", "the end"], others)
        self.assertEqual(
            {
                "reactor": False,
                "loaded": True,
                "threads": 1,
                "name": "__main__",
                "arguments": ["end"],
                "environment": {"HOME": "/nowhere"},
                "folder": str(self.folder),
                "files": ["0", "1", "2", "3"],  # the last one is the folder that it lists
                "umask": 0o027,
                "interrupts": True,
            },
            json.loads(said),
        )

    def test_files(self) -> None:
        """It reads what it is given, and writes errors where they are to go; it may ask for modules."""
        self.program.write_text("import sys\nprint(input(), 'this' in sys.modules)\nsys.exit('no')")
        paths = [self.folder / name for name in ("given", "output", "errors")]
        paths[0].write_text("something")
        with paths[0].open("rb") as given, paths[1].open("wb") as output, paths[2].open("wb") as errors:
            process = Fork((str(self.program),), self.folder, {}, output, errors, given, loads=["this"])
        self.assertEqual(1, process.wait())
        self.assertEqual(["something", "something True\n", "no\n"], [path.read_text() for path in paths])

    def test_number(self) -> None:
        """When it has ended its number is nobody else's, until that is known here."""
        process = self.begin("wait")
        end = os.pidfd_open(process.pid)
        self.addCleanup(os.close, end)
        process.kill()
        select.select([end], [], [])
        self.begin("end").wait()  # by now whoever forks has noticed, too
        os.kill(process.pid, 0)
        process.wait()

    def test_signals(self) -> None:
        """It runs until it is ended by a signal, and another one that was started meanwhile does not mind."""
        first, second = self.begin("wait"), self.begin("wait")
        self.assertIsNone(first.poll())
        self.assertRaises(subprocess.TimeoutExpired, first.wait, 0)
        first.terminate()
        self.assertEqual(-signal.SIGTERM, first.wait())
        self.assertIsNone(second.poll())
        second.kill()
        self.assertEqual(-signal.SIGKILL, second.wait())
        first.terminate()


class ForkedProgramTests(SynchronousTestCase):
    """The program `callnet` for shells."""

    def test_in_a_shell(self) -> None:
        """It reads, writes and ends as `callnet` does, in the folder of the shell."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(0o700)
        script = """
            printf 'owner,contact,name\\n13651884967,13800138002,Dad\\n' | callnet contact import -
            callnet contact list 13651884967 | grep Dad
            callnet nonsense
        """
        environ = {"PATH": f"{forked_program().parent}:{os.environ['PATH']}", "CALLNET_STATE_DIR": "."}
        done = subprocess.run(
            ["sh", "-c", script], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
        self.assertEqual(2, done.returncode)
        self.assertIn("Dad", done.stdout)
        self.assertIn("No such command", done.stderr)
        self.assertTrue((folder / "callnet.db").exists())
