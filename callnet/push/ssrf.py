"""Requests to servers named by clients, protected against server-side request forgery.

The name is looked up once. If any of its addresses is not public, no connection is made; otherwise one of these
very addresses is used, so that a name that changes a moment later (DNS rebinding) leads nowhere. The certificate must
be for the name. Redirects are not followed and proxies not used; at most 4 KiB of an answer are read, headers included,
and only the status is used.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, Protocol, TypeAlias, cast

from twisted.internet import address as twisted_address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI, Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from callnet.errors import CallnetError
from callnet.util.deferreds import as_deferred
from callnet_client.body import Body

IPAddress: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

ANSWER_MAX: Final = 4096
"""Bytes of an answer."""
CONNECT_TIME: Final = 3.0
"""Seconds until another address is tried."""
_ADDRESSES: Final = 3
"""The number of addresses of a name that are tried."""


class _Abortable(Protocol):
    def abortConnection(self) -> None:
        """Close at once."""


class IOutsideReactor(IReactorTCP, IReactorTime):
    """The reactor that connecting needs."""


class Inside(CallnetError):
    """A name leads to an address that a client has no business with. The message names neither."""


class Outside:
    """Sends requests out into the world, each on a connection of its own.

    :param resolver: looks names up.
    :param tls: how to speak TLS with the host of this name: whose certificates are believed.
    :param is_allowed: tells of an address whether it may be connected to.
    """

    def __init__(
        self,
        reactor: IOutsideReactor,
        resolver: IHostnameResolver,
        tls: Callable[[str], IOpenSSLClientConnectionCreator],
        is_allowed: Callable[[IPAddress], bool],
    ) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._tls = tls
        self._is_allowed = is_allowed

    @as_deferred
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send a POST; fires with the status of the answer. It has no timeout of its own: cancel it.

        :param url: begins with ``https://`` and is ASCII.
        :raises Inside: the host has an address that is not allowed.
        :raises Exception: whatever else the network's many layers raise.
        """
        way = _Way(self._connect)
        agent = Agent.usingEndpointFactory(self._reactor, way)
        try:
            response = await agent.request(
                b"POST", url.encode("ascii"), Headers({name: [value] for name, value in headers.items()}), Body(body)
            )
            status: int = response.code
        finally:
            way.close()
        return status

    async def _connect(self, uri: URI, factory: IProtocolFactory) -> _Capped:
        host, capped = uri.host.decode("ascii"), _CappedFactory(factory)
        addresses = await self._look_up(host, uri.port)
        for address in addresses:
            kind = TCP4ClientEndpoint if address.version == 4 else TCP6ClientEndpoint
            plain = kind(self._reactor, str(address), uri.port, timeout=CONNECT_TIME)
            try:
                connection = await wrapClientTLS(self._tls(host), plain).connect(capped)
            except ConnectError:
                if address == addresses[-1]:
                    raise
            else:
                return cast(_Capped, connection)
        raise DNSLookupError("the name has no address")

    async def _look_up(self, host: str, port: int) -> Sequence[IPAddress]:
        """Some of the addresses of a name, if all that it has may be connected to."""
        answer = _Resolution()
        self._resolver.resolveHostName(answer, host, port, [twisted_address.IPv4Address, twisted_address.IPv6Address])
        addresses = await answer.complete
        if not all(map(self._is_allowed, addresses)):
            raise Inside("the name resolves to an internal address")
        return addresses[:_ADDRESSES]


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _Way:
    """The connection of one request."""

    def __init__(self, connect: Callable[[URI, IProtocolFactory], Coroutine[Deferred[Any], Any, _Capped]]) -> None:
        self._connect = connect
        self._connection: _Capped | None = None

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        self._uri = uri
        return self

    @as_deferred
    async def connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        self._connection = await self._connect(self._uri, protocolFactory)
        return self._connection.wrappedProtocol

    def close(self) -> None:
        """Close it, whatever the other side may still want to say."""
        if self._connection is not None:
            self._connection.cut()


class _Capped(ProtocolWrapper):
    """Passes on so much of what comes in, and closes the connection then."""

    _left = ANSWER_MAX

    def dataReceived(self, data: bytes) -> None:
        taken, self._left = data[: self._left], self._left - len(data)
        super().dataReceived(taken)  # type: ignore[no-untyped-call]
        if self._left <= 0:
            self.cut()

    def cut(self) -> None:
        """Close the connection at once."""
        cast(_Abortable, self.transport).abortConnection()


class _CappedFactory(WrappingFactory[_Capped]):
    noisy = False
    protocol = _Capped


@implementer(IResolutionReceiver)
class _Resolution:
    """The addresses of a name, when all are known."""

    def __init__(self) -> None:
        self._found: list[IPAddress] = []
        self.complete: Final[Deferred[Sequence[IPAddress]]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """It cannot be cancelled, so there is nothing to keep."""

    def addressResolved(self, address: IAddress) -> None:
        self._found.append(ip_address(cast(twisted_address.IPv4Address | twisted_address.IPv6Address, address).host))

    def resolutionComplete(self) -> None:
        self.complete.callback(list(dict.fromkeys(self._found)))


# Public addresses, to which a client may have callnet connect, as opposed to internal ones: lists of our own, from
# IANA's registries of special-purpose addresses. What ``ipaddress`` calls global depends on the version of Python,
# and takes multicast and addresses that hold others for global.
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
