"""A person at the page, in a browser of their own. Everything here blocks: it runs in a thread."""

from __future__ import annotations

import json
import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from playwright.sync_api import ConsoleMessage, Error, Page, WebSocket

from callnet.schemas import DIRECTIONS, FROM_PAGE, RELAYED, TO_PAGE, Direction
from tests.browser.camera import Camera
from tests.support.frame_schemas import complaint, validators

# Made before Playwright runs: they read the syntax trees of sources, and CPython 3.11 fails to build one if a greenlet
# ends meanwhile ("AST constructor recursion depth mismatch").
for _direction in DIRECTIONS:
    validators(_direction)

PAGE: Final = "/static/demo/direct_chat.html"
PATIENCE: Final = 60_000
"""Milliseconds in which a page must get into a state, on a machine that is busy with other tests."""
_FRAMES_SHOWN: Final = 12

_REMEMBER_CONNECTIONS: Final = """
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
        constructor(...options) { super(...options); window.sockets.push(this); }
    };
    window.connections = [];
    window.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(...options) { super(...options); window.connections.push(this); }
    };
"""

_REMEMBER_STATES: Final = """
    window.states = [];
    new MutationObserver(() => window.states.push(document.body.dataset.callState)).observe(
        document, {subtree: true, attributeFilter: ["data-call-state"]});
"""

_NOTE_NOTICES: Final = """() => {
    const notice = document.getElementById("notice");
    window.notices = [];
    new MutationObserver(() => notice.checkVisibility() && window.notices.push(notice.textContent))
        .observe(notice, { childList: true });
}"""

_SPEAK: Final = """async (language) => {
    if (document.documentElement.lang === language) return;
    const spoken = new Promise((done) => new MutationObserver(done)
        .observe(document.documentElement, { attributeFilter: ["lang"] }));
    const choice = document.querySelector(".languages");
    choice.value = language;
    choice.dispatchEvent(new Event("change"));
    await spoken;
}"""

_MOVE_UNTIL_PRESSED: Final = """() => {
    const hand = setInterval(() => document.dispatchEvent(new Event("pointermove")), 1000);
    document.addEventListener("click", () => clearInterval(hand), { capture: true, once: true });
}"""

PIXELS: Final = """(video) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [48, 27];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 48, 27);
    return Array.from(context.getImageData(0, 0, 48, 27).data);
}"""
"""The painted picture of a video, in few pixels of four values each."""
_VIEW: Final = """(isSeen) => {
    const properties = { hidden: !isSeen, visibilityState: isSeen ? "visible" : "hidden" };
    for (const [name, value] of Object.entries(properties)) {
        Object.defineProperty(document, name, { configurable: true, get: () => value });
    }
    document.dispatchEvent(new Event("visibilitychange"));
}"""
_MEAN: Final = f"""(id) => {{
    const pixels = ({PIXELS})(document.getElementById(id));
    const mean = (part) => pixels.reduce((sum, value, place) => sum + (place % 4 === part && value), 0) / (48 * 27);
    return [mean(0), mean(2)];
}}"""
"""The red and the blue of a painted picture, in two numbers: to tell five thousand costs more CPU than all else."""
_MOVES: Final = f"""(seconds) => new Promise((resolve) => {{
    const video = document.getElementById("remote");
    const pixelsOf = {PIXELS};
    let before = pixelsOf(video);
    let changes = 0;
    const look = () => {{
        const now = pixelsOf(video);
        changes += now.reduce((sum, value, place) => sum + Math.abs(value - before[place]), 0) > 5000;
        before = now;
        changes < 4 ? video.requestVideoFrameCallback(look) : resolve(true);
    }};
    video.requestVideoFrameCallback(look);
    setTimeout(() => resolve(false), 1000 * seconds);
}})"""
"""True if four pictures that are painted differ from those before them."""

_AUDIO_PACKETS: Final = """async () => {
    const reports = Array.from(await window.connections.at(-1).getStats()).map(([, report]) => report);
    return reports.find(({type, kind}) => type === "inbound-rtp" && kind === "audio")?.packetsReceived ?? 0;
}"""


_PRESS_AS_IT_COMES: Final = """([selector, scene]) => {
    const look = () => {
        if (document.body.dataset.scene !== scene) return;
        watching.disconnect();
        document.querySelector(selector).click();
    };
    const watching = new MutationObserver(look);
    watching.observe(document.body, { attributes: true });
}"""


