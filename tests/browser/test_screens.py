"""Every state of the page on every screen and in four languages: nothing is cut, the main button is in view, and
axe-core finds nothing that keeps anybody out.

One tour leads through all states, and in each of them the page speaks one language after the other: a call costs CPU,
and so does each page that is opened for it.

The screenshots go onto a contact sheet for each screen and language. `make screens` renews those in docs/screens.
"""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Browser
from twisted.internet.defer import Deferred

from tests.browser.axe import violations
from tests.browser.camera import Camera
from tests.browser.case import OwnDaemonCase
from tests.browser.layout import FAULTS, WORD_FAULTS, faults, look
from tests.browser.photographer import SCREENS, Photographer
from tests.browser.stage import LOOKED_AT_RATE, Stage
from tests.browser.visitor import Visitor
from tests.browser.window import resized

SIDEWAYS: Final = (844, 390)
"""A phone on its side is looked at, too, and has no sheet."""
NARROWEST: Final = (320, 640)
"""The size of the smallest phone, and of a page in a frame of another one."""
FRAME: Final = (1024, 700)
OTHERS: Final = {"sideways": SIDEWAYS, "narrowest": NARROWEST, "frame": FRAME}
LANGUAGES: Final = ("en", "zh-CN", "de", "ar")
"""The page's own; another script; the longest words; from right to left."""
ROOM: Final = "blue-house"

_NEVER_ANSWERED: Final = "navigator.mediaDevices.getUserMedia = () => new Promise(() => {});"
_LATE_WORDS: Final = """
    const fetched = window.fetch;
    window.fetch = async (...given) => {
        await new Promise((done) => setTimeout(done, 500));
        return fetched(...given);
    };
"""
_TWO_CAMERAS: Final = """
    const list = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
    const named = ({ kind, deviceId, label }) =>
        ({ kind, deviceId, label: kind === "videoinput" ? "HD Camera" : label });
    navigator.mediaDevices.enumerateDevices = async () => [
        ...(await list()).map(named),
        { kind: "videoinput", deviceId: "second", label: "A camera with a long name (0bda:5686)" },
    ];
"""
"""A browser whose camera is a file has only that, and calls it by where the file is."""

_FALL_SILENT: Final = """
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (text) { if (JSON.parse(text).type === "ping") send.call(this, text); };
    window.connections.at(-1).close();
"""
"""A page that loses both of its ways to the other one, and keeps its seat."""

_SILENT_PEER: Final = """(room) => new Promise((resolve) => {
    const socket = new WebSocket(`wss://${location.host}/room`);
    socket.onopen = () => socket.send(JSON.stringify(
        { type: "join", room_id: room, key: "f".repeat(32), session: "f".repeat(32) }));
    socket.onmessage = resolve;
})"""


