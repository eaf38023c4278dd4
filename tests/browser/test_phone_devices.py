"""The web phone on several devices of one phone, which show the same; blocking, past calls, the volume of the ring."""

from __future__ import annotations

import json
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred

from tests.browser.continuity import wait_until
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.stage import Stage

TABLET: Final = "alices tablet, Chrome"
_COUNT_TONES: Final = """
    window.loudness = [];
    const ramp = AudioParam.prototype.linearRampToValueAtTime;
    AudioParam.prototype.linearRampToValueAtTime = function (value, time) {
        window.loudness.push(value);
        return ramp.call(this, value, time);
    };
"""


def press_key(visitor: PhoneVisitor, key: str) -> None:
    """Press what the page knows by this key."""
    visitor.page.click(f'[data-key="{key}"]')


def await_focus(visitor: PhoneVisitor, key: str) -> None:
    """Wait until what has this key has the focus."""
    visitor.await_that(f"document.activeElement.dataset.key === {json.dumps(key)}")


def names(visitor: PhoneVisitor) -> list[str]:
    """The devices, as the settings list them."""
    return [" ".join(text.split()) for text in visitor.page.locator("#devices .device").all_inner_texts()]


def await_names(visitor: PhoneVisitor, expected: list[str]) -> None:
    """Wait until the settings list these devices."""
    wait_until(visitor, lambda: names(visitor) == expected, f"{expected}")


def options(visitor: PhoneVisitor) -> None:
    """Show what can be done with the newest call."""
    visitor.page.click("#past .card:first-child .quiet")


