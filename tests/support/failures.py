"""Looks for failures in the log."""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer


@implementer(ILogObserver)
class FailureWatcher:
    """Keeps what is logged as a failure."""

    def __init__(self) -> None:
        self.failures: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        """Look at what is logged."""
        if "log_failure" in event:
            self.failures.append(event)
