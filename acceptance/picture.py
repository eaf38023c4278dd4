"""The way from the press on Accept to the other one's picture, on both sides, over loopback and over a long way.

Two phones in two browsers, whose cameras take thirty pictures a second, call each other again and again. Each page
notes when it comes by a stage of the way: both clocks are the machine's. The media go over loopback at all times; the
long way is a proxy before the site, which holds all bytes for half of the round trip.

A short slice says how long it takes and judges nothing: it is run on machines of which nobody knows how fast they are.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from msgspec import Struct, field
from playwright.sync_api import Error, Frame

from acceptance.daemon import WITHOUT_LIMITS
from acceptance.page import WITHOUT_TLS
from acceptance.proof import Outcome, Proof
from bench.figures import percentile
from harness.base_protocol import Address
from harness.daemon import Daemon
from harness.delay import delaying_proxy
from tests.browser.camera import Camera
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.stage import Stage, stage

WAYS: Final = {"loopback": 0.0, "a round trip of 100 ms": 0.1}
"""The seconds of a round trip between page and server in each."""
MORE: Final = 0.2
"""Seconds that the picture may take besides a round trip, in 95 of 100 calls."""
RINGS_FOR: Final = 1_500
"""Milliseconds until somebody accepts: a person who hears it ring takes longer."""
LOOKS_AFTER: Final = 1_000
"""Milliseconds until the proof looks into the pages: a look takes the processor from them, and they note all times."""
RATE: Final = 30
"""Pictures that a camera takes in a second."""
CALLS: Final = 50
FEW: Final = 5

ALICE: Final = Address("13800000001", "alices-desk")
BOB: Final = Address("13800000002", "bobs-desk")

_NOTE: Final = """
    const note = (name) => {
        const marks = (top.marks = top.marks ?? {});
        marks[name] = marks[name] ?? performance.timeOrigin + performance.now();
    };
    document.addEventListener("click", ({ target }) => {
        if (target.closest("#accept")) {
            top.marks = {};
            note("pressed");
        }
    }, true);
    const kindOf = (text) => {
        const frame = JSON.parse(text);
        const said = frame.data?.room ?? frame.data;
        if (said?.kind === undefined) return frame.state ?? frame.type;
        return said.connection === null ? `early ${said.kind}` : said.kind;
    };
    const Socket = window.WebSocket;
    window.WebSocket = class extends Socket {
        constructor(...options) {
            super(...options);
            this.addEventListener("message", ({ data }) => note(`${kindOf(data)} came`));
        }
        send(text) {
            note(`${kindOf(text)} sent`);
            super.send(text);
        }
    };
    const Connection = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Connection {
        constructor(...options) {
            super(...options);
            note("connection made");
            this.addEventListener("iceconnectionstatechange", () => note(`ICE ${this.iceConnectionState}`));
            this.addEventListener("connectionstatechange", () => note(`DTLS ${this.connectionState}`));
        }
    };
    if (navigator.mediaDevices) {
        const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            note("camera asked for");
            const stream = await open(wanted);
            note("camera open");
            return stream;
        };
    }
    document.addEventListener("DOMContentLoaded", () => {
        const remote = document.getElementById("remote");
        if (remote === null) return;
        note("page loaded");
        const watch = () => remote.requestVideoFrameCallback((now, { presentationTime, receiveTime }) => {
            const marks = (top.marks = top.marks ?? {});
            marks["first frame came"] = marks["first frame came"] ?? performance.timeOrigin + receiveTime;
            marks["decoded"] = marks["decoded"] ?? performance.timeOrigin + presentationTime;
            if (top.document.body.dataset.scene === "call") note("painted");
            else watch(); // the page is not in view yet
        });
        watch();
    });
"""
"""Notes in the window of the phone, for itself and the pages in it, when each thing happens for the first time."""

STAGES: Final = (
    "called_success sent",
    "call_success came",
    "page loaded",
    "camera asked for",
    "camera open",
    "join sent",
    "meeting came",
    "connection made",
    "offer sent",
    "offer came",
    "answer sent",
    "answer came",
    "early answer came",
    "ICE connected",
    "DTLS connected",
    "first frame came",
    "decoded",
    "painted",
)

AFTER_THE_ACCEPT: Final = frozenset(
    {"join sent", "negotiate sent", "offer sent", "answer sent", "candidate sent", "early answer came"}
)
"""The early answer of the caller's page goes to the server, which keeps it until then."""


class Side(Struct):
    """One of the two, and the milliseconds from the press to each stage, in each call that came by it."""

    name: str
    times: dict[str, list[float]] = field(default_factory=dict)

    def take(self, marks: Mapping[str, float], pressed: float) -> None:
        """Take the marks of a call."""
        for name, at in marks.items():
            self.times.setdefault(name, []).append(at - pressed)

    def lines(self, way: str) -> dict[str, object]:
        """The figures, in the words of the report."""
        found = {stage: self.times[stage] for stage in STAGES if stage in self.times}
        return {
            f"{way}, {self.name}: {stage}, ms": f"{percentile(times, 0.5):.0f}, {percentile(times, 0.95):.0f}"
            for stage, times in found.items()
        }


