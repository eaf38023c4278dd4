"""The content of a recording: the camera of its picture, and the source of its tone."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
from av import AudioResampler


class Seen(NamedTuple):
    """The pictures of a recording: how many, their size, and the mean of their colour (Cb and Cr, 0 to 255)."""

    number: int
    size: tuple[int, int]
    blue: float
    red: float


def pictures(path: Path) -> Seen:
    """Look at all pictures of a file; the colour is not that of the first ten, in which an encoder finds its way."""
    blues, reds = [], []
    size = (0, 0)
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            planes = frame.reformat(64, 36, "yuv420p").planes
            size = (frame.width, frame.height)
            blue, red = (
                sum(bytes(plane)[row * plane.line_size + column] for row in range(18) for column in range(32))
                / (18 * 32)
                for plane in planes[1:]
            )
            blues.append(blue)
            reds.append(red)
    late = max(1, len(blues) - 10)
    return Seen(len(blues), size, sum(blues[10:]) / late, sum(reds[10:]) / late)


def pitch(path: Path) -> float:
    """The pitch of the tone in a file, in Hz: how often it crosses zero upwards, in its louder parts."""
    resampler = AudioResampler("s16", "mono", 48_000)
    pitches = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[0]):
            for part in resampler.resample(frame):
                samples = memoryview(bytes(part.planes[0])[: part.samples * 2]).cast("h")
                if len(samples) and max(samples) > 2_000:
                    rises = [n for n, (one, other) in enumerate(pairwise(samples)) if one < 0 <= other]
                    if len(rises) > 1:
                        pitches.append(48_000 * (len(rises) - 1) / (rises[-1] - rises[0]))
    pitches.sort()
    return pitches[len(pitches) // 2] if pitches else 0.0
