"""Listeners behind load balancers: a PROXY header says who the client is (HAProxy's ``proxy-protocol.txt``, 1 and 2).

`twisted.protocols.haproxy` is not for connections that anyone may open. It believes everybody, waits for the end
of a header forever, keeps 64 KiB of it, takes a header that comes in pieces for none, and lets ports that are
no numbers out as errors. And it begins what it wraps before it has read the header, so that a WebSocket takes
the load balancer for its client.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any, Final

from msgspec import Struct
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory, IReactorTime, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from callnet.config.endpoints import UNIX_PEERS
from callnet.util.logger import Logger

HEADER_TIME: Final = 10.0
"""Seconds that a header may take."""
HEADER_BYTES: Final = 536
"""The longest header of version 2 that is read: it need not be longer, says its specification."""
_LINE_BYTES: Final = 107
"""The longest header of version 1."""

_LINE_BEGIN: Final = b"PROXY "
_LINE: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?"
    rb"|TCP(?P<version>[46]) (?P<source>[0-9A-Fa-f.:]{2,39}) [0-9A-Fa-f.:]{2,39} (?P<port>[0-9]{1,5}) [0-9]{1,5})"
)
_BINARY_BEGIN: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_BINARY_HEAD: Final = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_STREAM: Final = 1
_TRANSPORTS: Final = (0, _STREAM, 2)
"""Of none that matters, of streams, of datagrams: it is how the client reached the load balancer."""
_ADDRESSES: Final = {1: struct.Struct("!4s4sHH"), 2: struct.Struct("!16s16sHH")}
_MAPPED: Final = bytes(10) + b"\xff\xff"
"""The addresses of IPv6 that are those of IPv4 begin so (RFC 4291 §2.5.5.2)."""
_NO_ADDRESS: Final = (0, 3)
"""The families of clients that have none: unspecified, and UNIX."""


class InvalidHeader(Exception):
    """Not a PROXY header."""


class Header(Struct, frozen=True):
    """A header that is complete."""

    length: int
    """Bytes."""
    client: IAddress | None
    """``None``: the load balancer speaks for itself, or knows nothing of the client."""


def read_header(data: bytes) -> Header | None:
    """Read the header that ``data`` begins with; ``None`` if the rest of it is still to come.

    :raises InvalidHeader: it does not begin with one.
    """
    if data.startswith(_BINARY_BEGIN):
        return _read_binary(data)
    if data.startswith(_LINE_BEGIN):
        return _read_line(data)
    if _BINARY_BEGIN.startswith(data) or _LINE_BEGIN.startswith(data):
        return None
    raise InvalidHeader


def _read_line(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _LINE_BYTES)
    if end < 0:
        if len(data) >= _LINE_BYTES:
            raise InvalidHeader
        return None
    line = _LINE.fullmatch(data[:end])
    if line is None:
        raise InvalidHeader
    client = None
    if line["version"]:
        client = _address(line["source"].decode("ascii"), int(line["port"]), int(line["version"]))
    return Header(end + 2, client)


def _read_binary(data: bytes) -> Header | None:
    if len(data) < _BINARY_HEAD.size:
        return None
    _, command, family, length = _BINARY_HEAD.unpack_from(data)
    length += _BINARY_HEAD.size
    if command not in (_LOCAL, _PROXY) or length > HEADER_BYTES:
        raise InvalidHeader
    if len(data) < length:
        return None
    return Header(length, None if command == _LOCAL else _binary_client(family, data[_BINARY_HEAD.size : length]))


def _binary_client(family: int, data: bytes) -> IAddress | None:
    kind, transport = divmod(family, 16)
    if transport not in _TRANSPORTS:
        raise InvalidHeader
    if kind in _NO_ADDRESS:
        return None
    addresses = _ADDRESSES.get(kind)
    if addresses is None or len(data) < addresses.size:
        raise InvalidHeader
    source, _, port, _ = addresses.unpack_from(data)
    return _address(source, port, 4 if kind == 1 else 6)


def _address(host: str | bytes, port: int, version: int) -> IAddress:
    try:
        address = ip_address(host)
    except ValueError:
        raise InvalidHeader from None
    if address.version != version or port > 65535:
        raise InvalidHeader
    address = getattr(address, "ipv4_mapped", None) or address
    return (IPv4Address if address.version == 4 else IPv6Address)("TCP", str(address), port)


def binary_header(client: IAddress, server: IAddress) -> bytes:
    """The header of version 2 for a connection from ``client`` to ``server``. UNIX sockets have no address: it is 0."""
    source, target = _packed(client), _packed(server)
    is_ipv4 = source.startswith(_MAPPED) and target.startswith(_MAPPED)
    if is_ipv4:
        source, target = source[len(_MAPPED) :], target[len(_MAPPED) :]
    family = 1 if is_ipv4 else 2
    ports = (getattr(address, "port", 0) for address in (client, server))
    addresses = _ADDRESSES[family].pack(source, target, *ports)
    return _BINARY_HEAD.pack(_BINARY_BEGIN, _PROXY, family * 16 + _STREAM, len(addresses)) + addresses


def _packed(address: Any) -> bytes:
    """The host of an address as one of IPv6, into which one of IPv4 is mapped."""
    packed = ip_address(getattr(address, "host", "0.0.0.0")).packed  # noqa: S104
    return packed if len(packed) == 16 else _MAPPED + packed


class Proxied(WrappingFactory):
    """Serves connections that begin with a PROXY header as ``factory`` serves others; it must be outside of TLS.

    Connections from elsewhere are closed, as are those that begin otherwise or do not get done with it.

    :param believed: where load balancers connect from: networks, addresses, or ``unix``.
    """

    noisy = False
    log = Logger()

    def __init__(self, factory: IProtocolFactory, believed: Sequence[str], clock: IReactorTime) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.clock: Final = clock
        self._networks = [ip_network(network) for network in believed if network != UNIX_PEERS]
        self._believes_unix = UNIX_PEERS in believed

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Take a connection; ``None`` has it closed."""
        if not self._believes(addr):
            self.log.info("closed {peer}: not in the networks of proxy_protocol", peer=_name(addr))
            return None
        return _ProxiedConnection(self)

    def stopFactory(self) -> None:
        """Wait for no more headers."""
        for waiting in list(self.protocols):
            waiting.give_up()

    def _believes(self, peer: IAddress | None) -> bool:
        host = getattr(peer, "host", None)
        if host is None:
            return self._believes_unix
        address = ip_address(host)
        address = getattr(address, "ipv4_mapped", None) or address  # a socket may take both kinds
        return any(address in network for network in self._networks)


