"""Sent and recorded media: pictures, tones and files."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from twisted.trial.unittest import SynchronousTestCase

from callnet_client import DeviceAddress
from callnet_client.media.reception import Reception
from callnet_client.media.recording import LISTEN_ALONE, SIZE, NoRecording, Recording
from callnet_client.media.studio import HEIGHT, WIDTH, FileStudio, NoMedia, PatternStudio, PausingStudio, look_of
from tests.browser.camera import FRAMES, Camera
from tests.support.processes import open_files
from tests.support.webm import pictures, pitch

TV = DeviceAddress("13651884967", "tv")
PATIENCE: Final = 60.0
"""Seconds that a file may take to be closed on a busy machine."""


async def frames_of(track: MediaStreamTrack | None, count: int) -> list[Any]:
    """The next frames of a track."""
    assert track is not None
    return [await track.recv() for _ in range(count)]


class StudioCase(SynchronousTestCase):
    """A directory."""

    def setUp(self) -> None:
        """Make it."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)

    def record(self, story: Callable[[Recording], Coroutine[Any, Any, None]]) -> Path:
        """Record a story; returns the file."""
        path = self.directory / "a.webm"

        async def whole() -> None:
            recording = Recording(path)
            await story(recording)
            await recording.close()

        asyncio.run(whole())
        return path


class StudioTests(StudioCase):
    """Sending."""

    def test_looks(self) -> None:
        """A device always has the same look, and there are twelve, all different."""
        looks = {look_of(DeviceAddress("1", str(number))) for number in range(500)}
        self.assertEqual((12, 12), (len(looks), len({look.pitch for look in looks})))
        self.assertEqual(look_of(TV), look_of(DeviceAddress(*TV)))

    def test_pattern(self) -> None:
        """The test picture moves, and is recorded in its colour, with its tone."""
        look = look_of(TV)

        async def story(recording: Recording) -> None:
            sound, picture, screen = PatternStudio(look).tracks()
            self.assertIsNone(screen)
            seen = await frames_of(picture, 20)
            self.assertEqual(20, len({bytes(frame.planes[0]) for frame in seen}))
            for frame in (*seen, *await frames_of(sound, 30)):
                self.assertTrue(await recording.take(frame))

        path = self.record(story)
        seen = pictures(path)
        self.assertEqual((20, (WIDTH, HEIGHT)), (seen.number, seen.size))
        self.assertLess(abs(look.blue - seen.blue), 15)
        self.assertLess(abs(look.red - seen.red), 15)
        self.assertLess(abs(look.pitch - pitch(path)), 15)

    def test_held(self) -> None:
        """While the call is held no frame comes; afterwards the next one does, of each connection."""
        is_held = False
        studio = PausingStudio(PatternStudio(look_of(TV)), lambda: is_held)
        self.assertEqual((True, True), (studio.has_sound, studio.has_picture))

        async def story() -> None:
            nonlocal is_held
            for _connection in range(2):
                is_held = False
                sound, picture, screen = studio.tracks()
                self.assertIsNone(screen)
                (frame,) = await frames_of(sound, 1)
                is_held = True
                waiting = asyncio.ensure_future(frames_of(sound, 1))
                await frames_of(studio_beside.tracks()[0], 5)
                self.assertFalse(waiting.done())
                is_held = False
                (later,) = await waiting
                self.assertGreater(later.pts, frame.pts + frame.samples)
                for track in (sound, picture):
                    assert track is not None
                    track.stop()
                with self.assertRaises(MediaStreamError):
                    await frames_of(sound, 1)

        studio_beside = PatternStudio(look_of(TV))
        asyncio.run(story())

    def test_file(self) -> None:
        """A file begins again when it is over, and its times go on."""
        studio = FileStudio(Camera.RED.record(self.directory))
        self.assertEqual((False, True), (studio.has_sound, studio.has_picture))

        async def story() -> None:
            sound, picture, _screen = studio.tracks()
            self.assertIsNone(sound)
            seen = await frames_of(picture, FRAMES + 5)
            times = [frame.time for frame in seen]
            self.assertEqual(sorted(set(times)), times)
            self.assertEqual(bytes(seen[0].planes[0]), bytes(seen[FRAMES].planes[0]))

        asyncio.run(story())

    def test_stopped(self) -> None:
        """A track that is stopped ends, and closes its file, though a frame is being read; a second time is nothing."""
        film = Camera.RED.record(self.directory)
        tracks = []

        async def story(pause: float) -> None:
            _sound, picture, _screen = FileStudio(film).tracks()
            assert picture is not None
            tracks.append(picture)
            await picture.recv()
            reading = asyncio.ensure_future(picture.recv())
            await asyncio.sleep(pause)
            picture.stop()
            picture.stop()
            await reading
            with self.assertRaises(MediaStreamError):
                await picture.recv()

        for pause in (0.0, 0.05):
            asyncio.run(story(pause))
            until = time.monotonic() + PATIENCE
            while str(film) in open_files(os.getpid()):
                self.assertLess(time.monotonic(), until)
                time.sleep(0.01)

    def test_file_with_sound(self) -> None:
        """A recording can be sent, sound and all."""

        async def record(recording: Recording) -> None:
            sound, picture, _ = PatternStudio(look_of(TV)).tracks()
            for frame in (*await frames_of(picture, 5), *await frames_of(sound, 50)):
                await recording.take(frame)

        studio = FileStudio(self.record(record))

        async def story() -> None:
            sound, picture, _ = studio.tracks()
            for frame in await frames_of(sound, 60):
                self.assertIsInstance(frame, AudioFrame)
                self.assertEqual((960, 48_000, "s16"), (frame.samples, frame.sample_rate, frame.format.name))
            for frame in await frames_of(picture, 3):
                self.assertIsInstance(frame, VideoFrame)

        asyncio.run(story())

    def test_what_is_no_file(self) -> None:
        """A file with neither sound nor pictures is refused."""
        for content in (b"", b"not a film at all"):
            path = self.directory / "a.txt"
            path.write_bytes(content)
            self.assertRaises(NoMedia, FileStudio, path)


