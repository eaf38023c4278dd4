"""Programs of examples/ as processes."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from harness import ROOT
from harness.daemon import STOP_LIMIT
from tests.support.forked_process import ForkedProcess

EXAMPLES: Final = ROOT / "examples"
PATIENCE: Final = 60
"""Seconds that anything may take on a machine that is busy with other tests."""

reactor: Any = installed


class Program(ProcessProtocol):
    """A program that runs until it is stopped.

    :param folder: where it runs.
    :param environ: all of its environment.
    :param descriptors: files that it is to find open.
    """

    def __init__(
        self, command: Sequence[str], folder: str, environ: Mapping[str, str], descriptors: Sequence[int] = ()
    ) -> None:
        self.said = b""
        """Its output, of both streams."""
        self.has_ended: Deferred[int | None] = Deferred()
        """Fires with its exit status."""
        self._command = command
        self._folder = folder
        self._environ = environ
        self._descriptors = {number: number for number in descriptors}
        self._wanted: list[tuple[re.Pattern[bytes], Deferred[re.Match[bytes]]]] = []

    def start(self) -> None:
        """Start it."""
        files: dict[int, int | str] = {0: "w", 1: "r", 2: "r", **self._descriptors}
        reactor.spawnProcess(self, self._command[0], self._command, self._environ, self._folder, childFDs=files)

    @property
    def pid(self) -> int:
        """The process."""
        assert self.transport is not None
        return int(self.transport.pid)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def stop(self) -> Deferred[int | None]:
        """Stop it; fires when it is gone."""
        if not self.has_ended.called:
            self.signal(signal.SIGTERM)
        return self.has_ended.addTimeout(STOP_LIMIT, reactor)

    def says(self, pattern: str) -> Deferred[re.Match[bytes]]:
        """Fires when it has said something like this, since ``said`` was emptied."""
        wanted: Deferred[re.Match[bytes]] = Deferred()
        self._wanted.append((re.compile(pattern.encode(), re.DOTALL), wanted))
        self._look()
        return wanted.addTimeout(PATIENCE, reactor)

    def outReceived(self, data: bytes) -> None:
        """Record its output."""
        self.said += data
        self._look()

    def errReceived(self, data: bytes) -> None:
        """Record its errors."""
        self.outReceived(data)

    def processEnded(self, reason: Failure) -> None:
        """Note that it is gone."""
        self._note_end(reason.value.exitCode)  # type: ignore[union-attr]

    def _note_end(self, status: int | None) -> None:
        for _, wanted in self._wanted:
            wanted.errback(AssertionError(f"the program has ended:\n{self.said.decode()}"))
        self.has_ended.callback(status)

    def _look(self) -> None:
        for pattern, wanted in list(self._wanted):
            if match := pattern.search(self.said):
                self._wanted.remove((pattern, wanted))
                wanted.callback(match)


class Script(Program):
    """A script of examples/. It is forked.

    :param place: its place in there.
    :param environ: what it needs beside a path.
    :param options: of :class:`harness.forks.Fork`.
    """

    def __init__(self, place: str, folder: str, environ: Mapping[str, str], *arguments: str, **options: Any) -> None:
        super().__init__((str(EXAMPLES / place), *arguments), folder, {"PATH": os.environ["PATH"], **environ})
        self._options = options

    def start(self) -> None:
        """Start it."""
        folder = Path(self._folder)
        self._forked = ForkedProcess(self.outReceived, self._command, folder, self._environ, **self._options)
        self._forked.ended.addCallback(self._note_end)

    @property
    def pid(self) -> int:
        """The process."""
        return self._forked.process.pid

    def write(self, text: str) -> None:
        """Type something."""
        self._forked.write(text)
