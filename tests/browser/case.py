"""The case of a test with the real daemon and real browsers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.trial.unittest import TestCase

from tests.browser.stage import Stage, stage
from tests.support.daemon import Daemon

reactor: Any = installed


def in_reactor(function: Callable[[], Any]) -> Any:
    """Call ``function`` in the reactor's thread, from a story, and wait for what it comes to."""
    return blockingCallFromThread(reactor, function)


class BrowserCase(TestCase):
    """A daemon for each test, and browsers that are played in a thread."""

    timeout = 180
    settings = ""
    """TOML for the daemon."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Start the daemon."""
        self.daemon = Daemon(self.mktemp(), self.settings)
        self.addCleanup(self.daemon.stop)
        return self.daemon.start()

    def restart_daemon(self, settings: str) -> None:
        """Stop the daemon and start it again, with its files and on its ports. For stories: it waits."""
        in_reactor(self.daemon.stop)
        self.daemon.reconfigure(settings)
        in_reactor(self.daemon.start)

    def play(self, story: Callable[[Stage], None]) -> Deferred[None]:
        """Play a story with browsers. No page may throw, or want what the site's policy refuses."""
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        return deferToThread(self._play, story, directory)

    def _play(self, story: Callable[[Stage], None], directory: Path) -> None:
        with stage(self.daemon.site_url, directory.absolute()) as browsers:
            story(browsers)
            self.assertEqual(browsers.complaints(), [])
