"""The names of a site, as the DNS has them, compared with the addresses of this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import ip_address

from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.doctor.network import is_ipv6, is_private


def behind_nat(found: Iterable[str], own: Sequence[str]) -> Sequence[str]:
    """The public addresses that a NAT passes to this machine, by the names that lead to them.

    :param found: the addresses of the names.
    :param own: the addresses of this machine, but for loopback.
    """
    if any(not is_private(address) and not is_ipv6(address) for address in own):
        return ()
    foreign = set(found) - set(own)
    return sorted(address for address in foreign if not is_ipv6(address) and not is_private(address))


def examine(
    name: str,
    found: Sequence[str],
    own: Sequence[str],
    ports: str,
    seen_as: str = "",
    reached: Collection[str] = (),
) -> Finding:
    """Look at one name.

    :param found: its addresses.
    :param own: the addresses of this machine, but for loopback.
    :param ports: those that a NAT has to forward, in words.
    :param seen_as: the address that a STUN server sees; empty: unknown.
    :param reached: addresses to which connections can be made: a NAT forwards those, or a proxy has them.
    """
    about = f"name {name}"
    public = seen_as or next((address for address in own if not is_private(address)), "")
    correct = f"correct its A and AAAA records{public and f': A {public}'}"
    if not found:
        return bad(about, "has no address: it is not in the DNS", f"create an A record{public and f' with {public}'}")
    if all(ip_address(address).is_loopback for address in found):
        return doubt(about, "leads to loopback, by /etc/hosts: nobody can see here what others get", "look elsewhere")
    behind = behind_nat(found, own)
    wrong = [address for address in found if address not in own and address not in behind]
    if seen_as and seen_as not in found:
        return bad(about, f"leads to {', '.join(found)}, but others see this machine as {seen_as}", correct)
    if wrong and all(address in reached for address in wrong):
        advice = "nothing, if that is your proxy; else correct its A and AAAA records"
        return doubt(about, f"leads to {', '.join(wrong)}, another machine, which answers", advice)
    if wrong:
        these = f"this machine ({', '.join(own)})"
        return bad(about, f"leads to {', '.join(wrong)}, which is not an address of {these}", correct)
    if behind and not all(address in reached for address in behind):
        to = next((address for address in own if not is_ipv6(address)), "this machine")
        return doubt(about, f"leads to {', '.join(behind)}, a NAT in front of it", f"have it forward {ports} to {to}")
    if all(map(is_ipv6, found)):
        return doubt(
            about,
            f"leads to IPv6 only ({', '.join(found)}): networks without IPv6 do not reach it",
            "add an A record if this machine has an IPv4 address",
        )
    return good(about, f"leads to {', '.join(found)}")
