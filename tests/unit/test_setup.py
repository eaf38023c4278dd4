"""The checks and the settings of ``callnet setup``."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.doctor.findings import Level
from callnet.doctor.network import behind_nat
from callnet.setup.machine import PORTS, Facts, SetupError, System, check
from callnet.setup.steps import (
    SETTINGS,
    Job,
    SettingsStep,
    Step,
    UnitStep,
    Wanted,
    put,
    read_record,
    rendered,
    settings_in,
    undo,
)

NAME: Final = "calls.example.org"
PUBLIC: Final = "8.8.8.8"
PRIVATE: Final = "192.168.1.7"
UNIT: Final = "etc/systemd/system/callnet.service"


def facts(
    resolved: Mapping[str, Sequence[str]],
    addresses: Sequence[str] = (PUBLIC,),
    taken: Mapping[str, str] | None = None,
    seen_as: str = "",
) -> Facts:
    """The state of a machine on which all else is right."""
    return Facts(addresses, resolved, taken or {}, seen_as, True, True, True)


class CheckTests(SynchronousTestCase):
    """The checks, which are functions of facts."""

    def assert_found(self, state: Facts, level: Level, *words: str) -> None:
        """One finding is not good: it has this level, and these words in its text or advice."""
        [found] = [each for each in check(state, has_relay=False) if each.level is not Level.GOOD]
        self.assertIs(level, found.level)
        for word in words:
            self.assertIn(word, f"{found.about}: {found.text} -> {found.advice}")

    def test_all_is_right(self) -> None:
        """A name that leads here, and free ports."""
        self.assertEqual({Level.GOOD}, {each.level for each in check(facts({NAME: [PUBLIC]}), has_relay=False)})

    def test_names(self) -> None:
        """A name that leads nowhere, elsewhere, to IPv6 only, or by a NAT."""
        self.assert_found(facts({NAME: []}), Level.BAD, NAME, "not in the DNS", f"A record with {PUBLIC}")
        self.assert_found(facts({NAME: ["9.9.9.9"]}), Level.BAD, "9.9.9.9", "not an address of this machine", PUBLIC)
        both = (PUBLIC, "2001:4860::1")
        self.assert_found(facts({NAME: [PUBLIC, "2001:4860::2"]}, both), Level.BAD, "2001:4860::2", "AAAA")
        self.assert_found(facts({NAME: ["2001:4860::1"]}, both), Level.DOUBT, "IPv6 only", "A record")
        self.assert_found(facts({NAME: ["127.0.1.1"]}), Level.DOUBT, "/etc/hosts")
        behind = facts({NAME: [PUBLIC]}, (PRIVATE,))
        self.assert_found(behind, Level.DOUBT, "NAT", "forward TCP 80, 443", f"to {PRIVATE}")
        self.assertEqual([PUBLIC], behind_nat([PUBLIC], [PRIVATE]))
        self.assertFalse(behind_nat([PUBLIC], [PUBLIC]))
        self.assert_found(
            facts({NAME: [PUBLIC]}, (PRIVATE,), seen_as="9.9.9.9"), Level.BAD, "others see this machine as 9.9.9.9"
        )

    def test_ports(self) -> None:
        """A port that another program has is in the way; those of callnet's own programs are not."""
        for kind, port in PORTS:
            taken = facts({NAME: [PUBLIC]}, taken={f"{kind} {port}": "nginx"})
            self.assert_found(taken, Level.BAD, f"port {kind} {port}", "in use by nginx", "disable --now", "ss -")
        own = facts({NAME: [PUBLIC]}, taken={"tcp 443": "twistd", "udp 3478": "turnserver"})
        self.assertEqual({Level.GOOD}, {each.level for each in check(own, has_relay=False)})
        relay = facts({NAME: [PUBLIC]}, taken={"udp 3478": "turnserver"})
        self.assert_found(relay, Level.BAD, "in use by turnserver")
        self.assertEqual({Level.GOOD}, {each.level for each in check(relay, has_relay=True)})


