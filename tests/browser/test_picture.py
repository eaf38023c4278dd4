"""The way to the first picture: both pages make ready while it rings, and nothing gets out before the accept."""

from __future__ import annotations

import json
from typing import Any, Final

from playwright.sync_api import WebSocket
from twisted.internet.defer import Deferred

from tests.browser.camera import Camera
from tests.browser.comparing import LATE
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, phone, tab
from tests.browser.stage import Stage
from tests.support.shared_daemon import new_phone

_KEEP: Final = """
    top.streams = top.streams ?? [];
    top.made = top.made ?? [];
    top.lists = top.lists ?? 0;
    if (navigator.mediaDevices) {
        const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            const stream = await open(wanted);
            top.streams.push(stream);
            return stream;
        };
        const list = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
        navigator.mediaDevices.enumerateDevices = () => {
            top.lists += 1;
            return list();
        };
    }
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (text) {
        top.said = [...(top.said ?? []), JSON.parse(text).type];
        send.call(this, text);
    };
    window.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(...options) { super(...options); top.made.push(this); }
    };
"""
"""Whatever is opened by the phone or by a page in it."""
_ASK: Final = """
    navigator.permissions.query = async () => new EventTarget();
    {
        const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            await new Promise((answer) => { top.allow = answer; });
            return open(wanted);
        };
    }
"""
"""A browser that keeps no permissions, and asks each time."""
_IS_OPEN: Final = "streams.length > 0 && streams.every((stream) => stream.active)"
_HAS_ALL_CLOSED: Final = """
    streams.every((stream) => !stream.active) && made.every(({ signalingState }) => signalingState === "closed")
"""
_OFFERS: Final = "made.length === 1 && made[0].localDescription?.sdp.includes('a=candidate')"
_OFFERS_AGAIN: Final = """
    made.length === 2 && made[0].signalingState === "closed" && made[1].localDescription?.sdp.includes("a=candidate")
"""
_ANSWERS_EARLY: Final = "made.length === 1 && said.includes('signal')"
_IS_ANSWERED: Final = "made[0].currentRemoteDescription.type === 'answer'"
_ROLE: Final = "made[0].getStats().then((found) => Array.from(found.values()).find(({ iceRole }) => iceRole).iceRole)"
"""Which role the browser has in ICE."""
_MOMENT: Final = 700
"""Milliseconds after which an answer to a second call is taken as meant."""
_FRAMES: Final = "document.querySelectorAll('iframe').length"


_ALLOWED: Final = {"permissions.default.camera": 1, "permissions.default.microphone": 1}
"""A Firefox that was told to remember what it was allowed."""


class Watched:
    """Somebody at the phone, and the kinds of frames that it has sent and heard since they were last looked at: without
    pings, and without news of lists and contacts, which may come some seconds after the change.
    """

    def __init__(self, visitor: PhoneVisitor) -> None:
        self.visitor: Final = visitor
        self._sent: list[str] = []
        self._heard: list[str] = []
        visitor.page.add_init_script(_KEEP)
        visitor.page.on("websocket", self._follow)

    def _follow(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda payload: self._note(payload, self._sent))
        socket.on("framereceived", lambda payload: self._note(payload, self._heard))

    def _note(self, payload: str | bytes, kinds: list[str]) -> None:
        frame: dict[str, Any] = json.loads(payload)
        if frame["type"] not in ("ping", "pong", "changed", "presence"):
            kinds.append(frame["type"])

    def sent(self) -> list[str]:
        """Take what was sent."""
        found, self._sent = self._sent, []
        return found

    def heard(self) -> list[str]:
        """Take what was heard."""
        found, self._heard = self._heard, []
        return found

    def await_nothing_left(self) -> None:
        """Wait until no page, no camera and no connection is left of a call."""
        self.visitor.await_that(f"{_FRAMES} === 0")
        self.visitor.await_that(_HAS_ALL_CLOSED)


