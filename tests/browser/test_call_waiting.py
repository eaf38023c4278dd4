"""A second caller at the web phone: shown while a call goes on, taken, refused, and gone again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from twisted.internet.defer import Deferred

from callnet.model import DeviceAddress
from callnet_client import Account
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase, in_reactor
from tests.browser.phone_visitor import PhoneVisitor, phone, tab
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
_NOTE_ALERTS: Final = """
    window.alerts = [];
    window.tones = 0;
    window.Notification = class extends EventTarget {
        static permission = "granted";
        constructor(title) { super(); window.alerts.push(title); }
        close() {}
    };
    window.AudioContext = class extends AudioContext {
        createOscillator() {
            window.tones += 1;
            return super.createOscillator();
        }
    };
    if (window === top) Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
"""
"""Somebody looks at another window; the notifications of the system, and the tones of the page, are noted."""


class Three(NamedTuple):
    """Bob, who talks with Alice, and Carol, who is about to call him."""

    alice: PhoneVisitor
    bob: PhoneVisitor
    carol: PhoneVisitor
    bobs_number: str

    def ring(self) -> None:
        """Let Carol call Bob, and the phone show her."""
        self.carol.call(self.bobs_number)
        self.carol.await_text("ring-text", "Ringing…")
        self.bob.await_shown("second", "Carol")


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

    def play_three(self, story: Callable[[Three], None], *, script: str = "") -> Deferred[None]:
        """Play a story that begins with Bob, whose page also runs a script, in a call with Alice."""

        def begin(stage: Stage) -> None:
            numbers = [new_phone() for _ in range(3)]
            in_reactor(lambda: Deferred.fromCoroutine(self.introduce(numbers)))
            browser = stage.browser(Camera.RED)
            alice, carol = (phone(stage, browser) for _ in range(2))
            bob = tab(stage, stage.profile(browser))
            if script:
                bob.page.add_init_script(script)
            for visitor, number in zip((alice, bob, carol), numbers, strict=True):
                visitor.log_in(*DeviceAddress(number, "desk"))
            bobs_number = numbers[1]
            alice.call(bobs_number)
            bob.await_scene("ringing")
            bob.press("accept")
            for visitor in (alice, bob):
                visitor.inside.await_state("connected")
            story(Three(alice, bob, carol, bobs_number))

        return self.play(begin)

    def test_accepted(self) -> Deferred[None]:
        """Whoever accepts a second call leaves the first, whose page is closed, and both are in the history."""

        def story(three: Three) -> None:
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

        return self.play_three(story)

    def test_held(self) -> Deferred[None]:
        """Whoever holds the first call talks with the second caller, and goes on with either as they like."""

        def story(three: Three) -> None:
            alice, bob, carol, _ = three

            def assert_talks(talks: PhoneVisitor, waits: PhoneVisitor) -> None:
                names = {alice: "Alice", carol: "Carol"}
                waits.inside.await_state("waiting", "on_hold")
                self.assertEqual(waits.inside.text("title"), "Bob has put you on hold")
                self.assertTrue(waits.inside.page.evaluate(_REMOTE_PAUSED))
                bob.await_text("call-name", names[talks])
                bob.await_text("held-text", f"{names[waits]} is on hold")
                self.assertEqual(bob.page.title(), f"On a call with {names[talks]}")
                for visitor in (bob, talks):
                    visitor.inside.await_state("connected")
                    visitor.inside.await_movement()
                self.assertEqual(bob.page.evaluate(_HELD_PAGE), [True, False, True, None])

            three.ring()
            bob.wait(_MOMENT)
            bob.press("second-hold")
            assert_talks(carol, alice)
            bob.press("held-swap")
            assert_talks(alice, carol)
            bob.page.keyboard.press("ArrowUp")
            self.assertEqual(bob.focused, "held-swap")
            bob.page.keyboard.press("Enter")
            assert_talks(carol, alice)
            bob.page.focus("#held-swap")
            carol.hang_up()
            bob.await_text("call-name", "Alice")
            bob.await_hidden("held")
            bob.await_that("document.activeElement.matches('iframe')")
            bob.await_that(f"{_PAGES} === 1")
            for visitor in (alice, bob):
                visitor.inside.await_state("connected")
                visitor.inside.await_movement()
            alice.hang_up()
            bob.await_text("notice-text", "Alice hung up.")

        return self.play_three(story)

    def test_held_without_a_camera(self) -> Deferred[None]:
        """Whoever does without camera and microphone in a call is not asked for them when it goes on."""

        def story(three: Three) -> None:
            alice, bob, _, _ = three
            bob.page.evaluate("window.refuses = true")
            bob.inside.page.evaluate("location.reload()")
            bob.inside.await_state("error", "refused")
            bob.inside.press("second-action")
            bob.page.evaluate("[window.refuses, window.opened] = [false, []]")
            bob.inside.await_state("connected")
            three.ring()
            bob.wait(_MOMENT)
            bob.press("second-hold")
            bob.await_text("call-name", "Carol")
            bob.inside.await_state("connected")
            bob.press("held-swap")
            bob.await_text("call-name", "Alice")
            bob.inside.await_state("connected")
            bob.inside.await_that("document.getElementById('local').srcObject?.getTracks().length === 0")
            bob.press("held-swap")
            bob.await_text("call-name", "Carol")
            alice.inside.await_state("waiting", "on_hold")
            self.assertEqual(bob.page.evaluate("window.opened"), ["audio,video"] * 2)

        return self.play_three(story, script=_NOTE_OPENED)

    def test_held_and_reloaded(self) -> Deferred[None]:
        """The page of a held call opens no camera when it, or the phone, is reloaded, and goes on afterwards."""

        def story(three: Three) -> None:
            alice, bob, carol, _ = three
            three.ring()
            bob.wait(_MOMENT)
            bob.press("second-hold")
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

        return self.play_three(story, script=_NOTE_OPENED)

    def test_refused(self) -> Deferred[None]:
        """A second call that is refused, or given up, leaves the first as it is, and the focus in its page."""

        def story(three: Three) -> None:
            alice, bob, carol, _ = three
            keyboard = bob.page.keyboard
            three.ring()
            self.assertTrue(bob.page.evaluate("document.activeElement.matches('iframe')"))
            for key, focused in (("ArrowUp", "refuse"), ("ArrowRight", "accept"), ("ArrowLeft", "refuse")):
                keyboard.press(key)
                self.assertEqual(bob.focused, f"second-{focused}")
            keyboard.press("Enter")
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

        return self.play_three(story)

    def test_a_page_that_fills_the_screen(self) -> Deferred[None]:
        """A page that fills the screen makes room for the second caller, who would be hidden behind it."""

        def story(three: Three) -> None:
            _, bob, _, _ = three
            inside = bob.inside
            inside.press("more")
            inside.press("full-screen")
            bob.await_that("document.fullscreenElement !== null")
            three.ring()
            bob.await_that("document.fullscreenElement === null")

        return self.play_three(story)

    def test_small_window(self) -> Deferred[None]:
        """The small window of a call is closed when that is held: its buttons would be those of a call out of view."""

        def story(three: Three) -> None:
            _, bob, _, _ = three
            inside = bob.inside
            inside.press("more")
            inside.press("window")
            bob.await_that("documentPictureInPicture.window !== null")
            three.ring()
            bob.wait(_MOMENT)
            bob.press("second-hold")
            bob.await_text("call-name", "Carol")
            bob.await_that("documentPictureInPicture.window === null")

        return self.play_three(story)

    def test_writing(self) -> Deferred[None]:
        """Whoever writes in the chat goes on writing: arrows stay there."""

        def story(three: Three) -> None:
            _, bob, _, _ = three
            inside = bob.inside
            inside.press("chat")
            inside.page.fill("#chat-text", "Wait a")
            three.ring()
            bob.page.keyboard.press("ArrowUp")
            bob.page.keyboard.press("End")
            bob.page.keyboard.type(" moment")
            self.assertEqual(inside.page.input_value("#chat-text"), "Wait a moment")

        return self.play_three(story)

    def test_the_first_ends(self) -> Deferred[None]:
        """If the first call ends the second rings on as any other, and is noticed in another window, too."""

        def story(three: Three) -> None:
            alice, bob, carol, _ = three
            bob.page.evaluate("window.tones = 0")
            three.ring()
            bob.await_that("window.tones === 4")
            self.assertEqual(bob.page.evaluate("window.alerts.slice(1)"), ["Carol is calling"])
            alice.hang_up()
            bob.await_scene("ringing")
            self.assertEqual((bob.text("ring-name"), bob.focused), ("Carol", "accept"))
            bob.await_that("window.tones > 4")
            bob.press("accept")
            for visitor in (bob, carol):
                visitor.inside.await_state("connected")

        return self.play_three(story, script=_NOTE_ALERTS)