class WantedTests(SynchronousTestCase):
    """The settings."""

    def test_written(self) -> None:
        """The file has every setting that is wanted, each in its section."""
        wanted = Wanted([NAME], "me@example.org", external=[PUBLIC])
        self.assertEqual(wanted.settings(), settings_in(wanted.written()))
        self.assertFalse(wanted.missing(wanted.written()))
        without = wanted.written().replace(f'host = "{NAME}"', "")
        self.assertEqual({"turn.supervised.host": NAME}, wanted.missing(without))
        self.assertEqual(f'[turn.supervised]\nhost = "{NAME}"\n', rendered(wanted.missing(without)))

    def test_not_toml(self) -> None:
        """A file that is no TOML is said to be none."""
        self.assertIn("not TOML", str(self.assertRaises(SetupError, Wanted([NAME]).missing, "=")))


class InterruptedTests(SynchronousTestCase):
    """Files of setup that could not be written the second time, since the disk was full."""

    SIZE_MAX: Final = 1024
    """Bytes of a file for which there is room."""

    def setUp(self) -> None:
        """A machine that is set up."""
        self.root = Path(self.mktemp()).absolute()
        (self.root / "bin").mkdir(parents=True)
        for name in ("chgrp", "runuser"):
            (self.root / "bin" / name).write_text("#!/bin/sh\n")
            (self.root / "bin" / name).chmod(0o755)
        path = f"{self.root}/bin:{os.environ['PATH']}"
        self.system = System(self.root, Path("/opt/callnet/.venv"), self.root, {"PATH": path}, True)
        for step in (SettingsStep(), UnitStep()):
            self.do(step, self.job("first"))

    def job(self, name: str, size: int = 1) -> Job:
        """A set-up for other names by another release, which brings another unit.

        :param size: of both files, at least, in bytes.
        """
        names = [f"{name}.example.org", *(f"{'n' * 60}{number}.example.org" for number in range(size // 60))]
        (self.root / "callnet.service").write_text(name.ljust(size))
        return Job(self.system, Wanted(names), facts({}), read_record(self.system), self.fail)

    def do(self, step: Step, job: Job) -> None:
        """Do a step as the command does."""
        self.assertIn("write /etc/", step.look(job))
        try:
            step.do(job)
        finally:
            job.keep()

    def fill_disk(self, step: Step, name: str) -> Job:
        """Do a step that needs more room than there is."""
        job = self.job(name, self.SIZE_MAX * 2)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.SIZE_MAX, before[1]))
        try:
            self.assertIn("File too large", str(self.assertRaises(SetupError, self.do, step, job)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return job

    def test_not_written(self) -> None:
        """A file that is as setup has written it before is setup's: it is written again, and removed."""
        for step in (SettingsStep(), UnitStep()):
            self.fill_disk(step, "second")
            self.fill_disk(step, "third")
            self.do(step, self.job("fourth"))
            self.fill_disk(step, "fifth")
            self.assertIn("removed /etc/", step.undo(self.system, read_record(self.system)))

    def test_not_noted(self) -> None:
        """So is one that setup has written, and then could note nothing any more."""
        for step, path in ((SettingsStep(), SETTINGS), (UnitStep(), f"/{UNIT}")):
            job = self.fill_disk(step, "second")
            put(self.system, path, job.wanted.written() if path == SETTINGS else "second".ljust(self.SIZE_MAX * 2))
            self.fill_disk(step, "third")
            self.assertIn("removed /etc/", step.undo(self.system, read_record(self.system)))

    def test_never_written(self) -> None:
        """A file that is not there yet is nobody's: nothing is said of it."""
        undo(self.system, read_record(self.system), purge=False)
        for step, path in ((SettingsStep(), SETTINGS), (UnitStep(), f"/{UNIT}")):
            self.fill_disk(step, "second")
            self.assertEqual("", step.undo(self.system, read_record(self.system)))
            put(self.system, path, "[one]\n" if path == SETTINGS else "mine")
            self.assertEqual("", step.undo(self.system, read_record(self.system)))
