"""The look of the pages: themes and sizes of type, by the system and by choice, on every width and enlarged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from playwright.sync_api import Page
from twisted.internet.defer import Deferred

from callnet.model import DeviceAddress
from tests.browser import dashboard_layout, layout, phone_layout
from tests.browser.axe import violations
from tests.browser.guest_visitor import PATH, guest
from tests.browser.layout import look
from tests.browser.operator import NO_ANSWER, key_of, operator
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.stage import Stage
from tests.browser.test_call import meet
from tests.browser.window import resized

WINDOWS: Final = ((320, 568), (390, 844), (768, 1024), (1366, 768), (1920, 1080), (2560, 1440), (3840, 2160))
ZOOMS: Final = (1, 2, 4)
NARROWEST: Final = 320
"""A page need not be narrower, however much it is enlarged (WCAG 2.2, 1.4.10)."""
GROWTH: Final = 1.9
"""At 200 % each text is at least this much larger than at 100 %."""
NO_NAME: Final = DeviceAddress("13800000009", "desk")
SMART_TV: Final = (
    "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108.0.0.0 Safari/537.36"
)

_SIZES: Final = """() => [Array.from(document.body.querySelectorAll("*"), (element, place) => [element, place])
    .filter(([element]) => element.checkVisibility() && !element.matches("option, [aria-hidden] *")
        && Array.from(element.childNodes).some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== ""))
    .map(([element, place]) => [`${place} ${element.id || element.className}`,
        parseFloat(getComputedStyle(element).fontSize)])]"""
"""The sizes of all texts that are shown, in CSS pixels."""

_COLOURS: Final = """() => ({
    theme: document.documentElement.dataset.theme,
    ground: getComputedStyle(document.documentElement).getPropertyValue("--ground").trim(),
    meta: document.querySelector('meta[name="theme-color"]').content,
    scheme: document.querySelector('meta[name="color-scheme"]').content,
})"""

_TYPE: Final = "parseFloat(getComputedStyle(document.documentElement).fontSize)"


def enlarged_faults(page: Page, faults: str) -> Iterator[str]:
    """The faults in windows of each width, at each zoom.

    Zooming makes a window smaller by as much as it makes each of its pixels larger.
    """
    with resized(page) as resize:
        for width, height in WINDOWS:
            plain: dict[str, float] = {}
            for zoom in ZOOMS:
                if zoom > 1 and width / zoom < NARROWEST:
                    continue
                resize(width // zoom, height // zoom)
                where = f"{width} x {height} at {zoom}00 %"
                *found, shown = look(page, faults, _SIZES)
                yield from (f"{where}: {fault}" for fault in found)
                sizes: dict[str, float] = dict(shown)
                plain = plain or sizes
                if zoom == 2:
                    for text, size in sizes.items():
                        if text in plain and size * zoom < plain[text] * GROWTH:
                            yield f"{where}: the type of {text} is {size * zoom / plain[text]:.2f} times as large"


class EnlargedTests(PhoneCase):
    """Pages in windows of any width, and enlarged."""

    timeout = 300
    maxDiff = None

    def test_the_phone(self) -> Deferred[None]:
        """Whatever the phone shows is whole, or can be scrolled to."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, bob = phone(stage, browser), phone(stage, browser)
            found: list[str] = []

            def look(what: str, visitor: PhoneVisitor) -> None:
                found.extend(f"{what}, {fault}" for fault in enlarged_faults(visitor.page, phone_layout.FAULTS))

            alice.open()
            alice.await_scene("login")
            look("login", alice)
            stranger = phone(stage, browser)
            stranger.log_in(*self.television)
            stranger.await_shown("no-people")
            look("nobody yet", stranger)
            self.introduce(alice, bob)
            alice.add_contact(NO_NAME.phone, "")
            look("contacts", alice)
            bob.call(self.alice.phone)
            alice.await_scene("ringing")
            look("ringing", alice)
            alice.press("refuse")
            alice.await_scene("home")
            alice.press("to-settings")
            alice.page.check("#quiet")
            alice.press("quiet-daily")
            alice.page.wait_for_selector("#quiet-times")
            look("settings", alice)
            alice.press("link-make")
            alice.page.select_option("#link-when", "daily")
            look("a new link", alice)
            self.assertEqual("\n".join(found), "")

        return self.play(story)

    def test_the_page_of_guests(self) -> Deferred[None]:
        """The page of guests is whole, or can be scrolled to."""

        def story(stage: Stage) -> None:
            visitor = guest(stage, stage.browser(None))
            visitor.follow(f"{stage.site_url}{PATH}#secret")
            found = [f"door, {fault}" for fault in enlarged_faults(visitor.page, phone_layout.FAULTS)]
            visitor.ring("Anna")
            visitor.await_scene("calling")
            found += [f"calling, {fault}" for fault in enlarged_faults(visitor.page, phone_layout.FAULTS)]
            self.assertEqual("\n".join(found), "")

        return self.play(story)

    def test_the_page(self) -> Deferred[None]:
        """The page of a call, before the call, is whole, or can be scrolled to."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            visitor.visit()
            visitor.await_state("idle")
            found = [f"lobby, {fault}" for fault in enlarged_faults(visitor.page, layout.FAULTS)]
            visitor.enter("x" * 65)
            visitor.await_state("error", "invalid")
            found += [f"error, {fault}" for fault in enlarged_faults(visitor.page, layout.FAULTS)]
            self.assertEqual("\n".join(found), "")

        return self.play(story)

    def test_a_call(self) -> Deferred[None]:
        """The page of a call is whole with the other's picture, and with each of its drawers."""

        def story(stage: Stage) -> None:
            red, _ = meet(stage)

            found = [f"pictures, {fault}" for fault in enlarged_faults(red.page, layout.FAULTS)]
            for opened_by in ("chat", "more"):
                red.press(opened_by)
                found += [f"{opened_by}, {fault}" for fault in enlarged_faults(red.page, layout.FAULTS)]
                red.page.keyboard.press("Escape")
            self.assertEqual("\n".join(found), "")

        return self.play(story)

    def test_the_dashboard(self) -> Deferred[None]:
        """The dashboard is whole, also where words are long, and where they run from right to left."""

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon)
            visitor.open()
            visitor.unlock(key_of(self.daemon))
            visitor.view(False)  # an answer that is late would lengthen the state
            visitor.await_state("ready", "known")
            found = list(enlarged_faults(visitor.page, dashboard_layout.FAULTS))
            for language in ("en", "de", "ar"):
                visitor.choose_language(language, "footer")
                faults = enlarged_faults(visitor.page, dashboard_layout.EXTREME_FAULTS)
                found += [f"{language}, {fault}" for fault in faults]
            self.assertEqual("\n".join(found), "")
            visitor.forgive(NO_ANSWER)

        return self.play(story)