class RingingTests(PhoneCase):
    """Alice calls Bob."""

    settings = "calls.ring_time = 600"  # two browsers make ready meanwhile

    def come(self, stage: Stage, *, is_bob_allowed: bool = True) -> tuple[Watched, Watched]:
        """Have both at their phones."""
        alice = Watched(phone(stage, stage.browser(Camera.RED)))
        profile = stage.profile(stage.browser(Camera.BLUE), refuse=not is_bob_allowed)
        bob = Watched(tab(stage, profile))
        self.introduce(alice.visitor, bob.visitor)
        return alice, bob

    def ring(self, alice: Watched, bob: Watched) -> None:
        """Have Alice call, and both pages make ready."""
        alice.visitor.call(self.bob.phone)
        bob.visitor.await_scene("ringing")
        alice.visitor.await_that(_IS_OPEN)
        alice.visitor.await_that(_ANSWERS_EARLY)
        bob.visitor.await_that(_OFFERS)

    def test_nothing_gets_out(self) -> Deferred[None]:
        """While it rings nothing is sent to the other one, and Bob's camera is off. The server keeps the answer of
        Alice's page until Bob accepts; what was made ready then shows both a picture, and takes the focus.
        """

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            for one in (alice, bob):
                one.sent()
                one.heard()
            self.ring(alice, bob)
            first, *rest = alice.sent()
            self.assertEqual((first, set(rest), bob.sent()), ("call", {"signal"}, []))
            self.assertEqual((alice.heard(), bob.heard()), (["call_ringing"], ["called"]))
            for one in (alice, bob):
                self.assertTrue(one.visitor.page.evaluate("made[0].remoteDescription === null"))
            bob.visitor.await_that("lists > 0")
            self.assertEqual(bob.visitor.page.evaluate("streams.length"), 0)
            bob.visitor.press("accept")
            alice.visitor.await_connected(Camera.BLUE)
            bob.visitor.await_connected(Camera.RED)
            sent = bob.sent()
            self.assertEqual(sent[0], "called_success")
            self.assertIn("signal", sent)
            self.assertIn("a=ice-lite", alice.visitor.page.evaluate("made[0].localDescription.sdp"))
            for one, role in ((alice, "controlled"), (bob, "controlling")):
                self.assertEqual(one.visitor.page.evaluate(f"made.length === 1 && {_IS_ANSWERED}"), True)
                self.assertEqual(one.visitor.page.evaluate(_ROLE), role)
                one.visitor.await_that("document.activeElement.matches('#call-page iframe')")

        return self.play(story)

    def test_late_description(self) -> Deferred[None]:
        """Pages that learn of their descriptions after the connection stands show the code, and do not warn."""

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            for one in (alice, bob):
                one.visitor.page.add_init_script(LATE)
            self.ring(alice, bob)
            bob.visitor.press("accept")
            for one in (alice, bob):
                one.visitor.await_that("frames[0]?.document.querySelectorAll('#verification-code li').length === 6")

        return self.play(story)

    def test_nothing_is_left(self) -> Deferred[None]:
        """A call that is refused or given up leaves no page, no camera, no connection, and took no seat."""

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            for person, button in ((bob, "refuse"), (alice, "cancel")):
                self.ring(alice, bob)
                person.visitor.press(button)
                for one in (alice, bob):
                    one.visitor.await_scene("home")
                    one.await_nothing_left()
                    self.assertNotIn("join", one.sent())
                    one.visitor.page.evaluate("streams.length = made.length = 0")

        return self.play(story)

    def test_answered_elsewhere(self) -> Deferred[None]:
        """So does one that another device has answered."""

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            kitchen = Watched(phone(stage, stage.browser(Camera.BLUE)))
            kitchen.visitor.log_in(self.bob.phone, "kitchen")
            self.ring(alice, bob)
            kitchen.visitor.await_scene("ringing")
            kitchen.visitor.await_that(_OFFERS)
            kitchen.visitor.press("accept")
            bob.visitor.await_scene("home")
            bob.await_nothing_left()
            self.assertEqual(bob.visitor.page.evaluate("streams.length"), 0)
            self.assertNotIn("join", bob.sent())
            alice.visitor.await_connected(Camera.BLUE)
            kitchen.visitor.await_connected(Camera.RED)
            for one in (alice, kitchen):
                self.assertTrue(one.visitor.page.evaluate(f"made.length === 1 && {_IS_ANSWERED}"))

        return self.play(story)

    def test_reloaded(self) -> Deferred[None]:
        """A phone that is loaded again while it rings makes ready again, and what Alice's page said still serves."""

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            self.ring(alice, bob)
            bob.visitor.page.reload()
            bob.visitor.await_scene("ringing")
            bob.visitor.await_that(_OFFERS)
            bob.visitor.press("accept")
            alice.visitor.await_connected(Camera.BLUE)
            bob.visitor.await_connected(Camera.RED)
            for one in (alice, bob):
                self.assertTrue(one.visitor.page.evaluate(f"made.length === 1 && {_IS_ANSWERED}"))

        return self.play(story)

    def test_second_call(self) -> Deferred[None]:
        """Somebody whose call waits makes ready, too: refused, nothing is left of it; accepted, both have a picture."""

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            carol = Watched(phone(stage, stage.browser(Camera.RED)))
            carol.visitor.log_in(new_phone(), "desk")
            carol.visitor.add_contact(self.bob.phone, "Bob")
            self.ring(alice, bob)
            bob.visitor.press("accept")
            bob.visitor.await_connected(Camera.RED)
            for button in ("second-refuse", "second-accept"):
                carol.visitor.page.evaluate("top.streams = []; top.made = []; top.said = []")
                carol.visitor.call(self.bob.phone)
                bob.visitor.await_shown("second")
                carol.visitor.await_that(_IS_OPEN)
                carol.visitor.await_that(_ANSWERS_EARLY)
                bob.visitor.wait(_MOMENT)
                bob.visitor.press(button)
                if button == "second-refuse":
                    carol.visitor.await_scene("home")
                    carol.await_nothing_left()
                    self.assertEqual(bob.visitor.inside.state, "connected")
            carol.visitor.await_connected(Camera.BLUE)
            bob.visitor.await_connected(Camera.RED)
            alice.visitor.await_scene("home")
            alice.await_nothing_left()

        return self.play(story)

    def test_who_has_allowed_nothing(self) -> Deferred[None]:
        """A page whose user has not allowed the camera before makes no offer; the call goes on without it."""

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage, is_bob_allowed=False)
            alice.visitor.call(self.bob.phone)
            bob.visitor.await_scene("ringing")
            bob.visitor.page.wait_for_selector("#call-page iframe", state="attached")
            alice.visitor.await_that("made.length === 1")
            bob.visitor.press("accept")
            inside = bob.visitor.inside
            inside.await_shown("second-action")
            self.assertEqual(bob.visitor.page.evaluate("made.length"), 0)
            self.assertNotIn("signal", bob.sent())
            inside.press("second-action")
            bob.visitor.await_connected(Camera.RED)

        return self.play(story)

    def test_a_caller_who_is_asked(self) -> Deferred[None]:
        """A caller who is still asked for the camera as Bob accepts loses nothing of what Bob's page says."""

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            alice.visitor.page.add_init_script(_ASK)
            alice.visitor.call(self.bob.phone)
            bob.visitor.await_scene("ringing")
            bob.visitor.await_that(_OFFERS)
            alice.visitor.await_that("typeof allow === 'function'")
            bob.visitor.press("accept")
            alice.visitor.inside.await_state("connecting")
            alice.visitor.page.evaluate("allow()")
            alice.visitor.await_connected(Camera.BLUE)
            bob.visitor.await_connected(Camera.RED)
            self.assertTrue(alice.visitor.page.evaluate("made[0].remoteDescription.sdp.includes('a=candidate')"))

        return self.play(story)

    def test_a_page_that_does_not_come(self) -> Deferred[None]:
        """Where something else came in place of the page while it rang, the page is loaded with the accept."""

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            bob.visitor.page.route("**/direct_chat.html?*", lambda route: route.fulfill(body="busy"), times=1)
            alice.visitor.call(self.bob.phone)
            bob.visitor.await_scene("ringing")
            bob.visitor.await_that("frames[0]?.document.readyState === 'complete' && frames[0].location.search !== ''")
            bob.visitor.press("accept")
            alice.visitor.await_connected(Camera.BLUE)
            bob.visitor.await_connected(Camera.RED)

        return self.play(story)

    def test_another_network(self) -> Deferred[None]:
        """Where the network changes while it rings another offer is made, and no other one is sent."""

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            self.ring(alice, bob)
            bob.visitor.page.evaluate("frames[0].dispatchEvent(new Event('online'))")
            bob.visitor.await_that(_OFFERS_AGAIN)
            bob.visitor.press("accept")
            alice.visitor.await_connected(Camera.BLUE)
            bob.visitor.await_connected(Camera.RED)
            self.assertEqual(alice.visitor.page.evaluate("made.length"), 1)

        return self.play(story)


