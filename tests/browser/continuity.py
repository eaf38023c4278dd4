"""Watches from within a page how long the other side's picture stands still, and shakes the page meanwhile.

What counts is painted: the frames of the video are drawn onto a canvas all the time and compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from tests.browser.visitor import Visitor

PATIENCE: Final = 60.0
"""Seconds that something may take on a machine that is busy with other tests."""

LOOK_EVERY: Final = 50
"""Milliseconds."""

LOOKS: Final = 40
"""The fewest looks that show that the picture was watched."""

_WATCH: Final = """(every) => {
    const video = document.getElementById("remote");
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [48, 27];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    let before = null;
    const watched = window.watched = { longest: 0, movedAt: performance.now(), looks: 0, mostLooks: 0, allLooks: 0 };
    clearInterval(window.watching);
    window.watching = setInterval(() => {
        context.drawImage(video, 0, 0, 48, 27);
        const { data } = context.getImageData(0, 0, 48, 27);
        const change = before === null ? 0 : data.reduce((sum, part, i) => sum + Math.abs(part - before[i]), 0);
        watched.looks += 1;
        watched.allLooks += 1;
        watched.mostLooks = Math.max(watched.mostLooks, watched.looks);
        if (before !== null && change < 3_000) return;
        before = data;
        watched.looks = 0;
        watched.longest = Math.max(watched.longest, performance.now() - watched.movedAt);
        watched.movedAt = performance.now();
    }, every);
}"""

_LISTEN: Final = """() => {
    const heard = window.heard = { longest: 0, cameAt: performance.now(), packets: 0 };
    clearInterval(window.listening);
    window.listening = setInterval(async () => {
        const report = await window.connections.at(-1).getStats();
        const sound = Array.from(report.values()).find(({ type, kind }) => type === "inbound-rtp" && kind === "audio");
        if (!sound || sound.packetsReceived === heard.packets) return;
        heard.packets = sound.packetsReceived;
        heard.longest = Math.max(heard.longest, performance.now() - heard.cameAt);
        heard.cameAt = performance.now();
    }, 100);
}"""

_LONGEST: Final = "Math.max(watched.longest, performance.now() - watched.movedAt)"

_NEGOTIATED: Final = """() => {
    const { localDescription, remoteDescription, signalingState } = window.connections.at(-1);
    const name = (description) => description?.sdp.match(/^a=ice-ufrag:(.*)$/m)?.[1];
    return signalingState === "stable" ? [name(localDescription), name(remoteDescription)] : [];
}"""

_PATH: Final = """async () => {
    const report = await window.connections.at(-1).getStats();
    const transport = Array.from(report.values()).find(({ type }) => type === "transport");
    const pair = report.get(transport.selectedCandidatePairId);
    return [pair.localCandidateId, pair.remoteCandidateId].map((id) => report.get(id).candidateType);
}"""

_NETWORK_CHANGES_AT: Final = """(moment) => {
    setTimeout(() => window.dispatchEvent(new Event("online")), moment - Date.now());
}"""


def watch(visitor: Visitor) -> None:
    """Watch the other side's picture from now on."""
    visitor.page.evaluate(_WATCH, LOOK_EVERY)


def longest_pause(visitor: Visitor) -> float:
    """For how many seconds at most the picture has stood still since :func:`watch`."""
    return float(visitor.page.evaluate(_LONGEST)) / 1_000


def longest_still(visitor: Visitor) -> float:
    """For how many seconds at most the picture has stood still since :func:`watch`, on a machine that looks in time.

    Looks are counted: a machine that has no time for the page has none for the picture either.

    :raises AssertionError: the page does not look.
    """
    wait_until(visitor, lambda: visitor.page.evaluate("watched.allLooks") >= LOOKS, "looks at the picture")
    return float(visitor.page.evaluate("watched.mostLooks")) * LOOK_EVERY / 1_000


def since_movement(visitor: Visitor) -> float:
    """Seconds since the picture last moved."""
    return float(visitor.page.evaluate("performance.now() - watched.movedAt")) / 1_000


def listen(visitor: Visitor) -> None:
    """Listen to the other side's sound from now on."""
    visitor.page.evaluate(_LISTEN)


def longest_silence(visitor: Visitor) -> float:
    """For how many seconds at most no sound has come since :func:`listen`."""
    return float(visitor.page.evaluate("Math.max(heard.longest, performance.now() - heard.cameAt)")) / 1_000


def negotiated(visitor: Visitor) -> Sequence[str]:
    """Identifies the present agreement of the two sides: new after each ICE restart, empty while they negotiate."""
    names: Sequence[str] = visitor.page.evaluate(_NEGOTIATED)
    return names


def path(visitor: Visitor) -> Sequence[str]:
    """The types of the two candidates between which media flows, this side's first."""
    types: Sequence[str] = visitor.page.evaluate(_PATH)
    return types


def connections(visitor: Visitor) -> int:
    """The number of RTCPeerConnections that this load of the page has made."""
    return int(visitor.page.evaluate("window.connections.length"))


def wait_until(visitor: Visitor, happened: Callable[[], Any], what: str) -> None:
    """Wait until ``happened`` says so, while the page lives on.

    :raises AssertionError: it does not.
    """
    until = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come")
        visitor.wait(50)


def restart_both(visitors: Sequence[Visitor]) -> None:
    """Let both pages ask for an ICE restart at the same moment, and wait until they agree on one."""
    for visitor in visitors:
        wait_until(visitor, partial(negotiated, visitor), "an agreement")
    before = [negotiated(visitor) for visitor in visitors]
    moment = time.time() * 1_000 + 200
    for visitor in visitors:
        visitor.page.evaluate(_NETWORK_CHANGES_AT, moment)
    for visitor, old in zip(visitors, before, strict=True):

        def is_new(visitor: Visitor = visitor, old: Sequence[str] = old) -> bool:
            new = negotiated(visitor)
            return len(new) == len(old) and not set(new) & set(old)

        wait_until(visitor, is_new, "the restart")


def sockets(visitor: Visitor) -> int:
    """The number of room sockets that this load of the page has had."""
    return int(visitor.page.evaluate("window.sockets.length"))


def await_socket(visitor: Visitor, after: int) -> None:
    """Wait until the page has an open room socket that is not among its first ``after`` ones."""
    is_open = f"window.sockets.length > {after} && window.sockets.at(-1).readyState === WebSocket.OPEN"
    wait_until(visitor, lambda: visitor.page.evaluate(is_open), "another room socket")


def kill_socket(visitor: Visitor) -> None:
    """Take the page's room socket from it, and wait until it has another one."""
    count = sockets(visitor)
    visitor.page.evaluate("window.sockets.at(-1).close()")
    await_socket(visitor, count)
