"""A guest at the page that a link that rings opens."""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import Browser, Page

from callnet.schemas import FROM_GUEST, TO_GUEST, Direction
from tests.browser.phone_visitor import PhoneVisitor
from tests.browser.stage import Stage

PATH: Final = "/guest"
NO_LINE: Final = """
    const Socket = WebSocket;
    top.hasLine ??= false;
    window.WebSocket = class {
        constructor(...options) {
            if (top.hasLine) return new Socket(...options);
            this.readyState = Socket.CONNECTING;
        }
        close() {}
    };
"""
"""A page whose sockets do not open until it has a line: nothing answers."""


class GuestVisitor(PhoneVisitor):
    """One tab with the page of guests. Its scenes are called as those of the phone."""

    def __init__(self, page: Page, site_url: str) -> None:
        super().__init__(page, site_url)
        self.has_rung = False
        """True once the page has rung."""
        self._directions = (TO_GUEST, FROM_GUEST)

    def pass_frame(self, direction: Direction, frame: dict[str, Any]) -> None:
        """Remember a frame, and whether the page has rung."""
        super().pass_frame(direction, frame)
        self.has_rung |= direction is FROM_GUEST and frame["type"] == "ring"

    def follow(self, link: str) -> None:
        """Open a link."""
        self.page.goto(link, wait_until="domcontentloaded")
        self.await_scene("door")

    def ring(self, name: str) -> None:
        """Give a name, and ring."""
        self.page.fill("#name", name)
        self.press("ring-now")


def guest(stage: Stage, browser: Browser, language: str = "en-US", **options: Any) -> GuestVisitor:
    """A guest in a profile of their own."""
    return stage.add(GuestVisitor(stage.profile(browser, language, **options).new_page(), stage.site_url))
