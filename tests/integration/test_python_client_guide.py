"""The programs of docs/python-client.md, as they stand there: one on Twisted calls one on asyncio, over TLS."""

from __future__ import annotations

import os
import re
import sys
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from harness import ROOT
from tests.support.daemon import Daemon

PAGE: Final = ROOT / "docs" / "python-client.md"
DOORBELL: Final = "13800000002"
PATIENCE: Final = 60

reactor: Any = installed


class Program(ProcessProtocol):
    """A program that runs."""

    def __init__(self, wanted: str) -> None:
        self.output = ""
        self.shown: Deferred[None] = Deferred()
        self.ended: Deferred[int | None] = Deferred()
        self._wanted = wanted

    def outReceived(self, data: bytes) -> None:
        """Record its output."""
        self.output += data.decode()
        if self._wanted in self.output and not self.shown.called:
            self.shown.callback(None)

    def errReceived(self, data: bytes) -> None:
        """Record its errors."""
        self.outReceived(data)

    def processEnded(self, reason: Failure) -> None:
        """Note the end."""
        value: Any = reason.value
        self.ended.callback(value.exitCode)
        if not self.shown.called:
            self.shown.errback(AssertionError(self.output))

    def stop(self) -> Deferred[int | None] | None:
        """Make sure that it is gone."""
        transport: Any = self.transport
        if self.ended.called:
            return None
        transport.signalProcess("KILL")
        return self.ended


class GuideTests(TestCase):
    """Both programs of the guide."""

    timeout = 180

    def run_program(self, number: int, wanted: str) -> Program:
        """Run one of them."""
        source = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[number]
        program = Program(wanted)
        environ = {**os.environ, "SSL_CERT_FILE": str(self.daemon.certificate), "PYTHONUNBUFFERED": "1"}
        command = (sys.executable, "-c", source, self.daemon.site_url, DOORBELL)
        reactor.spawnProcess(program, command[0], command, environ)
        self.addCleanup(program.stop)
        return program

    async def test_programs(self) -> None:
        """The doorbell is online, is called, accepts, and both end when the caller hangs up."""
        self.daemon = Daemon(self.mktemp())
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()
        doorbell = self.run_program(1, "the doorbell is online")
        await doorbell.shown.addTimeout(PATIENCE, reactor)
        caller = self.run_program(0, "over")
        self.assertEqual(0, await caller.ended.addTimeout(PATIENCE, reactor), caller.output)
        self.assertEqual(0, await doorbell.ended.addTimeout(PATIENCE, reactor), doorbell.output)
        self.assertEqual("talking to doorbell\nover: hangup\n", caller.output)
        self.assertEqual(
            ["the doorbell is connecting", "the doorbell is online", "over: hangup"], doorbell.output.splitlines()
        )
