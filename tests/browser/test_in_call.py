"""The features of a call besides talking: sharing a screen, switching cameras, other windows, figures."""

from __future__ import annotations

import json
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred

from tests.browser.camera import Camera
from tests.browser.case import BrowserCase
from tests.browser.stage import Stage
from tests.browser.test_call import meet
from tests.browser.visitor import Visitor

_AREA: Final = """(id) => {
    const { width, height } = document.getElementById(id).getBoundingClientRect();
    return width * height / (innerWidth * innerHeight);
}"""
_CAMERA: Final = "document.getElementById('local').srcObject.getVideoTracks()[0].getSettings().deviceId"
_UNPLUG: Final = """() => {
    const [track] = document.getElementById('local').srcObject.getVideoTracks();
    track.stop();
    track.dispatchEvent(new Event('ended'));
}"""
_KEEP_WISHES: Final = """
    window.wishes = [];
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = (wanted) => {
        window.wishes.push(wanted);
        return open(wanted);
    };
"""
_NOISE_WISH: Final = "window.wishes.filter(({ audio }) => audio).pop().audio.noiseSuppression"
_KEEP_PLAYED: Final = """
    window.played = [];
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () {
        if (this instanceof HTMLAudioElement) window.played.push(this);
        return play.call(this);
    };
"""
_SMALL: Final = "documentPictureInPicture.window?.document"
_IS_CLOSED: Final = "document.getElementById('window-label').textContent === 'Small window'"
_CHECKSUM: Final = """() => {
    const context = document.createElement("canvas").getContext("2d");
    context.drawImage(document.getElementById("remote"), 0, 0, 300, 150);
    return context.getImageData(0, 0, 300, 150).data.reduce((sum, value) => (31 * sum + value) % 1000003, 7);
}"""
_IS_BLACK: Final = """() => {
    const context = document.createElement("canvas").getContext("2d");
    context.drawImage(document.getElementById("remote"), 0, 0, 48, 27);
    return context.getImageData(0, 0, 48, 27).data.every((value, index) => index % 4 === 3 || value < 24);
}"""
_LOSE: Final = """() => {
    const connection = window.connections.at(-1);
    const getStats = connection.getStats.bind(connection);
    const worse = (stat) => (stat.type === "remote-inbound-rtp" ? { ...stat, fractionLost: 0.3 } : stat);
    connection.getStats = async () => new Map(Array.from(await getStats(), ([id, stat]) => [id, worse(stat)]));
}"""
"""From now on every third packet is said to be lost."""
_KEEP_SCREENS: Final = """
    window.screens = [];
    const choose = navigator.mediaDevices.getDisplayMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getDisplayMedia = async (wanted) => {
        const stream = await choose(wanted);
        window.screens.push(...stream.getTracks());
        return stream;
    };
"""
_SHARE_SOUND: Final = """() => {
    navigator.mediaDevices.getDisplayMedia = async (wanted) => {
        window.asked = wanted;
        const canvas = document.createElement("canvas");
        canvas.getContext("2d").fillRect(0, 0, 300, 150);
        const out = new AudioContext().createMediaStreamDestination();
        return new MediaStream([...canvas.captureStream(5).getTracks(), ...out.stream.getTracks()]);
    };
}"""
"""From now on a screen that is shared has sound."""
_SENDS_MICROPHONE: Final = """window.connections.at(-1).getSenders()[0].track
    === document.getElementById('local').srcObject.getAudioTracks()[0]"""
_STOP_IN_THE_BROWSER: Final = """() => {
    const track = window.screens.findLast(({ kind }) => kind === "video");
    track.stop();
    track.dispatchEvent(new Event('ended'));
}"""
"""Acts as the browser's own bar: the track ends without the page having stopped it."""


def await_change(visitor: Visitor) -> None:
    """Wait until the other side's painted picture has changed twice: little moves before Chromium's cameras."""
    for _ in range(2):
        visitor.await_that(f"({_CHECKSUM})() !== {visitor.page.evaluate(_CHECKSUM)}")


def area(visitor: Visitor, video: str) -> float:
    """The share of the page that a picture takes, 0 to 1."""
    return float(visitor.page.evaluate(_AREA, video))