class RecordingTests(StudioCase):
    """Recording."""

    def test_sizes(self) -> None:
        """The first picture says how large all are, as long as there is one soon."""

        async def story(recording: Recording) -> None:
            for width, height in ((320, 180), (640, 360), (322, 178)):
                frame = VideoFrame(width, height, "yuv420p")
                self.assertTrue(await recording.take(frame))

        seen = pictures(self.record(story))
        self.assertEqual((3, (320, 180)), (seen.number, seen.size))

    def test_sound_alone(self) -> None:
        """If there is none, the sound is recorded all the same, after some time."""

        async def story(recording: Recording) -> None:
            sound, _picture, _screen = PatternStudio(look_of(TV)).tracks()
            for _ in range(round((LISTEN_ALONE + 1) * 50)):
                await recording.take(*await frames_of(sound, 1))
            await recording.take(VideoFrame(320, 180, "yuv420p"))

        path = self.record(story)
        self.assertLess(abs(look_of(TV).pitch - pitch(path)), 15)
        self.assertEqual(SIZE, pictures(path).size)

    def test_nothing(self) -> None:
        """If nothing came, there is an empty file."""

        async def story(_recording: Recording) -> None:
            pass

        self.assertEqual(0, self.record(story).stat().st_size)

    def test_after_its_end(self) -> None:
        """After its end nothing is taken any more."""

        async def story(recording: Recording) -> None:
            await recording.close()
            self.assertFalse(await recording.take(VideoFrame(320, 180, "yuv420p")))

        path = self.directory / "b.webm"
        asyncio.run(story(Recording(path)))

    def test_nowhere(self) -> None:
        """A path that cannot be written is refused."""
        self.assertRaises(NoRecording, Recording, self.directory / "nowhere" / "a.webm")

    def test_full_disk(self) -> None:
        """When the disk is full the recording is over, and the person is told once."""
        lines: list[str] = []

        async def story() -> None:
            over = asyncio.Event()

            def note(line: str) -> None:
                lines.append(line)
                if "recording failed" in line:
                    over.set()

            reception = Reception(note, Recording(Path("/dev/full")))
            _sound, picture, _screen = PatternStudio(look_of(TV)).tracks()
            assert picture is not None
            taking = asyncio.ensure_future(reception.take(picture, 1))
            await over.wait()
            taking.cancel()

        asyncio.run(story())
        self.assertEqual(1, lines.count("media: recording failed"))
