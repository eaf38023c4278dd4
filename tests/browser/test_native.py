"""The page with a device that is no browser: ``callnet device --media`` is in the room as docs/room.md has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser
from twisted.internet.defer import Deferred

from callnet_client import DeviceAddress
from callnet_client.media.studio import Look, look_of
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase, in_reactor
from tests.browser.stage import HEADLESS_SHELL, Stage
from tests.browser.visitor import Visitor
from tests.integration.test_device_command import PHONE, DeviceProcess
from tests.integration.test_device_media import shared_network
from tests.support.processes import stopped
from tests.support.shared_daemon import new_phone, shared_daemon
from tests.support.webm import pictures

SEEING: Final = "media: 30 frames of the camera"
DRAW: Final = """
    const draw = crypto.getRandomValues.bind(crypto);
    crypto.getRandomValues = (array) => (array.length === 16 ? draw(array).fill(%d, 0, 4) : draw(array));
"""
"""Makes the page's session greater, or less, than that of the other page in the room."""


def is_blue(look: Look) -> bool:
    """True if a test picture has less red in it than grey, and far more blue."""
    return look.blue >= 180 and look.red <= 128


class NativeTests(BrowserCase):
    """A television without a browser; its caller opens the page in Chromium."""

    async def start_daemon(self) -> None:
        """Have the daemon, in a network of its own, and addresses."""
        self.network = shared_network()
        self.daemon = await shared_daemon(self, network=self.network.name)
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        wrapper = self.directory / "chromium"
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(self.network.command)} {HEADLESS_SHELL} "$@"\n')
        wrapper.chmod(0o755)
        self.chromium = str(wrapper)
        self.phone = DeviceAddress(new_phone(), PHONE[1])
        # A television whose test picture is as blue as the other camera.
        number = new_phone()
        addresses = (DeviceAddress(number, f"tv{count}") for count in range(100))
        self.tv = next(address for address in addresses if is_blue(look_of(address)))

    def device(self, *arguments: str) -> DeviceProcess:
        """Start a device, from a story."""

        def start() -> DeviceProcess:
            return DeviceProcess(
                self.daemon,
                *arguments,
                f"--server={self.daemon.site_url}",
                "--insecure",
                network=self.network.name,
            )

        process: DeviceProcess = in_reactor(start)
        self.addCleanup(process.stop)
        return process

    def await_shown(self, process: DeviceProcess, pattern: str) -> str:
        """Wait until a device has shown this."""
        shown: str = in_reactor(lambda: process.shows(pattern))
        return shown

    def call(self, stage: Stage, browser: Browser, drawn: int) -> tuple[Visitor, DeviceProcess, DeviceProcess]:
        """Let a phone call the television, and open the page for it in a browser.

        :param drawn: the byte with which the page's session begins.
        """
        record = self.directory / f"{drawn}.webm"
        tv = self.device(*self.tv, "--media", "--answer=accept", f"--record={record}")
        self.await_shown(tv, "in a call|waiting for calls")
        phone = self.device(*self.phone, "--call", *self.tv)
        room = self.await_shown(phone, r"\?room_id=([0-9a-f]{32})\n")
        red = stage.visitor(browser)
        red.page.add_init_script(DRAW % drawn)
        red.enter(room)
        red.await_state("connected")
        offering = "the other" if drawn else "this"
        self.await_shown(tv, f"{offering} side offers")
        return red, phone, tv

    def assert_see_each_other(self, red: Visitor, tv: DeviceProcess, connections: int) -> None:
        """Assert that Chromium paints the television's picture, and that the television gets pictures."""
        red.await_colour(Camera.BLUE)
        red.await_movement()
        self.await_shown(tv, f"(?s)(?:{SEEING}.*?){{{connections}}}")

    def assert_recorded(self) -> None:
        """Assert that the television's recording has the colour of Chromium's camera, and remove it."""
        (path,) = self.directory.glob("*.webm")
        blue, red = Camera.RED.value
        seen = pictures(path)
        path.unlink()
        self.assertLess(abs(blue - seen.blue), 20)
        self.assertLess(abs(red - seen.red), 20)

    def hang_up(self, phone: DeviceProcess, tv: DeviceProcess) -> None:
        """End the call."""
        in_reactor(phone.interrupt)
        self.assertEqual(0, in_reactor(phone.status))
        self.await_shown(tv, "the call is over")

    def play_both(
        self, act: Callable[[Visitor, DeviceProcess, DeviceProcess], None], *, has_sound: bool = False
    ) -> Deferred[None]:
        """Play a story twice: the television offers, the page offers."""

        def story(stage: Stage) -> None:
            film = f"--use-file-for-fake-video-capture={Camera.RED.record(self.directory, 30)}"  # the television counts
            browser = stage.browser(None, program=self.chromium, flags=[film])
            stage.has_sound = has_sound
            for drawn in (0, 255):
                red, phone, tv = self.call(stage, browser, drawn)
                self.assert_see_each_other(red, tv, 1)
                act(red, phone, tv)
                for process in (phone, tv):
                    in_reactor(process.stop)
                    self.assertEqual("", process.errors)
                    self.assertNotIn("unusable message", process.output)
                    self.assertNotIn("unknown", process.output)
                red.page.close()

        return self.play(story)

    def test_picture_and_sound(self) -> Deferred[None]:
        """Each sees and hears the other, whichever side offers; when the page hangs up the call is over for both. The
        television's recording has the colour of Chromium's camera.
        """

        def act(red: Visitor, phone: DeviceProcess, tv: DeviceProcess) -> None:
            red.await_sound()
            self.await_shown(tv, "media: receiving sound")
            red.press("hangup")
            red.await_state("ended")
            self.assertEqual(0, in_reactor(phone.status))
            self.await_shown(tv, "the call is over")
            in_reactor(tv.interrupt)
            self.assertEqual(0, in_reactor(tv.status))
            self.assert_recorded()

        return self.play_both(act, has_sound=True)

    def test_reload(self) -> Deferred[None]:
        """A reload of the page, and another start of the television, are met with a new connection."""

        def act(red: Visitor, phone: DeviceProcess, tv: DeviceProcess) -> None:
            red.page.reload()
            red.await_state("connected")
            self.assert_see_each_other(red, tv, 2)
            in_reactor(tv.stop)
            red.await_state("reconnecting")
            again = self.device(*self.tv, "--media")
            red.await_state("connected")
            self.assert_see_each_other(red, again, 1)
            self.hang_up(phone, again)
            in_reactor(again.stop)

        return self.play_both(act)

    def test_restart(self) -> Deferred[None]:
        """When the television stops responding for seconds the page restarts ICE; both get a new connection. When it
        hangs up the page says so, and it has recorded the call.
        """

        def act(red: Visitor, phone: DeviceProcess, tv: DeviceProcess) -> None:
            pid = tv.process.pid
            assert pid is not None
            with stopped(pid):
                red.await_state("reconnecting")
                red.wait(6_000)  # longer than a connection may heal by itself, and than an offer is fresh after that
            red.await_state("connected")
            self.assert_see_each_other(red, tv, 2)
            in_reactor(tv.interrupt)
            red.await_state("ended")
            self.assertEqual(0, in_reactor(phone.status))
            in_reactor(tv.interrupt)
            self.assertEqual(0, in_reactor(tv.status))
            self.assert_recorded()

        return self.play_both(act)
