"""The manual in a browser, on a laptop and on a phone, in the light and in the dark: nothing leaves the screen, nothing
is fetched from elsewhere, and every diagram can be read.

The screenshots go onto one contact sheet for each screen. `make screens` renews those in docs/screens.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, Page, Request
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.browser.photographer import COLUMNS, SCREENS
from tests.browser.sheet import draw_sheet
from tests.browser.stage import stage
from tests.tools.test_manual_site import build

Scheme = Literal["light", "dark"]

ON_SHEET: Final = (
    "index",
    "quick-start",
    "zh/quick-start",
    "how-a-call-works",
    "protocol",
    "zh/protocol",
    "python-api",
    "operating",
    "monitoring",
    "sizing",
    "incidents",
    "architecture",
)
IN_THE_DARK: Final = ("how-a-call-works", "protocol", "zh/quick-start", "sizing")
READ_ON: Final = ("laptop", "phone")
SMALLEST: Final = 9.0
"""Pixels that a letter in a diagram must have."""

_FAULTS: Final = """(smallest) => {
    const faults = [];
    const root = document.documentElement;
    if (root.scrollWidth > innerWidth) faults.push(`the page is ${root.scrollWidth} wide`);
    for (const picture of document.querySelectorAll("figure.sequence svg")) {
        const scale = picture.getBoundingClientRect().width / picture.viewBox.baseVal.width;
        const size = 12 * scale;
        if (size < smallest) faults.push(`the letters of a diagram are ${size.toFixed(1)} high`);
    }
    for (const text of document.querySelectorAll("figure.sequence text")) {
        const box = text.getBBox();
        const { width, height } = text.ownerSVGElement.viewBox.baseVal;
        if (box.x < 0 || box.x + box.width > width || box.y + box.height > height) {
            faults.push(`"${text.textContent}" leaves its diagram`);
        }
    }
    for (const cell of document.querySelectorAll("article td")) {
        if (cell.textContent.trim().length > 40 && cell.getBoundingClientRect().width < 110) {
            faults.push(`"${cell.textContent.trim().slice(0, 30)}…" stands in a narrow column`);
        }
    }
    return faults;
}"""


class ManualScreenTests(TestCase):
    """Appearance of the manual."""

    timeout = 600

    def test_pages(self) -> Deferred[None]:
        """Whatever page is read, on whichever screen, all of it is in view or can be scrolled to."""
        return deferToThread(self._look)

    def _look(self) -> None:
        place = Path(self.mktemp()).absolute()
        done = build(place)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        directory = Path(os.environ.get("CALLNET_SCREENS") or self.mktemp()).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        found: list[str] = []
        with stage("", place) as browsers:
            browser = browsers.browser(None)
            for screen in READ_ON:
                pictures = dict(self._pictures(browser, place / "html", screen, found))
                width, height = SCREENS[screen]
                path = directory / f"manual-{screen}-{width}x{height}.jpg"
                draw_sheet(browser, pictures, COLUMNS[screen], path)
        self.assertEqual("\n".join(found), "")

    def _pictures(self, browser: Browser, site: Path, screen: str, found: list[str]) -> Iterator[tuple[str, bytes]]:
        """Look at every page, and take pictures of some; faults go into ``found``."""
        names = sorted(str(path.relative_to(site).with_suffix("")) for path in site.rglob("*.html"))
        shown = [*ON_SHEET, *(name for name in names if name not in ON_SHEET and not name.startswith("_"))]
        schemes: tuple[tuple[Scheme, tuple[str, ...]], ...] = (("light", tuple(shown)), ("dark", IN_THE_DARK))
        for scheme, pages in schemes:
            page = _page(browser, screen, scheme, found)
            for name in pages:
                page.goto((site / f"{name}.html").as_uri())
                found += [f"{name}, {screen}, {scheme}: {fault}" for fault in page.evaluate(_FAULTS, SMALLEST)]
                if name in ON_SHEET:
                    yield f"{name}, {scheme}", page.screenshot()
                if name in IN_THE_DARK:
                    page.evaluate("scrollTo(0, 1500)")
                    yield f"{name}, {scheme}, further down", page.screenshot()
            page.context.close()


def _page(browser: Browser, screen: str, scheme: Scheme, found: list[str]) -> Page:
    """A new page whose requests and errors are recorded."""

    def note(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            found.append(f"{request.url} was fetched")

    width, height = SCREENS[screen]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.on("request", note)
    page.on("pageerror", lambda error: found.append(f"a script fails: {error}"))
    return page
