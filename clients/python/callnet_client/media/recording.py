"""A file of the received media: WebM with VP8 and Opus. A kill of the process loses at most the last second."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av import AudioFrame, VideoFrame
from av.audio.stream import AudioStream
from av.frame import Frame
from av.video.stream import VideoStream

from callnet_client.errors import ClientError

SAMPLE_RATE: Final = 48_000
LISTEN_ALONE: Final = 3.0
"""Seconds of sound without a picture after which the recording starts: pictures then have ``SIZE``."""
SIZE: Final = (640, 480)
GAP: Final = 0.5
"""Seconds that sound may be behind the clock. A larger gap is silence."""

_MILLISECOND: Final = Fraction(1, 1000)
_AT_ONCE: Final = {"cluster_time_limit": "1000", "flush_packets": "1", "max_interleave_delta": "1000000"}
"""Makes ffmpeg write its data every second, and not wait longer for sound to go with a picture."""


class NoRecording(ClientError):
    """The file cannot be written."""


class Recording:
    """One file for all connections. It begins with the first picture, whose size applies to all pictures in it.

    :raises NoRecording: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.write_bytes(b"")  # PyAV creates the file only when it has data
        except OSError:
            raise NoRecording(f"cannot write {path}") from None
        self._container = av.open(str(path), "w", format="webm", options=_AT_ONCE)
        self._thread = ThreadPoolExecutor(1, "recording")
        self._streams: tuple[AudioStream, VideoStream] | None = None
        self._began = 0.0
        self._listening_since: float | None = None
        self._last_picture = -1
        self._sound_until = 0
        self._is_over = False

    async def take(self, frame: Frame) -> bool:
        """Write a frame with the current time. Return whether the recording continues."""
        if self._is_over:
            return False
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._write, frame, loop.time())
        except (av.FFmpegError, OSError, ValueError):
            self._is_over = True
        return not self._is_over

    async def close(self) -> None:
        """Write the end of the file."""
        self._is_over = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._finish)
        self._thread.shutdown()

    # In the thread

    def _write(self, frame: Frame, now: float) -> None:
        if self._streams is None:
            self._begin(frame, now)
        if self._streams is None:
            return
        sound, picture = self._streams
        at = now - self._began
        if isinstance(frame, VideoFrame):
            self._last_picture = max(self._last_picture + 1, round(at * 1000))
            frame.pts, frame.time_base = self._last_picture, _MILLISECOND
            self._container.mux(picture.encode(frame))
        elif isinstance(frame, AudioFrame):
            # Frames come in bursts, but their sound is continuous.
            begins = round(at * frame.sample_rate)
            if begins - self._sound_until < GAP * frame.sample_rate:
                begins = self._sound_until
            self._sound_until = begins + frame.samples
            frame.pts, frame.time_base = begins, Fraction(1, frame.sample_rate)
            self._container.mux(sound.encode(frame))

    def _begin(self, frame: Frame, now: float) -> None:
        if isinstance(frame, VideoFrame):
            width, height = frame.width, frame.height
        else:
            width, height = SIZE
            self._listening_since = now if self._listening_since is None else self._listening_since
            if now - self._listening_since < LISTEN_ALONE:
                return
        picture = self._container.add_stream("libvpx", 30, {"deadline": "realtime", "cpu-used": "8"})
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        picture.bit_rate = 1_000_000
        picture.codec_context.time_base = _MILLISECOND
        self._streams = self._container.add_stream("libopus", SAMPLE_RATE), picture
        self._began = now

    def _finish(self) -> None:
        with suppress(av.FFmpegError, OSError, ValueError):
            for stream in self._streams or ():
                self._container.mux(stream.encode(None))
            self._container.close()
