"""The web phone in several tabs, and while the server is away."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from twisted.internet.defer import Deferred

from harness.daemon import LISTENERS
from tests.browser.camera import Camera
from tests.browser.case import OwnDaemonCase, in_reactor
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, phone, tab
from tests.browser.stage import Stage
from tests.support.daemon import Daemon

_TRIES: Final = ("WebSocket", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "503")
"""The browser reports each try to reach the server, and each that its end cuts off."""
_REFUSE_STORAGE: Final = """
    Storage.prototype.setItem = () => { throw new DOMException("refused", "QuotaExceededError"); };
    navigator.locks.query = navigator.locks.request = () => Promise.reject(new DOMException("", "SecurityError"));
"""
"""The browser keeps nothing of the site, nor lets it have locks."""


class TabsTests(PhoneCase):
    """Several tabs of one browser profile."""

    def test_two_devices_in_two_tabs(self) -> Deferred[None]:
        """Two tabs are two devices: a newcomer tries everything alone, and a reload changes nobody."""

        def story(stage: Stage) -> None:
            profile = stage.profile(stage.browser(Camera.RED))
            alice, bob = tab(stage, profile), tab(stage, profile)
            self.introduce(alice, bob)
            alice.call(self.bob.phone)
            bob.await_scene("ringing")
            bob.press("accept")
            for visitor in (alice, bob):
                visitor.await_connected(Camera.RED)
            bob.hang_up()
            for visitor, device in ((alice, self.alice), (bob, self.bob)):
                visitor.page.reload()
                visitor.await_scene("home", "online")
                self.assertEqual(visitor.text("self-phone"), device.phone)

        return self.play(story)

    def test_a_new_tab(self) -> Deferred[None]:
        """A new tab is the last device again, if no other tab is; else it asks who it is to be. Over a reload it stays
        who it is, even after another login elsewhere.
        """

        def story(stage: Stage) -> None:
            profile = stage.profile(stage.browser(None))
            first = tab(stage, profile)
            first.log_in(*self.alice)
            second = tab(stage, profile)
            second.open()
            second.await_scene("login")
            self.assertEqual(second.page.input_value("#login-phone"), "")
            self.assertNotEqual(second.page.input_value("#login-device"), "")
            second.press("pair")
            second.await_scene("pairing")
            second.press("pairing-back")
            second.await_scene("login")
            first.await_scene("home", "online")
            first.page.close()
            third = tab(stage, profile)
            third.open()
            third.await_scene("home", "online")
            self.assertEqual((third.text("self-phone"), third.text("self-device")), tuple(self.alice))
            second.log_in(*self.bob)
            for visitor, device in ((third, self.alice), (second, self.bob)):
                visitor.page.reload()
                visitor.await_scene("home", "online")
                self.assertEqual(visitor.text("self-phone"), device.phone)

        return self.play(story)

    def test_proposed_names(self) -> Deferred[None]:
        """A proposed name says what the device is; where another tab or browser has it, it gets a number."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            profile = stage.profile(browser)
            alone = phone(stage, browser)
            names = [self.proposed_name(one) for one in (tab(stage, profile), tab(stage, profile), alone)]
            self.assertEqual(["Linux, Chrome", "Linux, Chrome 2", "Linux, Chrome 3"], names)

        return self.play(story)

    def proposed_name(self, visitor: PhoneVisitor) -> str:
        """Log in with the name that is proposed for the device; returns the one that it got."""
        visitor.open()
        visitor.await_scene("login")
        visitor.page.fill("#login-phone", self.alice.phone)
        visitor.press("login-submit")
        visitor.await_scene("home", "online")
        return visitor.text("self-device")

    def test_no_storage(self) -> Deferred[None]:
        """A browser that keeps nothing claims no device, as it would lose the secret: each visit is the same device.

        It needs no locks, either, which Chromium refuses with the rest.
        """

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            names = []
            for _ in range(2):
                visitor = phone(stage, browser)
                visitor.page.add_init_script(_REFUSE_STORAGE)
                names.append(self.proposed_name(visitor))
            self.assertEqual(["Linux, Chrome", "Linux, Chrome"], names)

        return self.play(story)

    def test_the_same_device_twice(self) -> Deferred[None]:
        """If two tabs are the same device the older one says so and stays away, until it is wanted there."""

        def story(stage: Stage) -> None:
            profile = stage.profile(stage.browser(None))
            first = tab(stage, profile)
            first.log_in(*self.alice)
            kept = first.page.evaluate("Object.entries(sessionStorage)")
            second = tab(stage, profile)
            second.page.add_init_script(f"for (const [name, value] of {kept!r}) sessionStorage.setItem(name, value);")
            second.open()
            second.await_scene("home", "online")
            first.await_scene("elsewhere")
            first.press("here")
            first.await_scene("home", "online")
            second.await_scene("elsewhere")
            second.press("other-device")
            second.await_scene("login")
            self.assertNotEqual(second.page.input_value("#login-device"), self.alice.device_id)

        return self.play(story)


