"""Two browsers behind symmetric NATs of their own, in network namespaces, with callnet and coturn outside.

Neither browser can be reached but by a relay, and the page is opened without any parameter. Counted is how long it
takes until each sees the other's camera, and then, again and again, at a house drawn by lot:

* the cable of a house is pulled for 5 s and put back: how long the picture stands still beyond the 5 s;
* the router of a house gets another address outside: how long the picture stands still;
* the machine in a house gets another address inside: how long the picture stands still.

In the end, but not in a short slice, the way out of a house is made so narrow that little more than sound fits. The
picture must make way and be said to be off, the sound must go on, and with room again the picture must come back.

Then everything is on one port of TCP, and calls are made from houses out of which nothing else gets, or nothing by UDP.

Everything is seen in what the pages paint. Nobody presses anything: a page that gives the call up misses the target.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Final

from playwright.sync_api import Error

from acceptance.browser import see_each_other
from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon
from acceptance.houses import House, Street, street
from acceptance.proof import Outcome, Proof
from harness.coturn import Coturn
from tests.browser.camera import Camera
from tests.browser.continuity import listen, longest_pause, longest_silence, path, since_movement, watch
from tests.browser.stage import Stage, stage

OUTSIDE: Final = "198.18.0.0-198.19.255.255"
"""Where the houses are, a range to which the sample of etc/ has coturn relay nothing."""
ROUNDS: Final = 5
CUT: Final = 5.0
"""Seconds for which a cable is pulled."""
SETTLED: Final = 10.0
"""Seconds after which a page has noticed any change of its network."""
NARROW: Final = 9
"""Kilobytes a second of packets by UDP: of an audio call over TURN, headers and all, these are 7."""
NARROW_FOR: Final = 15.0
"""Seconds for which the way out is narrow after the picture has made way."""
NARROW_LIMIT: Final = 120.0
"""Seconds within which the picture goes, and comes back."""
LONGEST_SILENCE: Final = 2.0
"""Seconds without any sound: at first the picture is in its way."""
SHUT: Final = {"only TCP 443 open": "tcp dport 443", "UDP blocked": "meta l4proto tcp"}
"""The packets that get out of a house, in the language of nftables."""
CALLS: Final = 50
"""From houses that are shut in each of these ways; in a short slice two."""
LIMIT: Final = 60.0
"""Seconds that a repair may take."""


class Call:
    """Two visitors who see each other, each from a house of their own."""

    def __init__(self, browsers: Stage, places: Street, folder: Path, random: Random) -> None:
        self._random = random
        flags = [f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {places.address}"]
        self.red, self.blue = self.both = tuple(
            browsers.visitor(browsers.browser(camera, program=house.browser(folder), flags=flags))
            for camera, house in zip((Camera.RED, Camera.BLUE), places.houses, strict=True)
        )
        room = secrets.token_hex(8)
        for visitor in self.both:
            visitor.enter(room)
        began = time.monotonic()
        for visitor, colour in ((self.red, Camera.BLUE), (self.blue, Camera.RED)):
            visitor.await_state("connected")
            visitor.await_colour(colour)
        self.took = time.monotonic() - began
        """Seconds until both saw each other."""
        for visitor in self.both:
            visitor.await_movement()

    def disturb(self, disturbance: Callable[[], None]) -> tuple[float, str | None]:
        """Disturb the network. Returns the time for which a picture stood still, and the fault then."""
        for visitor in self.both:
            watch(visitor)
        began = time.monotonic()
        disturbance()
        while time.monotonic() < began + SETTLED or not self._is_repaired():
            if time.monotonic() > began + CUT + LIMIT:
                states = " and ".join(visitor.state for visitor in self.both)
                return time.monotonic() - began, f"no repair within {LIMIT:.0f} s, the pages are {states}"
            self.red.wait(200)
        pause = max(longest_pause(visitor) for visitor in self.both)
        for visitor in self.both:
            if "relay" not in path(visitor):
                return pause, "there was a way without a relay"
        return pause, see_each_other(self.red, self.blue, self._random)

    def squeeze(self, house: House, number: int) -> tuple[str, str | None]:
        """Leave a house a narrow way out, and then a wide one. Returns the result, and the fault then."""
        inside, outside = self.both[number], self.both[1 - number]
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
        for visitor in self.both:
            visitor.await_movement()  # a picture that was held comes back slowly
        return came, see_each_other(self.red, self.blue, self._random)

    # A page says that it is connected up to a second after its picture moves: it looks once a second.
    def _is_repaired(self) -> bool:
        return all(visitor.state == "connected" and since_movement(visitor) < 1.0 for visitor in self.both)


def disturbances(call: Call, house: House) -> dict[str, tuple[Callable[[], None], float]]:
    """The disturbances of a house, and the time for which nothing can pass because of each."""

    def cut() -> None:
        house.cable.pull()
        call.red.wait(CUT * 1_000)
        house.cable.put_back()

    return {
        f"cable pulled for {CUT:.0f} s": (cut, CUT),
        "another address outside": (house.change_outside, 0.0),
        "another address inside": (house.change_inside, 0.0),
    }


@contextmanager
def serving_on_one_port(places: Street, folder: Path) -> Iterator[CountedDaemon]:
    """Run coturn behind a daemon on the host, which has but one port."""
    secret = secrets.token_hex(16)
    command = places.host.command
    with closing(
        Coturn(secret, addresses=[places.address], peers=[OUTSIDE], within=command, is_proxied=True)
    ) as coturn:
        settings = f"""
