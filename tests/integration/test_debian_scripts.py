"""The scripts of the Debian package, in a folder that stands for a machine, as ``DPKG_ROOT`` names it (dpkg(1))."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.setup.steps import SETTINGS
from harness import ROOT

STARTS: Final = "debhelper"
"""Noted in place of the commands of debhelper, which start the service."""
PROGRAMS: Final = {"dpkg-statoverride": 'test -e "$DPKG_ROOT/overridden"', "systemd-sysusers": "", "chown": ""}
"""The commands that concern more than a folder. Each is noted with its arguments in ``told``."""


class ScriptsTests(SynchronousTestCase):
    """``debian/callnet.postinst``."""

    def setUp(self) -> None:
        """A machine with the settings of the package."""
        self.root = Path(self.mktemp()).absolute()
        self.settings = self.root / SETTINGS.lstrip("/")
        self.settings.parent.mkdir(parents=True)
        self.settings.touch()
        (self.root / "bin").mkdir()
        for name, command in {**PROGRAMS, STARTS: ""}.items():
            program = self.root / "bin" / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >>"$DPKG_ROOT/told"\n{command}\n')
            program.chmod(0o755)

    def run_(self, name: str, *arguments: str) -> Sequence[str]:
        """Run a script. Returns the commands that it ran, without their options and paths."""
        script = (ROOT / "debian" / f"callnet.{name}").read_text().replace("#DEBHELPER#", STARTS)
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
