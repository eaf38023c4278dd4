"""Looks for failures in the log."""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer


@implementer(ILogObserver)
class FailureWatcher:
    """Keeps logged failures."""

    def __init__(self) -> None:
        self.failures: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        """Look at a logged event."""
        if "log_failure" in event:
            self.failures.append(event)