[accounts]
open_enrolment_on_network = true
[turn]
urls = ["{coturn.urls[0]}", "turns:{places.address}:443?transport=tcp"]
stun = {json.dumps(coturn.stun)}
secret = "{secret}"
adhoc = true
{WITHOUT_LIMITS}
"""
        turn = f"tcp:{places.address}:{coturn.proxy_port}"
        listeners = f"""
[listeners]
account = []
signaling = []
site = [{{ endpoint = "tcp:443:interface={places.address}", turn = "{turn}" }}]
admin = [{{ endpoint = "unix:{folder}/admin" }}]
"""
        with CountedDaemon(folder, settings, before=command, listeners=listeners) as daemon:
            yield daemon


def call_from_shut_houses(
    places: Street, folder: Path, count: int, random: Random
) -> tuple[dict[str, object], list[str]]:
    """Call from houses that are shut, ``count`` times in each way. Returns the results and the faults."""
    results: dict[str, object] = {}
    misses: list[str] = []
    with serving_on_one_port(places, folder) as daemon:
        for name, passes in SHUT.items():
            for house in places.houses:
                house.shut(passes)
            took: list[float] = []
            for number in range(count):
                try:
                    with stage(f"https://{places.address}", folder) as browsers:
                        call = Call(browsers, places, folder, random)
                        took.append(call.took)
                        if any("relay" not in path(visitor) for visitor in call.both):
                            misses.append(f"{name}, call {number + 1}: there was a way without a relay")
                        misses += browsers.complaints()
                except (AssertionError, Error) as error:
                    misses.append(f"{name}, call {number + 1}: {error}")
            results[name] = f"{len(took)} of {count} calls, {_times(took)} s until they saw each other"
            for house in places.houses:
                house.widen()
        misses += [f"the daemon logged {line}" for line in daemon.complaints()]
    return results, misses


@contextmanager
def serving(places: Street, folder: Path) -> Iterator[CountedDaemon]:
    """Run coturn and a daemon on the host."""
    secret = secrets.token_hex(16)
    command = places.host.command
    with closing(Coturn(secret, addresses=[places.address], peers=[OUTSIDE], within=command)) as coturn:
        settings = f"""
[accounts]
open_enrolment_on_network = true
[turn]
urls = {json.dumps(coturn.urls)}
stun = {json.dumps(coturn.stun)}
secret = "{secret}"
adhoc = true
{WITHOUT_LIMITS}
"""
        listeners = f"""
[listeners]
account = [{{ endpoint = "tcp:0:interface=127.0.0.1" }}]
signaling = [{{ endpoint = "tcp:0:interface=127.0.0.1" }}]
site = [{{ endpoint = "tcp:0:interface={places.address}" }}]
admin = [{{ endpoint = "unix:{folder}/admin" }}]
"""
        with CountedDaemon(folder, settings, before=command, listeners=listeners) as daemon:
            yield daemon


def disturb_a_call(places: Street, folder: Path, brief: bool, random: Random) -> tuple[dict[str, object], list[str]]:
    """Disturb one call in every way, once or several times. Returns the results and the faults."""
    pauses: dict[str, list[float]] = {}
    misses: list[str] = []
    with serving(places, folder) as daemon, stage(daemon.site_url, folder) as browsers:
        call = Call(browsers, places, folder, random)
        ways = [sorted(path(visitor)) for visitor in call.both]
        misses += ["there was a way without a relay" for way in ways if "relay" not in way]
        for number in range(1 if brief else ROUNDS):
            for name, (disturbance, blocked) in disturbances(call, random.choice(places.houses)).items():
                pause, wrong = call.disturb(disturbance)
                pauses.setdefault(name, []).append(max(0.0, pause - blocked))
                if wrong is not None:
                    misses.append(f"{name}, round {number + 1}: {wrong}")
        squeezed = "not tried in a short slice"
        if not brief:
            number = random.randrange(len(places.houses))
            squeezed, wrong = call.squeeze(places.houses[number], number)
            misses += [] if wrong is None else [f"a narrow way out: {wrong}"]
        for visitor in call.both:
            visitor.forgive("WebSocket")  # the browser reports each try
        misses += browsers.complaints()
        misses += [f"the daemon logged {line}" for line in daemon.complaints()]
    results: dict[str, object] = {"until they saw each other": f"{call.took:.1f} s", "by way of": ways[0]}
    results |= {name: _described(seconds) for name, seconds in pauses.items()}
    return {**results, f"a way out of {NARROW} kB/s": squeezed}, misses


def prove(brief: bool, seed: int) -> Outcome:
    """One call that is disturbed, then calls from houses that are shut."""
    if os.getuid():
        return Outcome({}, ["only root can make network namespaces"])
    random = Random(seed)
    with tempfile.TemporaryDirectory(prefix="callnet-nat-") as name, street() as places:
        results, misses = disturb_a_call(places, Path(name), brief, random)
        of_shut, more = call_from_shut_houses(places, Path(name, "one-port"), 2 if brief else CALLS, random)
    return Outcome(results | of_shut, [*misses, *more])


def _times(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds) or [0.0]
    return f"{ordered[0]:.1f} to {ordered[-1]:.1f}, in the middle {ordered[len(ordered) // 2]:.1f}"


def _described(pauses: Sequence[float]) -> str:
    ordered = sorted(pauses)
    return f"{len(ordered)} times, the picture back after {', '.join(f'{pause:.1f}' for pause in ordered)} s"


PROOF: Final = Proof(
    "nat",
    "two browsers behind symmetric NATs connect through the relay without any parameter, and find each other again by"
    " themselves after a cable was pulled for 5 s and after the address of one side has changed; where little fits,"
    " sound goes before the picture; and they connect where nothing gets out but TCP 443, or nothing by UDP",
    prove,
)
