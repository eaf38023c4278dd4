"""The time until a person can use phone and page: on a machine four times as slow as this one, and on a slow network.

A short slice says how long it takes and judges nothing: it is run on machines of which nobody knows how fast they are.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

from msgspec import Struct
from playwright.sync_api import BrowserContext

from acceptance.daemon import WITHOUT_LIMITS
from acceptance.proof import Outcome, Proof
from harness.daemon import LISTENERS, Daemon
from tests.browser.stage import Stage, stage
from tests.browser.visitor import PAGE, Visitor

WITHOUT_TLS: Final = LISTENERS.replace("site = [{ ", "site = [{ tls = false, ")
"""A browser keeps nothing of a site whose certificate it does not trust."""


class Way(Struct, frozen=True):
    """Something that is opened."""

    path: str
    usable: str
    """The selector of the page when it can be used."""


class Circumstances(Struct, frozen=True):
    """Circumstances under which it is opened."""

    command: str
    """The command of Chrome's DevTools protocol that makes them."""
    options: Mapping[str, float]
    first: float
    """The longest that a first visit may take, in milliseconds."""
    again: float
    """So a second one, with what the browser has kept."""


WAYS: Final = {
    "page, to enter a room": Way(PAGE, 'body[data-scene="idle"]'),
    "page, in a room": Way(PAGE + "?room_id={room}", 'body[data-call-state="waiting"]'),
    "phone, to log in": Way("/", 'body[data-scene="login"]'),
}
_NETWORK: Final = {"offline": False, "latency": 300, "downloadThroughput": 187_500, "uploadThroughput": 187_500}
CIRCUMSTANCES: Final = {
    "processor slowed down four times": Circumstances("Emulation.setCPUThrottlingRate", {"rate": 4}, 1_000, 1_000),
    "1.5 Mbit/s, 300 ms": Circumstances("Network.emulateNetworkConditions", _NETWORK, 3_000, 1_500),
}

_NOTE: Final = """
    window.usableAfter = 0;
    addEventListener("DOMContentLoaded", () => {
        const look = () => {
            if (!document.querySelector(%s)) return;
            looking.disconnect();
            requestAnimationFrame(() => setTimeout(() => { window.usableAfter = performance.now(); }));
        };
        const looking = new MutationObserver(look);
        looking.observe(document.body, { attributes: true });
    });
"""
"""Noted in the page when it is painted: asking a slow browser from outside would wait for the answer, too."""


def measure(context: BrowserContext, browsers: Stage, way: Way, circumstances: Circumstances) -> float:
    """Milliseconds from the start of the navigation until it can be used."""
    visitor = browsers.add(Visitor(context.new_page(), browsers.site_url))
    visitor.page.add_init_script(_NOTE % json.dumps(way.usable))
    session = visitor.page.context.new_cdp_session(visitor.page)
    session.send("Network.enable")
    session.send(circumstances.command, dict[str, Any](circumstances.options))
    room = secrets.token_hex(4)  # the previous visitor keeps a seat for some time
    visitor.page.goto(browsers.site_url + way.path.format(room=room))
    visitor.await_that("window.usableAfter > 0")
    took = float(visitor.page.evaluate("window.usableAfter"))
    visitor.page.wait_for_load_state("networkidle")
    visitor.page.close()
    return took


def prove(brief: bool, seed: int) -> Outcome:  # noqa: ARG001  # nothing in it is random
    """Ten first visits and as many second ones in each way, or three."""
    visits = 3 if brief else 10
    counts: dict[str, object] = {"first visits in each way, and as many second ones": visits}
    misses = []
    with (
        tempfile.TemporaryDirectory(prefix="callnet-cameras-") as folder,
        Daemon(Path(folder, "daemon"), WITHOUT_LIMITS, listeners=WITHOUT_TLS) as daemon,
        stage(f"http://localhost:{daemon.ports['site']}", Path(folder)) as browsers,
    ):
        for name, way in WAYS.items():
            for condition, circumstances in CIRCUMSTANCES.items():
                times: list[tuple[float, float]] = []
                for _ in range(visits):
                    context = browsers.profile(browsers.browser(None))
                    first = measure(context, browsers, way, circumstances)
                    times.append((first, measure(context, browsers, way, circumstances)))
                    context.close()
                limits = {"first": circumstances.first, "again": circumstances.again}
                for (visit, limit), took in zip(limits.items(), zip(*times, strict=True), strict=True):
                    line = f"{name}, {condition}, {visit}"
                    counts[f"{line}, ms"] = f"median {median(took):.0f}, slowest {max(took):.0f} (at most {limit:.0f})"
                    if median(took) > limit and not brief:
                        misses.append(f"{line}: {median(took):.0f} ms")
        misses += browsers.complaints()
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "page",
    "phone and page can be used within a second of being opened with the processor slowed down four times; with"
    " 1.5 Mbit/s and 300 ms within three seconds, and within one and a half the second time",
    prove,
)
