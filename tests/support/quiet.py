"""A test case that watches the log: clients must not be able to fill it, nor to learn others' secrets from it."""

from __future__ import annotations

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from harness.leaks import check
from tests.support.wires import World

_LOUD = (LogLevel.warn, LogLevel.error, LogLevel.critical)


class QuietTestCase(SynchronousTestCase):
    """A server of its own for each test. Nothing above ``info`` may be in its log, and no token at all."""

    def setUp(self) -> None:
        """Watch the log; start a server."""
        self.secrets: list[str] = []
        """Secrets that no line of the log may hold."""
        self._expected: tuple[type[Exception], ...] = ()
        self._events = EventLoggingObserver()
        globalLogPublisher.addObserver(self._events)
        self.addCleanup(globalLogPublisher.removeObserver, self._events)
        self.addCleanup(self._check_log)
        self.world = self.make_world()
        self.addCleanup(self.world.stop)

    def make_world(self) -> World:
        """Start the server that the tests of this case want."""
        return World()

    def expect_error(self, kind: type[Exception]) -> None:
        """Expect one error of this kind in the log; it does not fail the test."""
        self.assertEqual(len(self.flushLoggedErrors(kind)), 1)
        self._expected += (kind,)

    def _check_log(self) -> None:
        for event in self._events:
            text = formatEvent(event)
            check(text)
            if "log_failure" in event and event["log_failure"].check(*self._expected):
                continue
            self.assertNotIn(event["log_level"], _LOUD, f"{event['log_namespace']}: {text} {event.get('log_failure')}")
            for secret in self.secrets:
                self.assertNotIn(secret, text)
                self.assertNotIn(secret, repr(event))
