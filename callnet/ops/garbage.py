"""Scheduling of Python's cyclic garbage collector.

A daemon full of devices has very many objects that live for days and next to no such garbage, and by default
Python looks at the young ones after every 700. That was a tenth of a connection's cost, and a fifth with Redis.

Looking at all objects of twenty thousand devices takes a good part of a second, in which nobody is served. So those
that have settled are put where nobody looks any more. A socket that ends is freed all the same, since nothing
that belongs to it refers to itself then (``tests/unit/test_garbage.py``). All others are looked at when it has been
calm for a while, or for half an hour has not been: after thousands of devices have come or gone there is much of them
for some minutes.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

YOUNG: Final = 3000
"""Objects more than were freed, after which the young ones are looked at."""
_MIDDLE: Final = 2
"""After this multiple of it, the middle generation too."""
_NEVER: Final = 1_000_000_000

SETTLES: Final = 100
"""The growth of devices and pages beyond their maximum after which the live objects count as settled."""
MINUTE: Final = 60.0
CALM: Final = 500
"""Not more devices and pages than that come or go in a calm minute."""
CALM_MINUTES: Final = 5
"""The number of them after which all that has not settled is looked at."""
LONGEST: Final = 30
"""Minutes after which it is looked at however many come and go: strangers could put it off forever."""


class Garbage:
    """Says when to look for it.

    :param living: how many devices and pages are connected.
    """

    def __init__(self, living: Callable[[], int], clock: IReactorTime) -> None:
        self._living = living
        self._settled = 0
        self._living_before = 0
        self._calm_minutes = 0
        self._minutes_since = 0
        self._minutes = LoopingCall(self._minute_passed)
        self._minutes.clock = clock

    def begin(self) -> None:
        """Set the limits for the whole process. What it consists of has settled."""
        gc.set_threshold(YOUNG, _MIDDLE, _NEVER)
        gc.freeze()  # without a look for garbage first, which takes 70 ms and finds 20 objects
        gc.callbacks.append(self._looked)
        self._minutes.start(MINUTE, now=False)

    def end(self) -> None:
        """Watch no more."""
        self._minutes.stop()
        gc.callbacks.remove(self._looked)

    def _looked(self, phase: str, _: object) -> None:
        # Only growth settles: what comes and goes, whatever it refers to, is put aside a few times in all.
        if phase == "stop" and self._living() >= self._settled + SETTLES:
            self._settled = self._living()
            gc.freeze()

    def _minute_passed(self) -> None:
        before, self._living_before = self._living_before, self._living()
        self._calm_minutes = self._calm_minutes + 1 if abs(self._living_before - before) <= CALM else 0
        self._minutes_since += 1
        if self._calm_minutes == CALM_MINUTES or self._minutes_since == LONGEST:
            self._calm_minutes = self._minutes_since = 0
            gc.collect()
