"""Hosts and addresses: those of this machine (Linux), and the site of a client, by which limits count it."""

from __future__ import annotations

import fcntl
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

IPV6_SITE: Final = 64
"""The bits of an IPv6 address that tell one customer of a network from the other."""
IPV6_NETWORK: Final = 48
"""The most bits of those that one customer has in common: 65 536 sites are its own (RFC 6177)."""
_IS_IPV4: Final = re.compile(r"[1-9][0-9]*(?:\.[0-9]+){3}")
"""As the system writes them."""


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def bracketed(host: str) -> str:
    """A host as URLs have it: an IPv6 address in brackets (RFC 3986 §3.2.2)."""
    return f"[{host}]" if ":" in host else host


def site_of(host: str) -> str | None:
    """The site of an address: itself, or the network of an IPv6 address; ``None`` if it identifies no client.

    A loopback address identifies none: its client is on this machine, or behind a proxy on it that does not say whose
    request it forwards.
    """
    if _IS_IPV4.fullmatch(host):
        return None if host.startswith("127.") else host
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return None
    if isinstance(address, IPv6Address):
        return str(ip_network((address.packed, IPV6_SITE), strict=False))
    return str(address)


def network_of(site: str | None) -> str | None:
    """The network of a site of IPv6, in which all sites may be one customer's; ``None`` of any other site."""
    if site is None or ":" not in site:
        return None
    address = socket.inet_pton(socket.AF_INET6, site.removesuffix(f"/{IPV6_SITE}"))
    network = address[: IPV6_NETWORK // 8].ljust(len(address), b"\0")
    return f"{socket.inet_ntop(socket.AF_INET6, network)}/{IPV6_NETWORK}"


def hidden(key: str) -> str:
    """A name for a key of a limit, such as an address, that does not show it at a glance."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


IPAddress = IPv4Address | IPv6Address

_SIOCGIFADDR: Final = 0x8915
"""netdevice(7): the IPv4 address of an interface."""
_IFREQ: Final = struct.Struct("16s H 2x 4s 16x")
"""``struct ifreq`` with a ``sockaddr_in``: the interface's name, the family, the port, the address."""
_IPV6_ADDRESSES: Final = "/proc/self/net/if_inet6"
"""Of each address 32 hexadecimal digits, the interface, the length of the prefix, the scope, the flags and a name."""
_IPV6_UNSTABLE: Final = 0x01 | 0x08 | 0x20 | 0x40
"""rtnetlink(7): ``IFA_F_TEMPORARY``, ``IFA_F_DADFAILED``, ``IFA_F_DEPRECATED``, ``IFA_F_TENTATIVE``."""
_IPV6_ADDR_PREFERENCES: Final = 72
_IPV6_PREFER_SRC_PUBLIC: Final = 0x02
"""RFC 5014: no temporary address."""
IPV4: Final = 4


def host_names() -> list[str]:
    """``localhost`` and the host's own name, without asking a name server."""
    own = socket.gethostname()
    return ["localhost", own] if own.isascii() and own not in ("", "localhost") else ["localhost"]


def lan_name() -> str:
    """The name of this host for other machines: its address on the way to the outside, or else its name."""
    return way_out(4) or socket.gethostname()


def way_out(version: int) -> str:
    """The address of this host on the way to the outside.

    :param version: 4 or 6.
    :returns: an empty string if there is no such way.
    """
    family, elsewhere = (socket.AF_INET, "192.0.2.1") if version == IPV4 else (socket.AF_INET6, "2001:db8::1")
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, _IPV6_ADDR_PREFERENCES, _IPV6_PREFER_SRC_PUBLIC)
        probe.connect((elsewhere, 9))  # of a network that is nowhere; nothing is sent
        return str(probe.getsockname()[0])
    return ""


def has_way_out() -> bool:
    """Tell whether this host has a way to the outside by any family."""
    return any(way_out(version) for version in (4, 6))


def any_address() -> str:
    """The address for listening at all there are: that of IPv6 and IPv4, or of IPv4 alone if the system has no IPv6."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104


def host_addresses() -> list[IPAddress]:
    """The loopback addresses, and those of every interface that another host could use, in order.

    Those of IPv6 that come and go (RFC 8981) are left out.
    """
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
            digits, *_, flags, _ = line.split()
            address = IPv6Address(bytes.fromhex(digits))
            if not address.is_link_local and not int(flags, 16) & _IPV6_UNSTABLE:
                yield address
