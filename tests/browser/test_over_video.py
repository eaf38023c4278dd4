"""Texts over the picture of the other person: whatever is seen there, they can be read. Measured on painted pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from math import ceil
from typing import Any, Final, Literal

import av
from playwright.sync_api import Page
from twisted.internet.defer import Deferred

from tests.browser.case import BrowserCase
from tests.browser.layout import settle
from tests.browser.photographer import SCHEMES
from tests.browser.stage import Stage
from tests.browser.visitor import Visitor
from tests.support.contrast import LARGE, TEXT, contrast

SIZES: Final = ((390, 844), (1366, 768))
PICTURES: Final = {"black": "brightness(0)", "white": "contrast(0) brightness(2)"}

_PICTURE: Final = """(filter) => {
    for (const video of document.querySelectorAll("#view video")) video.style.filter = filter;
}"""

_TEXTS: Final = """() => {
    const texts = [];
    for (const element of document.querySelectorAll("#view *")) {
        const node = Array.from(element.childNodes).find((one) => one.nodeType === 3 && one.data.trim() !== "");
        if (!node || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
        if (element.closest(".unseen, .aloud, option, [aria-hidden=true]")) continue;
        const range = document.createRange();
        range.selectNodeContents(element);
        const { x, y, width, height } = range.getBoundingClientRect();
        if (width < 2 || height < 2) continue;
        const { color, fontSize, fontWeight } = getComputedStyle(element);
        texts.push({ name: element.id || `${element.parentElement.id} ${element.className}`, color,
            size: parseFloat(fontSize), weight: Number(fontWeight), clip: { x, y, width, height } });
        element.style.webkitTextFillColor = "transparent";
    }
    return texts;
}"""
"""All texts, which are made invisible, so that only their ground is painted."""

_BACK: Final = """() => {
    for (const element of document.querySelectorAll("#view *")) element.style.webkitTextFillColor = "";
}"""


def rows(png: bytes) -> list[bytes]:
    """The rows of a picture, from above: red, green and blue of each pixel, from the left."""
    with av.open(BytesIO(png), "r") as container:
        frame = next(container.decode(video=0)).reformat(format="rgb24")
    (plane,) = frame.planes
    data = memoryview(bytes(plane))
    return [bytes(data[row * plane.line_size :][: 3 * frame.width]) for row in range(frame.height)]


def colours(picture: Sequence[bytes], x: float, y: float, width: float, height: float) -> set[tuple[int, int, int]]:
    """The colours in a part of a picture."""
    found = set()
    for row in picture[max(0, int(y)) : ceil(y + height)]:
        line = row[3 * max(0, int(x)) : 3 * ceil(x + width)]
        found |= set(zip(line[::3], line[1::3], line[2::3], strict=True))
    return found


def worst_contrast(colour: str, ground: set[tuple[int, int, int]]) -> float:
    """The lowest contrast of a text with the colours that it is painted on."""
    parts = [float(part) for part in colour[colour.index("(") + 1 : -1].replace("/", ",").split(",")]
    alpha = parts[3] if len(parts) > 3 else 1.0
    found = []
    for behind in ground:
        mixed = [alpha * part + (1 - alpha) * other for part, other in zip(parts, behind, strict=False)]
        found.append(contrast(mixed, behind))
    return min(found)


def unreadable(page: Page) -> Iterator[str]:
    """Texts of too little contrast."""
    texts, picture = texts_and_ground(page)
    for text in texts:
        found = worst_contrast(text["color"], colours(picture, **text["clip"]))
        is_large = text["size"] >= 24 or (text["size"] >= 18.66 and text["weight"] >= 700)
        if found < (LARGE if is_large else TEXT):
            yield f"{text['name']}: {found:.2f}"


def names(texts: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """The names of texts."""
    return [text["name"] for text in texts]


def texts_and_ground(page: Page) -> tuple[list[dict[str, Any]], list[bytes]]:
    """All texts, and the picture without them: again, if some came or went meanwhile, as on a slow machine."""
    while True:
        page.keyboard.press("Shift")  # brings the buttons back
        settle(page)
        texts = page.evaluate(_TEXTS)
        settle(page)
        picture = rows(page.screenshot())
        after = page.evaluate(_TEXTS)
        page.evaluate(_BACK)
        if names(after) == names(texts) and page.locator("body.resting").count() == 0:
            return texts, picture


class OverVideoTests(BrowserCase):
    """Pages in a call."""

    timeout = 240
    maxDiff = None

    def test_texts(self) -> Deferred[None]:
        """A text stands out from the brightest and the darkest picture, on every screen and in both themes."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            red.enter(stage.room)
            red.await_state("waiting", "waiting")
            found = list(self.look(red, "waiting"))
            blue.enter(stage.room)
            red.await_state("connected")
            blue.await_state("connected")
            found += self.look(red, "connected")
            blue.press("mute")
            blue.press("camera")
            red.await_shown("remote-off")
            found += self.look(red, "camera off")
            self.assertEqual("\n".join(found), "")

        return self.play(story)

    def look(self, visitor: Visitor, state: str) -> Iterator[str]:
        """Look at all texts that a page shows now."""
        page = visitor.page
        scheme: Literal["dark", "light"]
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                for picture, filtered in PICTURES.items():
                    page.evaluate(_PICTURE, filtered)
                    for fault in unreadable(page):
                        yield f"{state}, {width} x {height}, {scheme}, {picture}: {fault}"
        page.evaluate(_PICTURE, "")
