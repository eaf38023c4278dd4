"""The way to the first picture: both pages make ready while it rings, and nothing gets out before the accept."""

from __future__ import annotations

import json
from typing import Any, Final

from playwright.sync_api import WebSocket
from twisted.internet.defer import Deferred

from tests.browser.camera import Camera
from tests.browser.comparing import LATE
from tests.browser.phone_case import PhoneCase, list_each_other
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
_CHECKS_SECOND: Final = """
    if (window !== top) {
        const later = window.setTimeout.bind(window);
        window.setTimeout = (work, after) => later(work, after === 100 ? 600_000 : after);
    }
"""
"""A callee's page that leaves the first ICE check to the caller, however long her browser takes on a busy machine."""
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

    def forget(self) -> None:
        """Forget what was opened and said before."""
        self.visitor.page.evaluate("top.streams = []; top.made = []; top.said = []; top.lists = 0")

    def await_nothing_left(self) -> None:
        """Wait until no page, no camera and no connection is left of a call."""
        self.visitor.await_that(f"{_FRAMES} === 0")
        self.visitor.await_that(_HAS_ALL_CLOSED)


class RingingTests(PhoneCase):
    """Alice calls Bob, more than once: what stays the same is made once."""

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

    def accept(self, alice: Watched, bob: Watched) -> None:
        """Have Bob accept, and both see each other."""
        bob.visitor.press("accept")
        alice.visitor.await_connected(Camera.BLUE)
        bob.visitor.await_connected(Camera.RED)

    def go_home(self, *everybody: Watched) -> None:
        """Wait until nothing is left of a call at these phones, and forget what there was."""
        for one in everybody:
            one.visitor.await_scene("home")
            one.await_nothing_left()
            one.forget()

    def test_ringing(self) -> Deferred[None]:
        """Nothing gets out while it rings, and nothing is left of a call; whatever happens before Bob accepts, both
        have a picture then.
        """

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            acts = (self.nothing_gets_out, self.reloaded, self.another_network, self.a_page_that_does_not_come)
            for act in (*acts, self.a_page_without_words):
                act(alice, bob)
                alice.visitor.hang_up()
                self.go_home(alice, bob)
            self.nothing_is_left(alice, bob)
            self.a_caller_who_is_asked(alice, bob)

        return self.play(story)

    def nothing_is_left(self, alice: Watched, bob: Watched) -> None:
        """A call that is refused or given up leaves no page, no camera, no connection, and took no seat."""
        for person, button in ((bob, "refuse"), (alice, "cancel")):
            for one in (alice, bob):
                one.sent()
            self.ring(alice, bob)
            person.visitor.press(button)
            self.go_home(alice, bob)
            for one in (alice, bob):
                self.assertNotIn("join", one.sent())

    def nothing_gets_out(self, alice: Watched, bob: Watched) -> None:
        """While it rings nothing is sent to the other one, and Bob's camera is off. The server keeps the answer of
        Alice's page until Bob accepts; what was made ready then shows both a picture, and takes the focus.
        """
        for one in (alice, bob):
            one.sent()
            one.heard()
        bob.visitor.page.add_init_script(_CHECKS_SECOND)
        self.ring(alice, bob)
        first, *rest = alice.sent()
        self.assertEqual((first, set(rest), bob.sent()), ("call", {"signal"}, []))
        self.assertEqual((alice.heard(), bob.heard()), (["call_ringing"], ["called"]))
        for one in (alice, bob):
            self.assertTrue(one.visitor.page.evaluate("made[0].remoteDescription === null"))
        bob.visitor.await_that("lists > 0")
        self.assertEqual(bob.visitor.page.evaluate("streams.length"), 0)
        self.accept(alice, bob)
        sent = bob.sent()
        self.assertEqual(sent[0], "called_success")
        self.assertIn("signal", sent)
        self.assertIn("a=ice-lite", alice.visitor.page.evaluate("made[0].localDescription.sdp"))
        for one, role in ((alice, "controlled"), (bob, "controlling")):
            self.assertEqual(one.visitor.page.evaluate(f"made.length === 1 && {_IS_ANSWERED}"), True)
            self.assertEqual(one.visitor.page.evaluate(_ROLE), role)
            one.visitor.await_that("document.activeElement.matches('#call-page iframe')")

    def reloaded(self, alice: Watched, bob: Watched) -> None:
        """A phone that is loaded again while it rings makes ready again, and what Alice's page said still serves."""
        self.ring(alice, bob)
        bob.visitor.page.reload()
        bob.visitor.await_scene("ringing")
        bob.visitor.await_that(_OFFERS)
        self.accept(alice, bob)
        for one in (alice, bob):
            self.assertTrue(one.visitor.page.evaluate(f"made.length === 1 && {_IS_ANSWERED}"))

    def another_network(self, alice: Watched, bob: Watched) -> None:
        """Where the network changes while it rings another offer is made, and no other one is sent."""
        self.ring(alice, bob)
        bob.visitor.page.evaluate("frames[0].dispatchEvent(new Event('online'))")
        bob.visitor.await_that(_OFFERS_AGAIN)
        self.accept(alice, bob)
        self.assertEqual(alice.visitor.page.evaluate("made.length"), 1)

    def a_page_that_does_not_come(self, alice: Watched, bob: Watched) -> None:
        """Where something else came in place of the page while it rang, the page is loaded with the accept."""
        bob.visitor.page.route("**/direct_chat.html?*", lambda route: route.fulfill(body="busy"), times=1)
        alice.visitor.call(self.bob.phone)
        bob.visitor.await_scene("ringing")
        bob.visitor.await_that("frames[0]?.document.body?.textContent === 'busy'")
        self.accept(alice, bob)

    def a_page_without_words(self, alice: Watched, bob: Watched) -> None:
        """Likewise where its words did not come: the browser reports that alone."""
        bob.visitor.page.route("**/demo/words/*.json", lambda route: route.abort())
        alice.visitor.call(self.bob.phone)
        bob.visitor.await_scene("ringing")
        bob.visitor.await_that("frames[0]?.document.getElementById('too-old')?.hidden === false")
        bob.visitor.page.unroute("**/demo/words/*.json")
        self.accept(alice, bob)
        bob.visitor.forgive("ERR_FAILED")

    def a_caller_who_is_asked(self, alice: Watched, bob: Watched) -> None:
        """A caller who is still asked for the camera as Bob accepts loses nothing of what Bob's page says."""
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

    def test_others(self) -> Deferred[None]:
        """A third phone makes ready, too: it answers in Bob's place, and then calls him during a call."""

        def story(stage: Stage) -> None:
            alice, bob = self.come(stage)
            third = Watched(phone(stage, stage.browser(Camera.BLUE)))
            self.answered_elsewhere(alice, bob, third)
            third.visitor.hang_up()
            self.go_home(alice, third)
            third.visitor.press("to-settings")
            third.visitor.press("log-out")
            third.visitor.await_scene("login")
            self.second_call(alice, bob, third)
            bob.visitor.hang_up()
            self.go_home(bob, third)
            self.late_descriptions(alice, bob)

        return self.play(story)

    def answered_elsewhere(self, alice: Watched, bob: Watched, kitchen: Watched) -> None:
        """Nothing is left at Bob's phone of a call that another device of his has answered, either."""
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
        bob.forget()

    def second_call(self, alice: Watched, bob: Watched, carol: Watched) -> None:
        """Somebody whose call waits makes ready, too: refused, nothing is left of it; accepted, both have a picture."""
        carol.visitor.log_in(new_phone(), "desk")
        carol.visitor.add_contact(self.bob.phone, "Bob")
        self.ring(alice, bob)
        bob.visitor.press("accept")
        bob.visitor.await_connected(Camera.RED)
        for button in ("second-refuse", "second-accept"):
            carol.visitor.call(self.bob.phone)
            bob.visitor.await_shown("second")
            carol.visitor.await_that(_IS_OPEN)
            carol.visitor.await_that(_ANSWERS_EARLY)
            bob.visitor.wait(_MOMENT)
            bob.visitor.press(button)
            if button == "second-refuse":
                self.go_home(carol)
                self.assertEqual(bob.visitor.inside.state, "connected")
        carol.visitor.await_connected(Camera.BLUE)
        bob.visitor.await_connected(Camera.BLUE)
        self.go_home(alice)

    def late_descriptions(self, alice: Watched, bob: Watched) -> None:
        """Pages that learn of their descriptions after the connection stands show the code, and do not warn."""
        for one in (alice, bob):
            one.visitor.page.add_init_script(LATE)
        self.ring(alice, bob)
        bob.visitor.press("accept")
        for one in (alice, bob):
            one.visitor.await_that("frames[0]?.document.querySelectorAll('#verification-code li').length === 6")
            self.assertFalse(one.visitor.inside.is_visible("verification-drawer"))  # a warning opens it

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