def swipe(visitor: Visitor) -> None:
    """Move a finger over the page."""
    session = visitor.page.context.new_cdp_session(visitor.page)
    for kind, places in (("Start", [100]), ("Move", [130]), ("Move", [170]), ("End", [])):
        points = [{"x": 90, "y": place} for place in places]
        session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    session.detach()


def call_again(red: Visitor, blue: Visitor) -> None:
    """Have two visitors whose call has ended meet in the same room again."""
    for visitor in (red, blue):
        visitor.await_state("ended")
        visitor.press("action")
    for visitor in (red, blue):
        visitor.await_state("connected")


class ScreenTests(BrowserCase):
    """One shows a screen to the other."""

    def test_screen(self) -> Deferred[None]:
        """A screen is shared, with its sound, and no longer when that is stopped, wherever, or when the call ends."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            red.page.add_init_script(_KEEP_SCREENS)
            for visitor in (red, blue):
                visitor.enter(stage.room)
            for visitor in (red, blue):
                visitor.await_state("connected")
            self.share(red, blue)
            self.stopped_in_the_browser(red, blue)
            self.end(red, blue)
            call_again(red, blue)
            self.sound(red, blue)

        return self.play(story)

    def share(self, red: Visitor, blue: Visitor) -> None:
        """A shared screen is large at the other side, with the camera small, until the sharing is stopped."""
        red.press("share")
        red.await_shown("share-label", "Stop sharing")
        red.await_shown("notice", "sharing your screen")
        blue.await_shown("screen")
        blue.await_that("document.getElementById('screen').videoWidth > 0")
        self.assertGreater(area(blue, "screen"), 0.9)
        self.assertLess(area(blue, "remote"), 0.1)
        blue.await_colour(Camera.RED)
        red.await_colour(Camera.BLUE)
        self.assertGreater(area(red, "remote"), 0.9)
        red.press("share")
        blue.await_hidden("screen")
        self.assertGreater(area(blue, "remote"), 0.9)
        red.await_shown("share-label", "Share screen")
        blue.await_colour(Camera.RED)

    def stopped_in_the_browser(self, red: Visitor, blue: Visitor) -> None:
        """The browser's own bar ends the sharing, too; a reload of the other side finds it as it was."""
        red.press("share")
        blue.await_shown("screen")
        blue.page.reload()
        blue.await_state("connected")
        blue.await_shown("screen")
        blue.await_that("document.getElementById('screen').videoWidth > 0")
        red.page.evaluate(_STOP_IN_THE_BROWSER)
        blue.await_hidden("screen")
        red.await_shown("share-label", "Share screen")

    def end(self, red: Visitor, blue: Visitor) -> None:
        """When the call ends nothing is shared any more."""
        red.press("share")
        blue.await_shown("screen")
        blue.press("hangup")
        red.await_state("ended")
        blue.await_hidden("screen")
        self.assertEqual(set(red.page.evaluate("window.screens.map((track) => track.readyState)")), {"ended"})

    def sound(self, red: Visitor, blue: Visitor) -> None:
        """The sound of a shared screen is sent with the microphone, and no longer when the sharing is stopped."""
        red.page.evaluate(_SHARE_SOUND)
        self.assertTrue(red.page.evaluate(_SENDS_MICROPHONE))
        red.press("share")
        red.await_that(f"!({_SENDS_MICROPHONE})")
        self.assertTrue(red.page.evaluate("Boolean(window.asked.audio)"))
        blue.await_shown("screen")
        red.press("mute")  # the screen is heard all the same
        self.assertEqual(red.page.evaluate("window.connections.at(-1).getSenders()[0].track.readyState"), "live")
        red.press("mute")
        red.press("share")
        red.await_that(_SENDS_MICROPHONE)


