"""The scripts of the Debian package, in a folder that stands for a machine, as ``DPKG_ROOT`` names it (dpkg(1))."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.setup.steps import LOW_PORTS, RECORD, SETTINGS
from harness import ROOT

STARTS: Final = "debhelper"
"""Noted in place of the commands of debhelper, which start the service."""
PROGRAMS: Final = {"dpkg-statoverride": 'test -e "$DPKG_ROOT/overridden"', "systemd-sysusers": "", "chown": ""}
"""The commands that concern more than a folder. Each is noted with its arguments in ``told``."""
ADDED: Final = "etc/systemd/system/callnet.service.d/setup.conf"


class ScriptsTests(SynchronousTestCase):
    """``debian/callnet.postinst`` and ``debian/callnet.postrm``."""

    def setUp(self) -> None:
        """A machine with the settings of the package, in which the record of setup is, too."""
        self.root = Path(self.mktemp()).absolute()
        self.settings, self.record = (self.root / path.lstrip("/") for path in (SETTINGS, RECORD))
        self.settings.parent.mkdir(parents=True)
        self.settings.touch()
        self.record.touch()
        self.added = self.root / ADDED
        self.added.parent.mkdir(parents=True)
        self.added.write_text(LOW_PORTS)
        (self.root / "bin").mkdir()
        for name, command in {**PROGRAMS, STARTS: ""}.items():
            program = self.root / "bin" / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >>"$DPKG_ROOT/told"\n{command}\n')
            program.chmod(0o755)

    def run_(self, name: str, *arguments: str) -> Sequence[str]:
        """Run a script. Returns the commands that it ran, without their options and paths."""
        script = (ROOT / "debian" / f"callnet.{name}").read_text().replace("#DEBHELPER#", STARTS)
        self.assertNotRegex(script, r'\brm(dir)?\b[^\n]* "?/', "a test may remove nothing of this machine")
        environment = {"DPKG_ROOT": str(self.root), "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-c", script, name, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        told = self.root / "told"
        return [line.split()[0] for line in told.read_text().splitlines()] if told.exists() else []

    def test_the_settings_can_be_read(self) -> None:
        """The user of the service is there, and may read the settings, before the service is started."""
        self.settings.chmod(0o600)
        told = self.run_("postinst", "configure")
        self.assertEqual(["dpkg-statoverride", "systemd-sysusers", "chown", STARTS], told)
        self.assertEqual(0o640, stat.S_IMODE(self.settings.stat().st_mode))

    def test_the_settings_are_left_alone(self) -> None:
        """Settings whose owner and mode the operator has set stay as they are, and those that are gone do no harm."""
        (self.root / "overridden").touch()
        self.settings.chmod(0o600)
        self.assertNotIn("chown", self.run_("postinst", "configure", "1.0"))
        self.assertEqual(0o600, stat.S_IMODE(self.settings.stat().st_mode))
        (self.root / "overridden").unlink()
        self.settings.unlink()
        self.assertNotIn("chown", self.run_("postinst", "configure", "1.0"))

    def test_removed(self) -> None:
        """A removal leaves everything."""
        self.run_("postrm", "remove")
        for path in (self.settings, self.record, self.added):
            self.assertTrue(path.exists(), path)

    def test_purged(self) -> None:
        """With the record of ``callnet setup`` goes its addition to the unit, which only the record can undo."""
        self.run_("postrm", "purge")
        for path in (self.settings.parent, self.added.parent):
            self.assertFalse(path.exists(), path)

    def test_purged_beside_others(self) -> None:
        """Additions of the operator's stay."""
        theirs = self.added.with_name("override.conf")
        theirs.touch()
        self.run_("postrm", "purge")
        self.assertEqual([theirs], list(theirs.parent.iterdir()))
        self.added.write_text("[Service]\n")
        self.run_("postrm", "purge")
        self.assertTrue(self.added.exists())

    def test_purged_without_setup(self) -> None:
        """A machine that was never set up has no addition."""
        self.added.unlink()
        self.added.parent.rmdir()
        self.run_("postrm", "purge")
        self.assertFalse(self.settings.exists())
