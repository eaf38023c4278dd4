"""The commands of docs/migrating.md, from the first block to the last, typed as they stand there.

Where it names a place or a user that only a machine has to itself, the test's own stands in; ``systemctl`` and
``apt-get`` only write down what they were told.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from acceptance import readme
from callnet import migration
from callnet.migration import Mapping
from harness import ROOT
from harness.forked_program import forked_program
from tests.support.migrate_case import TAKEN, A, MigrateCase

MIGRATING: Final = ROOT / "docs" / "migrating.md"


def blocks(language: str) -> list[str]:
    """The blocks in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", MIGRATING.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


class PageTests(MigrateCase):
    """The page."""

    def setUp(self) -> None:
        """Commands of this machine."""
        super().setUp()
        self.bin = self.directory / "bin"
        self.bin.mkdir()
        self.told = self.directory / "told"
        self.program("callnet", f'exec {forked_program()} --config {self.config} "$@"')
        for name in ("systemctl", "apt-get"):
            self.program(name, f'echo "{name} $*" >>{self.told}')

    def program(self, name: str, text: str) -> None:
        """Make a command."""
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def type(self, block: str) -> str:
        """Type a block into a shell that gives up at the first command that fails; returns its output."""
        for theirs, ours in (
            ("/etc/callnet", str(self.directory)),
            ("/opt/callnet-migrate", f"{self.directory}/driver"),
            (" -o callnet -g callnet", ""),
        ):
            block = block.replace(theirs, ours)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.directory)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_there_and_back(self) -> None:
        """Everything moves, and later changes go back."""
        grant, row = blocks("sql")
        self.type(readme.command(MIGRATING, "apt-get install"))
        self.seed.run(*filter(str.strip, grant.replace("live_server", self.seed.name).split(";")))
        self.type(readme.command(MIGRATING, "install -m 0600"))
        for name, content in (("url", self.seed.url("callnet", "PASSWORD")), ("key", "short")):
            file = self.directory / f"older.{name}"
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            file.write_text(content)
        self.assertIn("4 to import", self.type(readme.command(MIGRATING, "callnet migrate --dry-run")))
        taken = self.type(readme.command(MIGRATING, "callnet migrate --url-file"))
        for line in TAKEN:
            self.assertIn(line, taken)
        self.put_devices((A, "late"))
        switched = self.type(readme.command(MIGRATING, "systemctl stop live-server"))
        self.assertIn("devices: 5 read, 1 imported", switched)
        self.run_("account", "add", A, "new")
        given_back = self.type(readme.command(MIGRATING, "systemctl stop callnet"))
        self.assertIn("devices: 6 read, 1 copied back", given_back)
        self.assertIn((A, "new"), self.devices())
        self.assertEqual(
            self.told.read_text().splitlines()[1:],
            [
                "systemctl stop live-server",
                "systemctl restart callnet",
                "systemctl stop callnet",
                "systemctl start live-server",
            ],
        )
        self.assertEqual(self.seed.rows(row.replace("OFFSET 16", "OFFSET 1").strip(";\n")), [self.devices()[1]])

    def test_mapping(self) -> None:
        """The mapping that it shows is the one that holds without any."""
        [shown] = [block for block in blocks("") if block.startswith("[account_data]")]
        file = Path(self.private("mapping.toml", shown))
        self.assertEqual(migration.load_mapping(file), Mapping())