class DevicesTests(PhoneCase):
    """Two devices of Alice, both open."""

    def test_the_same_on_both(self) -> Deferred[None]:
        """Changes on one device are shown on the other at once, and typed text stays."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            desk, tablet, bob = (phone(stage, browser) for _ in range(3))
            bob.log_in(*self.bob)
            bob.add_contact(self.alice.phone, "Alice")
            desk.log_in(*self.alice)
            tablet.log_in(self.alice.phone, TABLET)
            desk.add_contact(self.bob.phone, "Bob")
            tablet.await_contact(self.bob.phone, online=True)
            press_key(tablet, f"edit-{self.bob.phone}")
            tablet.page.fill(f"#name-{self.bob.phone}", "Rob")
            press_key(desk, f"edit-{self.bob.phone}")
            desk.page.fill(f"#name-{self.bob.phone}", "Robert")
            desk.page.keyboard.press("Enter")
            desk.page.wait_for_selector(".card .name:has-text('Robert')")
            bob.await_contact(self.alice.phone, online=True)
            bob.call(self.alice.phone)
            for visitor in (desk, tablet):
                visitor.await_scene("ringing")
            tablet.await_text("ring-name", "Robert")
            desk.press("refuse")
            tablet.await_scene("home")
            tablet.await_text("notice-text", "You declined Robert on another device.")
            self.assertEqual(tablet.page.input_value(f"#name-{self.bob.phone}"), "Rob")

            for visitor in (desk, tablet):
                visitor.press("to-calls")
                visitor.page.wait_for_selector('#past [data-kind="refused"]')
            options(desk)
            desk.page.click('#past [data-key^="delete-"]')
            for visitor in (desk, tablet):
                visitor.await_shown("no-calls")

            for visitor in (desk, tablet):
                visitor.press("to-settings")
            desk.press("who-contacts")
            tablet.page.wait_for_selector('#who-contacts[aria-pressed="true"]')
            tablet.await_shown("who-hint", "Everyone else sees you as offline.")
            desk.page.check("#quiet")
            tablet.await_text("self-quiet", "Do not disturb")
            press_key(desk, f"device-{TABLET}")
            await_focus(desk, f"label-{TABLET}")
            desk.page.keyboard.type("Kitchen")
            desk.page.keyboard.press("Enter")
            desk.page.wait_for_selector("#devices .device:nth-child(2):has-text('Kitchen')")
            await_focus(desk, f"device-{TABLET}")
            self.assertEqual([f"{self.alice.device_id} This device", f"Kitchen {TABLET} · In use now"], names(desk))
            tablet.await_text("self-device", "Kitchen")

        return self.play(story)

    def test_removed(self) -> Deferred[None]:
        """A device is removed, or logged out, when that was confirmed; it asks to log in, and is a new one then."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            desk, tablet = phone(stage, browser), phone(stage, browser)
            desk.log_in(*self.alice)
            tablet.log_in(self.alice.phone, TABLET)
            desk.press("to-settings")
            self.change(desk, "remove", "no")
            await_focus(desk, f"device-{TABLET}")
            self.change(desk, "remove", "yes")
            desk.await_text("notice-text", f"{TABLET} was removed.")
            await_names(desk, [f"{self.alice.device_id} This device"])
            await_focus(desk, f"device-{self.alice.device_id}")
            tablet.await_scene("login")
            tablet.await_text("login-problem", "This device was logged out.")
            tablet.press("login-submit")
            tablet.await_scene("home", "online")
            self.assertEqual(tablet.text("self-device"), TABLET)

            tablet.press("to-settings")
            tablet.press("log-out")
            tablet.await_scene("login")
            self.change(desk, "remove", "yes")
            desk.page.wait_for_selector("#devices .device:nth-child(2)", state="detached")
            tablet.press("login-submit")
            tablet.await_scene("home", "online")
            self.assertEqual(tablet.text("self-device"), TABLET)

            self.change(desk, "log_out", "yes")
            desk.await_text("notice-text", f"{TABLET} is logged out.")
            tablet.await_scene("login")
            tablet.await_text("login-problem", "This device was logged out.")
            desk.press("to-settings")
            desk.page.wait_for_selector("#devices .device:nth-child(2):has-text('Last used today')")

        return self.play(story)

    def test_changes_while_pressed(self) -> Deferred[None]:
        """A press takes effect even if its line changes before it is let go; the line is shown as it is then."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            desk, tablet = phone(stage, browser), phone(stage, browser)
            desk.log_in(*self.alice)
            tablet.log_in(self.alice.phone, TABLET)
            for visitor in (desk, tablet):
                visitor.press("to-settings")
            own = self.alice.device_id
            line = f'[data-key="device-{own}"]'
            mouse, keyboard = desk.page.mouse, desk.page.keyboard
            for label, hold, let_go in (
                ("Study", mouse.down, mouse.up),
                ("Attic", partial(keyboard.down, " "), partial(keyboard.up, " ")),
            ):
                desk.page.hover(line)
                desk.page.focus(line)
                hold()
                press_key(tablet, f"device-{own}")
                tablet.page.fill("#device-label", label)
                press_key(tablet, f"save-{own}")
                desk.await_text("self-device", label)
                let_go()
                await_focus(desk, f"label-{own}")
                press_key(desk, f"close-{own}")
                desk.page.wait_for_selector(f"#devices .device:has-text('{label}')")

        return self.play(story)

    def change(self, visitor: PhoneVisitor, what: str, answer: str) -> None:
        """Want the tablet removed or logged out, and answer the question."""
        press_key(visitor, f"device-{TABLET}")
        press_key(visitor, f"{what}-{TABLET}")
        await_focus(visitor, f"no-{TABLET}")
        press_key(visitor, f"{answer}-{TABLET}")


class CallerTests(PhoneCase):
    """A caller, and the callee."""

    def test_caller(self) -> Deferred[None]:
        """Alice sets how loud it rings, adds a stranger who has called, and does not want to hear from him then."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, bob = phone(stage, browser), phone(stage, browser)
            alice.page.add_init_script(_COUNT_TONES)
            alice.log_in(*self.alice)
            self.volume(alice)
            bob.log_in(*self.bob)
            bob.add_contact(self.alice.phone, "Alice")
            self.a_stranger(alice, bob)
            alice.press("to-contacts")
            self.blocked(alice, bob)

        return self.play(story)

    def volume(self, alice: PhoneVisitor) -> None:
        """It can be tried, is as loud as it was set, and stays so."""
        alice.press("to-settings")
        alice.press("ring-play")
        alice.await_that("window.loudness.length >= 6")
        usual = alice.page.evaluate("Math.max(...window.loudness)")
        alice.page.focus("#ring-volume")
        alice.page.keyboard.press("Home")
        alice.page.evaluate("window.loudness.length = 0")
        alice.press("ring-play")
        alice.page.focus("#ring-volume")
        alice.page.keyboard.press("ArrowRight")
        alice.await_that("window.loudness.length >= 6")
        self.assertLess(alice.page.evaluate("Math.max(...window.loudness)"), usual / 9)
        alice.page.reload()
        alice.await_scene("home", "online")
        self.assertEqual(alice.page.input_value("#ring-volume"), "10")

    def refuse_and_look_back(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Have Alice refuse a call of Bob's, and open the options of that past call."""
        bob.call(self.alice.phone)
        alice.await_scene("ringing")
        alice.press("refuse")
        alice.press("to-calls")
        alice.page.wait_for_selector("#past .card")
        options(alice)

    def a_stranger(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """The number of a past call is added to the contacts; all calls are deleted when that was confirmed."""
        self.refuse_and_look_back(alice, bob)
        alice.page.click('#past [data-key^="add-"]')
        self.assertEqual((alice.page.input_value("#add-phone"), alice.focused), (self.bob.phone, "add-name"))
        alice.page.keyboard.type("Bob")
        alice.page.keyboard.press("Enter")
        alice.await_contact(self.bob.phone, online=True)
        alice.press("to-calls")
        alice.page.wait_for_selector("#past .name:has-text('Bob')")
        alice.press("clear")
        self.assertEqual(alice.focused, "clear-no")
        alice.press("clear-no")
        self.assertEqual(alice.focused, "clear")
        alice.press("clear")
        alice.press("clear-yes")
        alice.await_shown("no-calls")
        alice.await_that("document.activeElement.id === 'to-calls'")
        alice.await_hidden("clear")

    def blocked(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """A blocked person does not ring; that can be taken back at once, and later in the settings."""
        press_key(alice, f"edit-{self.bob.phone}")
        press_key(alice, f"block-{self.bob.phone}")
        alice.await_text("notice-text", "Bob is blocked.")
        await_focus(alice, f"edit-{self.bob.phone}")
        alice.page.wait_for_selector(f'.card[data-phone="{self.bob.phone}"] .soft:has-text("blocked")')
        bob.look_for_contact(self.alice.phone, online=False)
        bob.call(self.alice.phone)
        bob.await_text("notice-text", "Alice is offline right now.")
        alice.press("to-settings")
        alice.page.wait_for_selector("#blocked .line:has-text('Bob')")
        press_key(alice, f"unblock-{self.bob.phone}")
        alice.await_text("notice-text", "Bob is no longer blocked.")
        alice.await_text("blocked-hint", "You haven’t blocked anyone.")
        alice.await_that("document.activeElement.id === 'settings'")
        bob.look_for_contact(self.alice.phone, online=True)
        self.refuse_and_look_back(alice, bob)
        press_key(alice, f"block-{self.bob.phone}")
        alice.await_text("notice-text", "Bob is blocked.")
        alice.press("notice-undo")
        alice.await_text("notice-text", "Bob is no longer blocked.")
        bob.await_scene("home")
        bob.look_for_contact(self.alice.phone, online=True)
        bob.call(self.alice.phone)
        alice.await_scene("ringing")
