"""A person at the web phone, in a tab of a browser. Everything here blocks, as in :mod:`tests.browser.visitor`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, cast

from playwright.sync_api import Browser, BrowserContext, Frame, Page, Route, WebSocket

from callnet.schemas import FROM_DEVICE, FROM_EXTENDED, TO_DEVICE, TO_EXTENDED, Direction
from tests.browser.camera import Camera
from tests.browser.continuity import wait_until
from tests.browser.stage import Stage
from tests.browser.visitor import Visitor
from tests.support.frame_schemas import complaint

_LOOKS, _LOOK_AGAIN_AFTER = 20, 300
"""The number of looks at a list that is to change, and milliseconds between them."""

_HOLD: Final = """() => {
    const begin = window.setInterval;
    window.isHeld = true;
    window.setInterval = (work, time) => begin(() => window.isHeld || work(), time);
}"""

_OFFER_NOTHING: Final = """
    window.WebSocket = class extends WebSocket {
        constructor(url) { super(url); }
    };
"""


class PageInside(Visitor):
    """The call's page inside the phone."""

    def __init__(self, frame: Frame) -> None:
        self.page = cast("Page", frame)  # a frame can do all of a page that is asked of it here
        self.complaints = []

    def wake(self) -> None:
        """Move the hand, as on a page of its own."""
        self.page.hover("#stage", position={"x": random.randrange(9), "y": random.randrange(9)}, force=True)  # noqa: S311


class PhoneVisitor(Visitor):
    """One tab with the phone."""

    def __init__(self, page: Page, site_url: str, *, base: bool = False) -> None:
        self._directions = (TO_DEVICE, FROM_DEVICE) if base else (TO_EXTENDED, FROM_EXTENDED)
        super().__init__(page, site_url)
        self._site_url = site_url
        if base:
            page.add_init_script(_OFFER_NOTHING)

    def _watch(self, socket: WebSocket) -> None:
        """Complain of frames that are not as the schemas say."""
        if "/socket.io" not in socket.url:
            super()._watch(socket)
            return

        def look(direction: Direction, payload: str | bytes) -> None:
            frame = json.loads(payload)
            self.pass_frame(direction, frame)
            wrong = complaint(direction, frame)
            if wrong is not None:
                self.complaints.append(f"{direction.name}: {wrong}")

        received, sent = self._directions
        socket.on("framereceived", partial(look, received))
        socket.on("framesent", partial(look, sent))

    def open(self, query: str = "") -> None:
        """Open the phone."""
        self.page.goto(f"{self._site_url}/{query}", wait_until="domcontentloaded")

    def await_scene(self, scene: str, link: str = "") -> None:
        """Wait until the phone shows something, and if that matters, until its connection is so."""
        self.page.wait_for_selector(f'body[data-scene="{scene}"]' + (f'[data-link="{link}"]' if link else ""))

    @property
    def shown(self) -> str:
        """The phone's state, in a word."""
        return self.page.get_attribute("body", "data-scene") or ""

    def log_in(self, phone: str, device_id: str) -> None:
        """Open the phone and log in."""
        self.open()
        self.await_scene("login")
        self.fill_in(phone, device_id)
        self.press("login-submit")
        self.await_scene("home", "online")

    def fill_in(self, phone: str, device_id: str) -> None:
        """Say who one is."""
        self.page.fill("#login-phone", phone)
        self.page.fill("#login-device", device_id)

    def add_contact(self, phone: str, name: str) -> None:
        """Add somebody."""
        self.page.wait_for_selector("#add-form:not([hidden]), #people .card")  # without contacts it is open
        if not self.is_visible("add-form"):
            self.press("add")
        self.page.fill("#add-phone", phone)
        self.page.fill("#add-name", name)
        self.page.click("#add-form button")
        self.page.wait_for_selector("#add-form", state="hidden")

    def await_contact(self, phone: str, *, online: bool) -> None:
        """Wait until somebody is in the list, and there or not."""
        state = ".online" if online else ":not(.online)"
        self.page.wait_for_selector(f'#people .card{state}[data-phone="{phone}"]')

    def look_for_contact(self, phone: str, *, online: bool) -> None:
        """Reload until somebody is in the list, and there or not: of changed rules for calls nobody is told at once.

        :raises TimeoutError: they are not.
        """
        state = ".online" if online else ":not(.online)"
        for _ in range(_LOOKS):
            self.page.reload()
            card = self.page.wait_for_selector(f'#people .card[data-phone="{phone}"]')
            if card is not None and card.evaluate("(card, state) => card.matches(state)", state):
                return
            self.wait(_LOOK_AGAIN_AFTER)
        raise TimeoutError("it does not show")

    def call(self, phone: str, device_id: str = "") -> None:
        """Call a contact, or one device of it."""
        key = f"call-{phone}-{device_id}" if device_id else f"call-{phone}"
        self.page.click(f'[data-key="{key}"]')

    def switch_answering(self, *, is_on: bool) -> None:
        """Switch automatic answers in the settings, and wait until the device knows."""
        self.page.click("#auto-switch")
        answers = ":has-text('answers automatically')"
        this = '#devices .device:has-text("This device")'
        self.page.wait_for_selector(f"{this}{answers}" if is_on else f"{this}:not({answers})")

    def hold(self) -> None:
        """Have a countdown that begins from now on wait while it is looked at."""
        self.page.evaluate(_HOLD)

    def go_on(self) -> None:
        """Have it count again."""
        self.page.evaluate("window.isHeld = false")

    def await_text(self, element_id: str, text: str) -> None:
        """Wait until something is to be read there."""
        self.page.wait_for_selector(f"#{element_id}:has-text({json.dumps(text, ensure_ascii=False)})")

    def past(self) -> list[str]:
        """The past calls, the newest first, each in one line."""
        return [" ".join(text.split()) for text in self.page.locator("#past .card .who").all_inner_texts()]

    @property
    def inside(self) -> PageInside:
        """The call's page, once it is there."""
        self.await_scene("call")
        element = self.page.wait_for_selector("#call-page iframe:not([hidden])")
        assert element is not None
        frame = element.content_frame()
        assert frame is not None
        return PageInside(frame)

    def hang_up(self) -> None:
        """Press the call page's button that ends the call."""
        inside = self.inside
        inside.await_shown("hangup")
        inside.press("hangup")

    def await_connected(self, colour: Camera) -> PageInside:
        """Wait until the call's page shows the picture of a camera."""
        inside = self.inside
        inside.await_state("connected")
        inside.await_colour(colour)
        return inside


@contextmanager
def held(visitor: PhoneVisitor, path: str) -> Iterator[None]:
    """Keep the next request to this path back until the block is over."""
    requests: list[Route] = []
    visitor.page.route(f"**/{path}", lambda route: requests.append(route), times=1)  # noqa: PLW0108  # no builtin
    yield
    wait_until(visitor, lambda: bool(requests), "the request")
    requests[0].continue_()


def phone(stage: Stage, browser: Browser, language: str = "en-US", *, base: bool = False) -> PhoneVisitor:
    """Somebody with the phone in a profile of their own.

    :param base: the phone speaks the base protocol only.
    """
    return tab(stage, stage.profile(browser, language), base=base)


def tab(stage: Stage, profile: BrowserContext, *, base: bool = False) -> PhoneVisitor:
    """A new tab with the phone in a profile."""
    return stage.add(PhoneVisitor(profile.new_page(), stage.site_url, base=base))
