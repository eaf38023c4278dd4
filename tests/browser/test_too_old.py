"""A browser that is too old for the page says so."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from playwright.sync_api import Route
from twisted.internet.defer import Deferred

import callnet
from tests.browser.case import BrowserCase
from tests.browser.phone_visitor import phone
from tests.browser.stage import Stage
from tests.browser.visitor import PAGE, Visitor

STATIC: Final = Path(callnet.__file__).parent / "static"

_WATCH: Final = """
    window.shown = [];
    const look = () => {
        const sentence = document.getElementById("too-old");
        if (sentence && !sentence.hidden) window.shown.push(sentence.textContent);
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
    window.addEventListener("load", () => setTimeout(() => { look(); window.isLoaded = true; }));
"""


class TooOldTests(BrowserCase):
    """The notice for people with a browser that is too old."""

    def assert_told(self, visitor: Visitor) -> None:
        """Nothing is to be seen of the page but one sentence, in both languages."""
        visitor.visit()
        self.assert_sentence(visitor)

    def assert_sentence(self, visitor: Visitor) -> None:
        """Assert that the page shows this sentence and nothing else."""
        visitor.page.wait_for_selector("#too-old")
        text = visitor.text("too-old")
        self.assertIn("This browser is too old for this page", text)
        self.assertIn("浏览器版本太旧", text)
        self.assertFalse(visitor.page.is_visible("main"))
        visitor.complaints.clear()  # of the page that did not start

    def test_a_script_that_does_not_parse(self) -> Deferred[None]:
        """Where the script is missing, or has syntax that the browser does not know, a sentence says what to do."""

        def answer(route: Route) -> None:
            route.fulfill(body="export const newer = 1 ||||= 2;", content_type="text/javascript")

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            for handler in (answer, lambda route: route.abort()):
                visitor = stage.visitor(browser)
                visitor.page.route("**/bundle.js", handler)
                self.assert_told(visitor)

        return self.play(story)

    def test_the_phone(self) -> Deferred[None]:
        """The notice is also shown where the phone cannot start."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            visitor = phone(stage, browser)
            visitor.page.route("**/bundle.js", lambda route: route.abort())
            visitor.open()
            self.assert_sentence(visitor)
            visitor = phone(stage, browser)
            visitor.page.add_init_script(_WATCH)
            visitor.open()
            visitor.await_that("window.isLoaded")
            self.assertEqual([], visitor.page.evaluate("window.shown"))
            visitor.await_scene("login")

        return self.play(story)

    def test_a_script_that_fails(self) -> Deferred[None]:
        """The notice is also shown where the script uses a feature that the browser does not have."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            visitor.page.add_init_script("delete window.URLSearchParams;")
            self.assert_told(visitor)

        return self.play(story)

    def test_no_modules(self) -> Deferred[None]:
        """The notice is also shown in a browser that knows no modules."""
        page = (STATIC / PAGE.removeprefix("/static/")).read_text(encoding="utf-8")

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            unknown = page.replace('type="module"', 'type="a-type-that-is-not-known"')
            visitor.page.route(f"**{PAGE}", lambda route: route.fulfill(body=unknown, content_type="text/html"))
            self.assert_told(visitor)

        return self.play(story)

    def test_never_else(self) -> Deferred[None]:
        """Where everything is right it is never to be seen."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            visitor.page.add_init_script(_WATCH)
            for query in ("", "?room_id=x"):
                visitor.visit(query)
                visitor.await_that("window.isLoaded")
                visitor.await_shown("stage")
                self.assertEqual([], visitor.page.evaluate("window.shown"))

        return self.play(story)
