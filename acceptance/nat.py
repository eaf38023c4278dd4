"""Two browsers in houses of their own, in network namespaces, with routers and ways out of many kinds.

The page is opened without any parameter, and nobody presses anything. Everything is seen in what the pages paint.

1. Both houses have symmetric NATs, and callnet and coturn are outside. Neither browser can be reached but by a relay.
   Calls between two phones are watched from within both machines while it rings: nothing may pass between the two
   houses, nor between the relay and the other one, before it is accepted. Then two pages meet again and again.
2. One call goes on while, again and again, at a house drawn by lot, the cable is pulled for 5 s and put back, the
   router gets another address outside, or the machine another one inside: counted is how long the picture stands. In
   the end, but not in a short slice, the way out of a house is made so narrow that little more than sound fits. The
   picture must make way and be said to be off, the sound must go on, and with room again the picture must come back.
3. Everything is on one port of TCP, and calls are made from houses out of which nothing else gets, or nothing by UDP.
4. One house has IPv6 alone, and NAT64; the other has IPv4 alone. callnet runs the relay itself.
5. callnet and its relay are in a house, whose router forwards their ports, also to who is inside and asks for the
   public address ("hairpin"): one browser inside and one outside, and both inside.
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

from acceptance.browser import see_each_other
from acceptance.couple import Couple, by_relay, directly
from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon
from acceptance.houses import House, Street, street
from acceptance.nat64 import house_of_ipv6, translated
from acceptance.proof import Outcome, Proof
from acceptance.silent_ring import ring_silently
from harness.coturn import Coturn
from tests.browser.continuity import listen, longest_silence
from tests.browser.stage import Stage, stage

OUTSIDE: Final = "198.18.0.0-198.19.255.255"
"""Where the houses are, a range to which the sample of etc/ has coturn relay nothing."""
CALLS: Final = 50
"""In each network; in a short slice two."""
CHANGES: Final = 25
"""Of an address outside, and as many inside; in a short slice one."""
CUTS: Final = 5
RINGS: Final = 5
"""Calls that are watched while they ring; in a short slice one."""
CUT: Final = 5.0
"""Seconds for which a cable is pulled."""
SETTLED: Final = 5.0
"""Seconds after which a page has noticed any change of its network: media over a relay is missed after two."""
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
NAME: Final = "calls.example.org"
"""Of callnet, where one of two reaches it by IPv4 and the other by IPv6."""

Found = tuple[dict[str, object], list[str]]
"""Results, in the words of the report, and faults."""

_ALL_BY_THE_SITE: Final = """
[accounts]
open_enrolment_on_network = true
[listeners]
account = []
signaling = []
site = [{{ endpoint = "tcp:443{interface}"{turn} }}]
admin = [{{ endpoint = "unix:{folder}/admin" }}]
"""

_OWN_RELAY: Final = """
[turn]
relay = "supervised"
adhoc = true
[turn.supervised]
host = "{host}"
allowed_peers = ["198.18.0.0/15"]
"""


@contextmanager
def serving(places: Street, folder: Path, *, is_one_port: bool = False) -> Iterator[tuple[CountedDaemon, Coturn]]:
    """Run coturn and a daemon on the host, which may have but one port."""
    secret = secrets.token_hex(16)
    command = places.host.command
    with closing(
        Coturn(secret, addresses=[places.address], peers=[OUTSIDE], within=command, is_proxied=is_one_port)
    ) as coturn:
        urls, turn = list(coturn.urls), ""
        if is_one_port:
            urls = [urls[0], f"turns:{places.address}:443?transport=tcp"]
            turn = f', turn = "tcp:{places.address}:{coturn.proxy_port}"'
        settings = f"""
