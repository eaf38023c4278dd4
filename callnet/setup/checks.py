"""Checks of a machine before anything is changed: names, ports, a NAT in front, the clock.

Each is a pure function of the facts, and says what to do about what it finds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from callnet.doctor import names
from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.setup.facts import Facts
from callnet.setup.wanted import CHALLENGE_PORT, RELAY_PORT, SITE_PORT

PORTS: Final = (("tcp", CHALLENGE_PORT), ("tcp", SITE_PORT), ("udp", RELAY_PORT), ("tcp", RELAY_PORT))
_OWN: Final = frozenset(("callnet", "twistd"))
_RELAY: Final = "turnserver"
"""The relay is callnet's own if callnet runs."""
_FORWARDED: Final = f"TCP {CHALLENGE_PORT}, {SITE_PORT} and {RELAY_PORT}, UDP {RELAY_PORT} and 49152-65535"


def check(facts: Facts) -> Iterator[Finding]:
    """All checks. A finding that is bad is in the way of callnet."""
    for name, found in facts.resolved.items():
        yield names.examine(name, found, facts.addresses, _FORWARDED, facts.seen_as)
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