class FirefoxTests(PhoneCase):
    """One of the two has Firefox, or both have, whose camera has a colour that changes."""

    settings = "calls.ring_time = 600"

    def test_firefox(self) -> Deferred[None]:
        """It is called, and calls. What either answers early does not fit the other one's offer."""

        def story(stage: Stage) -> None:
            alice, bob = phone(stage, stage.browser(Camera.RED)), phone(stage, stage.firefox(**_ALLOWED))
            for visitor in (alice, bob):
                visitor.page.add_init_script(_KEEP)
            self.introduce(alice, bob)
            alice.call(self.bob.phone)
            bob.await_scene("ringing")
            for visitor in (alice, bob):
                visitor.await_that(_OFFERS)
            bob.press("accept")
            bob.await_connected(Camera.RED)
            alice.inside.await_movement()
            self.assertEqual(alice.page.evaluate("made.map((one) => one.remoteDescription?.type)"), [None, "offer"])
            alice.hang_up()
            bob.await_scene("home")
            bob.call(self.alice.phone)
            alice.await_scene("ringing")
            alice.press("accept")
            bob.await_connected(Camera.RED)
            alice.inside.await_movement()

        return self.play(story)

    def test_two_of_them(self) -> Deferred[None]:
        """The early answer of one fits the offer of the other one."""

        def story(stage: Stage) -> None:
            fox = stage.firefox(**_ALLOWED)
            alice, bob = phone(stage, fox), phone(stage, fox)
            for visitor in (alice, bob):
                visitor.page.add_init_script(_KEEP)
            self.introduce(alice, bob)
            alice.call(self.bob.phone)
            bob.await_scene("ringing")
            alice.await_that(_ANSWERS_EARLY)
            bob.await_that(_OFFERS)
            bob.press("accept")
            for visitor in (alice, bob):
                visitor.inside.await_state("connected")
                visitor.inside.await_movement()
                self.assertEqual(visitor.page.evaluate(f"made.length === 1 && {_IS_ANSWERED}"), True)

        return self.play(story)


class BaseTests(PhoneCase):
    """One of the two speaks the base protocol, over which the offer cannot go."""

    settings = "calls.ring_time = 600"

    def test_a_base_caller(self) -> Deferred[None]:
        """The callee's offer goes over the room."""
        return self.play(lambda stage: self.tell(stage, is_caller=True))

    def test_a_base_callee(self) -> Deferred[None]:
        """So it does when that is the base one."""
        return self.play(lambda stage: self.tell(stage, is_caller=False))

    def tell(self, stage: Stage, *, is_caller: bool) -> None:
        """Have one call the other."""
        alice = phone(stage, stage.browser(Camera.RED), base=is_caller)
        bob = phone(stage, stage.browser(Camera.BLUE), base=not is_caller)
        self.introduce(alice, bob)
        self.talk(alice, bob)
