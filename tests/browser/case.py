"""The case of a test with the real daemon and real browsers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.browser.visitor import Stage, stage
from tests.daemon import Daemon


class BrowserCase(TestCase):
    """A daemon for each test, and browsers that are played in a thread."""

    timeout = 180
    settings = ""
    """TOML for the daemon."""

    def setUp(self) -> Deferred[None]:
        self.daemon = Daemon(self.mktemp(), self.settings)
        self.addCleanup(self.daemon.stop)
        return self.daemon.start()

    def play(self, story: Callable[[Stage], None]) -> Deferred[None]:
        """Play a story with browsers. No page may throw, or want what the site's policy refuses."""
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        return deferToThread(self._play, story, directory)

    def _play(self, story: Callable[[Stage], None], directory: Path) -> None:
        with stage(self.daemon.site_url, directory.absolute()) as browsers:
            story(browsers)
            self.assertEqual(browsers.complaints(), [])
