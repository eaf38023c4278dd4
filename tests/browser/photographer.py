"""Takes pictures of a page on every screen, and notes its faults there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
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
SCHEMES: Final[Sequence[Literal["dark", "light"]]] = ("dark", "light")
"""Pictures are taken in each, and axe-core looks at the colours of each."""

Check = Callable[[Page], Iterable[str]]
"""Finds faults of a page and describes them."""


class Photographer:
    """Looks at a visitor's page on every screen, and takes its picture if ``CALLNET_SCREENS`` names a folder for that.

    :param faults: looks at the page before its picture is taken.
    :param others: screens that are looked at, too, and have no contact sheet.
    :param checks: look at it afterwards, and may change it for a moment.
    :param in_colour: axe-core looks at the colours, too, in each scheme. They speak no language.
    """

    def __init__(
        self,
        faults: Check,
        others: Mapping[str, tuple[int, int]],
        checks: Sequence[Check] = (),
        in_colour: bool = True,
    ) -> None:
        self._directory = os.environ.get("CALLNET_SCREENS", "")
        self._pictures: dict[str, dict[str, bytes]] = {screen: {} for screen in SCREENS if self._directory}
        self.faults: list[str] = []
        self._look = faults
        self._others = others
        self._checks = checks
        self._in_colour = in_colour

    def take(
        self,
        visitor: Visitor,
        name: str,
        *,
        on_sheet: bool = True,
        is_whole: bool = False,
        checks: Sequence[Check] = (),
    ) -> None:
        """Look at the present state on every screen.

        :param is_whole: the picture shows what is below the screen, too.
        :param checks: these look at it, too.
        """
        page = visitor.page
        shown = visitor.shown
        seen_in = "light"  # as every profile is, and as this leaves it
        for screen, (width, height) in {**SCREENS, **self._others}.items():
            page.set_viewport_size({"width": width, "height": height})
            page.mouse.move(width / 2, height / 3)  # so that the buttons do not step back
            settle(page)
            found = list(self._look(page))
            for check in (*self._checks, *checks):
                found += check(page)
            is_pictured = on_sheet and screen in self._pictures
            for scheme in SCHEMES:
                is_examined = screen in EXAMINED and (self._in_colour or scheme == "light")
                if not (is_pictured or is_examined):
                    continue
                if scheme != seen_in:
                    page.emulate_media(color_scheme=scheme)
                    settle(page)
                    seen_in = scheme
                if is_pictured:
                    self._pictures[screen][f"{name}, {scheme}"] = page.screenshot(full_page=is_whole)
                if is_examined:
                    only = [CONTRAST] if scheme == "dark" else []
                    found += violations(page, *only, without=() if self._in_colour else (CONTRAST,))
            self.faults += [f"{name}, {screen}: {fault}" for fault in found]
        if (in_the_end := visitor.shown) != shown:
            self.faults.append(f"{name}: from {shown} to {in_the_end} while the pictures were taken")

    def draw(self, browser: Browser, prefix: str = "") -> None:
        """Write the contact sheets, if there are pictures; their names begin with ``prefix``."""
        for screen, pictures in self._pictures.items():
            width, height = SCREENS[screen]
            path = Path(self._directory, f"{prefix}{screen}-{width}x{height}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            draw_sheet(browser, dict(sorted(pictures.items())), COLUMNS[screen], path)
