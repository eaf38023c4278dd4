"""The router of a house: ports that lead to servers, until the address changes and every flow so far goes silent."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.protocols.portforward import ProxyFactory, ProxyServer

HOST: Final = "127.0.0.1"


class Router(ProxyFactory):
    """One TCP port, which leads to another one, and UDP ports that do (:meth:`lead`)."""

    noisy = False

    def __init__(self, reactor: Any, port: int) -> None:
        ProxyFactory.__init__(self, HOST, port)
        self._flows: list[_Flow | _Datagrams] = []
        self._listening: list[IListeningPort] = [reactor.listenTCP(0, self, interface=HOST)]
        self.own_port: Final = _port(self._listening[0])

    def lead(self, reactor: Any, port: int) -> int:
        """Lead to a UDP port. Returns the port from which."""
        datagrams = _Datagrams(reactor, port)
        self._listening.append(reactor.listenUDP(0, datagrams, interface=HOST))
        self._flows.append(datagrams)
        return _port(self._listening[-1])

    def buildProtocol(self, addr: IAddress | None) -> ProxyServer | None:  # noqa: ARG002
        """Let a connection pass."""
        flow = _Flow()
        flow.factory = self
        self._flows.append(flow)
        return flow

    def change_address(self) -> None:
        """Carry nothing of what flows now any more, and tell nobody. What begins afterwards passes."""
        for flow in self._flows:
            flow.silence()

    def close(self) -> None:
        """End all flows."""
        for listening in self._listening:
            listening.stopListening()
        for flow in self._flows:
            flow.end()


class _Flow(ProxyServer):
    def __init__(self) -> None:
        self._ends: list[Any] = []
        """The transports of a flow that is silent."""

    def silence(self) -> None:
        if self.peer is None:
            return
        for protocol in (self, self.peer):
            transport: Any = protocol.transport
            transport.unregisterProducer()
            self._ends.append(transport)
            protocol.dataReceived = _ignore  # type: ignore[method-assign]
        self.peer.peer = None
        self.peer = None

    def end(self) -> None:
        transport: Any = self.transport
        for end in self._ends or [transport]:
            end.abortConnection()


def _ignore(data: bytes) -> None:
    """Nothing of it arrives."""


def _port(listening: Any) -> int:
    return int(listening.getHost().port)


class _Datagrams(DatagramProtocol):
    """The way to a UDP port, for clients that are told apart by their own ports."""

    noisy = False

    def __init__(self, reactor: Any, port: int) -> None:
        self._reactor = reactor
        self._target = HOST, port
        self._ways: dict[tuple[str, int], _Back] = {}
        self._silent: set[tuple[str, int]] = set()

    def silence(self) -> None:
        self._silent.update(self._ways)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        if addr in self._silent:
            return
        if addr not in self._ways:
            self._ways[addr] = back = _Back(self, addr)
            self._reactor.listenUDP(0, back, interface=HOST)
        self._ways[addr].send(datagram, self._target)

    def give_back(self, datagram: bytes, client: tuple[str, int]) -> None:
        if client not in self._silent and self.transport is not None:
            self.transport.write(datagram, client)

    def end(self) -> None:
        for back in self._ways.values():
            back.end()


class _Back(DatagramProtocol):
    noisy = False

    def __init__(self, datagrams: _Datagrams, client: tuple[str, int]) -> None:
        self._datagrams = datagrams
        self._client = client

    def send(self, datagram: bytes, target: tuple[str, int]) -> None:
        assert self.transport is not None
        self.transport.write(datagram, target)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002
        self._datagrams.give_back(datagram, self._client)

    def end(self) -> None:
        assert self.transport is not None
        self.transport.stopListening()
