"""The browsers of a process of tests, and the thread that they live in: Playwright is used in one thread only.

Each test has profiles of its own in them. A start of Playwright, and of a browser, takes about a second of CPU. No
microphone hears anything, and nothing is played of what others say, unless a test says before anybody comes that it
wants sound: ``stage.has_sound = True``.
"""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cache, partial
from pathlib import Path
from threading import Thread
from typing import Any, Final

from playwright.sync_api import sync_playwright
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from tests.browser.stage import HEADLESS_SHELL, Browsers, Stage

reactor: Any = installed

_RATE: Final = 3
"""Pictures that cameras take in a second: enough for a page to see that they move, and a tenth less CPU than with 5."""


class _BrowserThread:
    """A thread that has Playwright and its browsers."""

    def __init__(self) -> None:
        self._pool = ThreadPool(1, 1, "browsers")
        # It may not keep the process from its end, which takes it down.
        self._pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
        self._pool.start()
        self._exits = ExitStack()
        self._browsers: Browsers | None = None
        atexit.register(self._close)

    def _close(self) -> None:
        self._pool.callInThread(self._exits.close)
        self._pool.stop()

    def _open(self) -> Browsers:
        folder = self._exits.enter_context(tempfile.TemporaryDirectory(prefix="callnet-cameras-"))
        return Browsers(self._exits.enter_context(sync_playwright()), Path(folder), HEADLESS_SHELL, _RATE)

    def play(self, site_url: str, story: Callable[[Stage], None]) -> Deferred[None]:
        return deferToThreadPool(reactor, self._pool, self._play, site_url, story)

    def _play(self, site_url: str, story: Callable[[Stage], None]) -> None:
        if self._browsers is None:
            self._browsers = self._open()
        with closing(Stage(self._browsers, site_url, has_sound=False)) as stage:
            story(stage)


_thread = cache(_BrowserThread)


def play(site_url: str, story: Callable[[Stage], None]) -> Deferred[None]:
    """Play a story with the browsers that this process shares. Fails with the story's exception, if there is one."""
    return _thread().play(site_url, story)