class ChoiceTests(PhoneCase):
    """The choices of the system and of the person."""

    def colours(self, page: Page) -> tuple[str, str]:
        """The theme and the colour of the ground, with which the browser's own parts go along."""
        seen = page.evaluate(_COLOURS)
        self.assertEqual((seen["ground"], seen["theme"]), (seen["meta"], seen["scheme"]))
        return seen["theme"], seen["ground"]

    def test_theme(self) -> Deferred[None]:
        """The theme is the system's until another one is chosen, which stays and holds for the call's page too."""

        def story(stage: Stage) -> None:
            alice, bob = self.in_browsers_of_their_own(stage)
            seen = {}
            for scheme in ("dark", "light"):
                alice.page.emulate_media(color_scheme=scheme)
                # The page is told of it with its next frame.
                alice.await_that("(scheme) => document.documentElement.dataset.theme === scheme", scheme)
                _, seen[scheme] = self.colours(alice.page)
            self.assertNotEqual(seen["dark"], seen["light"])
            alice.press("to-settings")
            alice.press("theme-dark")
            self.assertEqual(self.colours(alice.page), ("dark", seen["dark"]))
            alice.page.reload()
            alice.await_contact(self.bob.phone, online=True)
            self.assertEqual(self.colours(alice.page), ("dark", seen["dark"]))
            self.talk(alice, bob)
            self.assertEqual(self.colours(alice.inside.page), ("dark", seen["dark"]))
            other = stage.add(PhoneVisitor(alice.page.context.new_page(), stage.site_url))
            other.visit()
            self.assertEqual(self.colours(other.page), ("dark", seen["dark"]))
            other.page.evaluate("localStorage.removeItem('callnet.theme')")
            alice.await_that("document.documentElement.dataset.theme === 'light'")
            alice.inside.await_that("document.documentElement.dataset.theme === 'light'")

        return self.play(story)

    def test_size(self) -> Deferred[None]:
        """Type is as large as the browser has it, larger if that was chosen, and by the screen on a television."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            visitor = phone(stage, browser)
            visitor.log_in(*self.alice)
            visitor.press("to-settings")
            visitor.page.set_viewport_size({"width": 1920, "height": 1080})
            self.assertEqual(visitor.page.evaluate(_TYPE), 16)
            for size, pixels in (("large", 20), ("television", 28.4), ("normal", 16), ("automatic", 16)):
                visitor.press(f"size-{size}")
                self.assertAlmostEqual(visitor.page.evaluate(_TYPE), pixels, 1)
                self.assertEqual(visitor.page.get_attribute(f"#size-{size}", "aria-pressed"), "true")
                self.assertEqual(phone_layout.faults(visitor.page), [])
            profile = stage.profile(browser, size=(1920, 1080), whole_screen=True, user_agent=SMART_TV)
            television = stage.add(PhoneVisitor(profile.new_page(), stage.site_url))
            television.log_in(*self.bob)
            self.assertAlmostEqual(television.page.evaluate(_TYPE), 28.4, 1)
            self.assertEqual(phone_layout.faults(television.page), [])
            self.assertEqual(violations(television.page), [])

        return self.play(story)

    def test_strong_colours(self) -> Deferred[None]:
        """Where the system has its own colours, or wants strong ones, what can be pressed has a rim."""
        rim = "(id) => parseFloat(getComputedStyle(document.getElementById(id)).borderTopWidth)"
        soft = "getComputedStyle(document.querySelector('#settings .hint')).color"
        text = "getComputedStyle(document.body).color"

        def story(stage: Stage) -> None:
            visitor = phone(stage, stage.browser(None))
            visitor.log_in(*self.alice)
            visitor.press("to-settings")
            self.assertNotEqual(visitor.page.evaluate(soft), visitor.page.evaluate(text))
            visitor.page.emulate_media(contrast="more")
            self.assertEqual(visitor.page.evaluate(soft), visitor.page.evaluate(text))
            self.assertEqual(violations(visitor.page), [])
            visitor.page.emulate_media(contrast="no-preference", forced_colors="active")
            for name in ("log-out", "theme-dark", "quiet-from"):
                self.assertGreaterEqual(visitor.page.evaluate(rim, name), 1, name)
            self.assertEqual(phone_layout.faults(visitor.page), [])

        return self.play(story)
