"""TURN on the port of the site: connections that begin with a STUN message are handed to coturn.

The first bytes tell (RFC 7983 §7): a client of TURN begins with a STUN message, whose magic cookie no request of HTTP
has (RFC 8489 §5). What ALPN says (``stun.turn``, RFC 7443) is not looked at, since browsers offer nothing.

Until it is known what is spoken, a connection is the site's: it counts as one of HTTP and has the same time. Then one
of HTTP is handed to the site whole, and nothing stays between. Of one that is handed over, what comes from the one side
goes to the other, which is read no faster than the first one reads; coturn learns the address of the client by a header
of the PROXY protocol (its ``tcp-proxy-port``). Nothing of what is said is looked at or logged.
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IHandshakeListener,
    IProtocolFactory,
    IPushProducer,
    IReactorTCP,
    IReactorTime,
)
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from callnet.config.endpoints import client_address
from callnet.config.schema import LimitSettings
from callnet.ops.limits import LimitedConnections
from callnet.ops.proxy_protocol import binary_header
from callnet.util.logger import Logger
from callnet.util.short_path import write

CONNECT_TIME: Final = 5.0
"""Seconds that coturn has to accept a connection."""
IDLE_TIME: Final = 900.0
"""Seconds without a byte from the client, after which a connection is closed within as many: an allocation must be
refreshed every ten minutes (RFC 8656 §3.2)."""
CLOSE_TIME: Final = 10.0
"""Seconds that one side has to read the rest when the other has closed."""

_STUN: Final = range(4)
"""The first bytes of STUN messages."""
_COOKIE: Final = b"\x21\x12\xa4\x42"
_COOKIE_AT: Final = 4


class IHandoverReactor(IReactorTCP, IReactorTime):
    """The reactor that connections to coturn need."""


def speaks_stun(data: bytes) -> bool | None:
    """Tell whether a connection that begins with ``data``, of a byte at least, speaks STUN; ``None``: too few bytes."""
    cookie = data[_COOKIE_AT : _COOKIE_AT + len(_COOKIE)]
    if data[0] not in _STUN or not _COOKIE.startswith(cookie):
        return False
    return True if cookie == _COOKIE else None


class TurnHandover(LimitedConnections):
    """The connections of TURN clients that were handed over by this process. Those that were closed at once since
    coturn is away count as refused with the status 502.

    :param limits: the limits for HTTP connections of an address and in all hold for these, counted apart.
    """

    log = Logger()

    def __init__(self, reactor: IHandoverReactor, limits: LimitSettings) -> None:
        super().__init__(limits)
        self.reactor: Final = reactor
        self.accepted = 0
        """The number of those that coturn took."""
        self._is_away = False

    def beside(self, site: IProtocolFactory, place: str) -> IProtocolFactory:
        """A factory that serves the site, and hands TURN clients to the relay at ``place``, such as
        ``tcp:127.0.0.1:5348``.
        """
        return _Demultiplexer(site, client_address(place), self)

    def reached(self) -> None:
        """Coturn has taken one."""
        self.accepted += 1
        if self._is_away:
            self._is_away = False
            self.log.info("TURN server is reached again")

    def not_reached(self, reason: Failure) -> None:
        """Coturn has not taken one. Only the first time is logged: any stranger can have it tried."""
        self.refused[HTTPStatus.BAD_GATEWAY.value] += 1
        if not self._is_away:
            self._is_away = True
            self.log.warn("cannot reach the TURN server: {reason}", reason=reason.getErrorMessage())


class _Demultiplexer(WrappingFactory):
    """Serves a site, and hands TURN clients over."""

    noisy = False

    def __init__(self, site: IProtocolFactory, relay: tuple[str, int], handover: TurnHandover) -> None:
        super().__init__(site)  # type: ignore[no-untyped-call]
        self.relay: Final = relay
        self.handover: Final = handover

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make the protocol of one connection."""
        return _Undecided(self.wrappedFactory.buildProtocol(addr), self)


@implementer(IHandshakeListener)
class _Undecided(Protocol):
    """A connection of which too little has come. The site has it meanwhile, but for the bytes."""

    factory: _Demultiplexer
    transport: Any

    def __init__(self, channel: Any, factory: _Demultiplexer) -> None:
        self.factory = factory
        self._channel = channel
        self._received = b""

    def connectionMade(self) -> None:
        """Let the site count it, and limit its time."""
        self._channel.makeConnection(self.transport)

    def handshakeCompleted(self) -> None:
        """Let the site wait for a request: TLS is spoken."""
        self._channel.handshakeCompleted()

    def dataReceived(self, data: bytes) -> None:
        """Decide, and be gone, as soon as there are enough bytes."""
        self._received += data
        is_stun = speaks_stun(self._received)
        if is_stun is None:
            return
        data, self._received = self._received, b""
        if is_stun and not self.transport.disconnecting:
            self.transport.unregisterProducer()
            self._channel.connectionLost(Failure(ConnectionDone()))
            self._channel = _Client(self.factory.handover, self.factory.relay)
            self._give_away()
            self._channel.makeConnection(self.transport)
        else:
            self._give_away()
        self._channel.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Come to an end."""
        self._channel.connectionLost(reason)

    def _give_away(self) -> None:
        """Let the transport have the channel for its protocol."""
        if isinstance(self.transport, ProtocolWrapper):
            self.transport.wrappedProtocol = self._channel
        else:
            self.transport.protocol = self._channel


@implementer(IPushProducer)
class _End(Protocol):
    """One end of a connection that is handed over. It is read as fast as the other end takes it."""

    transport: Any

    def pauseProducing(self) -> None:
        """Read no more: the other end does not take it."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Do nothing: the other end is gone, and says so itself."""


