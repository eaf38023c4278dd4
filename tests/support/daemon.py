"""The daemon of :mod:`harness.daemon` for trial: a test serves something to it while it starts or stops.

A test case makes one, starts it, and stops it in the end::

    daemon = Daemon(self.mktemp())
    self.addCleanup(daemon.stop)
    await daemon.start()
    Account(daemon.account_url, reactor)
"""

from __future__ import annotations

import re
import subprocess
from typing import Any, BinaryIO

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from harness import daemon
from harness.daemon import READY, STOP_LIMIT, TWISTD
from harness.forks import Fork
from tests.support.processes import written


class ForkedDaemon(daemon.Daemon):
    """One daemon. It is forked (:mod:`harness.forks`), unless it is started in a way of its own.

    :param network: the name of the network namespace that it is in, as it is forked.
    """

    def __init__(self, *arguments: Any, network: str = "", **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._network = network

    def _begin(self, log: BinaryIO) -> subprocess.Popen[bytes] | Fork:
        if self._command != TWISTD or self._descriptors or self._is_piped:
            return super()._begin(log)
        return Fork(self._command, self.folder, self.environ, log, network=self._network)


class Daemon(ForkedDaemon):
    """The same, which does not block."""

    _looked_at = 0

    def start(self) -> Deferred[None]:  # type: ignore[override]
        """Start it; fires when it serves."""
        self._looked_at = 0
        self.launch()
        return deferToThread(self.await_service)

    def stop(self, limit: float = STOP_LIMIT) -> Deferred[None]:  # type: ignore[override]
        """Send SIGTERM; fires when the process is gone.

        It fails if that takes too long, or if the log has something that no log may have.
        """
        return deferToThread(super().stop, limit)

    def ended(self) -> Deferred[None]:
        """Fires when the process is gone and its log is whole; fails if that takes too long."""
        return deferToThread(self.wait)

    def said(self, pattern: str) -> Deferred[re.Match[str]]:
        """Fires when its log has a match, after its URLs and the match that was waited for before."""

        def look_on(match: re.Match[str]) -> re.Match[str]:
            self._looked_at = match.end()
            return match

        if not self._looked_at:
            ready = READY.search(self.log)
            assert ready is not None, "it does not serve"
            look_on(ready)
        return written(self.log_file, re.compile(pattern), self._looked_at).addCallback(look_on)
