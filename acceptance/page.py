"""How soon the page can be used by whoever opens it, on a machine four times as slow as this one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from acceptance.daemon import running
from acceptance.proof import Outcome, Proof
from tests.browser.visitor import Stage, Visitor, stage

SLOWDOWN: Final = 4
LIMIT: Final = 1_000.0
"""Milliseconds."""

_SINCE_THE_START: Final = "() => performance.now()"


def ask_for_a_room(visitor: Visitor) -> None:
    """Open the page until a room can be entered."""
    visitor.visit()
    visitor.page.wait_for_selector("#join:visible")


def enter_a_room(visitor: Visitor) -> None:
    """Open the page of a room until the visitor waits in it."""
    visitor.enter("slow")
    visitor.page.wait_for_selector('body[data-call-state="waiting"]')


WAYS: Final[dict[str, Callable[[Visitor], None]]] = {"to enter a room": ask_for_a_room, "in a room": enter_a_room}


def measure(browsers: Stage, way: Callable[[Visitor], None]) -> float:
    """Milliseconds from the start of the navigation until the page can be used, with nothing in the browser's cache."""
    visitor = browsers.visitor(browsers.browser(None))
    session = visitor.page.context.new_cdp_session(visitor.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    way(visitor)
    took = float(visitor.page.evaluate(_SINCE_THE_START))
    if browser := visitor.page.context.browser:
        browser.close()
    return took


def prove(brief: bool, seed: int) -> Outcome:  # noqa: ARG001  # nothing in it is random
    """Ten visits in each way, or three."""
    visits = 3 if brief else 10
    counts: dict[str, object] = {"visits in each way": visits, "processor slowed down": f"{SLOWDOWN} times"}
    misses = []
    with (
        running("") as daemon,
        tempfile.TemporaryDirectory(prefix="callnet-cameras-") as folder,
        stage(f"https://localhost:{daemon.ports['site']}", Path(folder)) as browsers,
    ):
        for name, way in WAYS.items():
            times = [measure(browsers, way) for _ in range(visits)]
            counts[f"{name}, ms"] = f"median {median(times):.0f}, slowest {max(times):.0f}"
            if median(times) > LIMIT:
                misses.append(f"{name}: {median(times):.0f} ms")
        misses += browsers.complaints()
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "page", "the page can be used within a second of being opened, with the processor slowed down four times", prove
)
