"""The stage of a call: where the two pictures, the drawers and the buttons are, and how a person moves them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from twisted.internet.defer import Deferred

from tests.browser.camera import Camera
from tests.browser.case import BrowserCase
from tests.browser.continuity import wait_until
from tests.browser.layout import faults, settle
from tests.browser.stage import Stage
from tests.browser.test_call import meet
from tests.browser.test_in_call import area
from tests.browser.visitor import Visitor

UPRIGHT: Final = (390, 844)
NARROWEST: Final = (320, 640)
SCREENS: Final = (UPRIGHT, (844, 390), (1366, 768), (1920, 1080))
NEAREST: Final = 12
"""Pixels between two buttons on a phone, at least."""

_PAINTED: Final = """(id) => {
    const video = document.getElementById(id);
    return getComputedStyle(video).objectFit;
}"""
_DISCS: Final = """() => Array.from(document.querySelectorAll("#controls .disc"))
    .map((disc) => disc.getBoundingClientRect())
    .filter(({ width }) => width > 0).map(({ left, right }) => [left, right])"""


def resize(visitor: Visitor, size: tuple[int, int]) -> None:
    """Give the page another size, and wait until it has painted that."""
    width, height = size
    visitor.page.set_viewport_size({"width": width, "height": height})
    settle(visitor.page)


def box(visitor: Visitor, element_id: str) -> dict[str, Any]:
    """The place of an element: x, y, width, height."""
    found = visitor.page.locator(f"#{element_id}").bounding_box()
    assert found is not None, element_id
    return dict(found)


def corner(visitor: Visitor) -> str:
    """The corner in which the small picture is."""
    return str(visitor.page.get_attribute("#view", "data-corner"))


def drag(visitor: Visitor, element_id: str, x: float, y: float) -> None:
    """Drag the middle of an element to a place."""
    place = box(visitor, element_id)
    mouse = visitor.page.mouse
    mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    mouse.down()
    mouse.move(x, y, steps=4)
    mouse.up()


class PictureTests(BrowserCase):
    """The two pictures."""

    def test_fill(self) -> Deferred[None]:
        """On an upright phone the other side fills the screen, and a double click shows its picture whole and back."""

        def story(stage: Stage) -> None:
            red, _ = meet(stage)
            resize(red, UPRIGHT)
            red.await_that(f"({_PAINTED})('remote') === 'cover'")
            self.assertGreater(area(red, "remote"), 0.99)
            for expected in ("contain", "cover"):
                red.page.mouse.dblclick(195, 500)
                red.await_that(f"({_PAINTED})('remote') === '{expected}'")
            red.press("more")
            red.press("fit")
            red.await_that(f"({_PAINTED})('remote') === 'contain'")
            self.assertEqual(red.text("fit-label"), "Fill the screen")

        return self.play(story)

    def test_self_view(self) -> Deferred[None]:
        """One's own picture is where lines end, or in the corner that it is dragged to; it can be hidden and shown."""

        def story(stage: Stage) -> None:
            red, _ = meet(stage)
            resize(red, UPRIGHT)
            for language, expected in (("ar", "top-left"), ("en", "top-right")):
                red.switch_language(language)
                self.assertEqual(corner(red), expected)
            for x, y, expected in ((40, 90, "top-left"), (60, 700, "bottom-left"), (350, 600, "bottom-right")):
                drag(red, "self", x, y)
                self.assertEqual(corner(red), expected)
                self.assertEqual(faults(red.page), [])
            before = box(red, "self")
            red.page.reload()
            red.await_state("connected")
            red.await_shown("self")
            wait_until(red, lambda: box(red, "self") == before, "the picture in its corner")
            red.press("more")
            red.press("self-item")
            red.await_hidden("self")
            self.assertEqual(red.text("self-item-label"), "Show my picture")
            red.press("self-item")
            red.await_shown("self")

        return self.play(story)

    def test_swap(self) -> Deferred[None]:
        """A tap on the small picture makes it the large one, whoever it shows, until the other side shows a screen."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            red.await_colour(Camera.BLUE)
            red.page.click("#self")
            self.assertGreater(area(red, "local"), 0.99)
            self.assertLess(area(red, "remote"), 0.1)
            blue.press("share")
            red.await_shown("screen")
            self.assertGreater(area(red, "screen"), 0.99)
            for small in ("local", "remote"):
                self.assertLess(area(red, small), 0.1)
            blue.press("share")
            red.await_hidden("screen")
            red.page.click("#other")
            self.assertGreater(area(red, "remote"), 0.99)
            self.assertEqual(red.page.evaluate(_PAINTED, "screen"), "contain")

        return self.play(story)

    def test_waiting(self) -> Deferred[None]:
        """While nobody else is here one's own picture is small, and what the page says is not written on it."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(Camera.RED))
            visitor.enter(stage.room)
            visitor.await_state("waiting")
            visitor.await_shown("local")
            for size in (*SCREENS, NARROWEST):
                resize(visitor, size)
                self.assertLess(area(visitor, "self"), 0.1)
                self.assertEqual(faults(visitor.page), [])

        return self.play(story)


