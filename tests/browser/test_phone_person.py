"""Mistakes that people make at the web phone, and reading and pressing as they do."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from callnet_client import Account
from tests.browser.case import in_reactor
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, phone, tab
from tests.browser.stage import Stage
from tests.support.devices import service_of

_NOTE_TAKEN: Final = "addEventListener('keydown', (event) => { window.isTaken = event.defaultPrevented; })"


class PersonTests(PhoneCase):
    """One person at the phone."""

    async def claim(self) -> None:
        """Let somebody else claim Bob's device."""
        account = Account(service_of(self.daemon), *self.bob, keep=lambda _: None)
        await account.login()
        await account.login()

    def test_wrong_entries(self) -> Deferred[None]:
        """Invalid entries are answered by a plain sentence, and can be corrected."""

        def story(stage: Stage) -> None:
            in_reactor(lambda: Deferred.fromCoroutine(self.claim()))
            visitor = phone(stage, stage.browser(None))
            visitor.open()
            visitor.await_scene("login")
            visitor.fill_in("12", "desk")
            visitor.press("login-submit")
            visitor.await_text("login-problem", "This phone number can’t be used here.")
            visitor.fill_in(*self.bob)
            visitor.press("login-submit")
            visitor.await_text("login-problem", "Someone else is using this device name.")
            number = self.alice.phone
            visitor.fill_in(f"{number[:3]} {number[3:7]} {number[7:]}", "desk")
            visitor.press("login-submit")
            visitor.await_scene("home", "online")
            self.assertEqual(visitor.text("self-phone"), self.alice.phone)
            for wrong, sentence in (("12", "This phone number can’t"), (self.alice.phone, "That’s your own number.")):
                visitor.page.fill("#add-phone", wrong)
                visitor.page.click("#add-form button")
                visitor.await_text("notice-text", sentence)

        return self.play(story)

    def test_the_first_contact(self) -> Deferred[None]:
        """A person without contacts has the form at hand, and keeps it while typing, whoever is added meanwhile."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, tablet = phone(stage, browser), phone(stage, browser)
            alice.log_in(*self.alice)
            alice.await_that("document.activeElement.id === 'add-phone'")
            self.assertFalse(alice.is_visible("add"))
            keyboard = alice.page.keyboard
            keyboard.press("ArrowDown")
            self.assertEqual(alice.focused, "add-name")
            keyboard.press("ArrowDown")
            self.assertTrue(alice.page.evaluate("document.activeElement.matches('#add-form button')"))
            keyboard.press("ArrowUp")
            keyboard.press("ArrowUp")
            keyboard.type(self.bob.phone)
            tablet.log_in(self.alice.phone, "tablet")
            tablet.add_contact(self.television.phone, "Television")
            alice.await_contact(self.television.phone, online=False)
            self.assertEqual((alice.focused, alice.is_visible("add-intro")), ("add-phone", False))
            keyboard.press("Enter")
            alice.await_contact(self.bob.phone, online=False)
            alice.await_that(f"document.activeElement.dataset.key === 'call-{self.bob.phone}'")
            self.assertEqual((alice.is_visible("add-form"), alice.is_visible("add")), (False, True))

        return self.play(story)

    def test_the_first_contact_by_touch(self) -> Deferred[None]:
        """On a touch screen no field has the focus by itself: the keyboard would cover the rest."""

        def story(stage: Stage) -> None:
            profile = stage.profile(stage.browser(None), size=(390, 844), has_touch=True, is_mobile=True)
            alice = tab(stage, profile)
            alice.open()
            alice.await_scene("login")
            self.assertEqual(alice.focused, "")
            alice.log_in(*self.alice)
            alice.await_shown("add-intro")
            alice.await_that("document.activeElement.id === 'contacts'")

        return self.play(story)

    def test_chinese(self) -> Deferred[None]:
        """A browser in Chinese has all in Chinese; another language can be chosen, here or on the page, and stays."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, bob = phone(stage, browser, "zh-CN"), phone(stage, browser)
            alice.open()
            alice.await_scene("login")
            self.assertEqual(alice.text("login-title"), "登录")
            self.introduce(alice, bob)
            alice.call(self.bob.phone)
            alice.await_text("ring-text", "正在")
            bob.await_scene("ringing")
            bob.press("accept")
            for visitor, language in ((alice, "zh-CN"), (bob, "en")):
                visitor.inside.await_state("connected")
                self.assertEqual(visitor.inside.page.evaluate("document.documentElement.lang"), language)
            alice.hang_up()
            alice.await_text("notice-text", "您已结束与 Bob 的通话。")
            alice.press("to-settings")
            alice.choose_language("en", "#settings")
            alice.await_text("notice-text", "You ended the call with Bob.")
            alice.page.reload()
            alice.await_scene("home", "online")
            self.assertEqual(alice.text("to-settings"), "Settings")
            alice.visit()
            alice.await_shown("title", "Video call")
            alice.choose_language("zh-CN", "#language")
            alice.await_shown("title", "视频通话")
            alice.open()
            alice.await_scene("home", "online")
            self.assertEqual(alice.text("to-settings"), "设置")

        return self.play(story)

    def test_two(self) -> Deferred[None]:
        """A person who has a contact calls with a remote control, and changes the contact."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, bob = phone(stage, browser), tab(stage, stage.profile(browser, size=(1280, 720)))
            self.introduce(alice, bob)
            self.a_remote_control(alice, bob)
            alice.hang_up()
            self.a_remote_control_while_it_rings(alice, bob)
            alice.press("cancel")
            self.a_changed_contact(alice)

        return self.play(story)

    def a_remote_control(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Arrows and OK are enough to log in, to add nobody, to call and to take a call."""
        focused = "document.activeElement.dataset.key || document.activeElement.id"
        keyboard = alice.page.keyboard
        alice.page.reload()
        alice.await_contact(self.bob.phone, online=True)
        alice.page.evaluate("document.activeElement.blur()")
        keyboard.press("ArrowDown")
        self.assertEqual(alice.page.evaluate(focused), f"call-{self.bob.phone}")
        keyboard.press("ArrowRight")
        self.assertEqual(alice.page.evaluate(focused), f"edit-{self.bob.phone}")
        keyboard.press("ArrowLeft")
        self.assertEqual(alice.page.evaluate(focused), f"call-{self.bob.phone}")
        keyboard.press("ArrowLeft")
        self.assertIn(alice.page.evaluate(focused), ("to-contacts", "to-calls", "to-settings"))
        keyboard.press("ArrowRight")
        self.assertEqual(alice.page.evaluate(focused), f"call-{self.bob.phone}")
        bob.press_as_it_comes("#accept", "ringing")  # who was just doing something else does not mean that
        alice.press_enter()
        alice.await_scene("calling")
        self.assertEqual(alice.page.evaluate(focused), "cancel")
        bob.await_scene("ringing")
        self.assertEqual(bob.page.evaluate(focused), "accept")
        bob.page.keyboard.press("ArrowLeft")
        self.assertEqual(bob.page.evaluate(focused), "refuse")
        bob.page.keyboard.press("ArrowRight")
        bob.press_enter()
        for visitor in (alice, bob):
            visitor.await_scene("call")

    def a_remote_control_while_it_rings(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Arrows go to nothing that is not in view, as the button of a call whose page has not come yet."""
        bob.page.route("**/direct_chat.html?*", lambda _: None)
        alice.call(self.bob.phone)
        bob.await_scene("ringing")
        bob.page.evaluate(_NOTE_TAKEN)
        for key in ("ArrowUp", "ArrowRight", "ArrowDown"):
            bob.page.keyboard.press(key)
            self.assertEqual(bob.page.evaluate("[document.activeElement.id, isTaken]"), ["accept", False], key)

    def a_changed_contact(self, alice: PhoneVisitor) -> None:
        """A contact gets another name, and is taken out."""
        card = f'#people .card[data-phone="{self.bob.phone}"]'
        alice.page.click(f'[data-key="edit-{self.bob.phone}"]')
        alice.page.fill(f"{card} input", "Robert")
        alice.page.keyboard.press("Enter")
        alice.page.wait_for_selector(f"{card} .name:has-text('Robert')")
        alice.page.click(f'[data-key="edit-{self.bob.phone}"]')
        alice.page.click(f"{card} .danger")
        alice.page.wait_for_selector("#no-people")
