"""Which addresses are out in the world."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.push.ssrf import is_allowed, is_global

NAT64 = IPv6Network("64:ff9b::/96")
INSIDE = (
    "0.0.0.0",  # noqa: S104  not listened on
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:808:808::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
)
OUTSIDE = (
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450::200e",
    "64:ff9b::8.8.8.8",
)


class AddressesTests(SynchronousTestCase):
    """One address."""

    def test_inside(self) -> None:
        """Private, loopback, link-local, multicast, reserved addresses, and those that hold others, are not."""
        for address in INSIDE:
            self.assertFalse(is_global(ip_address(address)), address)

    def test_outside(self) -> None:
        """Others are, also as machines see them that have IPv6 alone."""
        for address in OUTSIDE:
            self.assertTrue(is_global(ip_address(address)), address)

    def test_allowed(self) -> None:
        """An operator may allow networks of any kind; of the rest the same holds."""
        networks = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
        for inside in ("10.0.0.1", "10.255.255.255", "fd12:3456::1", *OUTSIDE):
            self.assertTrue(is_allowed(ip_address(inside), networks), inside)
        for inside in ("127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1"):
            self.assertFalse(is_allowed(ip_address(inside), networks), inside)
            self.assertFalse(is_allowed(ip_address(inside), []), inside)

    @given(st.integers(0, 2**32 - 1))
    def test_any_ipv4(self, number: int) -> None:
        """An address that Python does not take for global is not allowed, as IPv4 or within IPv6."""
        address = IPv4Address(number)
        if not address.is_global or address.is_multicast or address.is_reserved:
            self.assertFalse(is_global(address))
            self.assertFalse(is_global(IPv6Address(f"64:ff9b::{address}")))
        for holding in ("::ffff:", "::"):
            self.assertFalse(is_global(IPv6Address(f"{holding}{address}")))

    @given(st.ip_addresses(v=6))
    def test_any_ipv6(self, address: IPv6Address) -> None:
        """An address that Python does not take for global is not allowed."""
        if not address.is_global or address.is_multicast or address.is_reserved or address.ipv4_mapped:
            self.assertTrue(address in NAT64 or not is_global(address), address)
