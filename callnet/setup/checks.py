"""Checks of a machine before anything is changed: names, ports, a NAT in front, the clock.

Each is a pure function of the facts, and says what to do about what it finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final

from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.doctor.network import is_ipv6, is_private
from callnet.setup.facts import Facts
from callnet.setup.wanted import CHALLENGE_PORT, RELAY_PORT, SITE_PORT

PORTS: Final = (("tcp", CHALLENGE_PORT), ("tcp", SITE_PORT), ("udp", RELAY_PORT), ("tcp", RELAY_PORT))
OWN: Final = frozenset(("callnet", "twistd", "turnserver"))
"""Programs that may have these ports: they are callnet's, or setup stops them."""
_FORWARDED: Final = f"TCP {CHALLENGE_PORT}, {SITE_PORT} and {RELAY_PORT}, UDP {RELAY_PORT} and 49152-65535"


def check(facts: Facts) -> Iterator[Finding]:
    """All checks. A finding that is bad is in the way of callnet."""
    for name, found in facts.resolved.items():
        yield from _name(name, found, facts)
    for kind, port in PORTS:
        yield _port(kind, port, facts.taken.get(f"{kind} {port}"))
    if facts.is_clock_set:
        yield good("clock", "synchronised")
    else:
        yield doubt(
            "clock", "not synchronised", "certificates and relays depend on it: apt-get install systemd-timesyncd"
        )


def external(facts: Facts) -> Sequence[str]:
    """The public addresses that a NAT passes to this machine, by its names."""
    own = set(facts.addresses)
    if any(not is_private(address) and not is_ipv6(address) for address in own):
        return ()
    found = {address for addresses in facts.resolved.values() for address in addresses}
    return sorted(address for address in found - own if not is_ipv6(address) and not is_private(address))


def _name(name: str, found: Sequence[str], facts: Facts) -> Iterator[Finding]:
    about = f"name {name}"
    public = facts.seen_as or next((address for address in facts.addresses if not is_private(address)), "")
    if not found:
        yield bad(
            about, "has no address: it is not in the DNS", f"create an A record for it{public and f' with {public}'}"
        )
        return
    foreign = [address for address in found if address not in facts.addresses]
    if all(ip_address(address).is_loopback for address in found):
        yield doubt(about, "is this machine's own, by /etc/hosts: what others get cannot be seen from here", "check it")
        return
    behind = external(facts)
    wrong = [address for address in foreign if address not in behind]
    if facts.seen_as and facts.seen_as not in found:
        yield bad(
            about, f"leads to {', '.join(found)}, but this machine is {facts.seen_as} to others", _correct(public)
        )
    elif wrong:
        yield bad(
            about,
            f"leads to {', '.join(wrong)}, which is not an address of this machine ({', '.join(facts.addresses)})",
            _correct(public),
        )
    elif behind:
        yield doubt(
            about,
            f"leads to {', '.join(behind)}, a NAT in front of this machine",
            f"have it forward {_FORWARDED} to {_first_ipv4(facts.addresses)}",
        )
    elif all(map(is_ipv6, found)):
        yield doubt(
            about,
            f"leads to IPv6 only ({', '.join(found)}): networks without IPv6 do not reach it",
            "add an A record if this machine has an IPv4 address",
        )
    else:
        yield good(about, f"leads to {', '.join(found)}")


def _port(kind: str, port: int, owner: str | None) -> Finding:
    about = f"port {kind} {port}"
    if owner is None:
        return good(about, "free")
    if owner in OWN:
        return good(about, f"in use by {owner}")
    return bad(about, f"in use by {owner}", f"stop it, for example with: systemctl disable --now {owner}")


def _correct(public: str) -> str:
    return f"correct the A and AAAA records{public and f': A {public}'}"


def _first_ipv4(addresses: Sequence[str]) -> str:
    return next((address for address in addresses if not is_ipv6(address)), "this machine")
