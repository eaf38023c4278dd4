"""When Python looks for garbage that refers to itself.

A daemon full of devices has very many objects that live for days and next to no such garbage, and by default
Python looks at the young ones after every 700. That was a tenth of a connection's cost, and a fifth with Redis.

Looking at all objects of twenty thousand devices takes a good part of a second, in which nobody is served. So those
that have settled are put where nobody looks any more. A socket that ends is freed all the same, since nothing
that belongs to it refers to itself then (``tests/test_garbage.py``).
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final

YOUNG: Final = 5000
"""Objects more than were freed, after which the young ones are looked at."""
_MIDDLE: Final = 2
"""So many times that, the middle-aged ones too."""
_OLD: Final = 50
"""And so many times that, all that have not settled; Python itself sees to it that this is not done for a few."""

SETTLES: Final = 100
"""So many devices and pages more than ever before, and what there is has settled."""


class Garbage:
    """Says when to look for it.

    :param living: how many devices and pages are connected.
    """

    def __init__(self, living: Callable[[], int]) -> None:
        self._living = living
        self._settled = 0

    def begin(self) -> None:
        """Set the limits for the whole process. What it consists of has settled."""
        gc.set_threshold(YOUNG, _MIDDLE, _OLD)
        gc.collect()
        gc.freeze()
        gc.callbacks.append(self._looked)

    def end(self) -> None:
        """Watch no more."""
        gc.callbacks.remove(self._looked)

    def _looked(self, phase: str, _: object) -> None:
        # Only growth settles: what comes and goes, whatever it refers to, is put aside a few times in all.
        if phase == "stop" and self._living() >= self._settled + SETTLES:
            self._settled = self._living()
            gc.freeze()
