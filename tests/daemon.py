"""The daemon as a process of its own, on ports that the kernel chooses, for tests that need the real thing.

A test case makes one, starts it, and stops it in the end::

    daemon = Daemon(self.mktemp())
    self.addCleanup(daemon.stop)
    await daemon.start()
    Account(daemon.account_url, reactor)
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

START_TIME: Final = 60
"""Seconds that a start may take on a machine that is busy with other tests."""
STOP_TIME: Final = 10
"""Seconds that SIGTERM may take."""

LISTENERS: Final = """
[listeners]
account = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
signaling = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
site = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
admin = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
"""

BIN: Final = os.path.dirname(sys.executable)
TWISTD: Final = (os.path.join(BIN, "twistd"), "--nodaemon", "--pidfile=", "callnet")

URLS: Final = re.compile(
    r"is ready\.\n\s+phone +\S+\n\s+accounts +(?P<account>\S+)\n\s+signaling +(?P<signaling>\S+)\n"
    r"\s+page +(?P<site>https://[^/\s]+|unix:)\S*\n\s+admin +(?P<admin>http://[^/\s]+)\S*\n"
)

reactor: Any = installed


class Daemon:
    """One daemon.

    :param directory: its home, which is made if it is missing; what it writes goes there.
    :param settings: TOML, beside the listeners.
    :param command: how it is started; its settings come by ``CALLNET_CONFIG``.
    :param drain_deadline: seconds that calls have to end when it is stopped.
    :param descriptors: further files that it is to find open, by the number that they have there.
    """

    def __init__(
        self,
        directory: str,
        settings: str = "",
        command: Sequence[str] = TWISTD,
        listeners: str = LISTENERS,
        descriptors: Mapping[int, int] | None = None,
        drain_deadline: float = 0,
    ) -> None:
        self.directory: Final = os.path.abspath(directory)
        self.state_dir: Final = os.path.join(self.directory, "state")
        self.certificate: Final = os.path.join(self.state_dir, "self-signed.crt")
        self._settings = f"drain_deadline = {drain_deadline}\n{settings}"
        self._listeners = listeners
        self._command = command
        self._descriptors = descriptors or {}
        self._process: _Process | None = None
        self.account_url = ""
        """Such as ``http://127.0.0.1:8083``."""
        self.signaling_url = ""
        """Such as ``ws://127.0.0.1:8082/socket.io``."""
        self.site_url = ""
        """Such as ``https://127.0.0.1:8080``."""
        self.admin_url = ""
        """Such as ``http://127.0.0.1:8084``."""

    @property
    def environ(self) -> Mapping[str, str]:
        """What the process is given of an environment: the switch of the short paths is that of the tests."""
        return {
            **{name: value for name, value in os.environ.items() if name == "CALLNET_SHORT_PATH"},
            "PATH": os.environ["PATH"],
            "HOME": self.directory,
            "CALLNET_CONFIG": os.path.join(self.directory, "callnet.toml"),
        }

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written so far."""
        return "" if self._process is None else self._process.output.decode()

    def write_settings(self) -> None:
        """Write the file that :meth:`start` has the daemon read."""
        os.makedirs(self.directory, exist_ok=True)
        with open(os.path.join(self.directory, "callnet.toml"), "w", encoding="utf-8") as file:
            file.write(f'state_dir = "{self.state_dir}"\n{self._settings}\n{self._listeners}')

    def start(self) -> Deferred[None]:
        """Start it; fires when it serves."""
        self.write_settings()
        self._process = process = _Process()
        descriptors = {0: "w", 1: "r", 2: "r", **self._descriptors}
        reactor.spawnProcess(
            process, self._command[0], self._command, self.environ, self.directory, childFDs=descriptors
        )
        return process.ready.addTimeout(START_TIME, reactor).addCallback(self._note)

    def stop(self) -> Deferred[None]:
        """Send SIGTERM; fires when the process is gone, and fails if that takes too long."""
        process = self._process
        return succeed(None) if process is None or process.ended else process.stop()

    def successor(self, settings: str) -> Daemon:
        """Another one, not started yet, that takes its place once it has stopped: with its files, on its ports."""
        urls = (self.account_url, self.signaling_url, self.site_url, self.admin_url)
        ports = iter([re.findall(":([0-9]+)", url)[0] for url in urls])
        listeners = re.sub("tcp:0:", lambda _: f"tcp:{next(ports)}:", LISTENERS)
        return Daemon(self.directory, settings, self._command, listeners)

    def said(self, pattern: str) -> Deferred[re.Match[str]]:
        """Fires when its log has something like this, after what was asked for before."""
        assert self._process is not None
        return self._process.said(re.compile(pattern)).addTimeout(START_TIME, reactor)

    def _note(self, urls: re.Match[str]) -> None:
        self.account_url, self.signaling_url, self.site_url = urls["account"], urls["signaling"], urls["site"]
        self.admin_url = urls["admin"]


class _Process(ProcessProtocol):
    """Collects what the process says, and notes when it serves and when it is gone."""

    def __init__(self) -> None:
        self.output = b""
        self._looked_at = 0
        self._wanted: list[tuple[re.Pattern[str], Deferred[re.Match[str]]]] = []
        self.pid = 0
        self.ended = False
        self.ready: Deferred[re.Match[str]] = self.said(URLS)
        self._waiting: list[Deferred[None]] = []

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.pid = self.transport.pid

    def outReceived(self, data: bytes) -> None:
        self.output += data
        self._look()

    def said(self, pattern: re.Pattern[str]) -> Deferred[re.Match[str]]:
        """Fires when it has said something like this."""
        found: Deferred[re.Match[str]] = Deferred(lambda _: self._wanted.remove((pattern, found)))
        self._wanted.append((pattern, found))
        self._look()
        return found

    def _look(self) -> None:
        while self._wanted:
            pattern, found = self._wanted[0]
            match = pattern.search(self.output.decode("utf-8", "replace"), self._looked_at)
            if match is None:
                return
            self._looked_at = match.end()
            self._wanted.pop(0)
            found.callback(match)

    def errReceived(self, data: bytes) -> None:
        self.outReceived(data)

    def processEnded(self, reason: Failure) -> None:  # noqa: ARG002
        self.ended = True
        if not self.ready.called:
            self.ready.errback(AssertionError(f"the daemon did not start:\n{self.output.decode()}"))
        for waiting in self._waiting:
            waiting.callback(None)

    def stop(self) -> Deferred[None]:
        """Send SIGTERM, and SIGKILL if that does not end it in time."""
        gone: Deferred[None] = Deferred(lambda _: os.kill(self.pid, signal.SIGKILL))
        self._waiting.append(gone)
        os.kill(self.pid, signal.SIGTERM)
        return gone.addTimeout(STOP_TIME, reactor)
