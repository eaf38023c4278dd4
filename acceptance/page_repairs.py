"""A call between two browsers whose network and server are disturbed again and again, watched from within both pages.

Both pages ask for an ICE restart at the same moment; either page is loaded again; either page's room socket is closed
under it; the server is stopped and started. After each of these both must be connected and see the other's camera in
what is painted, moving. What leaves the path itself whole, all but the reloads, must not let the picture stand still
for longer than a second, and must be survived by one and the same RTCPeerConnection.

A short slice says how long a picture stood still and does not judge it: nobody knows what else such a machine does.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from typing import Final

from acceptance.browser import see_each_other
from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon
from acceptance.proof import Outcome, Proof
from harness.daemon import staying_listeners
from tests.browser.camera import Camera
from tests.browser.continuity import (
    await_socket,
    connections,
    kill_socket,
    longest_pause,
    restart_both,
    sockets,
    watch,
)
from tests.browser.stage import Stage, stage
from tests.browser.visitor import Visitor

LONGEST_PAUSE: Final = 1.0
"""Seconds."""
RESTARTS: Final = 50
RELOADS: Final = 20
KILLS: Final = 20
SERVER_RESTARTS: Final = 5
SLICE: Final = 10
"""A short slice does so much less of each."""


class Server:
    """A daemon that is stopped and started again, with its files and on its ports."""

    def __init__(self, folder: Path) -> None:
        self._daemon = CountedDaemon(folder, WITHOUT_LIMITS, listeners=staying_listeners())
        self._complaints: list[str] = []
        self.start()
        self.url: Final = self._daemon.site_url

    def start(self) -> None:
        """Start it, and wait until it serves."""
        self._daemon.start()

    def stop(self) -> None:
        """Stop it, and wait until it has ended."""
        self._daemon.stop()
        self._complaints += self._daemon.complaints()

    def complaints(self) -> list[str]:
        """The log lines above info from before it was last stopped."""
        return self._complaints


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server until the block ends."""
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as folder:
        server = Server(Path(folder))
        try:
            yield server
        finally:
            server.stop()


class Shaken:
    """Two visitors in a call, and its faults.

    :param limit: seconds that a picture may stand still over a path that is whole.
    """

    def __init__(self, browsers: Stage, random: Random, limit: float) -> None:
        self.red, self.blue = self.both = browsers.pair()
        self._limit = limit
        self.longest = 0.0
        """Seconds that a picture stood still over a path that was whole."""
        self.misses: list[str] = []
        self._random = random
        room = secrets.token_hex(8)
        for visitor in self.both:
            visitor.enter(room)
        self._await_call()

    def _await_call(self) -> None:
        for visitor in self.both:
            visitor.await_state("connected")
        for visitor, colour in ((self.red, Camera.BLUE), (self.blue, Camera.RED)):
            visitor.await_colour(colour)
            visitor.await_movement()

    def whole(self, name: str, shake: Callable[[], None]) -> None:
        """Do something that leaves the path whole."""
        before = [connections(visitor) for visitor in self.both]
        for visitor in self.both:
            watch(visitor)
        shake()
        wrong = see_each_other(self.red, self.blue, self._random)
        pause = max(longest_pause(visitor) for visitor in self.both)
        self.longest = max(self.longest, pause)
        if wrong is not None:
            self.misses.append(f"{name}: {wrong}")
        if pause > self._limit:
            self.misses.append(f"{name}: the picture stood still for {pause:.1f} s")
        if [connections(visitor) for visitor in self.both] != before:
            self.misses.append(f"{name}: it took another RTCPeerConnection")

    def reload(self, name: str, visitor: Visitor) -> None:
        """Load a page again."""
        visitor.page.reload()
        self._await_call()
        wrong = see_each_other(self.red, self.blue, self._random)
        if wrong is not None:
            self.misses.append(f"{name}: {wrong}")


def shake(call: Shaken, server: Server, parts: int) -> dict[str, object]:
    """Do everything, or that part of it. Returns the counts."""
    longest: dict[str, float] = {}

    def note(name: str) -> None:
        longest[name], call.longest = call.longest, 0.0

    for number in range(RESTARTS // parts):
        call.whole(f"restart {number + 1}", lambda: restart_both(call.both))
    note("restarts")
    for number in range(KILLS // parts):
        call.whole(f"socket {number + 1}", partial(kill_socket, call.both[number % 2]))
    note("sockets")
    for number in range(max(1, SERVER_RESTARTS // parts)):
        call.whole(f"server {number + 1}", lambda: restart(call, server))
    note("server")
    for number in range(RELOADS // parts):
        call.reload(f"reload {number + 1}", call.both[number % 2])
    return {
        "restarts from both sides": RESTARTS // parts,
        "room sockets closed": KILLS // parts,
        "restarts of the server": max(1, SERVER_RESTARTS // parts),
        "reloads": RELOADS // parts,
        **{
            f"longest the picture stood still, {name}": f"{seconds * 1_000:.0f} ms" for name, seconds in longest.items()
        },
    }


def restart(call: Shaken, server: Server) -> None:
    """Stop the server and start it again, and wait until both pages are back."""
    before = [sockets(visitor) for visitor in call.both]
    server.stop()
    server.start()
    for visitor, count in zip(call.both, before, strict=True):
        await_socket(visitor, count)
        visitor.page.wait_for_selector("#notice", state="hidden")
        visitor.forgive("WebSocket")  # the browser reports each try


def prove(brief: bool, seed: int) -> Outcome:
    """Everything in one call."""
    with (
        serving() as server,
        tempfile.TemporaryDirectory(prefix="callnet-cameras-") as folder,
        stage(server.url, Path(folder)) as browsers,
    ):
        call = Shaken(browsers, Random(seed), inf if brief else LONGEST_PAUSE)
        counts = shake(call, server, SLICE if brief else 1)
        misses = [*call.misses, *browsers.complaints()]
    return Outcome(counts, [*misses, *(f"the daemon logged {line}" for line in server.complaints())])


PROOF: Final = Proof(
    "page_repairs",
    "while both pages ask for new paths at once, are loaded again, lose their sockets and their server, they see each"
    " other every time, and no picture stands still for more than a second while the path itself is whole",
    prove,
)