class _ProxiedConnection(ProtocolWrapper):
    """One connection. What it wraps is made when the header has been read, and sees the client as its peer."""

    factory: Proxied
    transport: Any
    wrappedProtocol: Any
    _deadline: IDelayedCall

    def __init__(self, factory: Proxied) -> None:
        super().__init__(factory, None)  # type: ignore[arg-type]
        self._client: IAddress | None = None
        self._received = b""

    def logPrefix(self) -> str:
        """The name for Twisted before there is anything to wrap."""
        return "proxied"

    def makeConnection(self, transport: ITransport) -> None:
        """Wait for the header."""
        directlyProvides(self, providedBy(transport))
        self.factory.registerProtocol(self)
        self._deadline = self.factory.clock.callLater(HEADER_TIME, self._refuse)
        Protocol.makeConnection(self, transport)

    def getPeer(self) -> IAddress:
        """The client, or if nothing is known of it the load balancer."""
        peer: IAddress = self._client or self.transport.getPeer()
        return peer

    def dataReceived(self, data: bytes) -> None:
        """Read the header; hand on what follows it."""
        if self.wrappedProtocol is not None:
            self.wrappedProtocol.dataReceived(data)
            return
        self._received += data
        try:
            header = read_header(self._received)
        except InvalidHeader:
            self._refuse()
            return
        if header is not None:
            self._begin(header)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Come to an end."""
        self._end_waiting()
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        if wrapped is not None:
            wrapped.connectionLost(reason)

    def give_up(self) -> None:
        """Close a connection that has not begun."""
        self._end_waiting()
        self._received = b""
        self.transport.abortConnection()

    def _refuse(self) -> None:
        self.factory.log.info("closed {peer}: trusted proxy sent no PROXY header", peer=_name(self.transport.getPeer()))
        self.give_up()

    def _end_waiting(self) -> None:
        if self._deadline.active():
            self._deadline.cancel()
        self.factory.protocols.pop(self, None)

    def _begin(self, header: Header) -> None:
        self._end_waiting()
        rest, self._received = self._received[header.length :], b""
        self._client = header.client
        protocol: Any = self.factory.wrappedFactory.buildProtocol(self.getPeer())
        if protocol is None:
            self.transport.loseConnection()
            return
        self.wrappedProtocol = protocol
        protocol.makeConnection(self)
        if rest:
            protocol.dataReceived(rest)


def _name(peer: IAddress | None) -> str:
    return str(getattr(peer, "host", "a UNIX socket"))
