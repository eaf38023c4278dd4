"""One call between two houses with symmetric NATs, whose network changes again and again (:mod:`acceptance.nat`).

At a house drawn by lot the cable is pulled for 5 s and put back, the router gets another address outside, or the
machine another one inside: counted is how long the picture stands still. Nobody presses anything: a page that gives the
call up misses the target.

Before, but not in a short slice, the way out of a house is made so narrow that little more than sound fits. The picture
must make way and be said to be off, the sound must go on, and with room again the picture must come back.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from playwright.sync_api import Error

from acceptance.browser import see_each_other
from acceptance.couple import Couple
from acceptance.houses import House, Street, street
from acceptance.nat import Found, couple_of, logged, serving
from acceptance.proof import Outcome, Proof
from tests.browser.camera import Camera
from tests.browser.continuity import listen, longest_silence
from tests.browser.stage import stage

CHANGES: Final = 25
"""Of an address outside, and as many inside; in a short slice one."""
CUTS: Final = 5
CUT: Final = 5.0
"""Seconds for which a cable is pulled."""
SETTLED: Final = 3.0
"""Seconds after which a picture stands still, if the change of the network holds it up."""
RATE: Final = 30
"""Pictures a second of a camera whose picture does not fit."""
NARROW: Final = 9
"""Kilobytes a second of packets by UDP: of an audio call over TURN, headers and all, these are 7."""
NARROW_FOR: Final = 15.0
"""Seconds for which the way out is narrow after the picture has made way."""
NARROW_LIMIT: Final = 120.0
"""Seconds within which the picture goes, and comes back."""
LONGEST_SILENCE: Final = 2.0
"""Seconds without any sound: at first the picture is in its way."""


def disturbances(couple: Couple, house: House) -> dict[str, tuple[Callable[[], None], float, int]]:
    """The disturbances of a house, each with the time for which nothing can pass because of it, and how often."""

    def cut() -> None:
        house.cable.pull()
        couple.red.wait(CUT * 1_000)
        house.cable.put_back()

    return {
        f"cable pulled for {CUT:.0f} s": (cut, CUT, CUTS),
        "another address outside": (house.change_outside, 0.0, CHANGES),
        "another address inside": (house.change_inside, 0.0, CHANGES),
    }


def disturb(couple: Couple, places: Street, brief: bool, random: Random) -> Found:
    """Disturb a call in every way, once or several times."""
    pauses: dict[str, list[float]] = {}
    misses: list[str] = []
    for number in range(1 if brief else CHANGES):
        for name, (disturbance, blocked, times) in disturbances(couple, random.choice(places.houses)).items():
            if number >= times:
                continue
            pause, wrong = couple.disturb(disturbance, blocked, SETTLED)
            pauses.setdefault(name, []).append(max(0.0, pause - blocked))
            if wrong is not None:
                misses.append(f"{name}, round {number + 1}: {wrong}")
    for visitor in couple.both:
        visitor.forgive("WebSocket")  # the browser reports each try
    return {name: _described(seconds) for name, seconds in pauses.items()}, misses


def squeeze(couple: Couple, places: Street, random: Random) -> tuple[str, str | None]:
    """Leave a house a narrow way out, and then a wide one. Returns the result, and the fault then."""
    number = random.randrange(len(places.houses))
    house, inside, outside = places.houses[number], couple.both[number], couple.both[1 - number]
    listen(outside)
    began = time.monotonic()
    house.narrow(NARROW)
    outside.page.wait_for_selector("#remote-off", timeout=NARROW_LIMIT * 1_000)
    gone = time.monotonic() - began
    inside.page.wait_for_selector("#notice:has-text('your video is paused')")
    inside.wait(NARROW_FOR * 1_000)
    silence = longest_silence(outside)
    began = time.monotonic()
    house.widen()
    outside.page.wait_for_selector("#remote-off", state="hidden", timeout=NARROW_LIMIT * 1_000)
    came = f"the picture off after {gone:.0f} s, back {time.monotonic() - began:.0f} s after there was room"
    came += f", no longer without sound than {silence * 1_000:.0f} ms"
    if silence > LONGEST_SILENCE:
        return came, f"there was no sound for {silence:.1f} s"
    for visitor in couple.both:
        visitor.await_movement()  # a picture that was held comes back slowly
    return came, see_each_other(couple.red, couple.blue, random)


def leave_little_room(places: Street, folder: Path, random: Random) -> Found:
    """A call by cameras that are as fast as real ones, with little room for a while."""
    fast = folder / "fast"
    fast.mkdir()
    cameras = [
        (
            f"--use-fake-device-for-media-stream=device-count=1,fps={RATE}",
            f"--use-file-for-fake-video-capture={camera.record(fast, RATE)}",
        )
        for camera in (Camera.RED, Camera.BLUE)
    ]
    with stage(f"https://{places.address}", folder) as browsers:
        couple = couple_of(browsers, places, folder, random, cameras)
        couple.meet()
        try:
            squeezed, wrong = squeeze(couple, places, random)
        except (AssertionError, Error) as error:
            squeezed, wrong = "missed", str(error).partition("\n")[0]
        misses = [] if wrong is None else [f"a narrow way out: {wrong}"]
        return {f"a way out of {NARROW} kB/s": squeezed}, [*misses, *browsers.complaints()]


def prove(brief: bool, seed: int) -> Outcome:
    """All disturbances of one call."""
    if os.getuid():
        return Outcome({}, ["only root can make network namespaces"])
    random = Random(seed)
    with (
        tempfile.TemporaryDirectory(prefix="callnet-nat-") as name,
        street() as places,
        serving(places, Path(name)) as (daemon, _),
    ):
        results, misses = ({}, []) if brief else leave_little_room(places, Path(name), random)
        print(results, *misses, sep="\n", flush=True)
        with stage(f"https://{places.address}", Path(name)) as browsers:
            couple = couple_of(browsers, places, Path(name), random)
            couple.meet()
            disturbed, faults = disturb(couple, places, brief, random)
            misses += [*faults, *browsers.complaints()]
        misses += logged(daemon)
    return Outcome(results | disturbed, misses)


def _described(pauses: Sequence[float]) -> str:
    ordered = sorted(pauses)
    middle = ordered[len(ordered) // 2]
    return (
        f"{len(ordered)} times, the picture back after {ordered[0]:.1f} to {ordered[-1]:.1f} s, median {middle:.1f} s"
    )


PROOF: Final = Proof(
    "nat_changes",
    "two pages behind symmetric NATs find each other again by themselves after a cable was pulled for 5 s and after"
    f" {2 * CHANGES} changes of the address of one side; where little fits, sound goes before the picture",
    prove,
)