class Visitor:
    """One page in a browser profile of its own."""

    def __init__(self, page: Page, site_url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        """Errors that the page threw, and requests that the browser's policy refused it."""
        self.room_state = ""
        """The state of the room as the server told it last."""
        self._frames: deque[str] = deque(maxlen=_FRAMES_SHOWN)
        self._site_url = site_url
        self._url = site_url + PAGE
        page.set_default_timeout(PATIENCE)
        page.add_init_script(_REMEMBER_CONNECTIONS)
        page.add_init_script(_REMEMBER_STATES)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", self._watch)
        page.on("console", lambda message: self._print(message) if message.type == "error" else None)
        page.on("request", lambda request: self._ask(request.url))

    def _print(self, message: ConsoleMessage) -> None:
        """Complain of an error in the console; the query of a WebSocket's URL has a token."""
        self.complaints.append(re.sub(r"\?\S*", "?…", message.text))

    def _ask(self, url: str) -> None:
        """Report a request of the page to another host."""
        if not url.startswith((self._site_url, "data:", "blob:")):
            self.complaints.append(f"a request to {url}")

    def forgive(self, *harmless: str) -> None:
        """Take back complaints that hold one of these words."""
        self.complaints[:] = [one for one in self.complaints if not any(word in one for word in harmless)]

    def _watch(self, socket: WebSocket) -> None:
        """Complain of frames that are not as the schemas say."""

        def look(direction: Direction, payload: str | bytes) -> None:
            frame = json.loads(payload)
            self.pass_frame(direction, frame)
            if direction is FROM_PAGE and frame["type"] == "join":
                frame["room_id"] = "room"  # whatever a person asks for: the server says if that is impossible
            wrong = complaint(direction, frame)
            if wrong is None and frame["type"] == "relay":
                direction, wrong = RELAYED, complaint(RELAYED, frame["data"])
            if wrong is not None:
                self.complaints.append(f"{direction.name}: {wrong}")

        socket.on("framereceived", partial(look, TO_PAGE))
        socket.on("framesent", partial(look, FROM_PAGE))

    def pass_frame(self, direction: Direction, frame: dict[str, Any]) -> None:
        """Remember a frame, without whatever is secret in it."""
        if direction is TO_PAGE and frame["type"] == "room":
            self.room_state = frame["state"]
        self._frames.append(f"{time.monotonic():.1f} {direction.name} {frame.get('type')} {frame.get('online', '')}")

    def report(self) -> str:
        """The state of the page, for finding the cause of a failure."""
        try:
            shown = self.page.evaluate("JSON.stringify(document.body.dataset)")
        except Error as error:
            shown = f"nothing ({type(error).__name__})"
        return "\n  ".join([f"{time.monotonic():.1f} shown: {shown}", *self.complaints, *self._frames])

    def visit(self, query: str = "") -> None:
        """Open the page. Its scripts have run then; whoever needs more waits for that."""
        self.page.goto(self._url + query, wait_until="domcontentloaded")

    def enter(self, room_id: str) -> None:
        """Open the page for a room."""
        self.visit(f"?room_id={room_id}")

    def press(self, element_id: str) -> None:
        """Press a button, which a moving hand brings back if it has stepped back, and keeps until it is pressed."""
        self.stay_awake()
        self.page.click(f"button#{element_id}")

    def press_enter(self) -> None:
        """Press Enter once what has come up was seen: before, that calls, answers and declines nobody."""
        self.page.wait_for_selector("body:not([data-new])")
        self.page.keyboard.press("Enter")

    def press_as_it_comes(self, selector: str, scene: str) -> None:
        """Have something be pressed in the very moment in which a scene begins."""
        self.page.evaluate(_PRESS_AS_IT_COMES, [selector, scene])

    def hold_enter(self, scene: str) -> None:
        """Press Enter, and hold it for longer than it takes a scene to come, and to be seen."""
        self.page.wait_for_selector("body:not([data-new])")
        self.page.keyboard.down("Enter")
        self.page.wait_for_selector(f'body[data-scene="{scene}"]:not([data-new])')
        for _ in range(3):
            self.page.keyboard.down("Enter")
        self.page.keyboard.up("Enter")

    def wake(self) -> None:
        """Move the hand, so that the buttons do not step back soon: a key that brings them back does nothing else."""
        self.page.mouse.move(*random.sample(range(9), 2))

    def stay_awake(self) -> None:
        """Move the hand until something is pressed, by a key or a finger, too, so that the buttons do not step back."""
        self.wake()
        self.page.evaluate(_MOVE_UNTIL_PRESSED)

    def choose_language(self, language: str, where: str) -> None:
        """Choose a language in a part of the page, and wait until the page speaks it.

        :param language: as ``<html lang>`` says it.
        :param where: the selector of the part.
        """
        self.page.select_option(f"{where} .languages", language)
        self.page.wait_for_selector(f'html[lang="{language}"]')

    def switch_language(self, language: str) -> None:
        """Choose a language as :meth:`choose_language` does, wherever the choice is now, in the pages inside, too.

        A page inside that is hidden is on hold, or is that of a call that is over, and gone in a moment.
        """
        inside = [element.content_frame() for element in self.page.query_selector_all("iframe:not([hidden])")]
        for frame in (self.page.main_frame, *filter(None, inside)):
            frame.wait_for_selector("html[data-started]", state="attached")
            frame.evaluate(_SPEAK, language)

    def await_state(self, state: str, scene: str = "") -> None:
        """Wait until the page is in a state (protocol §3), if it is to be so in a certain scene of it."""
        self.page.wait_for_selector(f'body[data-call-state="{state}"]' + (f'[data-scene="{scene}"]' if scene else ""))

    @contextmanager
    def passing(self, state: str) -> Iterator[None]:
        """Assert that this block takes the page through a state, which may be over before anybody looks."""
        self.page.evaluate("window.states.length = 0")
        yield
        self.await_that(f"window.states.includes({json.dumps(state)})")

    @contextmanager
    def noticing(self, text: str) -> Iterator[None]:
        """Assert that this block brings up a notice with this text in it, which may be gone before anybody looks."""
        self.page.evaluate(_NOTE_NOTICES)
        yield
        self.await_that("(text) => window.notices.some((notice) => notice.includes(text))", text)

    @property
    def state(self) -> str:
        """The state of the page (protocol §3)."""
        return self.page.get_attribute("body", "data-call-state") or ""

    @property
    def shown(self) -> str:
        """The page's state, in a word."""
        return self.state

    def text(self, element_id: str) -> str:
        """The text of an element."""
        return self.page.inner_text(f"#{element_id}")

    def is_visible(self, element_id: str) -> bool:
        """True if the element is visible."""
        return self.page.is_visible(f"#{element_id}")

    def await_shown(self, element_id: str, text: str = "") -> None:
        """Wait until that is to be seen, with this text in it."""
        self.page.locator(f"#{element_id}", has_text=text).wait_for()

    def view(self, is_seen: bool) -> None:
        """Hide the page, or bring it into view again, as it takes it: each page of a driven browser is in view."""
        self.page.evaluate(_VIEW, is_seen)

    def await_that(self, expression: str, argument: object = None) -> None:
        """Wait until this JavaScript is true.

        Playwright's `wait_for_function` is against the site's policy, which it meets only where it has to look twice.
        """
        if not self._until(lambda: bool(self.page.evaluate(expression, argument))):
            raise AssertionError(f"it never came to {expression}")

    def await_hidden(self, element_id: str) -> None:
        """Wait until that is not to be seen."""
        self.page.wait_for_selector(f"#{element_id}", state="hidden")

    @property
    def focused(self) -> str:
        """The id of the element that has the focus."""
        return str(self.page.evaluate("document.activeElement.id"))

    def wait(self, milliseconds: float) -> None:
        """Let time pass by the clock of the test."""
        self.page.wait_for_timeout(milliseconds)

    def let_pass(self, milliseconds: float) -> None:
        """Let time pass by the clock of the page, which may have stood still."""
        self.page.evaluate("(time) => new Promise((done) => setTimeout(done, time))", milliseconds)

    def wait_a_while(self) -> None:
        """Let a time pass that nobody has chosen."""
        self.wait(random.uniform(50, 600))  # noqa: S311

    def colour_seen(self, video: str = "remote") -> Camera | None:
        """The camera whose picture is painted in a video; ``None``: neither's."""
        red, blue = self._mean(video)
        if abs(red - blue) < 25:
            return None
        return Camera.RED if red > blue else Camera.BLUE

    def await_colour(self, colour: Camera, video: str = "remote") -> None:
        """Wait until that camera is painted in a video: the first frame comes after ``connected``."""
        if not self._until(lambda: self.colour_seen(video) is colour):
            raise AssertionError(f"no {colour.name} picture: {self._mean(video)}")

    def await_own_colour(self, colour: Camera) -> None:
        """Wait until the visitor sees their own camera before the call."""
        self.await_shown("preview")
        self.await_colour(colour, "preview")

    def sees_movement(self, seconds: float = 3) -> bool:
        """True if the painted picture changes within this time."""
        return bool(self.page.evaluate(_MOVES, seconds))

    def await_movement(self) -> None:
        """Wait until the painted picture changes again: frames that piled up in a pause are discarded first."""
        if not self.sees_movement(PATIENCE / 1_000):
            raise AssertionError("the picture stands still")

    def await_sound(self) -> None:
        """Wait until sound comes over the present connection, more of it than before."""
        before = self.page.evaluate(_AUDIO_PACKETS)
        if not self._until(lambda: bool(self.page.evaluate(_AUDIO_PACKETS) > before)):
            raise AssertionError("no sound comes")

    def _until(self, is_so: Callable[[], bool]) -> bool:
        """Look until it is so, less and less often, as each look costs 5 ms of CPU. False: it never was."""
        deadline = time.monotonic() + PATIENCE / 1_000
        pause = 25
        while not is_so():
            if time.monotonic() > deadline:
                return False
            self.wait(pause)
            pause = min(2 * pause, 200)
        return True

    def _mean(self, video: str) -> Sequence[float]:
        red_and_blue: Sequence[float] = self.page.evaluate(_MEAN, video)
        return red_and_blue


def meet_over_relay(visitors: Sequence[Visitor], room: str) -> None:
    """Have two visitors, the first with the red camera, see each other in a room, by relays alone."""
    for visitor in visitors:
        visitor.visit(f"?room_id={room}&relay=1")
    for visitor, colour in zip(visitors, (Camera.BLUE, Camera.RED), strict=True):
        visitor.await_state("connected")
        visitor.await_colour(colour)
        visitor.await_movement()
