"""A camera at a door: it answers listed callers by itself, and is in the room of the call without a browser.

Its settings come by the environment:

    CALLNET_SITE          where callnet is, such as https://calls.example.org:8080
    CALLNET_CERTIFICATE   a file with its certificate, if no authority has signed that
    DOOR_PHONE            the number of the camera
    DOOR_CREDENTIALS      the file with its secret (README.md), in which it also keeps its token
    DOOR_CAMERA           a camera of V4L2, such as /dev/video0, or a film; without it, a test picture and a tone
    DOOR_SOUND            a microphone of ALSA, such as "default", if there is one beside the camera
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from aiortc import MediaStreamTrack
from aiortc.contrib.media import MediaPlayer, MediaRelay
from av import FFmpegError
from twisted.internet.defer import Deferred, succeed

from callnet_client import (
    Account,
    Call,
    CallEvent,
    ClientError,
    Credentials,
    Device,
    DeviceAddress,
    Event,
    Server,
    StateEvent,
    aio,
    certificate_trust,
)
from callnet_client.media.peer import AiortcPeer
from callnet_client.media.reception import Reception
from callnet_client.media.studio import FileStudio, NoMedia, PatternStudio, PausingStudio, Studio, look_of
from callnet_client.media.visit import Visit, seat_key
from callnet_client.notes import State
from callnet_client.room import RoomSocket

say = partial(print, flush=True)


class Eye:
    """The camera and the microphone, which are on during a call only.

    :raises FFmpegError: one of them cannot be opened.
    :raises OSError: likewise.
    """

    has_picture = True

    def __init__(self, camera: str, sound: str | None) -> None:
        self._relay = MediaRelay()  # a new connection gets the tracks of the one before it
        picture = MediaPlayer(camera, "v4l2", {"framerate": "30"}).video
        self._sources = MediaPlayer(sound, "alsa").audio if sound else None, picture
        self.has_sound = bool(sound)

    def tracks(self) -> Sequence[MediaStreamTrack | None]:
        """Sound, the camera's picture, and a screen's, which there is not, for one connection."""
        return *(source and self._relay.subscribe(source, buffered=False) for source in self._sources), None

    def close(self) -> None:
        """Switch them off."""
        for source in filter(None, self._sources):
            source.stop()


class Door:
    """The actions at a ring, and at the events that follow."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._call: Call | None = None
        self._eye: Eye | None = None
        self._visit: Visit | None = None

    def heard(self, event: Event) -> None:
        """Act on an event of the device.

        :raises ClientError: there is nothing more to come.
        """
        match event:
            case StateEvent("denied" | "elsewhere" as state):
                raise ClientError(f"this device is {state}: is its secret right, and is it there once?")
            case StateEvent(state):
                say(state)
            case CallEvent(call, "ringing") if call.is_incoming and call.auto_answer:
                call.accept(by_itself=True)
            case CallEvent(call, "ringing") if call.is_incoming:
                call.refuse()  # nobody is there to be asked
            case CallEvent(call, "active") if call.is_forgotten:
                call.hang_up()  # callnet was restarted, and will not say when the caller has gone
            case CallEvent(call, "active") if call is not self._call:
                self._enter(call)
            case CallEvent(call, "over") if call is self._call:
                self.leave(farewell=call.is_forgotten)
                say(f"the call is over: {call.reason}")

    def leave(self, farewell: bool = False) -> Deferred[None]:
        """Leave the room, if it is in one.

        :param farewell: the call is over for both, which the caller does not hear from callnet.
        """
        visit, eye = self._visit, self._eye
        self._visit = self._eye = self._call = None
        if eye is not None:
            eye.close()
        return succeed(None) if visit is None else visit.leave(farewell)

    def _enter(self, call: Call) -> None:
        """Be in the room of a call: a new one, or the one that this was in before a restart."""
        self.leave()
        self._call = call
        server, address = self._device.account.server, self._device.account.address
        try:
            studio = PausingStudio(self._open(address), lambda: call.is_on_hold)
        except (FFmpegError, OSError, NoMedia) as error:
            say(f"there is no picture: {error}")
            call.hang_up()
            return
        self._visit = Visit(
            partial(RoomSocket, server.site, reactor=server.reactor, trust=server.trust),
            lambda connection, ice_servers: AiortcPeer(connection, ice_servers, studio, Reception(say, None)),
            (call.room_id, seat_key(address, call.room_id)),
            State(muted=not studio.has_sound, camera_off=not studio.has_picture, sharing=False),
            say,
            server.reactor,
        )

    def _open(self, address: DeviceAddress) -> Studio:
        camera = os.environ.get("DOOR_CAMERA")
        if not camera:
            return PatternStudio(look_of(address))
        if not camera.startswith("/dev/"):
            return FileStudio(Path(camera))
        self._eye = Eye(camera, os.environ.get("DOOR_SOUND"))
        return self._eye


def device_at(reactor: Any) -> Device:
    """The device that this is."""
    file, certificate = Path(os.environ["DOOR_CREDENTIALS"]), os.environ.get("CALLNET_CERTIFICATE")
    trust = certificate_trust(Path(certificate).read_bytes()) if certificate else None
    kept = msgspec.json.decode(file.read_bytes(), type=Credentials)

    def keep(credentials: Credentials) -> None:
        new = file.with_suffix(".new")
        new.touch(0o600)
        new.write_bytes(msgspec.json.encode(credentials))
        new.replace(file)

    server = Server(os.environ["CALLNET_SITE"], reactor, trust=trust)
    return Device(Account(server, os.environ["DOOR_PHONE"], "door", kept=kept, keep=keep))


async def serve() -> None:
    """Be this device until it is stopped."""
    # A browser's messages can raise errors in aiortc's own tasks, and asyncio would write tracebacks; the connection is
    # restored all the same.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    async with aio.running() as reactor:
        device = device_at(reactor)
        door, events = Door(device), aio.events(device)
        device.connect()
        try:
            async for event in events:
                door.heard(event)
        finally:
            await aio.wait(door.leave())
            await aio.wait(device.close())


async def main() -> None:
    """Run until it is stopped. It is back in its call if it is started again within half a minute."""
    serving = asyncio.ensure_future(serve())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (KeyError, OSError, ValueError, ClientError) as error:
        sys.exit(f"cannot go on: {type(error).__name__}: {error}")
