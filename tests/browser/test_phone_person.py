"""Mistakes that people make at the web phone, and reading and pressing as they do."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from callnet_client import Account
from tests.browser.case import OwnDaemonCase, in_reactor
from tests.browser.phone_visitor import ALICE, BOB, introduce, phone
from tests.browser.stage import Stage
from tests.support.devices import service_of


class PersonTests(OwnDaemonCase):
    """One person at the phone."""

    async def claim(self) -> None:
        """Let somebody else claim Bob's device."""
        account = Account(service_of(self.daemon), *BOB, keep=lambda _: None)
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
            visitor.await_text("login-problem", "This is no phone number that can be used here.")
            visitor.fill_in(*BOB)
            visitor.press("login-submit")
            visitor.await_text("login-problem", "This name belongs to a device that somebody else uses.")
            visitor.fill_in("138 0000 0001", "desk")
            visitor.press("login-submit")
            visitor.await_scene("home", "online")
            self.assertEqual(visitor.text("self-phone"), ALICE.phone)
            visitor.press("add-first")
            for wrong, sentence in (("12", "This is no phone number"), (ALICE.phone, "That is your own number.")):
                visitor.page.fill("#add-phone", wrong)
                visitor.page.click("#add-form button")
                visitor.await_text("notice-text", sentence)

        return self.play(story)

    def test_a_changed_contact(self) -> Deferred[None]:
        """A contact gets another name, and is taken out."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, bob = phone(stage, browser), phone(stage, browser)
            introduce(alice, bob)
            card = f'#people .card[data-phone="{BOB.phone}"]'
            alice.page.click(f'[data-key="edit-{BOB.phone}"]')
            alice.page.fill(f"{card} input", "Robert")
            alice.page.keyboard.press("Enter")
            alice.page.wait_for_selector(f"{card} .name:has-text('Robert')")
            alice.page.click(f'[data-key="edit-{BOB.phone}"]')
            alice.page.click(f"{card} .danger")
            alice.page.wait_for_selector("#no-people")

        return self.play(story)

    def test_chinese(self) -> Deferred[None]:
        """A browser in Chinese has all in Chinese; the other language can be chosen, here or on the page, and stays."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, bob = phone(stage, browser, "zh-CN"), phone(stage, browser)
            alice.open()
            alice.await_scene("login")
            self.assertEqual(alice.text("login-title"), "登录")
            introduce(alice, bob)
            alice.call(BOB.phone)
            self.assertIn("正在", alice.text("ring-text"))
            bob.await_scene("ringing")
            bob.press("accept")
            for visitor, language in ((alice, "zh-CN"), (bob, "en")):
                visitor.inside.await_state("connected")
                self.assertEqual(visitor.inside.page.evaluate("document.documentElement.lang"), language)
            alice.press("call-hangup")
            alice.await_text("notice-text", "您已挂断。")
            alice.press("to-settings")
            alice.press("language-en")
            alice.await_text("notice-text", "You hung up.")
            alice.page.reload()
            alice.await_scene("home", "online")
            self.assertEqual(alice.text("to-settings"), "Settings")
            alice.visit()
            alice.await_shown("title", "Video call")
            alice.press("language")
            alice.await_shown("title", "视频通话")
            alice.open()
            alice.await_scene("home", "online")
            self.assertEqual(alice.text("to-settings"), "设置")

        return self.play(story)

    def test_a_remote_control(self) -> Deferred[None]:
        """Arrows and OK are enough to log in, to add nobody, to call and to take a call."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, bob = phone(stage, browser), phone(stage, browser)
            introduce(alice, bob)
            focused = "document.activeElement.dataset.key || document.activeElement.id"
            keyboard = alice.page.keyboard
            alice.page.reload()
            alice.await_contact(BOB.phone, online=True)
            alice.page.evaluate("document.activeElement.blur()")
            keyboard.press("ArrowDown")
            self.assertEqual(alice.page.evaluate(focused), f"call-{BOB.phone}")
            keyboard.press("ArrowLeft")
            self.assertEqual(alice.page.evaluate(focused), f"edit-{BOB.phone}")
            keyboard.press("ArrowLeft")
            self.assertIn(alice.page.evaluate(focused), ("to-contacts", "to-calls", "to-settings"))
            for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown"):
                keyboard.press(key)
            self.assertEqual(alice.page.evaluate(focused), f"call-{BOB.phone}")
            keyboard.press("Enter")
            alice.await_scene("calling")
            self.assertEqual(alice.page.evaluate(focused), "cancel")
            bob.await_scene("ringing")
            self.assertEqual(bob.page.evaluate(focused), "accept")
            bob.page.keyboard.press("ArrowLeft")
            self.assertEqual(bob.page.evaluate(focused), "refuse")
            bob.page.keyboard.press("ArrowRight")
            bob.wait(700)  # a person who was just typing does not mean to accept
            bob.page.keyboard.press("Enter")
            for visitor in (alice, bob):
                visitor.await_scene("call")

        return self.play(story)
