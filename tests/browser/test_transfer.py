"""The transfer when the pages are opened, for the first time and again.

The site has no TLS here, as on a machine of one's own: a browser keeps nothing of a site whose certificate it does not
trust.
"""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import BrowserContext
from twisted.internet.defer import Deferred

from harness.daemon import LISTENERS
from tests.browser.case import BrowserCase
from tests.browser.stage import Stage
from tests.browser.visitor import PAGE
from tests.support.shared_daemon import shared_daemon

MOST_OF_PHONE: Final = 90_000
MOST_OF_PAGE: Final = 110_000
MOST_OF_GUEST: Final = 30_000
"""Bytes, with headers, that come over the wire at a first visit."""
MOST_REQUESTS: Final = 3
"""Requests that a second visit makes."""


class Transfer:
    """Everything that a page has fetched over the network."""

    def __init__(self, context: BrowserContext) -> None:
        self.page = context.new_page()
        self.sizes: dict[str, int] = {}
        self._kept: set[str] = set()
        session = context.new_cdp_session(self.page)
        session.on("Network.requestServedFromCache", lambda event: self._kept.add(event["requestId"]))
        session.on("Network.responseReceived", self._note)
        session.on("Network.loadingFinished", self._finish)
        session.send("Network.enable")

    def _note(self, event: dict[str, Any]) -> None:
        if event["response"].get("fromDiskCache"):
            self._kept.add(event["requestId"])

    def _finish(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self._kept:
            self.sizes[event["requestId"]] = int(event["encodedDataLength"])


class TransferTests(BrowserCase):
    """A visitor whose browser has nothing yet, and one who was here before."""

    async def start_daemon(self) -> None:
        """Start it without TLS."""
        self.daemon = await shared_daemon(self, listeners=LISTENERS.replace("site = [{ ", "site = [{ tls = false, "))

    def visit_twice(self, path: str, shown: str, most: int) -> Deferred[None]:
        """Open a page twice, and look at what came over the wire."""

        def story(stage: Stage) -> None:
            context = stage.profile(stage.browser(None))
            first, second = Transfer(context), Transfer(context)
            for visit in (first, second):
                visit.page.goto(f"{stage.site_url}{path}")
                visit.page.wait_for_selector(shown)
                visit.page.wait_for_load_state("networkidle")
            self.assertLessEqual(sum(first.sizes.values()), most)
            self.assertGreater(len(first.sizes), MOST_REQUESTS)
            self.assertLessEqual(len(second.sizes), MOST_REQUESTS)

        return self.play(story)

    def test_phone(self) -> Deferred[None]:
        """The phone takes at most 90 kB the first time, and at most three requests after that."""
        return self.visit_twice("/", 'body[data-scene="login"]', MOST_OF_PHONE)

    def test_page(self) -> Deferred[None]:
        """The page of a call takes at most 110 kB the first time, and at most three requests after that."""
        return self.visit_twice(f"{PAGE}?room_id={'0' * 32}&prejoin=1", "#preview", MOST_OF_PAGE)

    def test_guest(self) -> Deferred[None]:
        """The page of guests takes at most 30 kB the first time, and at most three requests after that."""
        return self.visit_twice("/guest#secret", 'body[data-scene="door"]', MOST_OF_GUEST)