class FirefoxTests(PhoneCase):
    """Bob has Firefox, whose camera has a colour that changes."""

    settings = "calls.ring_time = 600"

    def test_firefox(self) -> Deferred[None]:
        """It is called, and calls. What either answers early fits the offer of another Firefox, and no other one."""

        def story(stage: Stage) -> None:
            fox = stage.firefox(**_ALLOWED)
            carols = new_phone()
            list_each_other(self.daemon, carols, self.bob.phone)
            alice, bob = Watched(phone(stage, stage.browser(Camera.RED))), Watched(phone(stage, fox))
            self.introduce(alice.visitor, bob.visitor)
            self.with_chromium(alice, bob)
            bob.forget()
            carol = Watched(phone(stage, fox))
            carol.visitor.log_in(carols, "desk")
            carol.visitor.await_contact(self.bob.phone, online=True)
            self.with_another(carol, bob)

        return self.play(story)

    def with_chromium(self, alice: Watched, bob: Watched) -> None:
        """An early answer of either does not fit the offer of the other one."""
        alice.visitor.call(self.bob.phone)
        bob.visitor.await_scene("ringing")
        for one in (alice, bob):
            one.visitor.await_that(_OFFERS)
        bob.visitor.press("accept")
        bob.visitor.await_connected(Camera.RED)
        alice.visitor.inside.await_movement()
        self.assertEqual(alice.visitor.page.evaluate("made.map((one) => one.remoteDescription?.type)"), [None, "offer"])
        alice.visitor.hang_up()
        bob.visitor.await_scene("home")
        bob.visitor.call(self.alice.phone)
        alice.visitor.await_scene("ringing")
        alice.visitor.press("accept")
        bob.visitor.await_connected(Camera.RED)
        alice.visitor.inside.await_movement()
        alice.visitor.hang_up()
        bob.visitor.await_scene("home")
        bob.await_nothing_left()

    def with_another(self, carol: Watched, bob: Watched) -> None:
        """The early answer of one fits the offer of the other one."""
        carol.visitor.call(self.bob.phone)
        bob.visitor.await_scene("ringing")
        carol.visitor.await_that(_ANSWERS_EARLY)
        bob.visitor.await_that(_OFFERS)
        bob.visitor.press("accept")
        for one in (carol, bob):
            one.visitor.inside.await_state("connected")
            one.visitor.inside.await_movement()
            self.assertEqual(one.visitor.page.evaluate(f"made.length === 1 && {_IS_ANSWERED}"), True)


class BaseTests(PhoneCase):
    """Alice speaks the base protocol, over which the offer cannot go."""

    settings = "calls.ring_time = 600"

    def test_base(self) -> Deferred[None]:
        """The callee's offer goes over the room, whichever of the two that is."""

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(Camera.RED), base=True)
            bob = phone(stage, stage.browser(Camera.BLUE))
            self.introduce(alice, bob)
            self.talk(alice, bob)
            alice.hang_up()
            for visitor in (alice, bob):
                visitor.await_scene("home")
            bob.call(self.alice.phone)
            alice.await_scene("ringing")
            alice.press("accept")
            alice.await_connected(Camera.BLUE)
            bob.await_connected(Camera.RED)

        return self.play(story)
