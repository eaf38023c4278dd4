"""Two browsers in houses of their own, in network namespaces, with routers and ways out of many kinds.

The page is opened without any parameter, and nobody presses anything. Everything is seen in what the pages paint.

1. Both houses have symmetric NATs, and callnet and coturn are outside. Neither browser can be reached but by a relay.
   Calls between two phones are watched from within both machines while it rings: nothing may pass between the two
   houses, nor between the relay and the other one, before it is accepted. Then two pages meet again and again.
2. Everything is on one port of TCP, and calls are made from houses out of which nothing else gets, or nothing by UDP.
3. One house has IPv6 alone, and NAT64; the other has IPv4 alone. callnet runs the relay itself.
4. callnet and its relay are in a house, whose router forwards their ports, also to who is inside and asks for the
   public address ("hairpin"): one browser inside and one outside, and both inside.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Final

from acceptance.couple import Couple, by_relay, directly
from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon
from acceptance.houses import Street, street
from acceptance.nat64 import house_of_ipv6, translated
from acceptance.proof import Outcome, Proof
from acceptance.silent_ring import ring_silently
from harness.coturn import Coturn
from tests.browser.stage import Stage, stage

OUTSIDE: Final = "198.18.0.0-198.19.255.255"
"""Where the houses are, a range to which the sample of etc/ has coturn relay nothing."""
CALLS: Final = 50
"""In each network; in a short slice two."""
RINGS: Final = 5
"""Calls that are watched while they ring; in a short slice one."""
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


def couple_of(
    browsers: Stage, places: Street, folder: Path, random: Random, cameras: Sequence[Sequence[str]] = ((), ())
) -> Couple:
    """One visitor in each house."""
    programs = [house.browser(folder) for house in places.houses]
    return Couple(browsers, programs, [f"EXCLUDE {places.address}"] * 2, random, cameras)


def behind_symmetric_nats(places: Street, folder: Path, brief: bool, random: Random) -> Found:
    """Calls from houses with symmetric NATs, by two phones and by two pages."""
    with serving(places, folder) as (daemon, coturn), stage(f"https://{places.address}", folder) as browsers:
        rung, misses = ring_silently(places, browsers, folder, coturn.port, 1 if brief else RINGS)
        couple = couple_of(browsers, places, folder, random)
        met, faults = couple.meet_again_and_again(2 if brief else CALLS, "symmetric NAT on both sides", by_relay)
        misses += [*faults, *browsers.complaints()]
    return rung | met, [*misses, *logged(daemon)]


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
    return results, [*misses, *logged(daemon)]


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
    return results, [*misses, *logged(daemon)]


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
    return results, [*misses, *logged(daemon)]


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


def logged(daemon: CountedDaemon) -> list[str]:
    """The faults of a daemon."""
    return [f"the daemon logged {line}" for line in daemon.complaints()]


PROOF: Final = Proof(
    "nat",
    f"{CALLS} of {CALLS} calls in each network connect without any parameter: symmetric NAT on both sides, only TCP 443"
    " open, UDP blocked, IPv6 only with NAT64, hairpin; while a phone rings nothing goes to the other side",
    prove,
)
