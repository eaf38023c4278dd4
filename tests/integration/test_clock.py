"""The clock of the machine is set while the daemon serves."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from harness.daemon import TWISTD
from tests.support.devices import member, service_of
from tests.support.shared_daemon import new_phone, shared_daemon

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
RING_TIME: Final = 3.0
PATIENCE: Final = 60.0
"""Seconds that anything may take on a machine that is busy with other tests."""

_SET_BY_A_FILE: Final = """
import os, sys, time
real = time.time
def told():
    try:
        with open(os.environ["HOME"] + "/clock") as file:
            return real() + float(file.read())
    except FileNotFoundError:
        return real()
time.time = told
from twisted.scripts.twistd import run
run()
"""
"""Runs twistd on a machine whose clock is ahead by the number in a file, if there is one."""

reactor: Any = installed


class SetClockTests(TestCase):
    """A daemon whose machine's clock can be set, and two devices."""

    async def begin(self) -> None:
        """Have it, at the right time, and connect the devices."""
        command = (sys.executable, "-c", _SET_BY_A_FILE, *TWISTD[1:])
        self.daemon = await shared_daemon(self, f"calls.ring_time = {RING_TIME}\n", command=command)
        self.clock = self.daemon.folder / "clock"
        self.addCleanup(self.set_clock, 0)
        self.service = service_of(self.daemon)
        self.phone = new_phone()
        self.caller = await member(self, self.service, new_phone(), "phone", extended=True)
        self.callee = await member(self, self.service, self.phone, "tv")

    def set_clock(self, seconds: float) -> None:
        """Set the clock so far ahead."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(str(seconds))
        os.replace(fresh, self.clock)

    def wait(self, seconds: float) -> Deferred[None]:
        """Fires after this number of seconds."""
        return deferLater(reactor, seconds, lambda: None)

    async def rings_for_its_time(self, step: float) -> None:
        """A call rings neither longer nor shorter when the clock is set."""
        await self.begin()
        called_at = time.monotonic()
        call = self.caller.calls(self.phone, "tv")
        await self.callee.ringing.get()
        self.set_clock(step)
        await call.until("over").addTimeout(PATIENCE, reactor)
        self.assertGreater(time.monotonic() - called_at, RING_TIME - 0.1)
        self.assertEqual("no_answer", call.reason)

    def test_set_back(self) -> Deferred[None]:
        """A clock that is set back by 3 days lets a call ring for its time."""
        return Deferred.fromCoroutine(self.rings_for_its_time(-3 * DAY))

    def test_set_forth(self) -> Deferred[None]:
        """A clock that is set forth by an hour does not end a call that rings."""
        return Deferred.fromCoroutine(self.rings_for_its_time(HOUR))

    async def test_call_goes_on(self) -> None:
        """A call that goes on does so when the clock is set forth by 3 days, and its history has the new dates."""
        await self.begin()
        call = await self.caller.talks_to(self.callee)
        self.set_clock(3 * DAY)
        await self.wait(1.5)
        self.assertEqual(("active", "online"), (call.state, self.caller.device.state))
        call.hang_up()
        await self.caller.over.get()
        # A token that a clock of three days ago has made is good for four days more.
        while not (past := await self.callee.account.history()).calls:
            await self.wait(1)
        (row,) = past.calls
        self.assertLess(abs(row.ended_at - time.time() - 3 * DAY), 60)