class _Client(_End):
    """The client's end. It ends with the other one, which gets all that was received before."""

    _client_site: str | None
    _connector: IConnector
    """As long as the relay is not reached: what refers to itself is never freed (:class:`callnet.ops.process.Garbage`).
    """
    _deadline: IDelayedCall | None = None
    _is_heard = True
    _is_gone = False
    _is_over = False
    """True if there is no other end any more."""

    def __init__(self, handover: TurnHandover, relay: tuple[str, int]) -> None:
        self._handover = handover
        self._place = relay
        self._relay: _Relay | None = None
        self._early = b""
        """Received before the relay was reached."""

    def connectionMade(self) -> None:
        """Connect to the relay, unless there are too many; meanwhile nothing more is read than is here already."""
        handover = self._handover
        self._client_site = handover.join(self.transport)
        too_many = handover.too_many(self._client_site)
        self._deadline = handover.reactor.callLater(IDLE_TIME, self._look)
        if too_many is not None:
            self.relay_lost()
            return
        self.transport.pauseProducing()
        self._connector = handover.reactor.connectTCP(*self._place, _RelayFactory(self), CONNECT_TIME)

    def dataReceived(self, data: bytes) -> None:
        """Pass it on, unless there is nobody any more."""
        if self._relay is not None:
            self._is_heard = True
            write(self._relay.transport, data)
        elif not self._is_over:
            self._early += data

    def relay_reached(self, relay: _Relay) -> None:
        """Let bytes go both ways."""
        del self._connector
        self._handover.reached()
        self._relay = relay
        early, self._early = self._early, b""
        for end in (self, relay):
            with suppress(AttributeError, OSError):  # it is no TCP
                end.transport.setTcpNoDelay(True)  # or media would wait for acknowledgements
        relay.transport.registerProducer(self, True)
        self.transport.registerProducer(relay, True)
        relay.transport.write(binary_header(self.transport.getPeer(), self.transport.getHost()) + early)
        self.transport.resumeProducing()

    def relay_not_reached(self, reason: Failure) -> None:
        """Close, unless it was the client that was gone before."""
        del self._connector
        if not self._is_gone:
            self._handover.not_reached(reason)
        self.relay_lost()

    def relay_lost(self) -> None:
        """Close when the client has read the rest, if it does so in time."""
        had_relay, self._relay, self._is_over, self._early = self._relay, None, True, b""
        if self._is_gone:
            if self._deadline is not None and self._deadline.active():
                self._deadline.cancel()
            self._handover.leave(self._client_site)
        elif had_relay is None:
            self.transport.abortConnection()
        else:
            if self._deadline is not None:  # else it was too long idle, and is being cut off
                self._deadline.reset(CLOSE_TIME)
            self._is_heard = False
            self.transport.unregisterProducer()
            self.transport.resumeProducing()  # or the end of TLS would not be seen
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Have the other end close too."""
        self._is_gone = True
        if self._deadline is not None:
            self._deadline.cancel()
        if self._is_over:
            self._handover.leave(self._client_site)
        elif self._relay is None:
            self._connector.disconnect()
        else:
            self._relay.transport.unregisterProducer()
            self._relay.transport.resumeProducing()  # or its end would not be seen
            self._relay.transport.loseConnection()
            self._deadline = self._handover.reactor.callLater(CLOSE_TIME, self._relay.transport.abortConnection)

    def _look(self) -> None:
        self._deadline = None
        if not self._is_heard:
            self.transport.abortConnection()
            return
        self._is_heard = False
        self._deadline = self._handover.reactor.callLater(IDLE_TIME, self._look)


class _Relay(_End):
    """The relay's end."""

    _client: _Client

    def __init__(self, client: _Client) -> None:
        self._client = client

    def connectionMade(self) -> None:
        """Tell the client's end."""
        self._client.relay_reached(self)

    def dataReceived(self, data: bytes) -> None:
        """Pass it on."""
        write(self._client.transport, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Tell the client's end."""
        self._client.relay_lost()
        del self._client


class _RelayFactory(ClientFactory):
    """Makes the relay's end of one connection."""

    noisy = False
    _client: _Client

    def __init__(self, client: _Client) -> None:
        self._client = client

    def buildProtocol(self, addr: IAddress | None) -> _Relay:  # noqa: ARG002
        """Make it."""
        relay = _Relay(self._client)
        del self._client
        return relay

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:  # noqa: ARG002
        """Tell the client's end."""
        self._client.relay_not_reached(reason)

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:  # noqa: ARG002
        """Let the connector, which the transport has, not have the transport any more."""
        connector.transport = None
