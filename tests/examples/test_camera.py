"""The door camera of examples/camera, which devices with media look at."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue

from callnet.accounts.validation import secret_hash
from callnet.model import DeviceAddress
from callnet.storage import devices
from callnet.storage.database import Database
from callnet.storage.preferences import SettingsChange, change
from harness.daemon import staying_listeners
from harness.forked_program import forked_program
from tests.browser.camera import Camera
from tests.examples.programs import EXAMPLES, PATIENCE, Script, reactor
from tests.integration.test_device_command import PHONE
from tests.integration.test_device_media import SEEING, MediaCase
from tests.support.daemon import Daemon
from tests.support.processes import open_files
from tests.support.shared_daemon import new_phone

DOOR: Final = "13800138009"
"""The phone of the door on the page."""
LOADED: Final = ("aiortc.contrib.media", "callnet_client.media.peer")
"""The modules of the camera that take long to load."""
PAGE: Final = EXAMPLES / "camera" / "README.md"


class CameraTests(MediaCase):
    """A camera, and who rings it."""

    async def make_as_on_the_page(self) -> None:
        """Make the device as the page says, with the phones that it is to answer."""
        [commands, _] = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
        self.assertIn(f"--auto-answer {PHONE[0]}", commands)
        commands = commands.replace(DOOR, self.door[0]).replace(PHONE[0], self.phone[0])
        environ = {
            "PATH": f"{forked_program().parent}:{os.environ['PATH']}",
            "CALLNET_CONFIG": self.daemon.environ["CALLNET_CONFIG"],
        }
        done = await getProcessOutputAndValue("bash", ("-ec", commands), environ, str(self.directory))
        self.assertEqual(done[1:], (b"", 0))

    def make(self) -> None:
        """Make such a device without the commands."""
        with closing(Database(f"sqlite:///{self.daemon.state_dir}/callnet.db")) as database:
            devices.provision(database, self.door[0], ("door",), 0.0, False)
            devices.set_secret(database, DeviceAddress(*self.door), secret_hash("secret"), 0.0)
            change(database, self.door[0], SettingsChange(auto_answer=[self.phone[0]]), time.time())
        (self.directory / "door.json").write_text('{"secret": "secret"}', encoding="utf-8")

    async def begin(self, **settings: str) -> Script:
        """Start the camera, with a device that is made unless it was, at a daemon that knows its settings."""
        if not (self.directory / "door.json").exists():
            self.make()
        await self.daemon.stop()
        await self.daemon.start()
        environ = {
            "CALLNET_SITE": self.daemon.site_url,
            "CALLNET_CERTIFICATE": str(self.daemon.certificate),
            "DOOR_PHONE": self.door[0],
            "DOOR_CREDENTIALS": "door.json",
        }
        self.environ = {**environ, **settings}
        return await self.start()

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        """Have a door."""
        await super().setUp()
        self.door = (new_phone(), "door")

    async def start(self) -> Script:
        """Start the camera."""
        camera = Script("camera/camera.py", str(self.directory), self.environ, network=self.network.name, loads=LOADED)
        camera.start()
        self.addCleanup(camera.stop)
        await camera.says("online\n")
        return camera

    async def test_who_is_listed(self) -> None:
        """A listed caller is answered, sees and hears the door; after the call the camera is free for the next."""
        await self.make_as_on_the_page()
        camera = await self.begin()
        for _ in range(2):
            phone = self.device(self.phone, "--call", *self.door)
            await phone.shows(SEEING)
            await phone.shows("media: receiving sound")
            phone.interrupt()
            self.assertEqual(await phone.status(), 0)
            await camera.says("the call is over")
            camera.said = b""

    async def test_others(self) -> None:
        """Nobody else is answered."""
        await self.begin()
        stranger = self.device(self.tv, "--call", *self.door)
        self.assertEqual(await stranger.status(), 1)
        self.assertIn("refused the call", stranger.output)

    async def test_a_film(self) -> None:
        """A film is sent, over and over, no faster than it was taken; it is opened for a call, and closed when the call
        is over.
        """
        film = Camera.RED.record(self.directory, rate=5)
        camera = await self.begin(DOOR_CAMERA=str(film))
        called_at = time.monotonic()
        phone = self.device(self.phone, "--call", *self.door)
        await phone.shows(SEEING)
        self.assertGreater(time.monotonic() - called_at, 29 / 5)
        await self.until(lambda: str(film) in open_files(camera.pid))
        phone.interrupt()
        await camera.says("the call is over")
        await self.until(lambda: str(film) not in open_files(camera.pid))

    async def test_no_camera(self) -> None:
        """Without a camera where one should be the call is ended, and the next one is tried."""
        camera = await self.begin(DOOR_CAMERA="/dev/video-none")
        for _ in range(2):
            phone = self.device(self.phone, "--call", *self.door)
            self.assertEqual(await phone.status(), 0)
            await camera.says("there is no picture")
            camera.said = b""

    async def test_a_restart_of_callnet(self) -> None:
        """If callnet is killed during a call, of which it knows nothing afterwards, the camera ends it for both."""
        self.daemon = Daemon(self.mktemp(), listeners=staying_listeners(), network=self.network.name)
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()
        film = Camera.RED.record(self.directory)
        camera = await self.begin(DOOR_CAMERA=str(film))
        phone = self.device(self.phone, "--call", *self.door)
        await phone.shows("media: 30 frames of the camera")
        self.daemon.kill()
        await self.daemon.start()
        await camera.says("the call is over")
        await self.until(lambda: str(film) not in open_files(camera.pid))
        await phone.shows("media: the other side has hung up")

    async def test_a_new_start(self) -> None:
        """Killed and restarted it is back in its call."""
        camera = await self.begin()
        phone = self.device(self.phone, "--call", *self.door)
        await phone.shows(SEEING)
        camera.signal(signal.SIGKILL)
        await camera.has_ended
        await self.start()
        await phone.shows(f"(?s){SEEING}.*{SEEING}")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so: a film is closed for a moment before it begins again, and soon after a call."""
        until = reactor.seconds() + PATIENCE
        while not condition():
            self.assertLess(reactor.seconds(), until, "this takes too long")
            await deferLater(reactor, 0.01)
