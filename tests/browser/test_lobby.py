"""The lobby before a call: preview, choice of devices, and messages if something is missing."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from tests.browser.camera import Camera
from tests.browser.case import BrowserCase
from tests.browser.stage import CHROMIUM, Stage
from tests.browser.visitor import PAGE, Visitor

_WITHOUT: Final = """
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        if (%s.some((kind) => wanted[kind])) throw new DOMException("", "NotFoundError");
        return open(wanted);
    };
"""
"""A browser that finds no device of some kinds."""
_TELL_FRAMES: Final = """
    document.addEventListener("DOMContentLoaded", () => {
        const remote = document.getElementById("remote");
        const look = () => {
            const notice = document.getElementById("notice").textContent.slice(0, 20);
            console.log(`${remote.muted ? "muted" : "heard"}: ${notice}`);
            remote.requestVideoFrameCallback(look);
        };
        remote.requestVideoFrameCallback(look);
    });
"""
"""The console has a line for each picture of the other side."""

_CAMERA_IN_USE: Final = "document.getElementById('preview').srcObject.getVideoTracks()[0].getSettings().deviceId"
_CAMERA_SENT: Final = "document.getElementById('local').srcObject.getVideoTracks()[0].getSettings().deviceId"
_IS_OPEN: Final = "document.getElementById('preview').srcObject?.active ?? false"
_SINK: Final = "document.getElementById('remote').sinkId"
_UNPLUG: Final = """(gone) => {
    const { mediaDevices } = navigator;
    mediaDevices.enumerateDevices = async () => {
        const devices = await MediaDevices.prototype.enumerateDevices.call(mediaDevices);
        return devices.filter(({ deviceId }) => deviceId !== gone);
    };
    mediaDevices.dispatchEvent(new Event("devicechange"));
}"""
"""A device is unplugged, and all others are there."""
_NOTE_SINKS: Final = """() => {
    const { setSinkId } = HTMLMediaElement.prototype;
    window.sinks = [];
    HTMLMediaElement.prototype.setSinkId = async function (id) {
        await setSinkId.call(this, id);
        window.sinks.push(id);
    };
}"""
"""Each speaker that is used from now on is noted."""


def prejoin(stage: Stage) -> str:
    """The query of a visit that begins with a look at oneself."""
    return f"?room_id={stage.room}&prejoin=1"


def choices(visitor: Visitor, kind: str) -> list[str]:
    """The ids of the devices that one may choose from."""
    found: list[str] = visitor.page.eval_on_selector_all(f"#{kind}-select option", "all => all.map(one => one.value)")
    return found


class LobbyTests(BrowserCase):
    """A visitor who looks before joining."""

    def test_prejoin(self) -> Deferred[None]:
        """With ``prejoin`` a visitor sees and hears themselves first, and is in the room only after joining."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            red.visit(prejoin(stage))
            blue.enter(stage.room)
            red.await_state("idle", "prejoin")
            blue.await_state("waiting")
            self.assertEqual(red.text("room"), stage.room)
            self.assertFalse(red.is_visible("room-id"))
            red.await_own_colour(Camera.RED)
            red.press("join")
            for visitor in (red, blue):
                visitor.await_state("connected")
            red.await_colour(Camera.BLUE)
            blue.await_colour(Camera.RED)
            self.assertNotIn("prejoin", red.page.url)
            red.page.reload()
            red.await_state("connected")

        return self.play(story)

    def test_asked_for_a_room(self) -> Deferred[None]:
        """The page asks for a room and shows a preview meanwhile; the camera is off again when the call has ended."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(Camera.BLUE))
            visitor.visit()
            visitor.await_state("idle", "idle")
            visitor.await_own_colour(Camera.BLUE)
            visitor.page.fill("#room-id", stage.room)
            visitor.press("join")
            visitor.await_state("waiting")
            visitor.press("hangup")
            visitor.await_state("ended")
            visitor.await_that(f"!({_IS_OPEN})")
            visitor.press("second-action")
            visitor.await_state("idle", "idle")
            visitor.await_own_colour(Camera.BLUE)

        return self.play(story)

    def test_level(self) -> Deferred[None]:
        """A bar shows how loud the microphone is, once the person has touched the page, and rests while muted."""

        def story(stage: Stage) -> None:
            stage.has_sound = True
            visitor = stage.visitor(stage.browser(None))
            visitor.visit(prejoin(stage))
            visitor.await_shown("devices")
            visitor.page.click("#title")
            visitor.await_shown("level")
            visitor.page.wait_for_selector("#level:not([aria-valuenow='0'])")
            visitor.press("preview-mute")
            visitor.await_hidden("level")
            visitor.press("preview-mute")
            visitor.await_shown("level")

        return self.play(story)

    def test_switched_off_before(self) -> Deferred[None]:
        """A visitor who joins muted and without picture is so in the call, from its first moment."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            red.visit(prejoin(stage))
            red.await_own_colour(Camera.RED)
            red.press("preview-camera")
            red.await_shown("preview-text", "Your camera is off.")
            red.press("preview-mute")
            red.press("join")
            blue.enter(stage.room)
            for visitor in (red, blue):
                visitor.await_state("connected")
            blue.await_shown("remote-off")
            blue.await_shown("notice", "microphone is off")
            self.assertIsNone(blue.colour_seen())
            self.assertEqual((red.text("mute-label"), red.text("camera-label")), ("Unmute", "Start camera"))

        return self.play(story)

    def test_choice_of_devices(self) -> Deferred[None]:
        """A camera, a microphone and a speaker that were chosen are used in the call, and again at the next visit."""

        def story(stage: Stage) -> None:
            stage.has_sound = True
            visitor = stage.visitor(stage.browser(None, cameras=3, program=CHROMIUM))
            visitor.visit(prejoin(stage))
            visitor.await_shown("devices")
            visitor.await_that("document.querySelectorAll('#camera-select option').length === 3")
            cameras = choices(visitor, "camera")
            visitor.page.select_option("#camera-select", cameras[2])
            visitor.await_that(f"({_CAMERA_IN_USE}) === {cameras[2]!r}")
            microphone, speaker = choices(visitor, "microphone")[-1], choices(visitor, "speaker")[-1]
            visitor.page.select_option("#microphone-select", microphone)
            visitor.page.select_option("#speaker-select", speaker)
            visitor.await_that(f"localStorage.getItem('callnet.microphone') === JSON.stringify({microphone!r})")
            visitor.await_that(f"{_SINK} === {speaker!r}")
            visitor.page.reload()
            visitor.await_shown("devices")
            visitor.await_that(f"({_CAMERA_IN_USE}) === {cameras[2]!r}")
            for kind, chosen in (("camera", cameras[2]), ("microphone", microphone)):
                visitor.await_that(f"document.getElementById('{kind}-select').value === {chosen!r}")
            visitor.await_that(f"{_SINK} === {speaker!r}")
            visitor.press("join")
            visitor.await_state("waiting")
            visitor.await_that(f"({_CAMERA_SENT}) === {cameras[2]!r}")
            self.unplugged_speaker(visitor, speaker)

        return self.play(story)

    def unplugged_speaker(self, visitor: Visitor, speaker: str) -> None:
        """While the chosen speaker is unplugged the system's own is used, and shown; afterwards the chosen one."""
        visitor.page.evaluate(_UNPLUG, speaker)
        visitor.await_that(f"{_SINK} === ''")
        visitor.await_that("document.getElementById('speaker-select').value === 'default'")
        visitor.page.evaluate(_UNPLUG, None)
        visitor.await_that(f"{_SINK} === {speaker!r}")
        visitor.await_that(f"document.getElementById('speaker-select').value === {speaker!r}")
        visitor.page.evaluate(_NOTE_SINKS)
        visitor.page.evaluate(f"({_UNPLUG})({speaker!r}); ({_UNPLUG})(null);")  # a plug that is loose
        visitor.await_that(f"window.sinks.join() === ',{speaker}'")

    def test_camera_that_is_gone(self) -> Deferred[None]:
        """Where the camera that was chosen is gone, another one is used."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(Camera.RED))
            visitor.page.add_init_script("localStorage.setItem('callnet.camera', JSON.stringify('f'.repeat(64)));")
            visitor.page.add_init_script("localStorage.setItem('callnet.speaker', JSON.stringify('f'.repeat(64)));")
            visitor.visit(prejoin(stage))
            visitor.await_own_colour(Camera.RED)
            visitor.await_that("document.getElementById('speaker-select').value === 'default'")

        return self.play(story)

    def test_without(self) -> Deferred[None]:
        """Without a camera or a microphone the visitor reads what remains, and joins with that."""
        missing = {
            "['video']": ("No camera found", "The other person can hear you."),
            "['audio']": ("No microphone found", "The other person can see you."),
            "['audio', 'video']": ("to watch and listen", "only watching"),
        }

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            other = stage.visitor(stage.browser(Camera.BLUE))
            for kinds, (before, during) in missing.items():
                visitor = stage.visitor(browser)
                visitor.page.add_init_script(_WITHOUT % kinds)
                visitor.visit(prejoin(stage))
                visitor.await_shown("preview-text", before)
                visitor.press("join")
                visitor.await_state("waiting")
                other.enter(stage.room)
                visitor.await_state("connected")
                visitor.await_shown("notice", during)  # before the connection can be called bad
                visitor.await_colour(Camera.BLUE)
                visitor.press("hangup")
                other.await_state("ended")
                visitor.page.close()

        return self.play(story)

    def test_sound_that_waits(self) -> Deferred[None]:
        """A browser that plays no sound before a person has done something plays it after a tap, also if a key that it
        takes for nothing was pressed before.
        """

        def story(stage: Stage) -> None:
            stage.has_sound = True
            other = stage.visitor(stage.browser(Camera.BLUE))
            other.enter(stage.room)
            browser = stage.browser(None, flags=["--autoplay-policy=document-user-activation-required"])
            visitor = stage.visitor(browser, has_touch=True)
            visitor.page.add_init_script(_WITHOUT % "['audio', 'video']")
            visitor.page.add_init_script(_TELL_FRAMES)
            # To look into the page would be to do something.
            with visitor.page.expect_console_message(lambda message: message.text == "muted: Tap or press any key"):
                visitor.page.goto(f"{stage.site_url}{PAGE}?room_id={stage.room}")
            visitor.page.keyboard.press("Escape")
            with visitor.page.expect_console_message(lambda message: message.text.startswith("heard: ")):
                visitor.page.touchscreen.tap(300, 200)
            visitor.await_that("!document.getElementById('remote').muted")
            visitor.await_movement()

        return self.play(story)

    def test_refused(self) -> Deferred[None]:
        """A visitor who has refused both permissions is told so before joining, and not again."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None), refuse=True)
            visitor.visit(prejoin(stage))
            visitor.await_shown("preview-text", "blocked")
            self.assertFalse(visitor.is_visible("devices"))
            visitor.press("join")
            visitor.await_state("waiting")
            visitor.await_shown("notice", "only watching")

        return self.play(story)
