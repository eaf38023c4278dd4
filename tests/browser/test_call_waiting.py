"""A second caller at the web phone: shown while a call goes on, taken, refused, and gone again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from twisted.internet.defer import Deferred

from callnet.model import DeviceAddress
from callnet_client import Account
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase, in_reactor
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.stage import Stage
from tests.support.devices import service_of
from tests.support.shared_daemon import new_phone

_MOMENT: Final = 700
"""Milliseconds after which an answer is taken as meant: the card may have come up under a finger."""
_PAGES: Final = "document.querySelectorAll('#call-page iframe').length"
_REMOTE_PAUSED: Final = "document.getElementById('remote').paused"
_HELD_PAGE: Final = """() => {
    const { contentDocument } = document.querySelector("#call-page iframe[hidden]");
    const { paused, autoplay, muted } = contentDocument.getElementById("remote");
    return [paused, autoplay, muted, contentDocument.getElementById("local").srcObject];
}"""
"""The silence of the page of the held call, also for another stream, and the stream of its camera."""
_RELOAD_HELD: Final = """() => new Promise((loaded) => {
    const frame = document.querySelector("#call-page iframe[hidden]");
    frame.addEventListener("load", loaded, { once: true });
    frame.contentWindow.location.reload();
})"""
_NOTE_OPENED: Final = """
    if (window === top) [window.opened, window.refuses] = [[], false];
    {
        const { mediaDevices } = navigator;
        const open = mediaDevices.getUserMedia.bind(mediaDevices);
        mediaDevices.getUserMedia = (wanted) => {
            const kinds = ["audio", "video"].filter((kind) => wanted[kind]).join();
            if (kinds !== "") top.opened.push(kinds);
            return top.refuses ? Promise.reject(new DOMException("", "NotAllowedError")) : open(wanted);
        };
    }
"""
"""Requests for camera and microphone are noted, and refused while `refuses`."""
_NOTE_ALERTS: Final = """() => {
    window.alerts = [];
    window.tones = 0;
    window.Notification = class extends EventTarget {
        static permission = "granted";
        constructor(title) { super(); window.alerts.push(title); }
        close() {}
    };
    const { createOscillator } = AudioContext.prototype;
    AudioContext.prototype.createOscillator = function () {
        window.tones += 1;
        return createOscillator.call(this);
    };
    Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
}"""
"""Somebody looks at another window; the notifications of the system, and the tones of the page, are noted."""

_LOOK_AWAY: Final = """() => {
    const later = window.setTimeout;
    const unseen = [];
    window.setTimeout = (work, after) => (after === 600 ? -unseen.push(work) : later(work, after));
    window.look = () => {
        window.setTimeout = later;
        for (const work of unseen) work();
    };
}"""
"""Nobody sees what has come up before they ``look``."""


class Three(NamedTuple):
    """Bob, who talks with Alice, and Carol, who is about to call him."""

    alice: PhoneVisitor
    bob: PhoneVisitor
    carol: PhoneVisitor
    bobs_number: str

    def meet(self) -> None:
        """Have Alice call Bob, until they are connected."""
        self.alice.call(self.bobs_number)
        self.bob.await_scene("ringing")
        self.bob.press("accept")
        for visitor in (self.alice, self.bob):
            visitor.inside.await_state("connected")

    def ring(self) -> None:
        """Let Carol call Bob, and the phone show her."""
        self.carol.call(self.bobs_number)
        self.carol.await_text("ring-text", "Ringing…")
        self.bob.await_shown("second", "Carol")

    def refuse(self) -> None:
        """Have Bob refuse Carol's call."""
        self.bob.press("second-refuse")
        self.carol.await_text("notice-text", "Bob declined.")
        self.bob.await_hidden("second")

    def hold(self) -> None:
        """Let Carol call Bob, who holds the call with Alice."""
        self.ring()
        self.bob.wait(_MOMENT)
        self.bob.press("second-hold")

    def assert_talks(self, talks: PhoneVisitor, waits: PhoneVisitor) -> None:
        """Assert that Bob talks with one, and that the other one is on hold."""
        names = {self.alice: "Alice", self.carol: "Carol"}
        waits.inside.await_state("waiting", "on_hold")
        assert waits.inside.text("title") == "Bob has put you on hold"
        assert waits.inside.page.evaluate(_REMOTE_PAUSED)
        self.bob.await_text("call-name", names[talks])
        self.bob.await_text("held-text", f"{names[waits]} is on hold")
        assert self.bob.page.title() == f"On a call with {names[talks]}"
        for visitor in (self.bob, talks):
            visitor.inside.await_state("connected")
            visitor.inside.await_movement()
        assert self.bob.page.evaluate(_HELD_PAGE) == [True, False, True, None]


