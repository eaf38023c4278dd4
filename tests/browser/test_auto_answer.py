"""Calls that the phone answers by itself, and what anybody in the room can do about it."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from tests.browser.camera import Camera
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.stage import Stage

LOOKS: Final = 20
COUNT: Final = """() => {
    window.counted = [];
    const left = document.querySelector("#auto-left");
    new MutationObserver(() => window.counted.push(left.textContent)).observe(left, { childList: true, subtree: true });
}"""
"""Notes what is counted."""
ANSWERED: Final = "Answered automatically"


class AutoAnswerTests(PhoneCase):
    """Bob's device answers Alice by itself."""

    def at_home(self, stage: Stage) -> tuple[PhoneVisitor, PhoneVisitor]:
        """Alice and Bob, who has chosen her, and has switched it on for this device."""
        alice, bob = self.in_browsers_of_their_own(stage)
        self.choose(bob)
        bob.press("to-settings")
        bob.await_text("auto-people", "Answers: Alice")
        self.switch(bob, is_on=True)
        bob.press("to-contacts")
        return alice, bob

    def switch(self, bob: PhoneVisitor, *, is_on: bool) -> None:
        """Have Bob switch it, and wait until his device knows."""
        bob.page.click("#auto-switch")
        answering = ":has-text('answers automatically')"
        bob.page.wait_for_selector(f"#devices .device{answering if is_on else f':not({answering})'}")

    def choose(self, bob: PhoneVisitor) -> None:
        """Have Bob choose Alice."""
        key = f'[data-key="edit-{self.alice.phone}"]'
        bob.page.click(key)
        bob.page.click(f'[data-key="answered-{self.alice.phone}"]')
        bob.page.click(f'[data-key="save-{self.alice.phone}"]')
        bob.page.wait_for_selector("#people .open", state="detached")

    def ring(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Have Alice call until it counts down: the server takes a moment to know that Bob has chosen her."""
        for _ in range(LOOKS):
            alice.call(self.bob.phone)
            bob.await_scene("ringing")
            if bob.is_visible("auto"):
                return
            bob.press("refuse")
            alice.await_scene("home")
            bob.await_scene("home")
            bob.wait(300)
        raise TimeoutError("it does not count down")

    def test_answered(self) -> Deferred[None]:
        """It counts down aloud, answers with camera and microphone, and says so for as long as the call lasts, and
        after it.
        """

        def story(stage: Stage) -> None:
            alice, bob = self.at_home(stage)
            self.ring(alice, bob)
            bob.await_text("ring-text", "Will be answered automatically")
            self.assertEqual("auto-stop", bob.page.evaluate("document.activeElement.id"))
            bob.await_that("Number(document.querySelector('#auto-left').textContent) < 10")
            bob.await_connected(Camera.RED)
            alice.await_connected(Camera.BLUE)
            bob.await_text("call-by-itself", ANSWERED)
            self.assertFalse(alice.is_visible("call-by-itself"))
            bob.page.reload()
            bob.await_connected(Camera.RED)
            bob.await_text("call-by-itself", ANSWERED)
            alice.hang_up()
            for one in (alice, bob):
                one.await_scene("home")
                one.press("to-calls")
                one.page.wait_for_selector(f'#past .card:has-text("{ANSWERED}")')

        return self.play(story)

    def test_chosen(self) -> Deferred[None]:
        """A contact's form chooses whether it is answered, and rings through quiet hours; a second call may ring."""

        def story(stage: Stage) -> None:
            bob = phone(stage, stage.browser(None))
            bob.log_in(*self.bob)
            bob.add_contact(self.alice.phone, "Alice")
            for answered, through in (("Answers: Alice", "Rings anyway: Alice"), ("Nobody is chosen", "Nobody yet")):
                bob.page.click(f'[data-key="edit-{self.alice.phone}"]')
                bob.page.click(f'[data-key="through-{self.alice.phone}"]')
                bob.page.click(f'[data-key="answered-{self.alice.phone}"]')
                bob.page.click(f'[data-key="save-{self.alice.phone}"]')
                bob.page.wait_for_selector("#people .open", state="detached")
                bob.press("to-settings")
                with bob.page.expect_response(lambda answer: "second_call" in (answer.request.post_data or "")):
                    bob.page.click("#quiet-second:enabled")
                bob.page.reload()
                bob.press("to-settings")
                bob.await_text("auto-people", answered)
                bob.await_text("quiet-through", through)
                is_on = "Alice" in answered
                bob.await_that(f"document.querySelector('#quiet-second').checked === {str(is_on).lower()}")
                bob.press("to-contacts")

        return self.play(story)

    def test_stopped(self) -> Deferred[None]:
        """One press stops it: the call rings on, after a reload, too, and can be accepted as usual."""

        def story(stage: Stage) -> None:
            alice, bob = self.at_home(stage)
            self.ring(alice, bob)
            bob.page.keyboard.press("Enter")
            bob.page.keyboard.press("Enter")  # a nervous finger accepts nothing
            bob.await_text("ring-text", "Incoming video call")
            self.assertEqual("accept", bob.page.evaluate("document.activeElement.id"))
            bob.page.reload()
            bob.await_scene("ringing")
            bob.await_text("ring-text", "Incoming video call")
            self.assertFalse(bob.is_visible("auto"))
            bob.press("accept")
            bob.await_connected(Camera.RED)
            self.assertFalse(bob.is_visible("call-by-itself"))

        return self.play(story)

    def test_hidden(self) -> Deferred[None]:
        """While the page is hidden the call rings without a countdown; in view it counts from the beginning."""

        def story(stage: Stage) -> None:
            alice, bob = self.at_home(stage)
            self.ring(alice, bob)
            bob.view(False)
            bob.await_text("ring-text", "Incoming video call")
            bob.await_hidden("auto")
            bob.view(True)
            bob.await_text("ring-text", "Will be answered automatically")
            self.assertEqual("auto-stop", bob.page.evaluate("document.activeElement.id"))
            bob.press("refuse")
            alice.await_scene("home")

        return self.play(story)

    def test_lists(self) -> Deferred[None]:
        """A form changes only what was touched in it. Who is removed is answered no more, until that is undone."""

        def story(stage: Stage) -> None:
            bob, tablet = (phone(stage, stage.browser(None)) for _ in range(2))
            bob.log_in(*self.bob)
            bob.add_contact(self.alice.phone, "Alice")
            tablet.log_in(self.bob.phone, "tablet")
            tablet.page.click(f'[data-key="edit-{self.alice.phone}"]')
            self.choose(bob)
            tablet.page.fill(f'[data-key="name-{self.alice.phone}"]', "Ann")
            tablet.page.click(f'[data-key="save-{self.alice.phone}"]')
            tablet.page.wait_for_selector("#people .open", state="detached")
            for press, answered in ((None, "Answers: Ann"), ("remove", "Nobody is chosen"), ("undo", "Answers: Ann")):
                if press == "remove":
                    bob.page.click(f'[data-key="edit-{self.alice.phone}"]')
                    bob.page.click('.open button:text-is("Remove")')
                    bob.await_text("notice-text", "removed")
                elif press == "undo":
                    bob.press("notice-undo")
                    bob.page.wait_for_selector(f'[data-key="edit-{self.alice.phone}"]')
                bob.press("to-settings")
                bob.await_text("auto-people", answered)
                bob.press("to-contacts")

        return self.play(story)

    def test_given_up(self) -> Deferred[None]:
        """A caller that gives up meanwhile is missed; the next call counts down from the beginning."""

        def story(stage: Stage) -> None:
            alice, bob = self.at_home(stage)
            self.ring(alice, bob)
            bob.await_that("Number(document.querySelector('#auto-left').textContent) < 10")
            alice.press("cancel")
            bob.await_scene("home")
            bob.await_text("notice-text", "Missed call from Alice.")
            alice.await_scene("home")
            bob.page.evaluate(COUNT)
            alice.call(self.bob.phone)
            bob.await_scene("ringing")
            bob.await_that("window.counted.length > 1")
            self.assertEqual(["10", "9"], [text for text in bob.page.evaluate("counted") if text][:2])
            bob.press("refuse")
            alice.await_scene("home")

        return self.play(story)

    def test_others(self) -> Deferred[None]:
        """Nobody else is answered by itself, nor is Alice by a device that is not to do so."""

        def story(stage: Stage) -> None:
            alice, bob = self.at_home(stage)
            self.ring(alice, bob)
            bob.press("refuse")
            alice.await_scene("home")
            carol = phone(stage, stage.browser(None))
            carol.log_in(*self.television)
            carol.add_contact(self.bob.phone, "Bob")
            for caller in (carol, alice):
                caller.call(self.bob.phone)
                bob.await_scene("ringing")
                self.assertFalse(bob.is_visible("auto"))
                bob.await_text("ring-text", "Incoming video call")
                bob.press("refuse")
                caller.await_scene("home")
                bob.press("to-settings")
                if caller is carol:
                    self.switch(bob, is_on=False)
                bob.press("to-contacts")

        return self.play(story)
