"""Calls that the phone answers by itself, and what anybody in the room can do about it."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Request, Route
from twisted.internet.defer import Deferred

from tests.browser.camera import Camera
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, held, phone
from tests.browser.stage import Stage

LOOKS: Final = 20
COUNT: Final = """() => {
    window.counted = [];
    const left = document.querySelector("#auto-left");
    new MutationObserver(() => window.counted.push(left.textContent)).observe(left, { childList: true, subtree: true });
}"""
"""Notes what is counted."""
_PRESS_AGAIN: Final = "addEventListener('click', () => document.activeElement.click(), { once: true })"
"""A nervous finger: the next press is followed at once by one on what has come up under it."""
ANSWERED: Final = "Answered automatically"


def sets_second_call(request: Request) -> bool:
    """True if the request sets whether a second call rings. The page may read the settings meanwhile."""
    return "second_call" in (request.post_data or "")


class AutoAnswerTests(PhoneCase):
    """Bob's device answers Alice by itself."""

    def at_home(self, stage: Stage) -> tuple[PhoneVisitor, PhoneVisitor]:
        """Alice and Bob, who has chosen her, and has switched it on for this device."""
        alice, bob = self.in_browsers_of_their_own(stage)
        self.choose(bob)
        bob.press("to-settings")
        bob.await_text("auto-people", "Answers: Alice")
        bob.switch_answering(is_on=True)
        bob.press("to-contacts")
        return alice, bob

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

    def test_countdown(self) -> Deferred[None]:
        """A call counts down, and what anybody does meanwhile, or has chosen before, decides what becomes of it."""

        def story(stage: Stage) -> None:
            alice, bob = self.at_home(stage)
            for act in (self.given_up, self.hidden, self.stopped, self.answered):
                act(alice, bob)
                for one in (alice, bob):
                    one.await_scene("home")
            self.others(stage, alice, bob)

        return self.play(story)

    def given_up(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """A caller that gives up meanwhile is missed; the next call counts down from the beginning."""
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

    def hidden(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """While the page is hidden the call rings without a countdown; in view it counts from the beginning."""
        self.ring(alice, bob)
        bob.view(False)
        bob.await_text("ring-text", "Incoming video call")
        bob.await_hidden("auto")
        bob.view(True)
        bob.await_text("ring-text", "Will be answered automatically")
        self.assertEqual("auto-stop", bob.page.evaluate("document.activeElement.id"))
        bob.press("refuse")

    def stopped(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """One press stops it: the call rings on, after a reload, too, and can be accepted as usual."""
        self.ring(alice, bob)
        bob.page.evaluate(_PRESS_AGAIN)
        bob.press_enter()
        bob.await_text("ring-text", "Incoming video call")
        self.assertEqual("accept", bob.page.evaluate("document.activeElement.id"))
        bob.page.reload()
        bob.await_scene("ringing")
        bob.await_text("ring-text", "Incoming video call")
        self.assertFalse(bob.is_visible("auto"))
        bob.press("accept")
        bob.await_connected(Camera.RED)
        self.assertFalse(bob.is_visible("call-by-itself"))
        alice.hang_up()

    def answered(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """It counts down aloud, answers with camera and microphone, and says so for as long as the call lasts, and
        after it.
        """
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
            one.page.wait_for_selector(f'#past .card:first-child:has-text("{ANSWERED}")')
            one.press("to-contacts")

    def others(self, stage: Stage, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Nobody else is answered by itself, nor is Alice by a device that is not to do so."""
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
                bob.switch_answering(is_on=False)
            bob.press("to-contacts")

    def test_settings(self) -> Deferred[None]:
        """A contact's form chooses what becomes of its calls, and so do all devices of the phone."""

        def story(stage: Stage) -> None:
            bob = phone(stage, stage.browser(None))
            bob.log_in(*self.bob)
            bob.add_contact(self.alice.phone, "Alice")
            self.chosen(bob)
            self.opened_early(bob)
            self.not_set(bob)
            self.lists(stage, bob)
            self.not_removed(bob)

        return self.play(story)

    def chosen(self, bob: PhoneVisitor) -> None:
        """A contact's form chooses whether it is answered, and rings through quiet hours; a second call may ring."""
        for answered, through in (("Answers: Alice", "Rings anyway: Alice"), ("Nobody is chosen", "Nobody yet")):
            bob.page.click(f'[data-key="edit-{self.alice.phone}"]')
            bob.page.click(f'[data-key="through-{self.alice.phone}"]')
            bob.page.click(f'[data-key="answered-{self.alice.phone}"]')
            bob.page.click(f'[data-key="save-{self.alice.phone}"]')
            bob.page.wait_for_selector("#people .open", state="detached")
            bob.press("to-settings")
            with bob.page.expect_response(lambda answer: sets_second_call(answer.request)):
                bob.page.click("#quiet-second:enabled")
            bob.page.reload()
            bob.press("to-settings")
            bob.page.wait_for_selector("#quiet:enabled", state="attached")  # the settings are known
            bob.await_text("auto-people", answered)
            bob.await_text("quiet-through", through)
            is_on = "Alice" in answered
            bob.await_that(f"document.querySelector('#quiet-second').checked === {str(is_on).lower()}")
            bob.press("to-contacts")

    def opened_early(self, bob: PhoneVisitor) -> None:
        """A form opened before the settings are known chooses lists once they are, and stays as it was filled in."""
        bob.page.goto("about:blank")  # else a last question of this page may be the one that is held
        with held(bob, "account/settings"):
            bob.open()
            bob.page.click(f'[data-key="edit-{self.alice.phone}"]')
            bob.page.fill(f'[data-key="name-{self.alice.phone}"]', "Ann")
            bob.page.click(f'[data-key="favourite-{self.alice.phone}"]')
            self.assertTrue(bob.page.is_disabled(f'[data-key="answered-{self.alice.phone}"]'))
        bob.page.click(f'[data-key="answered-{self.alice.phone}"]:enabled')
        self.assertTrue(bob.page.is_checked(f'[data-key="favourite-{self.alice.phone}"]'))
        self.assertEqual("Ann", bob.page.input_value(f'[data-key="name-{self.alice.phone}"]'))
        bob.page.keyboard.press("Escape")

    def not_set(self, bob: PhoneVisitor) -> None:
        """A switch that is being set shows what is wanted, and if it could not be set what holds."""
        held: list[Route] = []

        def hold(route: Route) -> None:
            if sets_second_call(route.request):
                held.append(route)
            else:
                route.continue_()

        bob.press("to-settings")
        bob.page.wait_for_selector("#quiet-second:enabled:not(:checked)", state="attached")
        bob.page.route("**/account/settings", hold)
        with bob.page.expect_request(sets_second_call):
            bob.page.click("#quiet-second")
        bob.page.evaluate("dispatchEvent(new Event('storage'))")  # all is shown again
        self.assertTrue(bob.page.is_checked("#quiet-second"))
        held.pop().abort()
        bob.await_text("notice-text", "Can’t reach the server.")
        bob.page.unroute("**/account/settings", hold)
        bob.forgive("ERR_FAILED")
        self.assertFalse(bob.page.is_checked("#quiet-second"))
        bob.press("to-contacts")

    def lists(self, stage: Stage, bob: PhoneVisitor) -> None:
        """A form changes only what was touched in it. Who is removed is answered no more, until that is undone."""
        tablet = phone(stage, stage.browser(None))
        tablet.log_in(self.bob.phone, "tablet")
        tablet.page.click(f'[data-key="edit-{self.alice.phone}"]')
        self.choose(bob)
        tablet.page.fill(f'[data-key="name-{self.alice.phone}"]', "Ann")
        tablet.page.click(f'[data-key="save-{self.alice.phone}"]')
        tablet.page.wait_for_selector("#people .open", state="detached")
        for press, answered in ((None, "Answers: Ann"), ("remove", "Nobody is chosen"), ("undo", "Answers: Ann")):
            if press == "remove":
                self.remove(bob, "removed")
            elif press == "undo":
                bob.press("notice-undo")
                bob.page.wait_for_selector(f'[data-key="edit-{self.alice.phone}"]')
            bob.press("to-settings")
            bob.await_text("auto-people", answered)
            bob.press("to-contacts")

    def remove(self, bob: PhoneVisitor, said: str) -> None:
        """Have Bob remove Alice, which is answered so."""
        bob.page.click(f'[data-key="edit-{self.alice.phone}"]')
        bob.page.click('.open button:text-is("Remove")')
        bob.await_text("notice-text", said)

    def not_removed(self, bob: PhoneVisitor) -> None:
        """A contact that could not be removed is answered by itself as before."""
        bob.page.route("**/contacts/remove", lambda route: route.abort(), times=1)
        self.remove(bob, "Can’t reach the server.")
        bob.forgive("ERR_FAILED")
        bob.press("to-settings")
        bob.await_text("auto-people", "Answers: Ann")
