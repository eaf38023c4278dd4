"""The name of this host and the addresses of its network interfaces (Linux)."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Final

IPAddress = IPv4Address | IPv6Address

_SIOCGIFADDR: Final = 0x8915
"""netdevice(7): the IPv4 address of an interface."""
_IFREQ: Final = struct.Struct("16s H 2x 4s 16x")
"""``struct ifreq`` with a ``sockaddr_in``: the interface's name, the family, the port, the address."""
_IPV6_ADDRESSES: Final = "/proc/self/net/if_inet6"


def host_names() -> list[str]:
    """``localhost`` and the host's own name, without asking a name server."""
    own = socket.gethostname()
    return ["localhost", own] if own.isascii() and own not in ("", "localhost") else ["localhost"]


def lan_name() -> str:
    """The name of this host for other machines: its address on the way to the outside, or else its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # of a network that is nowhere; nothing is sent
        return str(probe.getsockname()[0])
    return socket.gethostname()


def host_addresses() -> list[IPAddress]:
    """The loopback addresses, and those of every interface that another host could use, in order."""
    loopback: list[IPAddress] = [IPv4Address("127.0.0.1"), IPv6Address("::1")]
    return list(dict.fromkeys([*loopback, *_ipv4(), *_ipv6()]))


def _ipv4() -> Iterator[IPv4Address]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = _IFREQ.pack(name.encode(), socket.AF_INET, bytes(4))
            with suppress(OSError):  # the interface has no such address
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, request)
                yield IPv4Address(_IFREQ.unpack(answer)[2])


def _ipv6() -> Iterator[IPv6Address]:
    with suppress(OSError), open(_IPV6_ADDRESSES, encoding="ascii") as table:
        for line in table:
            address = IPv6Address(bytes.fromhex(line.split()[0]))
            if not address.is_link_local:
                yield address