[turn]
urls = {json.dumps(urls)}
stun = {json.dumps(coturn.stun)}
secret = "{secret}"
adhoc = true
{WITHOUT_LIMITS}
"""
        listeners = _ALL_BY_THE_SITE.format(interface=f":interface={places.address}", turn=turn, folder=folder)
        with CountedDaemon(folder, settings, before=command, listeners=listeners) as daemon:
            yield daemon, coturn


@contextmanager
def serving_with_own_relay(
    command: Sequence[str], folder: Path, host: str, settings: str = ""
) -> Iterator[CountedDaemon]:
    """Run a daemon on a machine, with a relay of its own.

    :param settings: further ones of the relay, in TOML.
    """
    listeners = _ALL_BY_THE_SITE.format(interface="", turn="", folder=folder)
    turn = _OWN_RELAY.format(host=host) + settings
    with CountedDaemon(folder, turn + WITHOUT_LIMITS, before=command, listeners=listeners) as daemon:
        yield daemon


def couple_of(browsers: Stage, places: Street, folder: Path, random: Random) -> Couple:
    """One visitor in each house."""
    programs = [house.browser(folder) for house in places.houses]
    return Couple(browsers, programs, [f"EXCLUDE {places.address}"] * 2, random)


def squeeze(couple: Couple, house: House, number: int, random: Random) -> tuple[str, str | None]:
    """Leave a house a narrow way out, and then a wide one. Returns the result, and the fault then."""
    inside, outside = couple.both[number], couple.both[1 - number]
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
    squeezed = "not tried in a short slice"
    if not brief:
        number = random.randrange(len(places.houses))
        squeezed, wrong = squeeze(couple, places.houses[number], number, random)
        misses += [] if wrong is None else [f"a narrow way out: {wrong}"]
    for visitor in couple.both:
        visitor.forgive("WebSocket")  # the browser reports each try
    results: dict[str, object] = {name: _described(seconds) for name, seconds in pauses.items()}
    return {**results, f"a way out of {NARROW} kB/s": squeezed}, misses


def behind_symmetric_nats(places: Street, folder: Path, brief: bool, random: Random) -> Found:
    """Calls from houses with symmetric NATs, two phones, and one call that is disturbed."""
    with serving(places, folder) as (daemon, coturn), stage(f"https://{places.address}", folder) as browsers:
        rung, misses = ring_silently(places, browsers, folder, coturn.port, 1 if brief else RINGS)
        couple = couple_of(browsers, places, folder, random)
        met, faults = couple.meet_again_and_again(2 if brief else CALLS, "symmetric NAT on both sides", by_relay)
        couple.meet()
        disturbed, more = disturb(couple, places, brief, random)
        misses += [*faults, *more, *browsers.complaints()]
    return rung | met | disturbed, [*misses, *_logged(daemon)]


def from_shut_houses(places: Street, folder: Path, brief: bool, random: Random) -> Found:
    """Calls from houses that are shut, in each way."""
    results: dict[str, object] = {}
    misses: list[str] = []
    with serving(places, folder, is_one_port=True) as (daemon, _):
        for name, passes in SHUT.items():
            for house in places.houses:
                house.shut(passes)
            with stage(f"https://{places.address}", folder) as browsers:
                couple = couple_of(browsers, places, folder, random)
                came, faults = couple.meet_again_and_again(2 if brief else CALLS, name, by_relay)
                misses += [*faults, *browsers.complaints()]
            results |= came
            for house in places.houses:
                house.widen()
    return results, [*misses, *_logged(daemon)]


def by_nat64(places: Street, folder: Path, brief: bool, random: Random) -> Found:
    """Calls between a house that has IPv4 alone and one that has IPv6 alone."""
    with (
        house_of_ipv6(places, folder) as house,
        serving_with_own_relay(places.host.command, folder, NAME) as daemon,
        stage(f"https://{NAME}", folder) as browsers,
    ):
        programs = [places.houses[0].browser(folder), house.browser(folder)]
        names = [f"MAP {NAME} {address}" for address in (places.address, f"[{translated(places.address)}]")]
        couple = Couple(browsers, programs, names, random)
        results, misses = couple.meet_again_and_again(2 if brief else CALLS, "IPv6 only with NAT64", by_relay)
        misses += browsers.complaints()
    return results, [*misses, *_logged(daemon)]


def at_home(places: Street, folder: Path, brief: bool, random: Random) -> Found:
    """Calls by a callnet in a house, from that house and from another one."""
    home, other = places.houses
    server, address = home.further_machine()
    neighbour, _ = home.further_machine()
    home.forward((443, 3478), address)
    inside, outside, beside = home.browser(folder), other.browser(folder), home.browser(folder, neighbour)
    results: dict[str, object] = {}
    misses: list[str] = []
    external = f'external_addresses = ["{home.public}"]\n'
    with serving_with_own_relay(server.command, folder, home.public, external) as daemon:
        for name, programs, fault in (
            ("hairpin, one inside", (inside, outside), by_relay),
            ("hairpin, both inside", (inside, beside), directly),
        ):
            with stage(f"https://{home.public}", folder) as browsers:
                couple = Couple(browsers, programs, [f"EXCLUDE {home.public}"] * 2, random)
                came, faults = couple.meet_again_and_again(2 if brief else CALLS, name, fault)
                misses += [*faults, *browsers.complaints()]
            results |= came
    return results, [*misses, *_logged(daemon)]


def prove(brief: bool, seed: int) -> Outcome:
    """Each of the networks."""
    if os.getuid():
        return Outcome({}, ["only root can make network namespaces"])
    random = Random(seed)
    results: dict[str, object] = {}
    misses: list[str] = []
    with tempfile.TemporaryDirectory(prefix="callnet-nat-") as name, street() as places:
        for number, network in enumerate((behind_symmetric_nats, from_shut_houses, by_nat64, at_home)):
            folder = Path(name, str(number))
            folder.mkdir()
            came, faults = network(places, folder, brief, random)
            print(json.dumps(came, indent=1), *faults, sep="\n", flush=True)
            results |= came
            misses += faults
    return Outcome(results, misses)


def _logged(daemon: CountedDaemon) -> list[str]:
    return [f"the daemon logged {line}" for line in daemon.complaints()]


def _described(pauses: Sequence[float]) -> str:
    ordered = sorted(pauses)
    middle = ordered[len(ordered) // 2]
    return (
        f"{len(ordered)} times, the picture back after {ordered[0]:.1f} to {ordered[-1]:.1f} s, median {middle:.1f} s"
    )


PROOF: Final = Proof(
    "nat",
    f"{CALLS} of {CALLS} calls in each network connect without any parameter: symmetric NAT on both sides, only TCP 443"
    " open, UDP blocked, IPv6 only with NAT64, hairpin; while a phone rings nothing goes to the other side; they find"
    " each other again by themselves after a cable was pulled for 5 s and after 50 changes of the address of one side;"
    " where little fits, sound goes before the picture",
    prove,
)
