"""Takes pictures of a page on every screen, and notes its faults there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, Page

from tests.browser.axe import CONTRAST, violations
from tests.browser.layout import settle
from tests.browser.sheet import draw_sheet
from tests.browser.visitor import Visitor

SCREENS: Final = {"television": (1920, 1080), "laptop": (1366, 768), "phone": (390, 844)}
EXAMINED: Final = {"laptop", "phone"}
"""The screens on which axe-core looks; for it others are like one of them."""
COLUMNS: Final = {"television": 4, "laptop": 4, "phone": 6}
"""Of the contact sheets, by screen."""
SCHEMES: Final[Sequence[Literal["dark", "light"]]] = ("dark", "light")
"""Pictures are taken in each, and axe-core looks at the colours of each."""

Check = Callable[[Page], Iterable[str]]
"""Finds faults of a page and describes them."""


class Photographer:
    """Looks at a visitor's page on every screen, and takes its picture if ``CALLNET_SCREENS`` names a folder for that.

    :param faults: looks at the page before its picture is taken.
    :param others: screens that are looked at, too.
    :param checks: look at it afterwards, and may change it for a moment.
    :param languages: the page is looked at in each, as ``<html lang>`` says it. The first one is the page's own: it is
        in the pictures, and axe-core looks at the colours of that alone, as they speak no language.
    :param columns: of the contact sheets, by screen.
    """

    def __init__(
        self,
        faults: Check,
        others: Mapping[str, tuple[int, int]],
        checks: Sequence[Check] = (),
        languages: Sequence[str] = ("en",),
        columns: Mapping[str, int] = COLUMNS,
    ) -> None:
        self._directory = os.environ.get("CALLNET_SCREENS", "")
        self._pictures: dict[str, dict[str, bytes]] = {screen: {} for screen in columns if self._directory}
        self.faults: list[str] = []
        self._look = faults
        self._screens = {**SCREENS, **others}
        self._columns = columns
        self._checks = checks
        self._languages = languages

    def take(
        self,
        visitor: Visitor,
        name: str,
        *,
        on_sheet: bool = True,
        is_whole: bool = False,
        checks: Sequence[Check] = (),
        languages: Sequence[str] = (),
    ) -> None:
        """Look at the present state on every screen.

        :param is_whole: the picture shows what is below the screen, too.
        :param checks: these look at it, too.
        :param languages: it is looked at in these alone.
        """
        page = visitor.page
        shown = visitor.shown
        for language in languages or self._languages:
            visitor.switch_language(language)
            for screen, (width, height) in self._screens.items():
                page.set_viewport_size({"width": width, "height": height})
                page.mouse.move(width / 2, height / 3)  # so that the buttons do not step back
                settle(page)
                found = list(self._look(page))
                for check in (*self._checks, *checks):
                    found += check(page)
                if language == self._languages[0]:
                    found += self._look_in_colour(page, screen, f"{name}, {{}}" if on_sheet else "", is_whole)
                elif screen in EXAMINED:
                    found += violations(page, without=[CONTRAST])
                self.faults += [f"{name}, {language}, {screen}: {fault}" for fault in found]
        visitor.switch_language(self._languages[0])
        if (in_the_end := visitor.shown) != shown:
            self.faults.append(f"{name}: from {shown} to {in_the_end} while the pictures were taken")

    def _look_in_colour(self, page: Page, screen: str, caption: str, is_whole: bool) -> Iterator[str]:
        """Look at a page in each scheme. The last one is light, as every profile is.

        :param caption: of the picture, with a place for the scheme; empty: there is no picture.
        """
        is_pictured = caption != "" and screen in self._pictures
        for scheme in SCHEMES:
            if not (is_pictured or screen in EXAMINED):
                continue
            page.emulate_media(color_scheme=scheme)
            settle(page)
            if is_pictured:
                self._pictures[screen][caption.format(scheme)] = page.screenshot(full_page=is_whole)
            if screen in EXAMINED:
                yield from violations(page, *([CONTRAST] if scheme == "dark" else []))

    def draw(self, browser: Browser, prefix: str = "") -> None:
        """Write the contact sheets, if there are pictures; their names begin with ``prefix``."""
        for screen, pictures in self._pictures.items():
            width, height = self._screens[screen]
            path = Path(self._directory, f"{prefix}{screen.replace(' ', '-')}-{width}x{height}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            draw_sheet(browser, dict(sorted(pictures.items())), self._columns[screen], path)
