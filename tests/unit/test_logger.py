"""callnet's logger, and the level that it goes by."""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from callnet.util.logger import LEVELS, Logger, threshold


@implementer(ILogObserver)
class _Kept:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.events.append(event)


class LevelTests(SynchronousTestCase):
    """The levels of log lines."""

    def setUp(self) -> None:
        """A logger."""
        kept = _Kept()
        self.events = kept.events
        self.log = Logger("somewhere", observer=kept)
        self.addCleanup(threshold.choose, "info")

    def said(self) -> list[str]:
        """The levels of the logged events if there is one at each."""
        self.events.clear()
        for level in LEVELS.values():
            self.log.emit(level, "something")
        return [event["log_level"].name for event in self.events]

    def test_from_the_level_on(self) -> None:
        """Lines below the level are left out; at first that is ``debug``."""
        self.assertEqual(self.said(), ["info", "warn", "error"])
        for number, name in enumerate(LEVELS):
            threshold.choose(name)
            self.assertEqual(self.said(), list(LEVELS)[number:])

    def test_failures(self) -> None:
        """Failures of our own are above every level."""
        threshold.choose("error")
        self.log.failure("doing something", Failure(ZeroDivisionError()))
        self.assertEqual([event["log_level"] for event in self.events], [LogLevel.critical])

    def test_details(self) -> None:
        """Only at ``debug`` is it worth finding out details."""
        found = {}
        for name in LEVELS:
            threshold.choose(name)
            found[name] = threshold.has_details
        self.assertEqual(found, {"debug": True, "info": False, "warn": False, "error": False})

    def test_where_it_is_used(self) -> None:
        """It says where it is used, as Twisted's does."""
        self.assertEqual(Logger().namespace, __name__)
        self.assertEqual(_Used.log.namespace, f"{__name__}._Used")


class _Used:
    log = Logger()
