"""Opens the listeners, all or none, before anything else starts.

Several processes may take connections from one listening socket: that of a parent whose workers it
passed them to, or one of systemd's. Whoever of them stops takes no more; the socket itself stays open.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Final

from msgspec import Struct
from twisted.internet import unix
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from callnet.config import endpoints
from callnet.config.schema import Listener, SiteListener
from callnet.errors import StartError
from callnet.ops.proxy_protocol import Proxied
from callnet.ops.turn_handover import TurnHandover
from callnet.util.net import any_address, lan_name

ADMIN: Final = "admin"
"""The service of the operator's listeners."""

_SYSTEMD: Final = "systemd:"
_EVERYWHERE: Final = "::"
_BACKLOG: Final = 1024
"""Connections that may wait to be accepted, unless the endpoint says otherwise: after a restart all come at once."""


class OpenListener(Struct, frozen=True):
    """A listener that takes connections."""

    key: str
    """Its key path in the settings."""
    tls: bool
    port: IListeningPort
    is_of_systemd: bool = False
    """True if its socket stays open for other processes when this one takes no more connections."""

    @property
    def service(self) -> str:
        """``account``, ``signaling``, ``site`` or ``admin``."""
        return _service(self.key)

    def url(self, scheme: str) -> str:
        """Its URL, as far as one address can say so.

        :param scheme: ``http`` or ``ws``; for TLS an ``s`` is put after it.
        """
        address: Any = self.port.getHost()
        if not hasattr(address, "port"):
            return f"unix:{address.name.decode()}"
        return f"{scheme}{'s' if self.tls else ''}://{_reachable(address.host)}:{address.port}"


def _service(key: str) -> str:
    return key.removeprefix("listeners.").partition("[")[0]


def _reachable(host: str) -> str:
    address = ip_address(host or "::")
    if address.is_unspecified:
        return lan_name()
    return f"[{address}]" if ":" in host else host


def open_all(
    reactor: IReactorTime,
    listeners: Iterable[tuple[str, Listener]],
    factories: Mapping[str, IProtocolFactory],
    tls: IOpenSSLServerConnectionCreator,
    sockets: Mapping[str, int] | None = None,
    turn: TurnHandover | None = None,
) -> Sequence[OpenListener]:
    """Open these listeners.

    :param listeners: each with its key.
    :param factories: what serves each service; the listeners of other services are left alone.
    :param sockets: the descriptors of listening sockets to take connections from, by the key of the listener,
        if they are open already; they are closed.
    :param turn: hands TURN clients over; ``None``: no connections are taken here.
    :raises StartError: one cannot be opened; then none is left open.
    """
    opened: list[OpenListener] = []
    try:
        for key, listener in listeners:
            if _service(key) not in factories:
                continue
            factory = factories[_service(key)]
            if turn is not None and isinstance(listener, SiteListener) and listener.turn:
                factory = turn.beside(factory, listener.turn)
            if listener.tls:
                factory = TLSMemoryBIOFactory(tls, False, factory, reactor)
            if listener.proxy_protocol:
                factory = Proxied(factory, listener.proxy_protocol, reactor)
            descriptor = None if sockets is None else sockets[key]
            port = _open(reactor, key, listener, factory, descriptor)
            opened.append(OpenListener(key, listener.tls, port, listener.endpoint.startswith(_SYSTEMD)))
    except StartError:
        close_all(opened)
        raise
    return opened


def close_all(listeners: Sequence[OpenListener]) -> Deferred[Any]:
    """Take no more connections; those that there are live on."""
    return gatherResults([maybeDeferred(listener.port.stopListening) for listener in listeners])


def hold(listeners: Sequence[OpenListener]) -> Mapping[str, int]:
    """Keep the sockets of listeners open for other processes, and take no connections from them here.

    Answers with their descriptors, by the key of the listener.
    """
    held: dict[str, Any] = {listener.key: listener.port for listener in listeners}
    for port in held.values():
        port.stopReading()
    return {key: port.fileno() for key, port in held.items()}


def let_go(listeners: Sequence[OpenListener]) -> Deferred[Any]:
    """Give up the sockets of listeners that were held. Other processes may go on with them."""
    held: list[Any] = [listener.port for listener in listeners]
    for port in held:
        port.socket.close()  # stopListening alone would shut the socket down for everyone who shares it
    return close_all(listeners)


def _open(
    reactor: IReactorTime, key: str, listener: Listener, factory: IProtocolFactory, descriptor: int | None
) -> IListeningPort:
    try:
        if descriptor is not None:
            return _adopt(reactor, descriptor, factory)
        return _listen(reactor, listener.endpoint, factory)
    except CannotListenError as error:
        cause = _words(error.socketError)
    except LookupError:
        cause = "systemd passed no such socket; check FileDescriptorName= in the socket unit"
    except (OSError, ValueError, TypeError) as error:
        cause = _words(error)
    raise StartError(f"{key}.endpoint {listener.endpoint!r}: {cause}") from None


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _listen(reactor: IReactorTime, description: str, factory: IProtocolFactory) -> IListeningPort:
    host, port = endpoints.address(description) or ("", 0)
    backlog = endpoints.backlog(description)
    if host == _EVERYWHERE:
        return _adopt(reactor, _open_everywhere(port, backlog or _BACKLOG).detach(), factory)
    if not description.startswith(_SYSTEMD) and backlog is None:
        description += f":backlog={_BACKLOG}"
    endpoint = serverFromString(reactor, description)
    if isinstance(endpoint, AdoptedStreamServerEndpoint):
        return _adopt(reactor, endpoint.fileno, factory, endpoint.addressFamily)
    return _now(endpoint.listen(factory))


def _open_everywhere(port: int, backlog: int) -> socket.socket:
    """A socket for IPv6 and IPv4, whatever the system is set to; for IPv4 alone if it has no other."""
    host = any_address()
    both = ":" in host
    family = socket.AF_INET6 if both else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=backlog, dualstack_ipv6=both)


def _adopt(reactor: Any, descriptor: int, factory: IProtocolFactory, family: int | None = None) -> IListeningPort:
    """Take connections from a listening socket that others may share, in place of ``descriptor``."""
    shared = socket.socket(fileno=descriptor)
    if family not in (None, shared.family):
        raise ValueError(f"the socket passed by systemd has the domain {shared.family.name.removeprefix('AF_')}")
    shared.setblocking(False)
    shared.set_inheritable(False)
    if shared.family != socket.AF_UNIX:
        port: IListeningPort = reactor.adoptStreamPort(descriptor, shared.family, factory)
        shared.close()
        return port
    adopted = _AdoptedUnixPort(shared, factory, reactor)
    adopted.startListening()
    return adopted


class _AdoptedUnixPort(unix.Port):
    """Leaves the path of its socket alone: Twisted's own would change its mode, and remove it in the end."""

    _shouldShutdown = False

    def __init__(self, shared: socket.socket, factory: IProtocolFactory, reactor: Any) -> None:
        super().__init__(b"\0", factory, _BACKLOG, reactor=reactor)
        self._preexistingSocket = shared

    def _logConnectionLostMsg(self) -> None:
        """Say nothing: what stands for the path is no text."""


def _now(listening: Deferred[IListeningPort]) -> IListeningPort:
    """The port of an endpoint that makes nobody wait, as all do that a listener may name."""
    outcome: list[IListeningPort | Failure] = []
    listening.addBoth(outcome.append)
    [port] = outcome
    if isinstance(port, Failure):
        port.raiseException()
    return port
