"""Takes pictures of a page on every screen, and notes its faults there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, Page

from tests.browser.axe import CONTRAST, violations, violations_of_words
from tests.browser.layout import look, settle
from tests.browser.sheet import draw_sheet
from tests.browser.visitor import Visitor
from tests.browser.window import resized

SCREENS: Final = {"television": (1920, 1080), "laptop": (1366, 768), "phone": (390, 844)}
EXAMINED: Final = {"laptop", "phone"}
"""The screens on which axe-core looks; for it others are like one of them."""
COLUMNS: Final = {"television": 4, "laptop": 4, "phone": 8}
"""Of the contact sheets, by screen."""
Scheme = Literal["dark", "light"]

SCHEMES: Final[Sequence[Scheme]] = ("dark", "light")
"""Pictures are taken in each, and axe-core looks at the colours of each."""

_GO_ON: Final = """(isOn) => {
    const below = (element) => element.scrollHeight - element.clientHeight;
    const scrollers = Array.from(document.querySelectorAll("main *"))
        .filter((element) => getComputedStyle(element).overflowY === "auto" && element.checkVisibility());
    const page = document.documentElement;
    const [longest] = scrollers.sort((one, other) => below(other) - below(one));
    const scroller = below(page) > 1 ? page : longest ?? page;
    const before = scroller.scrollTop;
    scroller.scrollTop = isOn ? before + 0.9 * scroller.clientHeight : 0;
    return scroller.scrollTop > before + 1;
}"""
"""Scrolls the page, or else what goes on for longest in it, or back to its beginning; true if there was more to see."""


class Photographer:
    """Looks at a visitor's page on every screen, and takes its picture if ``CALLNET_SCREENS`` names a folder for that.

    :param others: screens that are looked at, too.
    :param checks: JavaScript of functions that describe the faults of a page, which they may change for a moment.
    :param languages: the page is looked at in each, as ``<html lang>`` says it, and each has its contact sheets. The
        first one is the page's own: in the others axe-core looks at what words may change, which colours and roles are
        not.
    """

    def __init__(
        self,
        others: Mapping[str, tuple[int, int]],
        checks: Sequence[str],
        languages: Sequence[str] = ("en",),
    ) -> None:
        self._directory = os.environ.get("CALLNET_SCREENS", "")
        sheets = product(languages, SCREENS) if self._directory else ()
        self._pictures: dict[tuple[str, str], dict[str, bytes]] = {sheet: {} for sheet in sheets}
        self.faults: list[str] = []
        self._screens = {**SCREENS, **others}
        self._checks = checks
        self._languages = languages

    def take(
        self,
        visitor: Visitor,
        name: str,
        *,
        of: str = "",
        is_whole: bool = False,
        checks: Sequence[str] = (),
        languages: Sequence[str] = (),
    ) -> None:
        """Look at the present state on every screen.

        :param of: the selector of a part that is to be in view.
        :param is_whole: further pictures show what is below the screen.
        :param checks: these look at it, too.
        :param languages: it is looked at in these alone, and speaks the last one then.
        """
        page = visitor.page
        shown = visitor.shown
        with resized(page, is_painted=self._directory != "") as resize:
            for language in languages or self._languages:
                visitor.switch_language(language)
                for screen, (width, height) in self._screens.items():
                    resize(width, height)
                    if self._directory:  # or whatever was pressed last looks as under a mouse
                        page.mouse.move(width / 2, height / 3)
                    found = look(page, *self._checks, *checks, of=of)
                    found += self._look_in_colours(page, language, screen, name, is_whole=is_whole)
                    self.faults += [f"{name}, {language}, {screen}: {fault}" for fault in found]
        if not languages:
            visitor.switch_language(self._languages[0])
        if (in_the_end := visitor.shown) != shown:
            self.faults.append(f"{name}: from {shown} to {in_the_end} while the pictures were taken")

    def _look_in_colours(self, page: Page, language: str, screen: str, name: str, *, is_whole: bool) -> Iterator[str]:
        """Look at a page in both schemes, the last of which is light, as every profile is."""
        is_first_language = language == self._languages[0]
        pictures = self._pictures.get((language, screen))
        is_light = True
        for scheme in SCHEMES:
            is_last = scheme == SCHEMES[-1]
            is_examined = screen in EXAMINED and (is_last or is_first_language)
            if not (is_examined or pictures is not None):
                continue
            if is_light != is_last:
                page.emulate_media(color_scheme=scheme)
                settle(page)
                is_light = is_last
            if pictures is not None:
                if is_whole:
                    page.evaluate(_GO_ON, False)
                pictures[f"{name}, {scheme}"] = page.screenshot()
                if is_whole:
                    pictures.update(_rest_of(page, f"{name}, {scheme}"))
            if is_examined:
                yield from (
                    violations(page, *([] if is_last else [CONTRAST]))
                    if is_first_language
                    else violations_of_words(page)
                )

    def draw(self, browser: Browser, name: str) -> None:
        """Write the contact sheets, if there are pictures.

        :param name: of what is in the pictures.
        """
        for (language, screen), pictures in self._pictures.items():
            width, height = SCREENS[screen]
            path = Path(self._directory, f"{name}-{language}-{screen}-{width}x{height}.jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            draw_sheet(browser, pictures, COLUMNS[screen], path)


def _rest_of(page: Page, name: str) -> Iterator[tuple[str, bytes]]:
    """Pictures of what is below the screen."""
    number = 1
    while page.evaluate(_GO_ON, True):
        number += 1
        yield f"{name}, {number}", page.screenshot()
    page.evaluate(_GO_ON, False)