class BeginningTests(PhoneCase):
    """The start of the phone."""

    def restore(self, visitor: PhoneVisitor, ago: float) -> None:
        """Load the tab as one that was in a call with Bob some seconds ago."""
        room = "ab12" * 8
        call: dict[str, Any] = {"direction": "outgoing", "peer": {"phone": self.bob.phone, "deviceId": "x"}}
        call |= {"roomId": room, "page": f"/static/demo/direct_chat.html?room_id={room}", "name": "Bob"}
        now = 1_000 * (time.time() - ago)
        call |= {"answeredAt": now, "isOnHold": False, "keptAt": now}
        keep = f"sessionStorage.setItem('callnet.call', {json.dumps(json.dumps(call))})"
        visitor.page.evaluate(f"window.addEventListener('pagehide', () => {keep})")
        visitor.page.reload()

    def test_restored(self) -> Deferred[None]:
        """A tab that the browser restores, as after a crash, was in a call that the server does not know any more: soon
        after it the page looks for the other side, and ends if nobody comes, and later there is none.
        """

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(None))
            alice.log_in(*self.alice)
            self.restore(alice, 0)
            alice.inside.await_state("waiting")
            alice.await_scene("home", "online")
            self.restore(alice, 600)
            alice.await_scene("home", "online")
            self.assertEqual(alice.page.locator("#call-page iframe").count(), 0)

        return self.play(story)

    def test_unread(self) -> Deferred[None]:
        """Contacts that could not be read at the start are read again while the connection lasts."""

        def story(stage: Stage) -> None:
            self.list_each_other()
            alice = phone(stage, stage.browser(None))
            alice.log_in(*self.alice)
            alice.page.route("**/contacts/list", lambda route: route.abort(), times=1)
            alice.page.reload()
            alice.await_contact(self.bob.phone, online=False)
            alice.forgive("ERR_FAILED")

        return self.play(story)


class RestartTests(PhoneCase, OwnDaemonCase):
    """The server goes away and comes back."""

    async def restart(self) -> None:
        """Start the server again where it was."""
        port = self.daemon.site_url.rpartition(":")[2]
        listeners = LISTENERS.replace('site = [{ endpoint = "tcp:0:', f'site = [{{ endpoint = "tcp:{port}:')
        self.daemon = Daemon(self.daemon.folder, self.settings, listeners=listeners)
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()

    def lose_the_server(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Stop the server during a call."""
        in_reactor(self.daemon.stop)
        for visitor in (alice, bob):
            visitor.await_scene("call", "offline")

    def test_restarts(self) -> Deferred[None]:
        """The server restarts while nobody calls, while it rings, in a call, and is away as a call ends."""

        def story(stage: Stage) -> None:
            alice, bob = self.in_browsers_of_their_own(stage)
            self.a_restart(alice, bob)
            bob.press("accept")
            alice.await_connected(Camera.BLUE)
            bob.await_connected(Camera.RED)
            self.a_restart_in_a_call(alice, bob)
            self.talk(alice, bob)
            self.hung_up_meanwhile(alice, bob)

        return self.play(story)

    def a_restart(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """The phone comes back by itself; a call that rang is over, which both say, and the next one comes about."""
        for rings in (False, True):
            if rings:
                alice.call(self.bob.phone)
                bob.await_scene("ringing")
            in_reactor(self.daemon.stop)
            for visitor in (alice, bob):
                visitor.page.wait_for_selector('body[data-link="offline"]')
            in_reactor(lambda: Deferred.fromCoroutine(self.restart()))
            for visitor in (alice, bob):
                visitor.await_scene("home", "online")
                visitor.forgive(*_TRIES)
        alice.await_text("notice-text", "The server was interrupted.")
        bob.await_text("notice-text", "was interrupted.")
        alice.press("notice-again")
        bob.await_scene("ringing")

    def a_restart_in_a_call(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """The picture goes on while the server restarts and has forgotten the call, and either side can end it."""
        self.lose_the_server(alice, bob)
        in_reactor(lambda: Deferred.fromCoroutine(self.restart()))
        for visitor, colour in ((alice, Camera.BLUE), (bob, Camera.RED)):
            visitor.await_scene("call", "online")
            visitor.wait(2_500)  # for as long as the server might still say something
            visitor.await_connected(colour)
            visitor.forgive(*_TRIES)
        alice.hang_up()
        for visitor in (alice, bob):
            visitor.await_scene("home")

    def hung_up_meanwhile(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Hanging up while the server is away ends the call for both, beside an open drawer of its page, too."""
        self.lose_the_server(alice, bob)
        alice.page.set_viewport_size({"width": 390, "height": 844})
        alice.inside.press("chat")
        alice.await_shown("call-hangup")
        alice.press("call-hangup")
        for visitor in (alice, bob):
            visitor.await_scene("home", "offline")
        in_reactor(lambda: Deferred.fromCoroutine(self.restart()))
        for visitor in (alice, bob):
            visitor.await_scene("home", "online")
            visitor.forgive(*_TRIES)
