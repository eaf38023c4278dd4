"""``callnet setup`` in a folder that stands for a machine; its commands are small programs that note what they do."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from callnet.cli.main import main
from callnet.setup.record import PATH
from callnet.setup.steps import LOW_PORTS, SETTINGS
from callnet.setup.system import System
from callnet.setup.wanted import settings_in
from harness import ROOT
from harness.daemon import BIN

UNIT: Final = "etc/systemd/system/callnet.service"

PROGRAMS: Final = {
    "apt-get": """
case $1 in
install) mkdir -p "$MACHINE/usr/bin" && touch "$MACHINE/usr/bin/turnserver" ;;
purge) rm "$MACHINE/usr/bin/turnserver" ;;
esac""",
    "systemctl": """
state=$MACHINE/units; mkdir -p "$state"
for unit; do :; done
case $1 in
enable) touch "$state/$unit" ;;
disable) rm -f "$state/$unit" "$state/$unit.active" ;;
restart) test ! -e "$MACHINE/broken" && touch "$state/$unit.active" ;;
is-enabled) test -e "$state/$unit" ;;
is-active) test -e "$state/$unit.active" ;;
esac""",
    "journalctl": "echo 'it is broken'",
    "apt-cache": "exit 1",
    "useradd": 'touch "$MACHINE/user"',
    "id": 'test -e "$MACHINE/user"',
    "runuser": 'shift 3; exec "$@"',
    "chgrp": "",
    "install": 'for path; do :; done; mkdir -p "$path"',
}
"""The commands of the machine. Each is noted with its arguments in ``told``."""


class SetupTests(SynchronousTestCase):
    """The command."""

    def setUp(self) -> None:
        """A machine without anything."""
        self.root = Path(self.mktemp()).absolute()
        for folder in ("etc", "bin", "run/systemd/system", "proc/net", "var/lib"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "etc/debian_version").write_text("13.0\n")
        for name, text in PROGRAMS.items():
            program = self.root / "bin" / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >>"$MACHINE/told"{text and chr(10)}{text}\n')
            program.chmod(0o755)
        path = f"{self.root}/bin:{os.environ['PATH']}"
        environ = {**os.environ, "PATH": path, "MACHINE": str(self.root)}
        self.system = System(self.root, Path(BIN).parent, ROOT / "etc", environ, True)

    def invoke(self, *arguments: str, given: str = "") -> Result:
        """Run the command."""
        return CliRunner().invoke(main, ["setup", *arguments], input=given, obj=self.system)

    def run_(self, *arguments: str, status: int = 0) -> str:
        """Run it; returns all output."""
        result = self.invoke(*arguments)
        self.assertEqual(status, result.exit_code, result.output)
        return result.output

    def set_up(self, *arguments: str) -> str:
        """Set the machine up. The name is one that every machine knows."""
        return self.run_("localhost", "--yes", *arguments)

    def told(self) -> Sequence[str]:
        """The commands that were run, since the last time."""
        path = self.root / "told"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def files(self) -> Mapping[str, bytes]:
        """All files that a set-up may touch."""
        found = (path for folder in ("etc", "usr") for path in (self.root / folder).rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}

    def test_all_of_it(self) -> None:
        """The relay is installed, the settings written, the unit enabled; two codes are shown."""
        shown = self.set_up("--contact", "me@example.org")
        self.assertEqual(2, len(set(re.findall(r"https://localhost/#join=[\w-]{32}", shown))), shown)
        told = self.told()
        self.assertIn("apt-get update", told)
        self.assertIn("apt-get install --yes --no-install-recommends coturn", told)
        self.assertIn("systemctl disable --now coturn.service", told)
        self.assertIn("systemctl restart callnet.service", told)
        settings = self.root / SETTINGS.lstrip("/")
        self.assertEqual(443, settings_in(settings.read_text())["one_port"])
        self.assertEqual(0o640, stat.S_IMODE(settings.stat().st_mode))
        self.assertIn(f"ExecStart={BIN}/twistd", (self.root / UNIT).read_text())
        self.assertEqual(LOW_PORTS, (self.root / f"{UNIT}.d/setup.conf").read_text())
        self.assertEqual(0o600, stat.S_IMODE((self.root / PATH.lstrip("/")).stat().st_mode))

    def test_again(self) -> None:
        """A second run finds nothing to do, and one with a damaged machine repairs only that."""
        self.set_up()
        before = self.files()
        self.told()
        self.assertIn("Nothing to do.", self.run_("--yes"))
        self.assertEqual(before, self.files())
        self.assertFalse([line for line in self.told() if re.match("apt-get|useradd|systemctl (en|dis|re)", line)])
        (self.root / f"{UNIT}.d/setup.conf").unlink()
        shown = self.run_("--yes")
        self.assertIn("To do:\n  - allow callnet.service ports below 1024", shown)
        self.assertNotIn("coturn", shown)
        self.assertIn("systemctl restart callnet.service", self.told())
        self.assertEqual(before, self.files())

    def test_dry_run(self) -> None:
        """The plan is shown, and nothing is changed."""
        before = self.files()
        shown = self.run_("localhost", "--yes", "--dry-run")
        for sentence in ("install coturn", f"write {SETTINGS}", "start callnet.service", "accounts 101 and 102"):
            self.assertIn(sentence, shown)
        self.assertEqual(before, self.files())
        self.assertFalse([line for line in self.told() if not re.match("id |systemctl is-", line)])

    def test_asks(self) -> None:
        """It asks for the address, and before it changes anything."""
        result = self.invoke("localhost", given="me@example.org\nn\n")
        self.assertEqual(1, result.exit_code)
        self.assertIn("Do this?", result.output)
        self.assertFalse((self.root / SETTINGS.lstrip("/")).exists())

    def test_settings_of_the_operator(self) -> None:
        """A file that sets something is not touched: the lines that it lacks are shown. Any other is put back."""
        path = self.root / SETTINGS.lstrip("/")
        path.parent.mkdir()
        path.write_text("workers = 1\n")
        shown = self.run_("localhost", "--yes", status=1)
        self.assertIn("has settings of yours", shown)
        self.assertIn("\n    one_port = 443\n", shown)
        self.assertIn('\n    [turn]\n    relay = "supervised"\n', shown)
        self.assertEqual("workers = 1\n", path.read_text())
        sample = (ROOT / "etc/callnet.toml").read_text()
        path.write_text(sample)
        self.set_up()
        self.assertNotEqual(sample, path.read_text())
        self.run_("--remove", "--yes")
        self.assertEqual(sample, path.read_text())

    def test_remove(self) -> None:
        """All of it is undone, and nothing else; the accounts are kept, unless they are to go as well."""
        before = self.files()
        self.set_up()
        shown = self.run_("--remove", "--yes")
        self.assertEqual(before, self.files(), shown)
        self.assertTrue((self.root / "var/lib/callnet/callnet.db").exists())
        self.assertIn("Nothing to do.", self.run_("--remove", "--yes"))
        self.set_up()
        self.run_("--remove", "--purge", "--yes")
        self.assertFalse((self.root / "var/lib/callnet").exists())

    def test_remove_after_a_change(self) -> None:
        """Settings that were changed since are left."""
        self.set_up()
        path = self.root / SETTINGS.lstrip("/")
        path.write_text(path.read_text() + "# mine\n")
        self.assertIn(f"left {SETTINGS}", self.run_("--remove", "--yes"))
        self.assertTrue(path.exists())

    def test_a_relay_that_was_there(self) -> None:
        """The service of a coturn that was there before is stopped, and started again in the end."""
        (self.root / "usr/bin").mkdir(parents=True)
        (self.root / "usr/bin/turnserver").touch()
        (self.root / "units").mkdir()
        (self.root / "units/coturn.service").touch()
        self.set_up()
        self.assertFalse((self.root / "units/coturn.service").exists())
        self.run_("--remove", "--yes")
        self.assertTrue((self.root / "units/coturn.service").exists())
        self.assertTrue((self.root / "usr/bin/turnserver").exists())

    def test_a_start_that_fails(self) -> None:
        """The log's last lines are shown, with the remedy; the next run starts it again."""
        (self.root / "broken").touch()
        shown = self.run_("localhost", "--yes", status=1)
        self.assertIn("it is broken", shown)
        self.assertIn("callnet doctor", shown)
        (self.root / "broken").unlink()
        self.assertIn("restart callnet.service", self.run_("--yes"))
        self.assertIn("Nothing to do.", self.run_("--yes"))

    def test_without_systemd(self) -> None:
        """In a container it says how to start callnet."""
        (self.root / "run/systemd/system").rmdir()
        shown = self.set_up()
        self.assertIn("To start callnet, run as root:", shown)
        self.assertIn("--ambient-caps +net_bind_service", shown)
        self.assertFalse([line for line in self.told() if line.startswith("systemctl")])
        self.assertIn("Nothing to do.", self.run_("--yes"))

    def test_no_name(self) -> None:
        """The first run needs a name, and a valid one."""
        self.assertIn("callnet setup calls.example.org", self.run_("--yes", status=1))
        self.assertIn("is not a host name", self.run_("https://x/", "--yes", status=1))
        self.assertIn("not a mail address", self.run_("localhost", "--yes", "--contact", "me", status=1))
        self.assertIn("two different numbers", self.run_("localhost", "--yes", "--phone", "101", status=1))
        self.assertIn("not a URI such as stun:", self.run_("localhost", "--yes", "--stun", "x", status=2))
        self.assertIn("not in the DNS", self.run_("nowhere.invalid", "--yes", status=1))

    def test_damaged_record(self) -> None:
        """A record that cannot be read is said to be damaged."""
        path = self.root / PATH.lstrip("/")
        path.parent.mkdir()
        path.write_bytes(msgspec.json.encode(1))
        self.assertIn("is damaged", self.run_("localhost", "--yes", status=1))