class CallWaitingTests(BrowserCase):
    """Three people."""

    async def introduce(self, numbers: list[str]) -> None:
        """Have everybody know the others by name."""
        names = dict(zip(numbers, ("Alice", "Bob", "Carol"), strict=True))
        for own in numbers:
            account = Account(service_of(self.daemon), own, "tablet")
            for number, name in names.items():
                if number != own:
                    await account.add_contact(number, name)

    def play_three(self, *steps: Callable[[Three], None]) -> Deferred[None]:
        """Play a story that begins with Bob in a call with Alice."""

        def story(stage: Stage) -> None:
            numbers = [new_phone() for _ in range(3)]
            in_reactor(lambda: Deferred.fromCoroutine(self.introduce(numbers)))
            browser = stage.browser(Camera.RED)
            alice, bob, carol = (phone(stage, browser) for _ in range(3))
            bob.page.add_init_script(_NOTE_OPENED)
            for visitor, number in zip((alice, bob, carol), numbers, strict=True):
                visitor.log_in(*DeviceAddress(number, "desk"))
            three = Three(alice, bob, carol, numbers[1])
            three.meet()
            for step in steps:
                step(three)

        return self.play(story)

    def test_shown(self) -> Deferred[None]:
        """A second call is shown while the first goes on, whatever Bob is doing: accepted, refused, and gone again."""
        return self.play_three(
            self.accepted,
            Three.meet,
            self.writing,
            self.a_page_that_fills_the_screen,
            self.refused,
            Three.meet,
            self.the_first_ends,
        )

    def accepted(self, three: Three) -> None:
        """Whoever accepts a second call leaves the first, whose page is closed, and both are in the history."""
        alice, bob, carol, _ = three
        three.ring()
        self.assertEqual(bob.text("second-text"), "Incoming video call")
        self.assertEqual(bob.page.title(), "Carol is calling")
        self.assertEqual(bob.inside.state, "connected")
        bob.wait(_MOMENT)
        bob.press("second-accept")
        alice.await_text("notice-text", "Bob started another call.")
        bob.await_text("call-name", "Carol")
        for visitor in (bob, carol):
            visitor.inside.await_state("connected")
        bob.await_that(f"{_PAGES} === 1")
        self.assertEqual(bob.page.title(), "On a call with Carol")
        self.assertFalse(bob.is_visible("second"))
        bob.hang_up()
        carol.await_text("notice-text", "Bob hung up.")
        bob.await_text("notice-text", "You ended the call with Carol.")
        bob.press("to-calls")
        bob.page.wait_for_selector("#past .card:nth-child(2)")
        self.assertEqual([call.split()[0] for call in bob.past()], ["Carol", "Alice"])
        bob.press("to-contacts")

    def writing(self, three: Three) -> None:
        """Whoever writes in the chat goes on writing: arrows stay there."""
        bob = three.bob
        inside = bob.inside
        inside.press("chat")
        inside.page.fill("#chat-text", "Wait a")
        three.ring()
        bob.page.keyboard.press("ArrowUp")
        bob.page.keyboard.press("End")
        bob.page.keyboard.type(" moment")
        self.assertEqual(inside.page.input_value("#chat-text"), "Wait a moment")
        bob.page.keyboard.press("Escape")
        three.refuse()

    def a_page_that_fills_the_screen(self, three: Three) -> None:
        """A page that fills the screen makes room for the second caller, who would be hidden behind it."""
        bob = three.bob
        inside = bob.inside
        inside.press("more")
        inside.press("full-screen")
        bob.await_that("document.fullscreenElement !== null")
        three.ring()
        bob.await_that("document.fullscreenElement === null")
        three.refuse()

    def refused(self, three: Three) -> None:
        """A second call that is refused, or given up, leaves the first as it is, and the focus in its page."""
        alice, bob, carol, _ = three
        keyboard = bob.page.keyboard
        three.ring()
        self.assertTrue(bob.page.evaluate("document.activeElement.matches('iframe')"))
        for key, focused in (("ArrowUp", "refuse"), ("ArrowRight", "accept"), ("ArrowLeft", "refuse")):
            keyboard.press(key)
            self.assertEqual(bob.focused, f"second-{focused}")
        bob.press_enter()
        carol.await_text("notice-text", "Bob declined.")
        bob.await_hidden("second")
        bob.await_that("document.activeElement.matches('iframe')")
        three.ring()
        carol.press("cancel")
        bob.await_hidden("second")
        bob.await_that("document.title === 'On a call with Alice'")
        for visitor in (alice, bob):
            self.assertEqual(visitor.inside.state, "connected")
        alice.hang_up()
        bob.await_text("notice-text", "Alice hung up.")
        bob.await_text("missed", "1")

    def the_first_ends(self, three: Three) -> None:
        """If the first call ends the second rings on as any other, and is noticed in another window, too."""
        alice, bob, carol, _ = three
        bob.page.evaluate(_NOTE_ALERTS)
        three.ring()
        bob.await_that("window.tones === 4")
        self.assertEqual(bob.page.evaluate("window.alerts"), ["Carol is calling"])
        alice.hang_up()
        bob.await_scene("ringing")
        self.assertEqual((bob.text("ring-name"), bob.focused), ("Carol", "accept"))
        bob.await_that("window.tones > 4")
        bob.press("accept")
        for visitor in (bob, carol):
            visitor.inside.await_state("connected")

    def test_held(self) -> Deferred[None]:
        """Bob holds the first call for the second, and goes on with either as he likes."""
        return self.play_three(self.small_window, self.held, Three.meet, self.held_and_reloaded, self.without_a_camera)

    def small_window(self, three: Three) -> None:
        """The small window of a call is closed when that is held: its buttons would be those of a call out of view."""
        bob = three.bob
        inside = bob.inside
        inside.press("more")
        inside.press("window")
        bob.await_that("documentPictureInPicture.window !== null")
        three.hold()
        bob.await_text("call-name", "Carol")
        bob.await_that("documentPictureInPicture.window === null")

    def held(self, three: Three) -> None:
        """Whoever holds the first call talks with the second caller, and goes on with either as they like."""
        alice, bob, carol, _ = three
        three.assert_talks(carol, alice)
        bob.page.evaluate(_LOOK_AWAY)
        bob.press("held-swap")
        bob.await_that("document.activeElement.matches('iframe')")  # at once: Bob has asked for it
        bob.page.evaluate("window.look()")
        three.assert_talks(alice, carol)
        bob.page.keyboard.press("ArrowUp")
        self.assertEqual(bob.focused, "held-swap")
        bob.page.keyboard.press("Enter")
        three.assert_talks(carol, alice)
        self.both_hang_up(three)
        bob.await_hidden("held")
        bob.await_that("document.activeElement.matches('iframe')")
        bob.await_that(f"{_PAGES} === 1")
        for visitor in (alice, bob):
            visitor.inside.await_state("connected")
            visitor.inside.await_movement()
        alice.hang_up()
        bob.await_text("notice-text", "Alice hung up.")

    def both_hang_up(self, three: Three) -> None:
        """Two people hang up at the same moment: the held call, which comes up under the finger, goes on."""
        _, bob, carol, _ = three
        bob.inside.wake()
        bob.inside.await_shown("hangup")
        button = bob.inside.page.locator("#hangup").bounding_box()
        assert button is not None
        bob.page.focus("#held-swap")
        bob.page.evaluate(_LOOK_AWAY)
        carol.hang_up()
        bob.await_text("call-name", "Alice")
        bob.page.mouse.click(button["x"] + button["width"] / 2, button["y"] + button["height"] / 2)
        bob.page.evaluate("document.getElementById('call-hangup').click()")
        self.assertFalse(bob.page.evaluate("document.activeElement.matches('iframe')"))
        bob.page.evaluate("window.look()")

    def held_and_reloaded(self, three: Three) -> None:
        """The page of a held call opens no camera when it, or the phone, is reloaded, and goes on afterwards."""
        alice, bob, carol, _ = three
        three.hold()
        alice.inside.await_state("waiting", "on_hold")
        bob.inside.await_state("connected")
        bob.page.evaluate("window.opened = []")
        bob.page.evaluate(_RELOAD_HELD)
        self.assertEqual(bob.page.evaluate("window.opened"), [])
        bob.page.reload()
        bob.await_text("held-text", "Alice is on hold")
        for visitor in (bob, carol):
            visitor.inside.await_state("connected")
        self.assertEqual(bob.page.evaluate("window.opened"), ["audio,video"])
        self.assertEqual(alice.inside.text("title"), "Bob has put you on hold")
        alice.page.reload()
        alice.inside.await_state("waiting", "on_hold")
        self.assertIn("hold=there", alice.page.evaluate("document.querySelector('#call-page iframe').src"))
        bob.press("held-swap")
        for visitor in (bob, alice):
            visitor.inside.await_state("connected")
            visitor.inside.await_movement()
        carol.inside.await_state("waiting", "on_hold")
        carol.hang_up()
        bob.await_hidden("held")

    def without_a_camera(self, three: Three) -> None:
        """Whoever does without camera and microphone in a call is not asked for them when it goes on."""
        alice, bob, _, _ = three
        bob.page.evaluate("window.refuses = true")
        bob.inside.page.evaluate("location.reload()")
        bob.inside.await_state("error", "refused")
        bob.inside.press("second-action")
        bob.page.evaluate("[window.refuses, window.opened] = [false, []]")
        bob.inside.await_state("connected")
        three.hold()
        bob.await_text("call-name", "Carol")
        bob.inside.await_state("connected")
        bob.press("held-swap")
        bob.await_text("call-name", "Alice")
        bob.inside.await_state("connected")
        bob.inside.await_that("document.getElementById('local').srcObject?.getTracks().length === 0")
        bob.press("held-swap")
        bob.await_text("call-name", "Carol")
        alice.inside.await_state("waiting", "on_hold")
        bob.await_that("window.opened.length >= 2")
        self.assertEqual(bob.page.evaluate("window.opened"), ["audio,video"] * 2)
