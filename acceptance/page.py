"""The time until a visitor can use the page, on a machine four times as slow as this one.

A short slice says how long it takes and judges nothing: it is run on machines of which nobody knows how fast they are.
"""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from acceptance.daemon import running
from acceptance.proof import Outcome, Proof
from tests.browser.stage import Stage, stage

SLOWDOWN: Final = 4
LIMIT: Final = 1_000.0
"""Milliseconds."""

WAYS: Final = {
    "to enter a room": ("", "scene", "idle"),
    "in a room": ("?room_id={room}", "callState", "waiting"),
}
"""The ways to open it, and the page's text when it can be used."""

_NOTE: Final = """
    window.usableAfter = 0;
    addEventListener("DOMContentLoaded", () => {
        const look = () => {
            if (document.body.dataset.%s === "%s") window.usableAfter = window.usableAfter || performance.now();
        };
        new MutationObserver(look).observe(document.body, { attributes: true });
    });
"""
"""Noted in the page: asking a slow browser from outside would wait for the answer, too."""


def measure(browsers: Stage, query: str, name: str, value: str) -> float:
    """Milliseconds from the start of the navigation until the page can be used, with nothing in the browser's cache."""
    visitor = browsers.visitor(browsers.browser(None))
    visitor.page.add_init_script(_NOTE % (name, value))
    session = visitor.page.context.new_cdp_session(visitor.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    visitor.visit(query.format(room=secrets.token_hex(4)))  # the previous visitor keeps a seat for some time
    visitor.await_that("window.usableAfter > 0")
    took = float(visitor.page.evaluate("window.usableAfter"))
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
            times = [measure(browsers, *way) for _ in range(visits)]
            counts[f"{name}, ms"] = f"median {median(times):.0f}, slowest {max(times):.0f}"
            if median(times) > LIMIT and not brief:
                misses.append(f"{name}: {median(times):.0f} ms")
        misses += browsers.complaints()
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "page", "the page can be used within a second of being opened, with the processor slowed down four times", prove
)
