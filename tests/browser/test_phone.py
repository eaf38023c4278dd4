"""The web phone: people without any app log in, add each other, call and are called."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred

from callnet_client import Account, Settings
from tests.browser.camera import Camera
from tests.browser.case import in_reactor
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.stage import Stage
from tests.support.devices import NodeLifecycle, member, service_of
from tests.support.shared_daemon import new_phone

reactor: Any = installed


class StoryTests(PhoneCase):
    """Two people, each in a browser profile of their own."""

    def test_the_whole_story(self) -> Deferred[None]:
        """They log in, one adds the other and calls, it rings, they see and hear each other; then a call is missed."""

        def story(stage: Stage) -> None:
            stage.has_sound = True
            alice, bob = phone(stage, stage.browser(Camera.RED)), phone(stage, stage.browser(Camera.BLUE))
            alice.log_in(*self.alice)
            alice.add_contact(self.bob.phone, "Bob")
            alice.await_text("notice-text", "Bob is in your contacts but hasn’t joined yet.")
            bob.log_in(*self.bob)
            alice.await_contact(self.bob.phone, online=True)

            alice.call(self.bob.phone)
            alice.await_text("ring-text", "Ringing…")
            self.assertEqual(alice.text("ring-name"), "Bob")
            bob.await_scene("ringing")
            self.assertEqual((bob.text("ring-name"), bob.text("ring-text")), (self.alice.phone, "Incoming video call"))
            bob.await_that("document.title.includes('is calling')")
            bob.press("accept")
            for visitor, colour in ((alice, Camera.BLUE), (bob, Camera.RED)):
                inside = visitor.await_connected(colour)
                inside.await_movement()
                inside.await_sound()
            self.assertEqual(alice.text("call-name"), "Bob")
            alice.press_as_it_comes("#notice-again", "home")  # who hangs up twice calls nobody
            alice.hang_up()
            for visitor, why in ((alice, "You ended the call with Bob."), (bob, f"{self.alice.phone} hung up.")):
                visitor.await_scene("home")
                visitor.await_text("notice-text", why)
                self.assertIn("Duration: 0:", visitor.text("notice-text"))
                visitor.page.wait_for_selector("iframe", state="detached")

            alice.press("notice-again")
            bob.await_scene("ringing")
            alice.press("cancel")
            bob.await_scene("home")
            bob.await_text("notice-text", f"Missed call from {self.alice.phone}.")
            bob.await_text("missed", "1")
            bob.press("to-calls")
            bob.page.wait_for_selector('#past .card:first-child[data-kind="missed"]:has-text("Missed")')
            bob.page.wait_for_selector('#past .card:nth-child(2):has-text("Incoming · 0:")')
            bob.page.wait_for_selector("#missed", state="hidden")
            bob.page.click("#past .card:first-child button")
            alice.await_scene("ringing")
            alice.press("refuse")
            bob.await_text("notice-text", " declined.")

        return self.play(story)

    def test_calls(self) -> Deferred[None]:
        """Two people who know each other reload their phones, hang up in many ways, and are away, or not disturbed."""

        def story(stage: Stage) -> None:
            alice, bob = self.in_browsers_of_their_own(stage)
            self.a_reload(alice, bob)
            self.hanging_up_in_the_page(alice, bob)
            self.one_button_to_hang_up(alice, bob)
            self.a_base_device(alice)
            self.nobody_there(stage, alice, bob)
            self.quiet_hours(alice, bob)

        return self.play(story)

    def a_reload(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """A phone that is reloaded comes back into its call, whichever side it is, and to a ringing one."""
        alice.call(self.bob.phone)
        for visitor, scene in ((alice, "calling"), (bob, "ringing")):
            visitor.await_scene(scene)
            visitor.page.reload()
            visitor.await_scene(scene)
        bob.press("accept")
        for visitor in (alice, bob):
            visitor.inside.await_state("connected")
            visitor.page.reload()
            alice.await_connected(Camera.BLUE)
            bob.await_connected(Camera.RED)
        alice.hang_up()
        bob.await_text("notice-text", "Alice hung up.")

    def hanging_up_in_the_page(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Hanging up in the call's page hangs up in the phone, and the other party is told."""
        self.talk(alice, bob)
        bob.inside.press("hangup")
        for visitor, why in ((bob, "You ended the call with Alice."), (alice, "Bob hung up.")):
            visitor.await_text("notice-text", why)

    def one_button_to_hang_up(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """There is one button to hang up: the page's own, and while that has none to be seen, the phone's."""
        self.talk(alice, bob)
        inside = alice.inside
        alice.await_hidden("call-hangup")
        inside.await_shown("hangup")
        alice.page.set_viewport_size({"width": 390, "height": 844})
        inside.press("chat")
        alice.await_shown("call-hangup")
        self.assertFalse(inside.is_visible("hangup"))
        alice.press("call-hangup")
        for visitor, why in ((alice, "You ended the call with Bob."), (bob, "Alice hung up.")):
            visitor.await_text("notice-text", why)

    def connect_television(self) -> Deferred[NodeLifecycle]:
        """Connect a device that knows only the seed's messages, and accepts when it is called."""
        return Deferred.fromCoroutine(member(self, service_of(self.daemon), *self.television, answers=True))

    def a_base_device(self, alice: PhoneVisitor) -> None:
        """The phone calls a device that speaks the base protocol, and is called by it."""
        television = in_reactor(self.connect_television)
        alice.add_contact(self.television.phone, "Television")
        alice.await_contact(self.television.phone, online=True)
        alice.call(self.television.phone)
        alice.inside.await_state("waiting")
        alice.hang_up()
        alice.await_scene("home")
        call = in_reactor(lambda: television.calls(*self.alice))
        alice.await_scene("ringing")
        self.assertEqual(alice.text("ring-name"), "Television")
        alice.press("accept")
        alice.inside.await_state("waiting")
        in_reactor(call.hang_up)
        alice.await_text("notice-text", "Television hung up.")

    def nobody_there(self, stage: Stage, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """An offline or busy callee cannot be called, and the phone says why; a party who leaves is shown as gone."""
        carol = phone(stage, stage.browser(Camera.BLUE))
        carol.log_in(new_phone(), "desk")
        carol.add_contact(self.bob.phone, "Bob")
        alice.call(self.bob.phone)
        bob.await_scene("ringing")
        carol.call(self.bob.phone)
        carol.await_text("notice-text", "Bob is on another call.")
        carol.page.close()
        alice.press("cancel")
        bob.await_scene("home")
        bob.press("to-settings")
        bob.press("log-out")
        bob.await_scene("login")
        self.assertEqual(bob.page.input_value("#login-phone"), self.bob.phone)
        self.assertEqual(bob.page.input_value("#login-device"), self.bob.device_id)
        alice.await_contact(self.bob.phone, online=False)
        alice.call(self.bob.phone)
        alice.await_text("notice-text", "Bob is offline right now.")
        bob.press("login-submit")
        bob.await_scene("home", "online")
        alice.await_contact(self.bob.phone, online=True)

    def end_soon(self) -> Deferred[Settings]:
        """Let Bob's quiet time be over in a moment, by another device of his."""
        account = Account(service_of(self.daemon), self.bob.phone, "tablet")
        return account.settings(do_not_disturb_until=time.time() + 2)

    def quiet_hours(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """A person who does not want to be disturbed is offline for others until they change that."""
        bob.press("to-settings")
        bob.page.check("#quiet")
        bob.await_text("notice-text", "Do not disturb is on.")
        bob.await_text("self-quiet", "Do not disturb")
        alice.look_for_contact(self.bob.phone, online=False)
        alice.call(self.bob.phone)
        alice.await_text("notice-text", "Bob is offline right now.")
        bob.page.reload()
        bob.await_scene("home", "online")
        bob.press("to-settings")
        bob.page.wait_for_selector("#quiet:checked")
        bob.press("quiet-hour")
        bob.await_text("notice-text", "Do not disturb is on until ")
        bob.await_text("self-quiet", "Do not disturb until ")
        bob.page.wait_for_selector('#quiet-hour[aria-pressed="true"]')
        bob.press("quiet-daily")
        bob.await_text("notice-text", "Do not disturb is on, every day from 10:00 PM to 7:00 AM.")
        bob.page.wait_for_selector('#quiet-hour[aria-pressed="false"]')
        bob.press("quiet-morning")
        bob.await_text("self-quiet", "Do not disturb until 7:00 AM")
        bob.page.wait_for_selector('#quiet-morning[aria-pressed="true"]')
        alice.look_for_contact(self.bob.phone, online=False)
        in_reactor(self.end_soon)
        bob.page.wait_for_selector('#quiet-daily[aria-pressed="true"]')
        bob.page.fill("#quiet-to", "06:30")
        bob.await_text("notice-text", "Do not disturb is on, every day from 10:00 PM to 6:30 AM.")
        bob.await_text("self-quiet", "Do not disturb, 10:00 PM–6:30 AM")
        bob.page.uncheck("#quiet")
        bob.await_text("notice-text", "Do not disturb is off.")
        bob.page.wait_for_selector("#self-quiet", state="hidden")
        alice.look_for_contact(self.bob.phone, online=True)
        alice.call(self.bob.phone)
        bob.await_scene("ringing")

    def test_a_base_phone(self) -> Deferred[None]:
        """On the base protocol the phone calls and is called, and comes back into a call after a reload."""

        def story(stage: Stage) -> None:
            browser = stage.browser(Camera.RED)
            alice, bob = (phone(stage, browser, base=True) for _ in range(2))
            self.introduce(alice, bob)
            alice.call(self.bob.phone)
            bob.await_scene("ringing")
            bob.page.reload()
            bob.await_scene("ringing")
            bob.press("accept")
            for visitor in (alice, bob):
                visitor.await_connected(Camera.RED)
                visitor.page.reload()
                visitor.await_connected(Camera.RED)
            alice.hang_up()
            bob.await_text("notice-text", "Alice hung up.")
            alice.call(self.bob.phone)
            bob.await_scene("ringing")
            alice.press("cancel")
            bob.await_text("notice-text", "Missed call from Alice.")

        return self.play(story)
