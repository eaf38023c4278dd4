"""The cost of opening the page: the amount that is loaded, and from where."""

from __future__ import annotations

import gzip
from typing import Final

from playwright.sync_api import Response
from twisted.internet.defer import Deferred

from tests.browser.case import BrowserCase
from tests.browser.stage import Stage
from tests.browser.visitor import Visitor

HEAVIEST: Final = 150_000
"""Bytes, compressed, of all that a call loads."""


def open_all(visitor: Visitor, *names: str) -> None:
    """Open what there is to open beside a call, so that all is loaded."""
    for name in names:
        if name in ("chat", "more"):
            visitor.press(name)
        elif name == "statistics":
            visitor.page.keyboard.press("s")
        else:
            visitor.press("more")
            visitor.press(f"open-{name}")
        visitor.await_shown(f"{name}-drawer")
        visitor.page.keyboard.press("Escape")
        visitor.await_hidden(f"{name}-drawer")


class WeightTests(BrowserCase):
    """A visitor who uses everything."""

    def test_weight(self) -> Deferred[None]:
        """All that a call can load is under 150 kB compressed; the QR code's script comes when it is wanted."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            answers: list[Response] = []
            red.page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  # Playwright wants a function
            red.enter(stage.room)
            red.await_state("waiting")
            open_all(red, "invite")
            blue.enter(stage.room)
            red.await_state("connected")
            open_all(red, "chat", "more", "devices", "statistics")
            loaded = {answer.url.partition("?")[0]: answer.body() for answer in answers if answer.status == 200}
            weight = sum(len(gzip.compress(body, mtime=0)) for body in loaded.values())
            self.assertLess(weight, HEAVIEST)
            names = {url.rpartition("/")[2] for url in loaded}
            self.assertEqual({"direct_chat.html", "bundle.css", "bundle.js", "en.json", "lean-qr.js"} - names, set())

        return self.play(story)
