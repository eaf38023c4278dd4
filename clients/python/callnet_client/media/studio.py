"""The sent media: a test picture and a tone, or a file in a loop."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from math import cos, pi, sin
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias
from zlib import crc32

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler, Packet, VideoFrame
from av.container import InputContainer
from av.frame import Frame
from msgspec import Struct

from callnet_client.address import DeviceAddress
from callnet_client.errors import ClientError

WIDTH: Final = 640
HEIGHT: Final = 360
RATE: Final = 15
"""Pictures per second."""
SAMPLE_RATE: Final = 48_000
SAMPLES: Final = SAMPLE_RATE // 50
"""Samples of a frame of 20 ms, the size of Opus frames."""

_HUES: Final = 12
_SATURATION: Final = 70
_BAR: Final = 64
"""The width of the moving bar, in pixels."""
_STEP: Final = 8
"""The movement of the bar from picture to picture, in pixels."""
_VOLUME: Final = 6_000


class NoMedia(ClientError):
    """A file has no video and no audio, or cannot be read."""


class Studio(Protocol):
    """A source of video and audio."""

    @property
    def has_sound(self) -> bool:
        """True if there is sound."""

    @property
    def has_picture(self) -> bool:
        """True if there is a picture."""

    def tracks(self) -> Sequence[MediaStreamTrack | None]:
        """New tracks for one connection: sound, the camera's picture, a screen's picture."""


class Look(Struct, frozen=True):
    """The look and tone of one device's test media, to tell it from others."""

    blue: int
    red: int
    """The components of the colour (Cb and Cr of ITU-R BT.601), 128 being grey."""
    pitch: int
    """Hertz, a multiple of 50."""


def look_of(address: DeviceAddress) -> Look:
    """The look of a device: one of twelve."""
    number = crc32("\n".join(address).encode()) % _HUES
    angle = 2 * pi * number / _HUES
    return Look(128 + round(_SATURATION * cos(angle)), 128 + round(_SATURATION * sin(angle)), 300 + 50 * number)


class PatternStudio:
    """A moving bar on a wall in the colour of the device, and a tone in its pitch."""

    has_sound = has_picture = True

    def __init__(self, look: Look) -> None:
        self._look = look

    def tracks(self) -> Sequence[MediaStreamTrack | None]:
        """New tracks for one connection."""
        look = self._look
        return _Track("audio", lambda: _tone(look)), _Track("video", lambda: _picture(look)), None


