"""Public addresses, to which a client may have callnet connect, as opposed to internal ones.

Lists of our own, from IANA's registries of special-purpose addresses: what ``ipaddress`` calls global depends on the
version of Python, and takes multicast and addresses that hold others for global.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_NOT_GLOBAL: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # "this network": Linux takes it for itself
            "10.0.0.0/8",
            "100.64.0.0/10",  # behind a provider's NAT
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, where clouds tell machines their secrets
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_UNICAST: Final = IPv6Network("2000::/3")
"""All that IANA has given out for use in the world. Loopback, private, link-local, multicast addresses and such as are
made of IPv4 addresses (``::ffff:10.0.0.1``) are elsewhere."""
_SPECIAL: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols, among them Teredo, which holds an IPv4 address
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which holds an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
"""An IPv4 address in its last 32 bits, as machines see it that have IPv6 alone (RFC 6052)."""


def is_allowed(address: IPAddress, networks: Sequence[Network]) -> bool:
    """Tell whether a client may name an address: one of the world's, or of one of the operator's networks."""
    return is_global(address) or any(address in network for network in networks)


def is_global(address: IPAddress) -> bool:
    """Tell whether an address is one of the world's, and of one machine."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_GLOBAL)
    if address in _NAT64:
        return is_global(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _UNICAST and not any(address in network for network in _SPECIAL)
