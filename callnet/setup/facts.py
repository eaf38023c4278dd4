"""Facts about a machine, and their checks before anything is changed: names, ports, a NAT in front, the clock.

Each fact is gathered by a small function. The checks are pure functions of the facts, and say what to do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from msgspec import Struct

from callnet.doctor import stun
from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.doctor.machine import is_synchronised
from callnet.doctor.network import examine_name, own_addresses, owner_of, resolve
from callnet.setup.system import System
from callnet.setup.wanted import CHALLENGE_PORT, RELAY_PORT, SITE_PORT

PORTS: Final = (("tcp", CHALLENGE_PORT), ("tcp", SITE_PORT), ("udp", RELAY_PORT), ("tcp", RELAY_PORT))


class Facts(Struct, frozen=True):
    """The state of a machine."""

    addresses: Sequence[str]
    """Its own, but for loopback."""
    resolved: Mapping[str, Sequence[str]]
    """The addresses of each name, as this machine resolves it."""
    taken: Mapping[str, str]
    """The program that has a port, such as ``"tcp 443"``; ports that are free are left out."""
    seen_as: str
    """The address that a STUN server sees; empty: none was asked."""
    is_debian: bool
    has_systemd: bool
    is_clock_set: bool


def gather(system: System, names: Sequence[str], stun_uri: str = "") -> Facts:
    """Look at a machine. Nothing is changed.

    :param stun_uri: a STUN server to ask for the public address; empty: none.
    """
    taken = {
        f"{kind} {port}": owner
        for kind, port in PORTS
        if (owner := owner_of(kind, port, system.path("/proc"))) is not None
    }
    resolved = {name: resolve(name) for name in names}
    return Facts(
        own_addresses(chain(*resolved.values())),
        resolved,
        taken,
        seen_as(stun_uri) if stun_uri else "",
        system.path("/etc/debian_version").exists(),
        system.path("/run/systemd/system").is_dir(),
        is_synchronised(),
    )


def seen_as(uri: str) -> str:
    """The address that a STUN server sees; empty: it does not answer."""
    try:
        return stun.bind(uri) or ""
    except OSError:
        return ""


_OWN: Final = frozenset(("callnet", "twistd"))
_RELAY: Final = "turnserver"
"""The relay is callnet's own if callnet runs."""
_FORWARDED: Final = f"TCP {CHALLENGE_PORT}, {SITE_PORT} and {RELAY_PORT}, UDP {RELAY_PORT} and 49152-65535"


def check(facts: Facts) -> Iterator[Finding]:
    """All checks. A finding that is bad is in the way of callnet."""
    for name, found in facts.resolved.items():
        yield examine_name(name, found, facts.addresses, _FORWARDED, facts.seen_as)
    own = _OWN | {_RELAY} if _OWN & set(facts.taken.values()) else _OWN
    for kind, port in PORTS:
        yield _port(kind, port, facts.taken.get(f"{kind} {port}"), own)
    if facts.is_clock_set:
        yield good("clock", "synchronised")
    else:
        yield doubt(
            "clock", "not synchronised", "certificates and relays depend on it: apt-get install systemd-timesyncd"
        )


def _port(kind: str, port: int, owner: str | None, own: Collection[str]) -> Finding:
    about = f"port {kind} {port}"
    if owner is None:
        return good(about, "free")
    if owner in own:
        return good(about, f"in use by {owner}")
    shown = f"ss -{kind[0]}lnp 'sport = :{port}' shows it"
    return bad(about, f"in use by {owner}", f"stop its service (systemctl disable --now ...); {shown}")
