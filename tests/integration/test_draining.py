"""A daemon that is told to stop while somebody is in a call: one process, and a parent with two workers."""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from callnet.client import Account, Device
from callnet.client.errors import UpgradeRefused
from tests.checked_client import connect
from tests.daemon import Daemon
from tests.integration.test_daemon import PHONE, ring
from tests.integration.test_workers import get, with_workers

reactor: Any = installed


class DrainingMixin:
    """What happens to a call at a stop."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test, which gives calls a minute."""
        raise NotImplementedError

    async def begin(self) -> None:
        """Start it; two devices are in a call, and a third is not."""
        case: Any = self
        self.daemon = self.make(case.mktemp())
        case.addCleanup(self.daemon.stop)
        await self.daemon.start()
        self.account = Account(self.daemon.account_url, reactor)
        called: Deferred[str] = Deferred()

        def note(frame: Any) -> None:
            if not called.called:
                called.callback(frame.type)

        self.idle = await self.device("idle")
        self.caller = await self.device("phone")
        self.callee = await self.device(
            "tv", on_frame=lambda frame: None if called.called else called.callback(frame.type)
        )
        ring(self.caller, called)
        await called

    async def device(self, device_id: str, **options: Any) -> Device:
        """Log a device in and connect it."""
        token = await self.account.login(PHONE, device_id)
        return await connect(self.daemon.signaling_url, token, reactor, **options)

    async def test_it_is_waited_for(self) -> None:
        """It goes on while idle devices are sent away, new ones are refused, and the daemon says that it is draining;
        when it has ended the daemon ends too.
        """
        case: Any = self
        await self.begin()
        token = await self.account.login(PHONE, "late")
        gone = self.daemon.stop()
        case.assertEqual(1001, (await self.idle.when_closed()).code)
        status, body = await get(f"{self.daemon.admin_url}/readyz")
        case.assertEqual(503, status)
        case.assertIn(b"draining", body)
        refused = await case.assertFailure(connect(self.daemon.signaling_url, token, reactor), UpgradeRefused)
        case.assertEqual(503, refused.status)
        closed = gatherResults([self.caller.when_closed(), self.callee.when_closed()])
        case.assertNoResult(closed)
        case.assertNoResult(gone)
        self.caller.cancel()
        case.assertEqual([1001, 1001], [reason.code for reason in await closed])
        await gone
        case.assertNotIn("Traceback", self.daemon.log)

    async def test_another_signal_ends_the_wait(self) -> None:
        """A second SIGTERM, or Ctrl-C, ends the wait, with no complaint."""
        case: Any = self
        await self.begin()
        gone = self.daemon.stop()
        case.assertEqual(1001, (await self.idle.when_closed()).code)
        closed = gatherResults([self.caller.when_closed(), self.callee.when_closed()])
        case.assertNoResult(closed)
        os.kill(self.daemon.pid, signal.SIGINT)
        case.assertEqual([1001, 1001], [reason.code for reason in await closed])
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