def camera_of(browsers: Stage, colour: Camera, folder: Path) -> PhoneVisitor:
    """A phone in a browser whose camera is as fast as real ones are."""
    file = folder / colour.name
    file.mkdir(exist_ok=True)
    flags = (
        f"--use-fake-device-for-media-stream=device-count=1,fps={RATE}",
        f"--use-file-for-fake-video-capture={colour.record(file, RATE)}",
    )
    visitor = phone(browsers, browsers.browser(None, flags=flags))
    visitor.page.add_init_script(_NOTE)
    return visitor


def page_of(visitor: PhoneVisitor) -> Sequence[Frame]:
    """The call's pages in a phone, in view or not."""
    return visitor.page.frames[1:]


class Couple:
    """Alice, who calls, and Bob, who accepts."""

    def __init__(self, browsers: Stage, folder: Path) -> None:
        self._alice = camera_of(browsers, Camera.RED, folder)
        self._bob = camera_of(browsers, Camera.BLUE, folder)
        self.caller, self.callee = Side("the caller"), Side("the callee")
        self._alice.log_in(*ALICE)
        self._bob.log_in(*BOB)
        self._alice.add_contact(BOB.phone, "Bob")
        self._bob.add_contact(ALICE.phone, "Alice")
        self._alice.await_contact(BOB.phone, online=True)

    def talk(self) -> None:
        """Call once."""
        alice, bob = self._alice, self._bob
        for visitor in (alice, bob):
            visitor.page.evaluate("top.marks = {}")
        alice.call(BOB.phone)
        bob.await_scene("ringing")
        bob.wait(RINGS_FOR)
        for visitor in (alice, bob):
            early = AFTER_THE_ACCEPT & set(visitor.page.evaluate("top.marks"))
            if early:
                raise AssertionError(f"before the accept: {', '.join(sorted(early))}")
        bob.press("accept")
        bob.wait(LOOKS_AFTER)
        for visitor, colour in ((alice, Camera.BLUE), (bob, Camera.RED)):
            visitor.await_connected(colour)
            visitor.await_that("top.marks.painted > 0")
        marks = bob.page.evaluate("top.marks")
        self.callee.take(marks, marks["pressed"])
        self.caller.take(alice.page.evaluate("top.marks"), marks["pressed"])
        bob.hang_up()
        for visitor in (alice, bob):
            visitor.await_scene("home")
            visitor.page.wait_for_selector("#call-page iframe", state="detached")


def measure(way: str, round_trip: float, calls: int, folder: Path) -> tuple[dict[str, object], list[str]]:
    """The figures of one way, and what was missed."""
    misses: list[str] = []
    with ExitStack() as exits:
        daemon = exits.enter_context(Daemon(folder / "daemon", WITHOUT_LIMITS, listeners=WITHOUT_TLS))
        port = daemon.ports["site"]
        if round_trip:
            port = exits.enter_context(delaying_proxy(port, round_trip / 2))
        browsers = exits.enter_context(stage(f"http://localhost:{port}", folder))
        couple = Couple(browsers, folder)
        couple.talk()  # the first loads what browsers keep
        couple.caller.times.clear()
        couple.callee.times.clear()
        try:
            for _ in range(calls):
                couple.talk()
        except (AssertionError, Error) as error:
            misses.append(f"{way}: {str(error).partition(chr(10))[0]}")
        misses += browsers.complaints()
    counts: dict[str, object] = {}
    for side in (couple.callee, couple.caller):
        counts |= side.lines(way)
        painted = side.times.get("painted", [])
        if len(painted) != calls:
            misses.append(f"{way}: {side.name} had a picture in {len(painted)} of {calls} calls")
    return counts, misses


def late(counts: Mapping[str, object]) -> Sequence[str]:
    """The pictures that took too long, of a whole run."""
    found = []
    for way, round_trip in WAYS.items():
        for side in ("the callee", "the caller"):
            line = f"{way}, {side}: painted, ms"
            took = float(str(counts.get(line, "0, inf")).rpartition(", ")[2])
            if took > (round_trip + MORE) * 1e3:
                found.append(f"{way}, {side}: 95 in 100 pictures took {took:.0f} ms")
    return found


def prove(brief: bool, seed: int) -> Outcome:  # noqa: ARG001  nothing is random
    """Fifty calls in each way, or five."""
    calls = FEW if brief else CALLS
    counts: dict[str, object] = {"calls in each way": calls, "each stage": "from the press on Accept: median, p95"}
    misses: list[str] = []
    for way, round_trip in WAYS.items():
        with tempfile.TemporaryDirectory(prefix="callnet-proof-") as folder:
            figures, missed = measure(way, round_trip, calls, Path(folder))
        counts |= figures
        misses += missed
        print(json.dumps(figures, indent=1), flush=True)
    return Outcome(counts, misses if brief else [*misses, *late(counts)])


PROOF: Final = Proof(
    "picture",
    f"95 in 100 calls show both sides the other one's picture within {MORE * 1e3:.0f} ms of the press on Accept, and"
    " over a long way within these and one round trip",
    prove,
)
