"""The PROXY header that load balancers begin a connection with: its forms, and its content."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address as IPv4
from ipaddress import IPv6Address as IPv6
from ipaddress import ip_address
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase

from callnet.ops.proxy_protocol import HEADER_BYTES, Header, InvalidHeader, binary_header, read_header

CLIENT: Final = IPv4Address("TCP", "192.0.2.7", 4711)
SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
LINE: Final = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"


def binary(
    source: str = "192.0.2.7", port: int = 4711, command: int = 0x21, transport: int = 1, more: bytes = b""
) -> bytes:
    """A header of version 2. ``more``: fields after the addresses."""
    address = ip_address(source)
    addresses = address.packed + bytes(len(address.packed)) + struct.pack("!HH", port, 443)
    family = (0x10 if address.version == 4 else 0x20) | transport
    return binary_of(command, family, addresses + more)


def binary_of(command: int, family: int, content: bytes) -> bytes:
    """A header of version 2 with any content."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(content)) + content


class HeaderTests(SynchronousTestCase):
    """Reading a header."""

    def client(self, header: bytes) -> IAddress | None:
        """The client that a header names, wherever it is cut and whatever follows it."""
        for cut in range(1, len(header)):
            self.assertIsNone(read_header(header[:cut]))
        for after in (b"", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", LINE):
            read = read_header(header + after)
            assert read is not None
            self.assertEqual(read.length, len(header))
        whole = read_header(header)
        assert whole is not None
        return whole.client

    def test_lines_name_the_client(self) -> None:
        """A header of version 1 names the client."""
        self.assertEqual(self.client(LINE), CLIENT)
        self.assertEqual(
            self.client(b"PROXY TCP6 2001:db8::7 2001:db8::1 65535 0\r\n"), IPv6Address("TCP", "2001:db8::7", 65535)
        )

    def test_binary_headers_name_the_client(self) -> None:
        """So does a header of version 2, whatever else it contains."""
        for transport in (0, 1, 2):
            self.assertEqual(self.client(binary(transport=transport)), CLIENT)
        self.assertEqual(self.client(binary("2001:db8::7", 1)), IPv6Address("TCP", "2001:db8::7", 1))
        self.assertEqual(self.client(binary(more=b"\x04\x00\x03abc")), CLIENT)

    def test_mapped_addresses_are_those_of_ipv4(self) -> None:
        """An address of IPv4 is the same wherever a load balancer has taken it for one of IPv6."""
        self.assertEqual(self.client(binary("::ffff:192.0.2.7")), CLIENT)
        self.assertEqual(self.client(b"PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 443\r\n"), CLIENT)

    def test_load_balancers_may_speak_for_themselves(self) -> None:
        """Load balancers may look whether we live, and need not know who the client is."""
        for header in (
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
            binary_of(0x20, 0x00, b""),
            binary_of(0x20, 0x11, b"x" * 12),
            binary_of(0x21, 0x00, b"anything"),
            binary_of(0x21, 0x31, b"/run/x".ljust(216, b"\x00")),
        ):
            self.assertIsNone(self.client(header), header)

    def test_what_is_no_header(self) -> None:
        """Bytes that are no header are reported as soon as that can be seen."""
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00",
            b"\r\n\r\n\x00\r\nQUIT\r",
            b"PROXY\r\n",
            b"PROXY TCP4\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 \r\n",
            b"PROXY TCP4  192.0.2.7 198.51.100.1 4711 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 \xd9\xa3 443\r\n",
            b"PROXY TCP4 192.0.2 198.51.100.1 4711 443\r\n",
            b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n",
            b"PROXY TCP6 192.0.2.7 198.51.100.1 4711 443\r\n",
            b"PROXY TCP6 fe80::1%x fe80::2 4711 443\r\n",
            b"PROXY UDP4 192.0.2.7 198.51.100.1 4711 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1\n4711 443\r\n",
            b"proxy tcp4 192.0.2.7 198.51.100.1 4711 443\r\n",
            b"PROXY UNKNOWN".ljust(107),
            b"PROXY TCP4 ".ljust(200, b"1"),
            binary(command=0x11),
            binary(command=0x22),
            binary(transport=3),
            binary_of(0x21, 0x41, b"x" * 40),
            binary_of(0x21, 0x11, b"x" * 11),
            binary_of(0x21, 0x21, b"x" * 35),
            binary_of(0x21, 0x11, b"x" * (HEADER_BYTES - 15))[:16],
            SIGNATURE + b"\x21\x11\xff\xff",
        ):
            self.assertRaises(InvalidHeader, read_header, data)

    @given(st.binary(min_size=1), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]))
    def test_whatever_comes(self, data: bytes, begin: bytes) -> None:
        """Whatever comes, it is a header, or none, or the beginning of one that ends in time."""
        try:
            read = read_header(begin + data)
        except InvalidHeader:
            return
        if read is None:
            self.assertLess(len(begin + data), HEADER_BYTES)
        else:
            self.assertLessEqual(read.length, min(len(begin + data), HEADER_BYTES))

    def test_the_longest(self) -> None:
        """The longest header there may be is read."""
        longest = binary(more=b"x" * (HEADER_BYTES - 28))
        self.assertEqual(read_header(longest), Header(HEADER_BYTES, CLIENT))


