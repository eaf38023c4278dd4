"""The cases of tests with the real daemon and real browsers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread
from twisted.trial.unittest import TestCase

from harness.daemon import staying_listeners
from tests.browser.shared import play
from tests.browser.stage import Stage
from tests.support.daemon import Daemon
from tests.support.shared_daemon import shared_daemon

reactor: Any = installed


def in_reactor(function: Callable[[], Any]) -> Any:
    """Call ``function`` in the reactor's thread, from a story, and wait for its result."""
    return blockingCallFromThread(reactor, function)


class BrowserCase(TestCase):
    """A daemon that tests share (`tests/support/shared_daemon.py`), and browsers that are played in a thread."""

    timeout = 600
    settings = ""
    """TOML for the daemon."""
    daemon: Daemon

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Start the daemon, unless an earlier test did."""
        return Deferred.fromCoroutine(self.start_daemon())

    async def start_daemon(self) -> None:
        """Start the daemon."""
        self.daemon = await shared_daemon(self, self.settings)

    def play(self, story: Callable[[Stage], None]) -> Deferred[None]:
        """Play a story with browsers. No page may throw, or request anything that the site's policy refuses."""

        def watched(stage: Stage) -> None:
            try:
                story(stage)
            except Exception as error:
                error.args = (f"{error}\n{stage.report()}",)
                raise
            self.assertEqual(stage.complaints(), [])

        return play(self.daemon.site_url, watched)


class OwnDaemonCase(BrowserCase):
    """A daemon for each test, which may stop it, count what it did, or have any device and room."""

    async def start_daemon(self) -> None:
        """Start the daemon."""
        self.daemon = Daemon(self.mktemp(), self.settings, listeners=staying_listeners())
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()

    def restart_daemon(self, settings: str) -> None:
        """Stop the daemon and start it again, with its files and on its ports. For stories: it waits."""
        in_reactor(self.daemon.stop)
        self.daemon.reconfigure(settings)
        in_reactor(self.daemon.start)
