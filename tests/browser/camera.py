"""The pictures of the test browsers' cameras: one is red, one is blue, and something moves before them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Final

WIDTH: Final = 160
HEIGHT: Final = 90
FRAMES: Final = 15
"""Pictures before it begins again."""
_RADIUS: Final = 15


class Camera(Enum):
    """A camera by its colour, with the two colour components of YUV."""

    RED = (100, 185)
    BLUE = (170, 100)

    def file(self, directory: Path, rate: int) -> Path:
        """Where :meth:`record` writes."""
        return directory / f"{self.name.lower()}-{rate}.y4m"

    def record(self, directory: Path, rate: int = 10) -> Path:
        """Record the picture of this camera, at ``rate`` pictures a second."""
        path = self.file(directory, rate)
        if path.exists():
            return path  # another browser may be reading it
        header = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{rate}:1 Ip A1:1 C420jpeg\n"
        samples = WIDTH * HEIGHT // 4
        colour = b"".join(bytes([component]) * samples for component in self.value)
        with path.open("wb") as file:
            file.write(header.encode())
            for number in range(FRAMES):
                file.write(b"FRAME\n" + _light(number) + colour)
        return path


def _light(number: int) -> bytes:
    """A wall that grows darker downwards, and a bright ball that crosses it."""
    centre = (WIDTH + 2 * _RADIUS) * number // FRAMES - _RADIUS
    rows = []
    for y in range(HEIGHT):
        wall = 130 - 70 * y // HEIGHT
        height = abs(y - HEIGHT // 2)
        half = int((_RADIUS**2 - height**2) ** 0.5) if height < _RADIUS else 0
        left, right = (min(WIDTH, max(0, edge)) for edge in (centre - half, centre + half))
        rows.append(bytes([wall]) * left + bytes([210]) * (right - left) + bytes([wall]) * (WIDTH - right))
    return b"".join(rows)