class WrittenTests(SynchronousTestCase):
    """Writing a header."""

    def fields(self, header: bytes) -> tuple[int, IPv4 | IPv6, IPv4 | IPv6, int, int]:
        """The family of a header, its addresses and its ports."""
        command, family, length = struct.unpack_from("!BBH", header, len(SIGNATURE))
        content = header[len(SIGNATURE) + 4 :]
        self.assertEqual((header[: len(SIGNATURE)], command, length), (SIGNATURE, 0x21, len(content)))
        size = 4 if family == 0x11 else 16
        source, target = (ip_address(content[at : at + size]) for at in (0, size))
        return family, source, target, *struct.unpack_from("!HH", content, 2 * size)

    def test_families(self) -> None:
        """Both addresses are of IPv4, as those are that a socket for both families gives; or both are of IPv6."""
        mapped = IPv6Address("TCP", "::ffff:192.0.2.7", 4711)
        ipv4, ipv6 = IPv4Address("TCP", "198.51.100.1", 443), IPv6Address("TCP", "2001:db8::1", 443)
        for client, server, expected in (
            (CLIENT, ipv4, (0x11, "192.0.2.7", "198.51.100.1", 4711, 443)),
            (mapped, ipv4, (0x11, "192.0.2.7", "198.51.100.1", 4711, 443)),
            (ipv6, ipv6, (0x21, "2001:db8::1", "2001:db8::1", 443, 443)),
            (CLIENT, ipv6, (0x21, "::ffff:192.0.2.7", "2001:db8::1", 4711, 443)),
            (IPv6Address("TCP", "fe80::1%2", 5), ipv4, (0x21, "fe80::1", "::ffff:198.51.100.1", 5, 443)),
            (UNIXAddress(None), UNIXAddress(None), (0x11, "0.0.0.0", "0.0.0.0", 0, 0)),  # noqa: S104
            (CLIENT, UNIXAddress(None), (0x11, "192.0.2.7", "0.0.0.0", 4711, 0)),  # noqa: S104
        ):
            family, source, target, *ports = expected
            self.assertEqual(
                self.fields(binary_header(client, server)), (family, ip_address(source), ip_address(target), *ports)
            )

    @given(st.ip_addresses(), st.integers(0, 65535))
    def test_it_is_read_again(self, host: IPv4 | IPv6, port: int) -> None:
        """The client is read as it was written; an address of IPv4 within IPv6 is one of IPv4."""
        client = (IPv4Address if host.version == 4 else IPv6Address)("TCP", str(host), port)
        mapped = getattr(host, "ipv4_mapped", None)
        expected = client if mapped is None else IPv4Address("TCP", str(mapped), port)
        for server in (IPv4Address("TCP", "127.0.0.1", 443), IPv6Address("TCP", "::1", 443)):
            header = read_header(binary_header(client, server))
            assert header is not None
            self.assertEqual(header.client, expected)
