"""Names, addresses and ports, as this machine sees them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from callnet.ops.addresses import host_addresses

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


def can_connect(address: str, port: int, limit: float = _LIMIT) -> bool:
    """Tell whether a TCP connection can be made."""
    try:
        with closing(socket.create_connection((address, port), limit)):
            return True
    except OSError:
        return False


def is_ipv6(address: str) -> bool:
    """Tell whether an address is one of IPv6."""
    return ip_address(address).version == 6