class ScreenTests(OwnDaemonCase):
    """Appearance of the page."""

    timeout = 3600
    maxDiff = None

    def test_states(self) -> Deferred[None]:
        """Whatever state the page is in, all that it shows is whole and in view, in each language on every screen."""

        def story(stage: Stage) -> None:
            photographer = Photographer(OTHERS, [FAULTS], LANGUAGES)
            here, there = (stage.browser(camera, rate=LOOKED_AT_RATE) for camera in Camera)
            self.tour(stage, photographer, here, there)
            self.tour_of_refusals(stage, photographer, stage.browser(None))
            photographer.draw(here, "page")
            self.assertEqual("\n".join(photographer.faults), "")

        return self.play(story)

    def test_faults_are_seen(self) -> Deferred[None]:
        """The check finds what is cut off, covered, hidden or off the screen, where the page is hardly painted."""
        wrongs = {
            "title.style.marginLeft = '3000px'": "#title leaves the screen",
            "title.style.whiteSpace = 'nowrap'; title.style.width = '3rem'": "the text of #title does not fit",
            "message.style.height = '1rem'; message.style.overflow = 'hidden'": "#hint is cut by #message",
            "join.hidden = true": "#join is not to be seen",
            "veil.style.zIndex = 9; veil.style.pointerEvents = 'auto'": "#join is covered",
            "controls.hidden = false; controls.style.bottom = '50%'": "#panel and #controls overlap",
            "view.append(window['more-drawer']); window['more-drawer'].hidden = false; "
            "window['more-drawer'].style.cssText = 'position: absolute; right: 0'": "select.languages is covered",
        }

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            with resized(visitor.page) as resize:
                for wrong, fault in wrongs.items():
                    visitor.visit()
                    visitor.await_state("idle")
                    resize(*SCREENS["laptop"])
                    self.assertEqual(look(visitor.page, FAULTS), [])
                    self.assertIn(fault, faults(visitor.page, wrong))

        return self.play(story)

    def test_late_words(self) -> Deferred[None]:
        """The check waits for a page whose words come late."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            visitor.page.add_init_script(_LATE_WORDS)
            with resized(visitor.page) as resize:
                resize(*SCREENS["laptop"])
                visitor.visit()
                visitor.await_state("idle")
                self.assertEqual(look(visitor.page, FAULTS), [])

        return self.play(story)

    def test_who_is_kept_out_is_seen(self) -> Deferred[None]:
        """A button that a screen reader has no name for is found."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            visitor.visit()
            visitor.await_state("idle")
            self.assertEqual(violations(visitor.page), [])
            visitor.page.evaluate("document.getElementById('join').textContent = ''")
            (found,) = violations(visitor.page)
            self.assertTrue(found.startswith("button-name"), found)

        return self.play(story)

    def tour(self, stage: Stage, photographer: Photographer, here: Browser, there: Browser) -> None:
        """Take a visitor through the life of a call."""
        visitor, other, third = stage.visitor(here), stage.visitor(there), stage.visitor(there)
        visitor.page.add_init_script(_TWO_CAMERAS)
        visitor.visit()
        visitor.await_state("idle")
        visitor.await_own_colour(Camera.RED)
        photographer.take(visitor, "idle", checks=[WORD_FAULTS])
        visitor.visit(f"?room_id={ROOM}&prejoin=1")
        visitor.await_state("idle", "prejoin")
        visitor.await_own_colour(Camera.RED)
        visitor.page.click("#title")
        visitor.await_shown("level")
        photographer.take(visitor, "before joining", checks=[WORD_FAULTS])
        visitor.press("preview-camera")
        visitor.press("preview-mute")
        photographer.take(visitor, "all is off before joining")
        visitor.press("preview-camera")
        visitor.press("preview-mute")
        visitor.press("join")
        visitor.await_state("waiting", "waiting")
        photographer.take(visitor, "waiting")
        visitor.press("action")
        visitor.await_that("document.getElementById('code').width < 300")
        photographer.take(visitor, "invite")
        other.enter(ROOM)
        visitor.await_hidden("invite-drawer")
        visitor.await_state("connected")
        other.await_state("connected")
        visitor.await_colour(Camera.BLUE)
        photographer.take(visitor, "connected", checks=[WORD_FAULTS])
        self.tour_of_drawers(photographer, visitor, other)
        third.enter(ROOM)
        third.await_state("full")
        photographer.take(third, "full")
        third.visit()
        other.press("camera")
        other.press("mute")
        visitor.await_shown("remote-off")
        visitor.press("camera")
        photographer.take(visitor, "both cameras are off", checks=[WORD_FAULTS])
        other.page.reload()
        other.await_state("connected")
        visitor.await_state("connected")
        other.press("camera")
        other.press("mute")
        visitor.press("camera")
        visitor.await_colour(Camera.BLUE)
        other.visit()
        visitor.await_state("waiting", "left")
        photographer.take(visitor, "left")
        for language in LANGUAGES:  # a page does not go on trying for as long as it takes to look at all of them
            other.enter(ROOM)
            visitor.await_state("connected")
            other.await_state("connected")
            other.page.evaluate(_FALL_SILENT)
            visitor.await_state("reconnecting")
            photographer.take(visitor, "reconnecting", languages=[language])
        other.enter(ROOM)
        visitor.await_state("connected")
        other.press("hangup")
        visitor.await_state("ended")
        photographer.take(visitor, "ended")
        other.page.evaluate(_SILENT_PEER, "silent")
        visitor.enter("silent")
        visitor.await_state("connecting", "connecting")
        photographer.take(visitor, "connecting")
        visitor.visit("?room_id=silent&relay=1")
        visitor.await_state("error", "no_relay")
        photographer.take(visitor, "no relay")
        visitor.page.add_init_script(_NEVER_ANSWERED)
        visitor.enter("asking")
        visitor.await_state("waiting", "permission")
        photographer.take(visitor, "asking for permission")
        visitor.visit()
        visitor.await_state("idle")
        photographer.take(visitor, "asking before a call")
        other.page.close()
        third.page.close()
        visitor.page.close()

    def tour_of_drawers(self, photographer: Photographer, visitor: Visitor, other: Visitor) -> None:
        """Open all that there is to open beside a call."""
        other.press("chat")
        visitor.press("chat")
        photographer.take(visitor, "nothing written yet")
        for number in range(8):
            for writer, text in (
                (visitor, "好的 👍"),
                (other, f"{number + 1}. Look at https://example.org/{'w' * 60}"),
            ):
                writer.page.fill("#chat-text", text)
                writer.page.keyboard.press("Enter")
        visitor.await_shown("log", "8. Look")
        photographer.take(visitor, "chat", checks=[WORD_FAULTS])
        visitor.page.keyboard.press("Escape")
        visitor.press("more")
        photographer.take(visitor, "more", checks=[WORD_FAULTS])
        visitor.press("open-devices")
        photographer.take(visitor, "devices", checks=[WORD_FAULTS])
        visitor.page.keyboard.press("Escape")
        visitor.press("more")
        visitor.press("verify")
        visitor.await_that("document.querySelectorAll('#verification-code li').length === 6")
        photographer.take(visitor, "verification", checks=[WORD_FAULTS])
        visitor.page.keyboard.press("Escape")
        for one in (visitor, other):
            one.page.evaluate("window.microphones.at(-1).resume()")
        visitor.page.keyboard.press("s")
        for text in ("×", ", opus"):
            visitor.await_shown("figures", text)
        for one in (visitor, other):
            one.page.evaluate("window.microphones.at(-1).suspend()")
        photographer.take(visitor, "statistics", checks=[WORD_FAULTS])
        visitor.page.keyboard.press("s")
        other.page.keyboard.press("Escape")
        other.press("share")
        visitor.await_shown("screen")
        visitor.await_that("document.getElementById('screen').videoWidth > 0")
        photographer.take(visitor, "their screen", checks=[WORD_FAULTS])
        photographer.take(other, "sharing", checks=[WORD_FAULTS])
        other.press("share")
        visitor.await_hidden("screen")

    def tour_of_refusals(self, stage: Stage, photographer: Photographer, shy: Browser) -> None:
        """Take visitors to where it does not go on."""
        visitor = stage.visitor(shy, refuse=True)
        visitor.enter("refused")
        visitor.await_state("error", "refused")
        photographer.take(visitor, "permission refused", checks=[WORD_FAULTS])
        twin = stage.visitor(shy, refuse=True)
        kept = visitor.page.evaluate("Object.entries(sessionStorage)")
        twin.page.add_init_script(f"for (const [name, key] of {kept!r}) sessionStorage.setItem(name, key);")
        twin.enter("refused")
        visitor.await_state("error", "taken")
        photographer.take(visitor, "error")
        twin.page.close()
        visitor.enter("x" * 65)
        visitor.await_state("error", "invalid")
        photographer.take(visitor, "invalid room")
        visitor.enter("W" * 64)
        visitor.await_state("error", "refused")
        visitor.press("second-action")
        visitor.await_state("waiting")
        photographer.take(visitor, "longest room without a camera")
        visitor.page.close()
