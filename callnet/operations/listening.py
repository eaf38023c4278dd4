"""Opens the listeners, all or none, before anything else is promised to anyone."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Final

from msgspec import Struct
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from callnet.config import Listener, ListenerSettings
from callnet.errors import StartError

_BACKLOG: Final = 1024
"""Connections that may wait to be accepted, unless the endpoint says otherwise: after a restart all come at once."""


class OpenListener(Struct, frozen=True):
    """A listener that takes connections."""

    service: str
    """``account``, ``signaling`` or ``site``."""
    tls: bool
    port: IListeningPort

    def url(self, scheme: str) -> str:
        """Where it is reached, as far as one address can say so.

        :param scheme: ``http`` or ``ws``; for TLS an ``s`` is put after it.
        """
        address: Any = self.port.getHost()
        if not hasattr(address, "port"):
            return f"unix:{address.name.decode()}"
        return f"{scheme}{'s' if self.tls else ''}://{_reachable(address.host)}:{address.port}"


def _reachable(host: str) -> str:
    address = ip_address(host or "::")
    if address.is_unspecified:
        return socket.gethostname()
    return f"[{address}]" if ":" in host else host


def open_all(
    reactor: IReactorTime,
    settings: ListenerSettings,
    factories: Mapping[str, IProtocolFactory],
    tls: IOpenSSLServerConnectionCreator,
) -> Sequence[OpenListener]:
    """Open every listener of the settings.

    :param factories: what serves each service.
    :raises StartError: one cannot be opened; then none is left open.
    """
    opened: list[OpenListener] = []
    try:
        for key, listener in settings.keyed():
            service = key.removeprefix("listeners.").partition("[")[0]
            factory = factories[service]
            if listener.tls:
                factory = TLSMemoryBIOFactory(tls, False, factory, reactor)
            opened.append(OpenListener(service, listener.tls, _open(reactor, key, listener, factory)))
    except StartError:
        close_all(opened)
        raise
    return opened


def close_all(listeners: Sequence[OpenListener]) -> Deferred[Any]:
    """Take no more connections; those that there are live on."""
    return gatherResults([maybeDeferred(listener.port.stopListening) for listener in listeners])


def _open(reactor: IReactorTime, key: str, listener: Listener, factory: IProtocolFactory) -> IListeningPort:
    try:
        endpoint = _endpoint(reactor, listener.endpoint)
        return _now(endpoint.listen(factory))
    except CannotListenError as error:
        cause = _words(error.socketError)
    except LookupError:
        cause = "systemd has handed over no such socket"
    except (OSError, ValueError, TypeError) as error:
        cause = _words(error)
    raise StartError(f"{key}.endpoint {listener.endpoint!r}: {cause}") from None


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _endpoint(reactor: IReactorTime, description: str) -> IStreamServerEndpoint:
    if not description.startswith("systemd:") and ":backlog=" not in description:
        description += f":backlog={_BACKLOG}"
    endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    return endpoint


def _now(listening: Deferred[IListeningPort]) -> IListeningPort:
    """The port of an endpoint that makes nobody wait, as all do that a listener may name."""
    outcome: list[IListeningPort | Failure] = []
    listening.addBoth(outcome.append)
    [port] = outcome
    if isinstance(port, Failure):
        port.raiseException()
    return port
