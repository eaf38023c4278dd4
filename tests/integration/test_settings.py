"""Settings that are changed while a daemon runs: one process, and a parent with two workers."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.trial.unittest import TestCase

from callnet_client import AccountError
from tests.integration.test_workers import with_workers
from tests.support.daemon import Daemon
from tests.support.devices import log_in, member, service_of

PHONE: Final = "13651884967"
LIMIT: Final = "limits.logins_a_minute_of_a_phone"
ORIGINS: Final = [f"https://{number}.example.org" for number in range(3000)]
reactor: Any = installed


class SettingsMixin:
    """A limit that is changed."""

    def make(self, directory: str, settings: str) -> Daemon:
        """The daemon to test."""
        raise NotImplementedError

    async def test_a_limit_is_changed(self) -> None:
        """After SIGHUP the new limit holds; an invalid file changes nothing, and the log says why. Devices stay
        connected, however long the settings are.
        """
        case: Any = self
        daemon = self.make(case.mktemp(), f"{LIMIT} = 0\nsignaling.allowed_origins = {json.dumps(ORIGINS)}")
        case.addCleanup(daemon.stop)
        await daemon.start()
        service = service_of(daemon)
        lost = (await member(case, service, PHONE, "phone")).lost()
        for _ in range(4):
            await log_in(service, PHONE, "tv")
        file = Path(daemon.folder, "callnet.toml")
        as_it_was = file.read_text(encoding="utf-8")
        for wrong in (f"{LIMIT} = -1", f"{LIMIT} = 2\nno_such_setting = 1"):
            file.write_text(as_it_was.replace(f"{LIMIT} = 0", wrong), encoding="utf-8")
            os.kill(daemon.pid, signal.SIGHUP)
            await daemon.said("kept the old settings: .*callnet.toml: ")
            await log_in(service, PHONE, "tv")
        file.write_text(as_it_was.replace(f"{LIMIT} = 0", f"{LIMIT} = 2"), encoding="utf-8")
        os.kill(daemon.pid, signal.SIGHUP)
        await daemon.said(f"reloaded the settings; changed: {LIMIT}")
        with case.assertRaises(AccountError) as caught:
            while True:  # the parent says so before its workers hear of it
                await log_in(service, "13651884969", "tv")
        case.assertEqual((429, 6), (caught.exception.status, caught.exception.code))
        let_through = 0
        for _ in range(6):
            try:
                await log_in(service, "13651884968", "tv")
                let_through += 1
            except AccountError as error:
                case.assertEqual((429, 6), (error.status, error.code))
        # A worker may hear of it a moment later, and a third login may come when the first is half a minute ago.
        case.assertTrue(2 <= let_through < 6, let_through)
        case.assertNoResult(lost)
        case.assertNotIn("Traceback", daemon.log)


class OneProcessTests(SettingsMixin, TestCase):
    """One process."""

    def make(self, directory: str, settings: str) -> Daemon:
        """The daemon to test."""
        return Daemon(directory, settings)


class WorkersTests(SettingsMixin, TestCase):
    """A parent with two workers."""

    def make(self, directory: str, settings: str) -> Daemon:
        """The daemon to test."""
        return with_workers(directory, settings)