class FileStudio:
    """A file in a loop, from its beginning for each connection.

    :raises NoMedia: it cannot be played.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with av.open(str(path)) as container:
                kinds = {stream.type for stream in container.streams}
        except (av.FFmpegError, OSError):
            raise NoMedia(f"{path} is not a readable audio or video file") from None
        self.has_sound, self.has_picture = "audio" in kinds, "video" in kinds
        if not (self.has_sound or self.has_picture):
            raise NoMedia(f"{path} has neither audio nor video")

    def tracks(self) -> Sequence[MediaStreamTrack | None]:
        """New tracks for one connection."""
        path = self._path
        return (
            _Track("audio", lambda: _forever(path, _sound_of)) if self.has_sound else None,
            _Track("video", lambda: _forever(path, _pictures_of)) if self.has_picture else None,
            None,
        )


class PausingStudio:
    """A studio that sends nothing while the call is held.

    :param is_held: true while a side holds the call.
    """

    def __init__(self, studio: Studio, is_held: Callable[[], bool]) -> None:
        self._studio = studio
        self._is_held = is_held
        self.has_sound, self.has_picture = studio.has_sound, studio.has_picture

    def tracks(self) -> Sequence[MediaStreamTrack | None]:
        """New tracks for one connection."""
        return [source and _PausingTrack(source, self._is_held) for source in self._studio.tracks()]


class _PausingTrack(MediaStreamTrack):
    """A track whose frames are discarded while the call is held: they would pile up."""

    def __init__(self, source: MediaStreamTrack, is_held: Callable[[], bool]) -> None:
        super().__init__()
        self.kind = source.kind
        self._source = source
        self._is_held = is_held

    async def recv(self) -> Frame | Packet[Any]:
        """Wait for the next frame that is to be sent."""
        while True:
            frame = await self._source.recv()
            if not self._is_held():
                return frame

    def stop(self) -> None:
        """Stop it and its source."""
        super().stop()
        self._source.stop()


TimedFrame: TypeAlias = tuple[float, AudioFrame | VideoFrame]
"""A frame, and its time in seconds from the beginning."""
Frames: TypeAlias = Generator[TimedFrame, None, None]


class _Track(MediaStreamTrack):
    """A track of frames at their times. They are made in a thread of its own."""

    def __init__(self, kind: str, begin: Callable[[], Frames]) -> None:
        super().__init__()
        self.kind = kind
        self._frames = begin()
        self._maker = ThreadPoolExecutor(1)
        self._began: float | None = None

    async def recv(self) -> AudioFrame | VideoFrame:
        """Wait for the next frame."""
        loop = asyncio.get_running_loop()
        if self.readyState != "live":
            raise MediaStreamError
        found = await loop.run_in_executor(self._maker, next, self._frames, None)
        if found is None:
            self.stop()
            raise MediaStreamError
        time, frame = found
        if self._began is None:
            self._began = loop.time() - time
        await asyncio.sleep(self._began + time - loop.time())
        return frame

    def stop(self) -> None:
        """Stop it, and close its file as soon as no frame is being read."""
        if self.readyState == "live":
            self._maker.submit(self._frames.close)
            self._maker.shutdown(wait=False)
        super().stop()


def _picture(look: Look) -> Frames:
    number = 0
    while True:
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        left = number * _STEP % (WIDTH + _BAR) - _BAR
        row = bytes(210 if left <= x < left + _BAR else 110 for x in range(WIDTH))
        rows = (row, bytes([look.blue]) * (WIDTH // 2), bytes([look.red]) * (WIDTH // 2))
        for plane, content in zip(frame.planes, rows, strict=True):
            plane.update(content.ljust(plane.line_size, b"\0") * plane.height)
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        yield number / RATE, frame
        number += 1


def _tone(look: Look) -> Frames:
    wave = [round(_VOLUME * sin(2 * pi * look.pitch * n / SAMPLE_RATE)) for n in range(SAMPLES)]
    samples = array("h", (sample for sample in wave for _channel in range(2))).tobytes()
    number = 0
    while True:
        frame = AudioFrame("s16", "stereo", SAMPLES)
        frame.planes[0].update(samples.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = number * SAMPLES, Fraction(1, SAMPLE_RATE)
        yield number / 50, frame
        number += 1


def _forever(path: Path, read: Callable[[InputContainer], Frames]) -> Frames:
    """The frames of a file in a loop; it ends if the file has none."""
    begins = last = 0.0
    while True:
        count = 0
        with av.open(str(path)) as container:
            length = container.duration / av.time_base if container.duration else 0.0
            for count, (time, frame) in enumerate(read(container), 1):  # noqa: B007  it is used below
                # Times must increase: the other side would drop the frames otherwise.
                last = max(begins + time, last + 0.001)
                rate = SAMPLE_RATE if isinstance(frame, AudioFrame) else 90_000
                frame.pts, frame.time_base = round(last * rate), Fraction(1, rate)
                yield last, frame
        if not count:
            return
        begins = max(begins + length, last)


def _pictures_of(container: InputContainer) -> Frames:
    stream = container.streams.video[0]
    step = 1 / float(stream.average_rate or RATE)
    for number, frame in enumerate(container.decode(stream)):
        yield number * step if frame.time is None else frame.time, frame


def _sound_of(container: InputContainer) -> Frames:
    resampler = AudioResampler("s16", "stereo", SAMPLE_RATE, frame_size=SAMPLES)
    number = 0
    for frame in container.decode(container.streams.audio[0]):
        for part in resampler.resample(frame):
            yield number / 50, part
            number += 1
