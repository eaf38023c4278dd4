"""Addresses and hosts, and the site of a client, by which limits count it."""

from __future__ import annotations

import re
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address, ip_network
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


def network_of(host: str) -> str | None:
    """The network of an IPv6 address in which all sites may be one customer's; ``None`` of other addresses."""
    site = site_of(host)
    if site is None or ":" not in site:
        return None
    return str(ip_network(site).supernet(new_prefix=IPV6_NETWORK))


def hidden(key: str) -> str:
    """A name for a key of a limit, such as an address, that does not show it at a glance."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
