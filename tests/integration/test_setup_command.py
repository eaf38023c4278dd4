"""``callnet setup`` in a folder that stands for a machine; its commands are small programs that note what they do."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from acceptance import readme
from callnet.cli.main import main
from callnet.ops.certificates import sign, to_pem
from callnet.setup.machine import System
from callnet.setup.steps import LOW_PORTS, RECORD, SETTINGS, Record, settings_in
from harness import ROOT
from harness.forked_program import forked_program

HOUSEHOLDS: Final = ROOT / "docs" / "households.md"
UNIT: Final = "etc/systemd/system/callnet.service"
RELAY: Final = "usr/bin/turnserver"
PUBLIC: Final = "8.8.8.8"

PROGRAMS: Final = {
    "apt-get": """
case $1 in
install) mkdir -p "$MACHINE/usr/bin" && touch "$MACHINE/usr/bin/turnserver" ;;
esac""",
    "systemctl": """
state=$MACHINE/units; mkdir -p "$state"
for unit; do :; done
case $1 in
enable) touch "$state/$unit" ;;
disable) rm -f "$state/$unit" "$state/$unit.active" ;;
restart) test ! -e "$MACHINE/broken" && touch "$state/$unit.active" ;;
stop) rm -f "$state/$unit.active" ;;
is-enabled) test -e "$state/$unit" ;;
is-active) test -e "$state/$unit.active" ;;
esac""",
    "journalctl": "echo 'it is broken'",
    "apt-cache": "exit 1",
    "useradd": 'touch "$MACHINE/user"; env >"$MACHINE/environment"',
    "id": 'test -e "$MACHINE/user"',
    "runuser": 'shift 3; exec "$@"',
    "chgrp": 'test ! -e "$MACHINE/broken-chgrp"',
    "install": 'for path; do :; done; mkdir -p "$path"',
}
"""The commands of the machine. Each is noted with its arguments in ``told``."""


def two(*phones: str) -> Sequence[str]:
    """The options for two numbers."""
    return [text for phone in phones for text in ("--phone", phone)]


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
        roots = {"CALLNET_OTP_SECRET": "s" * 32, "CALLNET_STATE_DIR": "/proc/nowhere"}
        environ = {**os.environ, "PATH": path, "MACHINE": str(self.root), **roots}
        self.system = System(self.root, forked_program().parent.parent, ROOT / "etc", environ, True)

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

    def with_accounts(self, **done: Any) -> None:
        """Go on after a run that was interrupted when it had made the accounts, which takes longer than all else.

        :param done: other things that its record says.
        """
        path = self.root / RECORD.lstrip("/")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(msgspec.json.encode(Record(phones=["101", "102"], **done)))

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
        typed = readme.command(HOUSEHOLDS, "callnet setup").replace("calls.example.org", "localhost").split()
        self.assertEqual(["callnet", "setup"], typed[:2])
        shown = self.run_(*typed[2:], "--yes", "--contact", "me@example.org")
        self.assertEqual(2, len(set(re.findall(r"https://localhost/#join=[\w-]{32}", shown))), shown)
        told = self.told()
        self.assertIn("apt-get update", told)
        self.assertIn("apt-get install --yes --no-install-recommends coturn", told)
        self.assertIn("systemctl disable --now coturn.service", told)
        self.assertIn("systemctl restart callnet.service", told)
        self.assertNotIn("s" * 32, (self.root / "environment").read_text())
        settings = self.root / SETTINGS.lstrip("/")
        self.assertEqual(443, settings_in(settings.read_text())["one_port"])
        self.assertEqual(0o640, stat.S_IMODE(settings.stat().st_mode))
        self.assertIn(f"ExecStart={forked_program().parent}/twistd", (self.root / UNIT).read_text())
        self.assertEqual(LOW_PORTS, (self.root / f"{UNIT}.d/setup.conf").read_text())
        self.assertEqual(0o600, stat.S_IMODE((self.root / RECORD.lstrip("/")).stat().st_mode))

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

    def test_given_address(self) -> None:
        """A public address that was given is kept."""
        self.with_accounts()
        self.set_up("--external", PUBLIC)
        self.assertIn("Nothing to do.", self.run_("--yes"))
        self.assertEqual([PUBLIC], self.settings()["turn.supervised.external_addresses"])

    def settings(self) -> Mapping[str, Any]:
        """The settings, by their paths."""
        return settings_in((self.root / SETTINGS.lstrip("/")).read_text())

    def test_odd_numbers(self) -> None:
        """Numbers are kept as the accounts have them; one that is none is refused before anything is changed."""
        before = self.files()
        self.assertIn("not a valid phone number", self.run_("localhost", "--yes", *two("101", "abc"), status=1))
        self.assertEqual(before, self.files())
        self.set_up(*two("555-0101", "+49 30 1234567"))
        self.assertIn("Nothing to do.", self.run_("--yes"))

    def test_bad_answers(self) -> None:
        """Settings with which the daemon would not start are not written."""
        before = self.files()
        self.assertIn("Error: turn.supervised.external", self.run_("localhost", "--yes", "--external", "x", status=1))
        self.assertIn("Error: tls.acme.directory", self.run_("localhost", "--yes", "--directory", "x", status=1))
        self.assertEqual(before, self.files())

    def test_unusable_authority(self) -> None:
        """So is a file that has no certificate, or that the service cannot read."""
        before = self.files()
        self.root.parent.chmod(0o755)
        authority = self.root / "authority.pem"
        good = to_pem(sign(["localhost"], [], datetime.now(UTC)))
        for content, mode, why in (
            (b"no PEM", 0o644, "has no certificate"),
            (b"", 0o644, "has no certificate"),
            (good, 0o640, "must be readable by everybody"),
        ):
            authority.write_bytes(content)
            authority.chmod(mode)
            shown = self.run_("localhost", "--yes", "--ca", str(authority), status=1)
            self.assertIn(f"Error: --ca: {authority} {why}", shown)
        self.assertIn("is a directory", self.run_("localhost", "--yes", "--ca", str(self.root), status=2))
        closed = self.root / "closed"
        closed.mkdir(mode=0o700)
        (closed / "authority.pem").write_bytes(good)
        self.assertIn("must be readable", self.run_("localhost", "--yes", "--ca", f"{closed}/authority.pem", status=1))
        self.assertEqual(before, self.files())
        authority.chmod(0o644)
        self.set_up("--ca", str(authority))
        authority.unlink()
        self.assertIn("cannot read", self.run_("--yes", status=1))

    def test_strict_umask(self) -> None:
        """The service may enter the folders that are made, whatever the umask is."""
        self.addCleanup(os.umask, os.umask(0o077))
        self.set_up()
        for folder in ("etc/callnet", f"{UNIT}.d"):
            self.assertEqual(0o755, stat.S_IMODE((self.root / folder).stat().st_mode))

    def test_interrupted(self) -> None:
        """The next run finishes what was begun, and knows what was made."""
        before = self.files()
        self.with_accounts()
        (self.root / "broken-chgrp").touch()
        self.run_("localhost", "--yes", status=1)
        (self.root / "broken-chgrp").unlink()
        self.set_up("--external", PUBLIC)
        self.assertEqual([PUBLIC], self.settings()["turn.supervised.external_addresses"])
        self.run_("--remove", "--yes")
        self.assertEqual({*before, RELAY}, set(self.files()))

    def test_unreadable(self) -> None:
        """Settings that the service cannot read are made readable."""
        self.with_accounts()
        self.set_up()
        runuser = self.root / "bin/runuser"
        text = runuser.read_text()
        runuser.write_text(text.replace("exec", '[ "$1" = test ] && exit 1; exec'))
        self.told()
        self.assertIn(f"let callnet read {SETTINGS}", self.run_("--yes"))
        self.assertIn(f"chgrp callnet {self.root}{SETTINGS}", self.told())

    def test_accounts_interrupted(self) -> None:
        """A link is shown as soon as there is one; the next run makes the rest, and leaves the device as it is."""
        self.set_up()  # the daemon's part
        self.run_("--remove", "--purge", "--yes")
        callnet = self.root / "bin/runuser"
        text = callnet.read_text()
        callnet.write_text(text.replace("exec", 'case "$*" in *"invite 102"*) exit 1 ;; esac; exec'))
        shown = self.run_("localhost", "--yes", status=1)
        self.assertEqual(1, len(re.findall("#join=", shown)), shown)
        callnet.write_text(text)
        shown = self.run_("--yes")
        self.assertEqual(1, len(re.findall("#join=", shown)), shown)
        self.assertIn("Phone 101 has a device already", shown)
        self.assertTrue([line for line in self.told() if "contact add --both 101 102" in line])
        self.assertIn("Nothing to do.", self.run_("--yes"))

    def test_database_of_an_older_version(self) -> None:
        """It is not upgraded before the service is started."""
        state = self.root / "var/lib/callnet"
        state.mkdir()
        for path in (state / "callnet.db", self.root / "user"):
            path.touch()
        self.run_("localhost", "--yes", "--dry-run")
        self.assertEqual(0, (state / "callnet.db").stat().st_size)

    def test_secrets(self) -> None:
        """The accounts are made in the database of the service, which the file of its secrets names."""
        elsewhere = self.root / "accounts.db"
        (self.root / "etc/callnet").mkdir()
        (self.root / "etc/callnet/secrets").write_text(
            f"# Ours.\nPATH=/nowhere\nCALLNET_DATABASE_URL=sqlite:///{elsewhere}\n"
        )
        self.set_up()
        self.assertTrue(elsewhere.exists())
        self.assertEqual([], list((self.root / "var/lib/callnet").glob("*.db")))

    def test_unit_of_the_operator(self) -> None:
        """A unit that was there is not overwritten; one that was changed since is not removed."""
        self.with_accounts()
        unit = self.root / UNIT
        unit.parent.mkdir(parents=True)
        unit.write_text("[Service]\n")
        self.assertIn("is yours", self.run_("localhost", "--yes", status=1))
        self.assertEqual("[Service]\n", unit.read_text())
        unit.unlink()
        self.set_up()
        unit.write_text("[Service]\n")
        self.assertIn(f"left /{UNIT}", self.run_("--remove", "--yes"))
        self.assertEqual("[Service]\n", unit.read_text())

    def test_service_of_the_package(self) -> None:
        """A service that was enabled before goes on with the settings of before, or is stopped if its files go."""
        (self.root / "units").mkdir()
        for name in ("callnet.service", "callnet.service.active"):
            (self.root / "units" / name).touch()
        for options, command in (((), "restart"), (("--purge",), "stop")):
            self.with_accounts()
            self.set_up()
            self.told()
            self.run_("--remove", "--yes", *options)
            self.assertIn(f"systemctl {command} callnet.service", self.told())
            self.assertTrue((self.root / "units/callnet.service").exists())

    def test_purge_of_what_is_not_ours(self) -> None:
        """Where nothing was set up, nothing is removed."""
        (self.root / "var/lib/callnet").mkdir()
        self.run_("--remove", "--purge", "--yes")
        self.assertTrue((self.root / "var/lib/callnet").exists())

    def test_not_root(self) -> None:
        """Another user is told to be root."""
        self.system = msgspec.structs.replace(self.system, is_root=False)
        self.assertIn("run this as root", self.run_("localhost", "--dry-run", status=1))

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
        self.with_accounts()
        path = self.root / SETTINGS.lstrip("/")
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
        self.assertIn("left coturn", shown)
        self.assertEqual({**before, RELAY: b""}, self.files())
        self.assertTrue((self.root / "var/lib/callnet/callnet.db").exists())
        self.assertIn("Nothing to do.", self.run_("--remove", "--yes"))
        self.set_up()
        self.run_("--remove", "--purge", "--yes")
        self.assertFalse((self.root / "var/lib/callnet").exists())

    def test_remove_after_a_change(self) -> None:
        """Settings that were changed since are left."""
        self.with_accounts()
        self.set_up()
        path = self.root / SETTINGS.lstrip("/")
        path.write_text(path.read_text() + "# mine\n")
        self.assertIn(f"left {SETTINGS}", self.run_("--remove", "--yes"))
        self.assertTrue(path.exists())

    def test_a_relay_that_was_there(self) -> None:
        """The service of a coturn that was there before is not stopped: the operator does that."""
        self.with_accounts()
        (self.root / RELAY).parent.mkdir(parents=True)
        (self.root / RELAY).touch()
        (self.root / "units").mkdir()
        for name in ("coturn.service", "coturn.service.active"):
            (self.root / "units" / name).touch()
            self.assertIn("systemctl disable --now coturn.service", self.run_("localhost", "--yes", status=1))
            (self.root / "units" / name).unlink()
        self.set_up()
        self.assertNotIn("left coturn", self.run_("--remove", "--yes"))

    def test_relay_interrupted(self) -> None:
        """The service of a coturn that setup has installed is stopped, even if it was interrupted between: its ports,
        which it has from its installation on, are not in the way.
        """
        process = self.root / "proc/7"
        (process / "fd").mkdir(parents=True)
        (process / "fd/3").symlink_to("socket:[4711]")
        (process / "comm").write_text("turnserver\n")
        bound = "0: 00000000:0D96 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4711"
        (self.root / "proc/net/udp").write_text(f"sl local_address\n{bound}\n")
        for path in (self.root / RELAY, self.root / "units/coturn.service"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        self.with_accounts(has_relay=True)
        self.set_up()
        self.assertIn("systemctl disable --now coturn.service", self.told())

    def test_a_start_that_fails(self) -> None:
        """The log's last lines are shown, with the remedy; the next run starts it again."""
        self.with_accounts()
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
        path = self.root / RECORD.lstrip("/")
        path.parent.mkdir()
        path.write_bytes(msgspec.json.encode(1))
        self.assertIn("is damaged", self.run_("localhost", "--yes", status=1))
