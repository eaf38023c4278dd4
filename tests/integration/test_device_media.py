"""``callnet device --media``: two devices without a browser see and hear each other, in a network of their own."""

from __future__ import annotations

import atexit
import re
from functools import cache
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from callnet_client import DeviceAddress
from callnet_client.media.studio import HEIGHT, WIDTH, Look, look_of
from harness.coturn import Coturn
from tests.browser.camera import Camera
from tests.integration.test_device_command import PHONE, TV, DeviceProcess
from tests.support.daemon import Daemon
from tests.support.network import Network
from tests.support.shared_daemon import new_phone, shared_daemon
from tests.support.webm import pictures, pitch

CONNECTED: Final = "media: connected"
SEEING: Final = "media: 30 frames of the camera"
CODE: Final = "media: verification code, equal on both sides unless the call is intercepted: (.*)\n"


@cache
def shared_network() -> Network:
    """A network for all tests that leave it as it was."""
    network = Network()
    atexit.register(network.remove)
    return network


def times(count: int, pattern: str) -> str:
    """This pattern, repeated."""
    return f"(?s)(?:{pattern}.*?){{{count}}}"


class MediaCase(TestCase):
    """A daemon and devices in a network that they have for themselves."""

    timeout = 300

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        """Have a daemon, a folder, and two devices that look different."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.phone, self.tv = (new_phone(), PHONE[1]), (new_phone(), TV[1])
        while look_of(DeviceAddress(*self.tv)) == look_of(DeviceAddress(*self.phone)):
            self.tv = (new_phone(), TV[1])
        await self.find_daemon()

    async def find_daemon(self) -> None:
        """Have a daemon, and its network."""
        self.network = shared_network()
        self.daemon: Daemon = await shared_daemon(self, network=self.network.name)

    def device(self, address: tuple[str, str], *arguments: str) -> DeviceProcess:
        """Start a device with media."""
        process = DeviceProcess(
            self.daemon,
            *address,
            "--media",
            f"--server={self.daemon.site_url}",
            "--insecure",
            *arguments,
            network=self.network.name,
        )
        self.addCleanup(process.stop)
        return process

    async def pair(self, *arguments: str, of_tv: tuple[str, ...] = ()) -> tuple[DeviceProcess, DeviceProcess]:
        """A phone that has called a television."""
        tv = self.device(self.tv, "--answer", "accept", *of_tv)
        await tv.shows("waiting for calls")
        return self.device(self.phone, "--call", *self.tv, *arguments), tv

    def kill(self, process: DeviceProcess) -> Deferred[int]:
        """Give it no time for anything."""
        process.process.kill()
        return process.status()

    def recording(self, name: str) -> tuple[Path, str]:
        """A file to record into, and the option that has it so."""
        path = self.directory / f"{name}.webm"
        return path, f"--record={path}"

    def assert_is_of(self, path: Path, address: tuple[str, str]) -> None:
        """A recording has the test picture and the tone of this device."""
        look = look_of(DeviceAddress(*address))
        seen = pictures(path)
        self.assertGreater(seen.number, 20)
        self.assertEqual((WIDTH, HEIGHT), seen.size)
        self.assert_near(seen.blue, look.blue)
        self.assert_near(seen.red, look.red)
        self.assertLess(abs(look.pitch - pitch(path)), 15)

    def assert_near(self, seen: float, sent: int) -> None:
        """A colour came through."""
        self.assertLess(abs(sent - seen), 15)

    def assert_quiet(self, *processes: DeviceProcess) -> None:
        """Nothing was complained of."""
        for process in processes:
            self.assertEqual("", process.errors)
            self.assertNotIn("unusable message", process.output)
            self.assertNotIn("unknown", process.output)


class MediaTests(MediaCase):
    """Two devices."""

    async def test_see_and_hear(self) -> None:
        """Each sees the other's picture, hears its tone and has its code; the caller hangs up, and both are told."""
        looks: set[Look] = {look_of(DeviceAddress(*address)) for address in (self.phone, self.tv)}
        self.assertEqual(2, len(looks))
        phones, of_phone = self.recording("phone")
        tvs, of_tv = self.recording("tv")
        phone, tv = await self.pair(of_phone, of_tv=(of_tv,))
        for device in (phone, tv):
            await device.shows(CONNECTED)
            await device.shows(rf"media: receiving the camera, {WIDTH}x{HEIGHT}")
            await device.shows("media: the other side sends sound, the camera's picture")
            await device.shows(SEEING)
            await device.shows("media: receiving sound")
        self.assertEqual(*[await device.shows(CODE) for device in (phone, tv)])
        offering = [device for device in (phone, tv) if "this side offers" in device.output]
        self.assertEqual(1, len(offering))
        phone.interrupt()
        self.assertEqual(0, await phone.status())
        for device in (phone, tv):
            await device.shows(r"media: received \d+ frames of the camera, [\d.]+ s of sound")
        await tv.shows(f"the call is over: {self.phone[0]} phone1 hung up")
        tv.interrupt()
        self.assertEqual(0, await tv.status())
        self.assert_quiet(phone, tv)
        self.assert_is_of(phones, self.tv)
        self.assert_is_of(tvs, self.phone)

    async def test_callee_hangs_up(self) -> None:
        """The callee hangs up, and waits for more: the next call is seen and heard as well."""
        phone, tv = await self.pair()
        await gatherResults([device.shows(SEEING) for device in (phone, tv)])
        tv.interrupt()
        self.assertEqual(0, await phone.status())
        again = self.device(self.phone, "--call", *self.tv)
        await gatherResults([again.shows(SEEING), tv.shows(times(2, SEEING))])
        self.assert_quiet(phone, again, tv)

    async def test_killed(self) -> None:
        """One is killed and restarted, first the caller, then the callee: each comes back into the call."""
        phone, tv = await self.pair()
        await gatherResults([device.shows(SEEING) for device in (phone, tv)])
        await self.kill(phone)
        phone = self.device(self.phone, "--call", *self.tv)
        await gatherResults([phone.shows(SEEING), tv.shows(times(2, SEEING))])
        await self.kill(tv)
        path, option = self.recording("tv")
        tv = self.device(self.tv, "--answer", "accept", option)
        await gatherResults([tv.shows(SEEING), phone.shows(times(2, SEEING))])
        tv.interrupt()
        self.assertEqual(0, await phone.status())
        tv.interrupt()
        self.assertEqual(0, await tv.status())
        self.assert_is_of(path, self.phone)

    async def test_path_breaks(self) -> None:
        """When the path breaks both notice, and when it is restored they reconnect, without anybody's help."""
        phone, tv = await self.pair()
        await gatherResults([device.shows(SEEING) for device in (phone, tv)])
        self.network.block_media()
        await gatherResults([device.shows("media: connection lost") for device in (phone, tv)])
        self.network.let_media_pass()
        await gatherResults([device.shows(times(2, SEEING)) for device in (phone, tv)])
        phone.interrupt()
        self.assertEqual(0, await phone.status())

    async def test_file(self) -> None:
        """A file is sent over and over. One without sound has none, and the other side is told."""
        film = Camera.RED.record(self.directory)
        path, option = self.recording("tv")
        phone, tv = await self.pair(f"--play={film}", of_tv=(option,))
        await tv.shows("media: the other side sends the camera's picture\n")
        await tv.shows("media: receiving the camera, 160x90")
        await gatherResults([device.shows(SEEING) for device in (phone, tv)])
        phone.interrupt()
        self.assertEqual(0, await phone.status())
        tv.interrupt()
        await tv.status()
        blue, red = Camera.RED.value
        seen = pictures(path)
        self.assert_near(seen.blue, blue)
        self.assert_near(seen.red, red)

    async def test_stopped(self) -> None:
        """SIGTERM ends a device in mid-call, with all of its threads, and the recording can be read."""
        path, option = self.recording("tv")
        phone, tv = await self.pair(of_tv=(option,))
        await gatherResults([device.shows(SEEING) for device in (phone, tv)])
        tv.process.terminate()
        await tv.status()
        self.assert_is_of(path, self.phone)
        self.assert_quiet(tv)

    async def test_files_that_are_of_no_use(self) -> None:
        """A file that cannot be played or written is named in one line."""
        nothing = self.directory / "nothing.mp4"
        nothing.write_bytes(b"")
        for option in (f"--play={nothing}", f"--record={self.directory}/nowhere/a.webm"):
            process = self.device(self.tv, option)
            self.assertEqual(1, await process.status())
            self.assertRegex(process.errors, r"\Acallnet device: (/\S+ is not a readable|cannot write /\S+).*\n\Z")
            self.assertIsNone(re.search("Traceback", process.errors))


class RelayTests(MediaCase):
    """A network in which no datagram passes from device to device."""

    async def find_daemon(self) -> None:
        """Start coturn, and a daemon that is set up for it."""
        self.network = Network()
        self.addCleanup(self.network.remove)
        secret, ports = "relay" * 8, (("min-port", "61000"), ("max-port", "65535"))  # none that others are given
        coturn = Coturn(
            secret,
            addresses=(self.network.address,),
            peers=(self.network.address,),
            settings=ports,
            within=self.network.command,
        )
        self.addCleanup(coturn.close)
        self.network.block_media(but=f"{coturn.port}, 61000-65535")
        turn = f"[turn]\nurls = {list(coturn.urls)}\nsecret = '{secret}'\n"
        self.daemon = Daemon(self.mktemp(), turn, network=self.network.name)
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()

    async def test_relay(self) -> None:
        """The devices are connected through the TURN server that the room names, with its credentials."""
        phone, tv = await self.pair()
        await gatherResults([device.shows(SEEING) for device in (phone, tv)])
        phone.interrupt()
        self.assertEqual(0, await phone.status())
        self.assert_quiet(phone)