class DrawerTests(BrowserCase):
    """The drawers beside the pictures."""

    def test_beside(self) -> Deferred[None]:
        """A drawer covers no picture: they have what it leaves, and one's own stays in its corner of that."""

        def story(stage: Stage) -> None:
            red, _ = meet(stage)
            for size in SCREENS:
                resize(red, size)
                for name in ("chat", "more", "devices", "verification", "statistics"):
                    if name in ("chat", "more"):
                        red.press(name)
                    elif name == "statistics":
                        red.page.keyboard.press("s")
                    else:
                        red.press("more")
                        red.press("verify" if name == "verification" else f"open-{name}")
                    red.await_shown(f"{name}-drawer")
                    drawer, other, own = box(red, f"{name}-drawer"), box(red, "other"), box(red, "self")
                    if size == UPRIGHT:
                        self.assertLessEqual(other["y"] + other["height"], drawer["y"] + 1, (size, name))
                    else:
                        self.assertLessEqual(other["x"] + other["width"], drawer["x"] + 1, (size, name))
                    self.assertGreater(other["width"] * other["height"], 0.3 * size[0] * size[1], (size, name))
                    self.assertLess(own["x"] + own["width"], other["x"] + other["width"], (size, name))
                    self.assertLess(own["y"] + own["height"], other["y"] + other["height"], (size, name))
                    red.page.keyboard.press("Escape")
                    red.await_hidden(f"{name}-drawer")

        return self.play(story)


class ButtonTests(BrowserCase):
    """The bar of buttons."""

    def test_on_a_phone(self) -> Deferred[None]:
        """At most five, with room between them, the red one further away; the sharing is in the menu."""

        def story(stage: Stage) -> None:
            red, _ = meet(stage)
            for size in (UPRIGHT, NARROWEST):
                resize(red, size)
                discs = red.page.evaluate(_DISCS)
                gaps = [right[0] - left[1] for left, right in pairwise(discs)]
                self.assertLessEqual(len(discs), 5)
                self.assertGreaterEqual(min(gaps), NEAREST, size)
                self.assertGreater(gaps[-1], max(gaps[:-1]) + 8, size)
                red.press("more")
                self.assertTrue(red.is_visible("share-item"))
                red.page.keyboard.press("Escape")

        return self.play(story)

    def test_apart(self) -> Deferred[None]:
        """Elsewhere what others then see, and what ends the call, is apart from the rest."""

        def story(stage: Stage) -> None:
            red, _ = meet(stage)
            for size in SCREENS[1:]:
                resize(red, size)
                places = [box(red, f"{name}-label") for name in ("camera", "share", "more", "hangup")]
                for left, right in (places[:2], places[2:]):
                    self.assertGreaterEqual(right["x"] - left["x"] - left["width"], 24, size)

        return self.play(story)