class CameraTests(BrowserCase):
    """A visitor with several cameras."""

    def test_cameras(self) -> Deferred[None]:
        """One camera takes the place of another, while it is on, and while it is off."""

        def story(stage: Stage) -> None:
            several = stage.visitor(stage.browser(None, cameras=3))
            one = stage.visitor(stage.browser(Camera.BLUE))
            for visitor in (several, one):
                visitor.enter(stage.room)
            for visitor in (several, one):
                visitor.await_state("connected")
            self.switch(several, one)
            self.switch_while_off(several, one)

        return self.play(story)

    def switch(self, several: Visitor, one: Visitor) -> None:
        """Where there are several cameras a button takes the next one, and the other side goes on seeing."""
        self.assertFalse(one.is_visible("flip"))
        seen = {several.page.evaluate(_CAMERA)}
        for _ in range(2):
            before = several.page.evaluate(_CAMERA)
            several.press("flip")
            several.await_that(f"({_CAMERA}) !== {before!r}")
            seen.add(several.page.evaluate(_CAMERA))
        await_change(one)  # the second of Chromium's own cameras is black
        self.assertEqual(len(seen), 3)
        self.assertEqual(several.page.evaluate("window.connections.length"), 1)

    def switch_while_off(self, several: Visitor, one: Visitor) -> None:
        """A camera that is taken while the camera is off shows nothing before it is on."""
        several.press("camera")
        one.await_shown("remote-off")
        one.await_that(f"({_IS_BLACK})()")
        several.press("more")
        several.press("open-devices")
        options = several.page.eval_on_selector_all("#camera-select option", "all => all.map(one => one.value)")
        self.assertNotEqual(options[0], several.page.evaluate(_CAMERA))
        several.page.select_option("#camera-select", options[0])
        several.await_that(f"({_CAMERA}) === {options[0]!r}")
        for _ in range(20):
            self.assertTrue(one.page.evaluate(_IS_BLACK))
            several.wait(50)
        several.press("camera")
        one.await_that(f"!({_IS_BLACK})()")
        await_change(one)


