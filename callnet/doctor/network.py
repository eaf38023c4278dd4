"""Names, addresses and ports, as this machine sees them; and the names of a site, as the DNS has them."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.util.net import host_addresses

_LISTENS: Final = "0A"
"""proc_pid_net(5): the state of a TCP socket that listens ..."""
_BOUND: Final = "07"
"""... and of a UDP socket."""
UNKNOWN: Final = "another program"
_LIMIT: Final = 3.0
"""Seconds that a connection may take."""


def resolve(name: str) -> Sequence[str]:
    """The addresses of a name, IPv4 first."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(address[0]) for *_, address in found}, key=lambda address: (":" in address, address))


def own_addresses(found: Iterable[str]) -> Sequence[str]:
    """The addresses of this machine, but for loopback.

    :param found: addresses that may be further ones of an interface, which the kernel does not list.
    """
    own = [str(address) for address in host_addresses() if not address.is_loopback]
    further = (address for address in found if not ip_address(address).is_loopback and is_own(address))
    return list(dict.fromkeys((*own, *further)))


def is_own(address: str) -> bool:
    """Tell whether an address is one of this machine."""
    with suppress(OSError), closing(socket.socket(socket.AF_INET6 if is_ipv6(address) else socket.AF_INET)) as trial:
        trial.bind((address, 0))
        return True
    return False


def owner_of(kind: str, port: int, proc: Path) -> str | None:
    """The program that listens at a port of any address; ``None``: nobody does.

    :param kind: ``tcp`` or ``udp``.
    :param proc: where the kernel shows its processes.
    """
    inodes = {inode for table in (kind, f"{kind}6") for inode in _inodes(proc / "net" / table, kind, port)}
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in proc.iterdir():
        if process.name.isdecimal() and _has_one(process / "fd", wanted):
            with suppress(OSError):
                return (process / "comm").read_text().strip()
    return UNKNOWN


def _inodes(table: Path, kind: str, port: int) -> Sequence[str]:
    try:
        rows = [line.split() for line in table.read_text("ascii").splitlines()[1:]]
    except OSError:
        return []
    state = _LISTENS if kind == "tcp" else _BOUND
    return [row[9] for row in rows if row[3] == state and int(row[1].rpartition(":")[2], 16) == port]


def _has_one(descriptors: Path, wanted: set[str]) -> bool:
    with suppress(OSError):
        for descriptor in descriptors.iterdir():
            with suppress(OSError):
                if os.readlink(descriptor) in wanted:
                    return True
    return False


def is_private(address: str) -> bool:
    """Tell whether an address reaches nothing outside a network of its own."""
    return not ip_address(address).is_global


def can_connect(address: str, port: int) -> bool:
    """Tell whether a TCP connection can be made."""
    try:
        with closing(socket.create_connection((address, port), _LIMIT)):
            return True
    except OSError:
        return False


def is_ipv6(address: str) -> bool:
    """Tell whether an address is one of IPv6."""
    return ip_address(address).version == 6


def behind_nat(found: Iterable[str], own: Sequence[str]) -> Sequence[str]:
    """The public addresses that a NAT passes to this machine, by the names that lead to them.

    :param found: the addresses of the names.
    :param own: the addresses of this machine, but for loopback.
    """
    if any(not is_private(address) and not is_ipv6(address) for address in own):
        return ()
    foreign = set(found) - set(own)
    return sorted(address for address in foreign if not is_ipv6(address) and not is_private(address))


def examine_name(
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
