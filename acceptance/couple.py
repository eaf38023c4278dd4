"""Two visitors in browsers of their own, whose pages stay open while they meet in one new room after the other."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from playwright.sync_api import Error

from acceptance.browser import see_each_other
from bench.figures import percentile
from tests.browser.camera import Camera
from tests.browser.continuity import longest_pause, path, since_movement, watch
from tests.browser.stage import Stage

LIMIT: Final = 60.0
"""Seconds that a repair may take."""


def by_relay(ways: Sequence[Sequence[str]]) -> str | None:
    """The fault of a call between two that cannot reach each other but by a relay."""
    return None if all("relay" in way for way in ways) else "there was a way without a relay"


def directly(ways: Sequence[Sequence[str]]) -> str | None:
    """The fault of a call between two in one network."""
    return "it went over the relay" if any("relay" in way for way in ways) else None


class Couple:
    """Two visitors, the first with the red camera.

    :param programs: their browsers.
    :param names: for each of them, where names and addresses lead to, in the language of ``--host-resolver-rules``.
    :param cameras: flags by which the browsers have other cameras than those of the tests.
    """

    def __init__(
        self,
        browsers: Stage,
        programs: Sequence[str],
        names: Sequence[str],
        random: Random,
        cameras: Sequence[Sequence[str]] = ((), ()),
    ) -> None:
        self._random = random
        self.red, self.blue = self.both = tuple(
            browsers.visitor(
                browsers.browser(
                    None if own else camera,
                    program=program,
                    flags=[f"--host-resolver-rules={rules}, MAP * ~NOTFOUND", *own],
                )
            )
            for camera, program, rules, own in zip((Camera.RED, Camera.BLUE), programs, names, cameras, strict=True)
        )

    @property
    def ways(self) -> Sequence[Sequence[str]]:
        """The way of the media, as each sees it."""
        return [sorted(path(visitor)) for visitor in self.both]

    def meet(self) -> float:
        """Open a new room. Returns the seconds until both see each other.

        :raises AssertionError, Error: they do not.
        """
        room = secrets.token_hex(8)
        for visitor in self.both:
            visitor.enter(room)
        began = time.monotonic()
        for visitor, colour in ((self.red, Camera.BLUE), (self.blue, Camera.RED)):
            visitor.await_state("connected")
            visitor.await_colour(colour)
        return time.monotonic() - began

    def meet_again_and_again(
        self, times: int, what: str, fault: Callable[[Sequence[Sequence[str]]], str | None]
    ) -> tuple[dict[str, object], list[str]]:
        """Meet several times. Returns the result, under the name ``what``, and the faults.

        :param fault: finds that of the way that a call took.
        """
        took: list[float] = []
        misses: list[str] = []
        for number in range(times):
            try:
                took.append(self.meet())
                wrong = fault(self.ways)
            except (AssertionError, Error) as error:
                wrong = re.sub(r"\?\S*", "?…", str(error).partition("\n")[0])  # the query has the room
            if wrong is not None:
                misses.append(f"{what}, call {number + 1}: {wrong}")
        return {what: f"{len(took)} of {times} calls, {_described(took)} until they saw each other"}, misses

    def disturb(self, disturbance: Callable[[], None], blocked: float, settled: float) -> tuple[float, str | None]:
        """Disturb the network. Returns the seconds for which a picture stood still, and the fault then.

        :param blocked: the seconds for which nothing can pass.
        :param settled: seconds after which a page has noticed.
        """
        for visitor in self.both:
            watch(visitor)
        began = time.monotonic()
        disturbance()
        while time.monotonic() < began + blocked + settled or not self._is_repaired():
            if time.monotonic() > began + blocked + LIMIT:
                states = " and ".join(visitor.state for visitor in self.both)
                return time.monotonic() - began, f"no repair within {LIMIT:.0f} s, the pages are {states}"
            self.red.wait(200)
        pause = max(longest_pause(visitor) for visitor in self.both)
        return pause, by_relay(self.ways) or see_each_other(self.red, self.blue, self._random)

    # A page says that it is connected up to a second after its picture moves: it looks once a second.
    def _is_repaired(self) -> bool:
        return all(visitor.state == "connected" and since_movement(visitor) < 1.0 for visitor in self.both)


def _described(seconds: Sequence[float]) -> str:
    if not seconds:
        return "none"
    median, late = percentile(seconds, 0.5), percentile(seconds, 0.95)
    return f"{median:.1f} s in the median, {late:.1f} s in 95 of 100, {max(seconds):.1f} s at the longest"
