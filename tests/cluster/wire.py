"""A wire between a node and Redis that can be cut, healed, and made to carry nothing."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

reactor: Any = installed


class Wire(Factory):
    """Listens on a free port, and carries its connections to the socket of a server."""

    noisy = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._ends: set[_End] = set()
        self._waiting: list[Deferred[None]] = []
        self._is_cut = False
        self._is_silent = False
        self._is_deaf = False
        self._port = reactor.listenTCP(0, self, interface="127.0.0.1")
        self.url = f"redis://127.0.0.1:{self._port.getHost().port}"

    def cut(self) -> None:
        """Break all connections, and every one that is tried from now on."""
        self._is_cut = True
        for end in list(self._ends):
            end.abort()

    def deafen(self) -> None:
        """Break all connections on which the node listens, and every one that is tried from now on."""
        self._is_deaf = True
        for end in list(self._ends):
            if end.listens:
                end.abort()

    def takes(self, end: _End, data: bytes) -> bool:
        """Tell whether something that the node says is carried."""
        end.listens = end.listens or b"SUBSCRIBE" in data
        if end.listens and self._is_deaf:
            end.abort()
            return False
        return True

    def silence(self) -> None:
        """Carry nothing any more, in either direction; nobody is told."""
        self._is_silent = True
        for end in self._ends:
            end.pause()

    def heal(self) -> None:
        """Carry again; connections that were silent meanwhile continue with their pending bytes."""
        self._is_cut = self._is_silent = self._is_deaf = False
        for end in self._ends:
            end.resume()

    def close(self) -> Deferred[Any]:
        """Break everything, and stop listening. Fires when nothing is left of it."""
        gone: Deferred[None] = Deferred()
        self._waiting.append(gone)
        self.cut()
        self._tell_if_gone()
        return gatherResults([maybeDeferred(self._port.stopListening), gone])

    def _tell_if_gone(self) -> None:
        if not self._ends:
            waiting, self._waiting = self._waiting, []
            for gone in waiting:
                gone.callback(None)

    def buildProtocol(self, addr: object) -> Protocol | None:  # noqa: ARG002
        """Take a connection."""
        if self._is_cut:
            return None
        end = _End(self)
        end.other = _End(self, end)
        UNIXClientEndpoint(reactor, self._path).connect(Factory.forProtocol(lambda: end.other)).addErrback(
            lambda _: end.abort()
        )
        return end

    def opened(self, end: _End) -> None:
        """Take note of an end."""
        self._ends.add(end)
        if self._is_silent:
            end.pause()
        if self._is_cut:
            end.abort()

    def closed(self, end: _End) -> None:
        """Forget an end."""
        self._ends.discard(end)
        self._tell_if_gone()


class _End(Protocol):
    transport: Any

    def __init__(self, wire: Wire, other: _End | None = None) -> None:
        self._wire = wire
        self._waiting = b""
        self.other = other
        self.listens = False

    def connectionMade(self) -> None:
        self._wire.opened(self)
        self.transport.write(self._waiting)

    def dataReceived(self, data: bytes) -> None:
        if self.other is not None and self._wire.takes(self, data):
            self.other.carry(data)

    def carry(self, data: bytes) -> None:
        if self.transport is None:
            self._waiting += data
        else:
            self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._wire.closed(self)
        if self.other is not None:
            other, self.other = self.other, None
            other.other = None
            if reason.check(ConnectionDone):
                other.leave()
            else:
                other.abort()

    def leave(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()

    def pause(self) -> None:
        self.transport.pauseProducing()

    def resume(self) -> None:
        self.transport.resumeProducing()