class CallTests(BrowserCase):
    """Two visitors who stay in their call."""

    def test_call(self) -> Deferred[None]:
        """Cameras, keys and small windows are used, and the picture waits, while a call goes on."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            self.unplugged(red, blue)
            self.letters(red, blue)
            self.small_window(red, blue)
            call_again(red, blue)
            self.small_window_without_buttons(red, blue)
            self.a_picture_that_waits(red, blue)

        return self.play(story)

    def unplugged(self, red: Visitor, blue: Visitor) -> None:
        """A camera that is unplugged leaves its place to another one."""
        blue.await_colour(Camera.RED)
        red.page.evaluate(_UNPLUG)
        red.await_that("document.getElementById('local').srcObject.getVideoTracks()[0]?.readyState === 'live'")
        blue.await_movement()
        blue.await_colour(Camera.RED)

    def letters(self, red: Visitor, blue: Visitor) -> None:
        """``m`` and ``v`` switch microphone and camera, and the held space bar lets a muted person talk."""
        keyboard = red.page.keyboard
        self.assertEqual(red.page.get_attribute("#mute", "aria-keyshortcuts"), "M")
        self.assertEqual(red.page.get_attribute("#camera", "title"), "Stop camera (V)")
        keyboard.press("v")
        blue.await_shown("remote-off")
        keyboard.press("v")
        blue.await_hidden("remote-off")
        keyboard.press("m")
        self.assertEqual(red.page.get_attribute("#mute", "title"), "Unmute (M). Hold Space to talk.")
        blue.await_shown("notice", "microphone is off")
        red.wake()
        keyboard.down(" ")
        self.assertEqual(red.text("mute-label"), "Mute")
        blue.await_hidden("notice")
        keyboard.up(" ")
        blue.await_shown("notice", "microphone is off")
        red.press("mute")
        red.press("mute")  # a click leaves the focus there, and the space bar is still to talk with
        keyboard.down(" ")
        self.assertEqual(red.text("mute-label"), "Mute")
        keyboard.up(" ")
        self.assertEqual(red.text("mute-label"), "Unmute")
        red.press("chat")
        keyboard.type("mv m")
        self.assertEqual(red.page.input_value("#chat-text"), "mv m")
        self.assertEqual((red.text("mute-label"), red.text("camera-label")), ("Unmute", "Stop camera"))
        keyboard.press("Escape")
        red.press("mute")

    def small_window(self, red: Visitor, blue: Visitor) -> None:
        """The other side goes into a small window above all others, with buttons, until that or the call is over."""
        for _ in range(2):
            red.press("more")
            red.press("window")
            red.await_shown("window-label", "Close small window")
            red.await_that(f"{_SMALL}.querySelector('video').videoWidth > 0")
            red.page.evaluate(f"{_SMALL}.getElementById('mute').click()")
            blue.await_shown("notice", "microphone is off")
            red.await_that(f"{_SMALL}.getElementById('mute-label').textContent === 'Unmute'")
            red.page.evaluate(f"{_SMALL}.getElementById('mute').click()")
            red.press("window")
            red.await_that(_IS_CLOSED)
            red.page.keyboard.press("Escape")
        red.press("more")
        red.press("window")
        red.await_that(f"{_SMALL}?.querySelector('video')?.videoWidth > 0")
        red.page.evaluate(f"{_SMALL}.getElementById('hangup').click()")
        for visitor in (red, blue):
            visitor.await_state("ended")
        red.await_that("documentPictureInPicture.window === null")

    def small_window_without_buttons(self, red: Visitor, blue: Visitor) -> None:
        """Where the browser has no such window it shows the picture alone in one."""
        red.page.evaluate("Object.defineProperty(window, 'documentPictureInPicture', { value: undefined })")
        red.await_colour(Camera.BLUE)
        red.press("more")
        red.press("window")
        red.await_shown("window-label", "Close small window")
        self.assertEqual(red.page.evaluate("document.pictureInPictureElement.id"), "remote")
        red.press("window")
        red.await_that(_IS_CLOSED)
        blue.await_colour(Camera.RED)

    def a_picture_that_waits(self, red: Visitor, blue: Visitor) -> None:
        """Without a picture because of a weak connection, the page says so, and does not report a camera as off."""
        blue.page.evaluate(_LOSE)
        red.await_shown("remote-off", "Poor connection: the other person’s video is paused")
        blue.press("camera")
        red.await_shown("remote-off", "The other person’s camera is off")

    def test_buttons_step_back(self) -> Deferred[None]:
        """The buttons of a call step back, and the key or the finger that wakes them presses nothing."""

        def story(stage: Stage) -> None:
            television = stage.visitor(stage.browser(Camera.RED), whole_screen=True)
            blue = stage.visitor(stage.browser(Camera.BLUE), has_touch=True)
            for visitor in (television, blue):
                visitor.enter(stage.room)
            for visitor in (television, blue):
                visitor.await_state("connected")
            television.wake()
            television.page.keyboard.press("ArrowRight")
            self.assertEqual(television.focused, "mute")
            television.page.wait_for_selector("body.resting")
            television.page.keyboard.press("Enter")
            television.page.wait_for_selector("body:not(.resting)")
            self.assertEqual(television.text("mute-label"), "Mute")
            television.stay_awake()
            television.page.keyboard.press("Enter")
            self.assertEqual(television.text("mute-label"), "Unmute")
            television.page.wait_for_selector("body.resting")
            television.page.mouse.move(300, 300)
            television.page.wait_for_selector("body:not(.resting)")
            television.press("chat")
            television.wait(6_000)  # longer than they wait otherwise
            self.assertEqual(television.page.locator("body.resting").count(), 0)
            blue.page.wait_for_selector("body.resting")
            button = blue.page.locator("#mute .disc").bounding_box()
            assert button is not None
            tap = partial(blue.page.touchscreen.tap, button["x"] + 9, button["y"] + 9)
            tap()
            blue.page.wait_for_selector("body:not(.resting)")
            self.assertEqual(blue.text("mute-label"), "Mute")
            blue.stay_awake()
            tap()
            blue.await_that("document.getElementById('mute-label').textContent === 'Unmute'")
            blue.page.wait_for_selector("body.resting")
            swipe(blue)
            blue.page.wait_for_selector("body:not(.resting)")
            blue.stay_awake()
            blue.page.focus("#mute")
            blue.page.keyboard.press("Enter")  # no click had followed that could be held back
            self.assertEqual(blue.text("mute-label"), "Mute")

        return self.play(story)

    def test_statistics(self) -> Deferred[None]:
        """``s`` opens and closes the figures of the connection, except while somebody types."""

        def story(stage: Stage) -> None:
            stage.has_sound = True
            red, _ = meet(stage)
            red.page.keyboard.press("s")
            for text in (", opus", "kbit/s", " ms", "fps", "direct"):
                red.await_shown("figures", text)
            red.switch_language("de")
            red.await_shown("figures", "Hin und zurück")
            red.switch_language("en")
            red.page.keyboard.press("s")
            red.await_hidden("statistics-drawer")
            red.press("chat")
            red.page.keyboard.press("s")
            self.assertEqual(red.page.input_value("#chat-text"), "s")
            self.assertFalse(red.is_visible("statistics-drawer"))

        return self.play(story)


class AloneTests(BrowserCase):
    """A visitor who waits for the other one."""

    def test_panels(self) -> Deferred[None]:
        """The page fills the screen; its panels are used with keys, and in them the devices."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None, cameras=3))
            for script in (_KEEP_WISHES, _KEEP_PLAYED):
                visitor.page.add_init_script(script)
            visitor.enter(stage.room)
            visitor.await_state("waiting", "waiting")
            self.full_screen(visitor)
            self.keys(visitor)
            visitor.press("more")
            visitor.press("open-devices")
            self.remote_control_chooses_devices(visitor)
            self.speaker(visitor)
            self.noise(visitor)

        return self.play(story)

    def full_screen(self, visitor: Visitor) -> None:
        """The page takes the whole screen and gives it back; either closes the menu."""
        for before, after, is_full in (("Full screen", "Exit full screen", True), ("Exit", "Full screen", False)):
            visitor.press("more")
            visitor.await_shown("full-screen-label", before)
            visitor.press("full-screen")
            visitor.await_hidden("more-drawer")
            visitor.await_that(f"(document.fullscreenElement !== null) === {json.dumps(is_full)}")
            visitor.await_that(f"document.getElementById('full-screen-label').textContent === {after!r}")

    def keys(self, visitor: Visitor) -> None:
        """Arrows move within the open panel, and Escape or the way back return to the place before."""
        visitor.page.focus("#more")
        for leave in (lambda: visitor.page.keyboard.press("Escape"), visitor.page.go_back):
            visitor.page.keyboard.press("Enter")
            visitor.await_shown("more-drawer")
            self.assertEqual(visitor.page.get_attribute("#more", "aria-expanded"), "true")
            self.assertEqual(visitor.focused, "open-devices")
            visitor.page.keyboard.press("ArrowDown")
            visitor.page.keyboard.press("Enter")
            visitor.await_shown("invite-drawer")
            leave()
            visitor.await_hidden("invite-drawer")
            self.assertEqual(visitor.focused, "more")
        self.assertEqual(visitor.state, "waiting")

    def remote_control_chooses_devices(self, visitor: Visitor) -> None:
        """Up and down pass by the choice of a device, left and right change it."""
        self.assertEqual(visitor.focused, "camera-select")
        before = visitor.page.input_value("#camera-select")
        visitor.page.keyboard.press("ArrowDown")
        self.assertEqual(visitor.focused, "microphone-select")
        visitor.page.keyboard.press("ArrowUp")
        visitor.page.keyboard.press("ArrowRight")
        visitor.await_that(f"({_CAMERA}) !== {before!r}")
        self.assertEqual(visitor.focused, "camera-select")

    def speaker(self, visitor: Visitor) -> None:
        """A few notes can be played where the other side would be heard."""
        visitor.press("test-speaker")
        visitor.await_that("window.played.some((one) => one.currentTime > 0.2)")

    def noise(self, visitor: Visitor) -> None:
        """The suppression of noise can be switched off in a call, and stays off."""
        self.assertIs(visitor.page.evaluate(_NOISE_WISH), True)
        visitor.page.uncheck("#noise")
        visitor.await_that(f"({_NOISE_WISH}) === false")
        visitor.page.reload()
        visitor.await_state("waiting", "waiting")  # in the scene "permission" devices may not be asked for yet
        self.assertIs(visitor.page.evaluate(_NOISE_WISH), False)
        self.assertFalse(visitor.page.is_checked("#noise"))
