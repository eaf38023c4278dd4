"""Tests in lanes side by side (``tools/test-lanes``)."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT


class LanesTests(SynchronousTestCase):
    """Lanes of one test each."""

    def setUp(self) -> None:
        """Have a folder to run them in: not below the logs of this run, which are searched as well."""
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def run_lanes(self, *bodies: str) -> tuple[int, list[str]]:
        """Give each lane a test with one of these bodies; the exit status, and the last line that each lane printed."""
        folder = self.folder
        for number, body in enumerate(bodies):
            (folder / f"lane{number}.py").write_text(
                dedent(f"""
                    import fcntl
                    import os

                    from twisted.python import log
                    from twisted.trial.unittest import SynchronousTestCase

                    class Tests(SynchronousTestCase):
                        def test_it(self) -> None:
                            {body}
                """)
            )
        lanes = [f"{number} lane{number}" for number, _ in enumerate(bodies)]
        path = os.pathsep.join([str(folder), str(ROOT)])
        with subprocess.Popen(
            [ROOT / "tools" / "test-lanes", sys.executable, *lanes],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pipesize=4096,
        ) as running:
            output, _ = running.communicate()
        return running.returncode, [line for line in output.splitlines() if line.startswith(("PASSED", "FAILED"))]

    def test_green(self) -> None:
        """The output of each lane is shown, of one lane as of several."""
        self.assertEqual((0, ["PASSED (successes=1)"]), self.run_lanes("pass"))
        self.assertEqual((0, ["PASSED (successes=1)"] * 3), self.run_lanes("pass", "pass", "pass"))

    def test_niceness(self) -> None:
        """A lane is as nice as it is told to be."""
        bodies = [f"self.assertEqual({os.nice(0) + number}, os.nice(0))" for number in range(2)]
        self.assertEqual((0, ["PASSED (successes=1)"] * 2), self.run_lanes(*bodies))

    def test_non_blocking(self) -> None:
        """All output is shown, though a program of the first lane does not wait until its own is read."""
        status, shown = self.run_lanes("os.set_blocking(1, False)", "print('x' * 2**23)")
        self.assertEqual((0, ["PASSED (successes=1)"] * 2), (status, shown))

    def test_left_behind(self) -> None:
        """A run that was killed while it removed its folders is no obstacle to the next."""
        (self.folder / "_trial_temp-0" / "0").mkdir(parents=True)
        (self.folder / "_trial_temp-0.lock").symlink_to(str(os.getpid()))
        self.assertEqual((0, ["PASSED (successes=1)"]), self.run_lanes("pass"))

    def test_two_runs(self) -> None:
        """Nothing is run in a folder where tests are being run, which is for as long as trial runs."""
        body = "self.assertRaises(OSError, fcntl.flock, os.open('..', os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        self.assertEqual((0, ["PASSED (successes=1)"]), self.run_lanes(body))
        directory = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, directory)
        fcntl.flock(directory, fcntl.LOCK_EX)
        self.assertEqual((1, []), self.run_lanes("pass"))

    def test_one_fails(self) -> None:
        """One failure in any lane is a failure of the whole."""
        self.assertEqual((1, ["PASSED (successes=1)", "FAILED (failures=1)"]), self.run_lanes("pass", "self.fail()"))
        self.assertEqual((1, ["FAILED (failures=1)", "PASSED (successes=1)"]), self.run_lanes("self.fail()", "pass"))

    def test_secret_in_log(self) -> None:
        """A room id in the log of a lane whose tests pass is a failure of the whole, too."""
        status, shown = self.run_lanes("pass", f"log.msg('{token_hex(16)}')")
        self.assertEqual((1, ["PASSED (successes=1)"] * 2), (status, shown))
