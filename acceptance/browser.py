"""Two browsers meet on the page again and again, each time in another way, and must see each other every time."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from random import Random
from typing import Final

from acceptance.daemon import running
from acceptance.proof import Outcome, Proof
from tests.browser.camera import Camera
from tests.browser.stage import Stage, stage
from tests.browser.visitor import Visitor


def meet(browsers: Stage, room: str, random: Random) -> tuple[Visitor, Visitor]:
    """Two visitors of a room, who come in some order and at some distance. The first has the red camera."""
    red, blue = browsers.pair()
    first, second = random.sample((red, blue), 2)
    first.enter(room)
    first.wait(random.choice((0, 0, random.uniform(0, 3000))))
    second.enter(room)
    for visitor in (red, blue):
        visitor.await_state("connected")
    return red, blue


def see_each_other(red: Visitor, blue: Visitor, random: Random) -> str | None:
    """Look at the painted pictures at random times. Returns their fault, if there is one."""
    red.await_colour(Camera.BLUE)
    blue.await_colour(Camera.RED)
    for _ in range(3):
        for visitor, expected in ((red, Camera.BLUE), (blue, Camera.RED)):
            visitor.wait(random.uniform(20, 700))
            if visitor.colour_seen() is not expected:
                return f"{expected.name} was to be seen, and was not"
    return None if red.sees_movement() and blue.sees_movement() else "the picture stands still"


def join(browsers: Stage, random: Random) -> str | None:
    """One meeting, from coming to hanging up. Returns its fault, if there is one."""
    red, blue = meet(browsers, secrets.token_hex(8), random)
    wrong = see_each_other(red, blue, random)
    if wrong is None and random.random() < 0.3:
        random.choice((red, blue)).page.reload()
        for visitor in (red, blue):
            visitor.await_state("connected")
        wrong = see_each_other(red, blue, random)
    random.choice((red, blue)).press("hangup")
    for visitor in (red, blue):
        visitor.await_state("ended")
    return wrong or next(iter(browsers.complaints()), None)


def prove(brief: bool, seed: int) -> Outcome:
    """Twenty meetings, or three."""
    random, misses = Random(seed), []
    meetings = 3 if brief else 20
    with running("") as daemon, tempfile.TemporaryDirectory(prefix="callnet-cameras-") as folder:
        for number in range(meetings):
            try:
                with stage(f"https://localhost:{daemon.ports['site']}", Path(folder)) as browsers:
                    wrong = join(browsers, random)
            except (AssertionError, OSError) as error:
                wrong = str(error)
            if wrong is not None:
                misses.append(f"meeting {number + 1}: {wrong}")
        misses += [f"the daemon logged {line}" for line in daemon.complaints()]
    return Outcome({"meetings": meetings}, misses)


PROOF: Final = Proof(
    "browser",
    "two browsers that open a room's page see each other's moving picture, every time, until one hangs up",
    prove,
)
