"""A daemon that is told to stop while somebody is in a call: one process, and a parent with two workers."""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from callnet_client import UpgradeRefused
from tests.integration.test_daemon import PHONE
from tests.integration.test_workers import get, with_workers
from tests.support.daemon import Daemon
from tests.support.devices import log_in, member, service_of

reactor: Any = installed


class DrainingMixin:
    """Calls during a stop."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test, which gives calls a minute."""
        raise NotImplementedError

    async def begin(self) -> None:
        """Start it; two devices are in a call, and a third is not."""
        case: Any = self
        self.daemon = self.make(case.mktemp())
        case.addCleanup(self.daemon.stop)
        await self.daemon.start()
        self.service = service_of(self.daemon)
        self.idle, self.caller, self.callee = [
            await member(case, self.service, PHONE, device_id) for device_id in ("idle", "phone", "tv")
        ]
        await self.caller.reaches(self.callee)

    async def test_it_is_waited_for(self) -> None:
        """It goes on while idle devices are sent away, new ones are refused, and the daemon says that it is draining;
        a reload changes nothing of that. When the call has ended the daemon ends too.
        """
        case: Any = self
        await self.begin()
        token = await log_in(self.service, PHONE, "late")
        gone = self.daemon.stop()
        case.assertEqual(1001, await self.idle.lost())
        os.kill(self.daemon.pid, signal.SIGHUP)
        status, body = await get(f"{self.daemon.admin_url}/readyz")
        case.assertEqual(503, status)
        case.assertIn(b"draining", body)
        refused = await case.assertFailure(self.service.connect(token, lambda _: None), UpgradeRefused)
        case.assertEqual(503, refused.status)
        case.assertGreater(refused.retry_after, 0)
        closed = gatherResults([self.caller.lost(), self.callee.lost()])
        case.assertNoResult(closed)
        case.assertNoResult(gone)
        call: Any = self.caller.device.call
        call.hang_up()
        case.assertEqual([1001, 1001], await closed)
        await gone
        case.assertNotIn("Traceback", self.daemon.log)

    async def test_another_signal_ends_the_wait(self) -> None:
        """A second SIGTERM, or Ctrl-C, ends the wait, with no complaint."""
        case: Any = self
        await self.begin()
        gone = self.daemon.stop()
        case.assertEqual(1001, await self.idle.lost())
        closed = gatherResults([self.caller.lost(), self.callee.lost()])
        case.assertNoResult(closed)
        os.kill(self.daemon.pid, signal.SIGINT)
        case.assertEqual([1001, 1001], await closed)
        await gone
        case.assertNotIn("Traceback", self.daemon.log)


class OneProcessTests(DrainingMixin, TestCase):
    """One process."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test."""
        return Daemon(directory, drain_deadline=60)


class WorkersTests(DrainingMixin, TestCase):
    """A parent with two workers."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test."""
        return with_workers(directory, drain_deadline=60)
