"""The received media of one connection: counted, reported to the user, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from callnet_client.media.recording import Recording

SOUND: Final = "sound"
CAMERA: Final = "camera"
SCREEN: Final = "screen"
PLACES: Final[Mapping[str, str]] = {SOUND: "audio", CAMERA: "video", SCREEN: "video"}
"""The purposes of a connection's transceivers, in their order, with their kinds (docs/room.md)."""

_MILESTONES: Final = (30, 300, 3_000, 30_000)
"""Numbers of pictures at which a line is shown: media flows, and the terminal is not flooded."""


class Reception:
    """The receiver of a connection's tracks.

    :param note: shows a line to the user.
    :param recording: gets the sound and the camera's picture.
    """

    def __init__(self, note: Callable[[str], None], recording: Recording | None) -> None:
        self._note = note
        self._recording = recording
        self._sizes: dict[str, str] = {}
        self._frames: dict[str, int] = {}
        self._seconds = 0.0

    async def take(self, track: MediaStreamTrack, index: int) -> None:
        """Consume a track. Unconsumed frames would pile up.

        :param index: of the transceiver.
        """
        place = list(PLACES)[index] if index < len(PLACES) else f"{track.kind} {index}"
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame):
                    self._see(place, frame)
                elif isinstance(frame, AudioFrame):
                    self._hear(frame)
                else:
                    continue
                if self._recording is not None and place in (SOUND, CAMERA) and not await self._recording.take(frame):
                    self._recording = None
                    self._note("media: recording failed")

    def end(self) -> None:
        """Say what there was. Nothing more comes."""
        seen = [f"{frames} frames of the {place}" for place, frames in self._frames.items()]
        heard = [f"{self._seconds:.1f} s of sound"] if self._seconds else []
        if seen or heard:
            self._note(f"media: received {', '.join(seen + heard)}")

    def _see(self, place: str, frame: VideoFrame) -> None:
        size = f"{frame.width}x{frame.height}"
        self._frames[place] = count = self._frames.get(place, 0) + 1
        if count in _MILESTONES:
            self._note(f"media: {count} frames of the {place}")
        if self._sizes.get(place) != size:
            self._sizes[place] = size
            self._note(f"media: receiving the {place}, {size}")

    def _hear(self, frame: AudioFrame) -> None:
        if not self._seconds:
            self._note("media: receiving sound")
        self._seconds += frame.samples / frame.sample_rate
