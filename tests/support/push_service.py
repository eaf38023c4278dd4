"""Push services to test with: one that takes its requests, and one that answers without end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request


class PushService(Resource):
    """Takes messages, and answers them as a test says."""

    isLeaf = True  # noqa: N815

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.status = 201
        self.location = ""
        self.taken: list[tuple[Request, bytes]] = []
        self.asked: Deferred[None] = Deferred()
        """Fires when it has taken the first."""

    def render_POST(self, request: Request) -> bytes | int:
        """Take a message; without a status there is no answer."""
        content: Any = request.content
        self.taken.append((request, content.read()))
        if len(self.taken) == 1:
            self.asked.callback(None)
        if not self.status:
            return NOT_DONE_YET
        request.setResponseCode(self.status)
        if self.location:
            request.setHeader("location", self.location)
        return b""


class Endless(Protocol):
    """Answers without end."""

    def __init__(self, begin: bytes, more: bytes) -> None:
        self._begin = begin
        self._more = more
        self._writes: LoopingCall | None = None

    def dataReceived(self, data: bytes) -> None:  # noqa: ARG002
        """Begin the answer, whatever was asked."""
        if self._writes is None:
            assert self.transport is not None
            self.transport.write(self._begin)
            self._writes = LoopingCall(self.transport.write, self._more)
            self._writes.start(0.001)

    def connectionLost(self, reason: object = None) -> None:  # noqa: ARG002
        """End it."""
        if self._writes is not None:
            self._writes.stop()


class Door(WrappingFactory[ProtocolWrapper]):
    """Counts its connections."""

    noisy = False

    def __init__(self, factory: IProtocolFactory) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.came = 0
        self._empty: list[Deferred[None]] = []

    def buildProtocol(self, addr: Any) -> ProtocolWrapper:
        """Let somebody in."""
        self.came += 1
        return super().buildProtocol(addr)

    def unregisterProtocol(self, protocol: ProtocolWrapper) -> None:
        """Note a closed connection."""
        super().unregisterProtocol(protocol)  # type: ignore[no-untyped-call]
        while self._empty and not self.protocols:
            self._empty.pop().callback(None)

    def left(self) -> Deferred[None]:
        """Fires when nobody is inside."""
        waiting: Deferred[None] = Deferred()
        if self.protocols:
            self._empty.append(waiting)
        else:
            waiting.callback(None)
        return waiting


def served_by(make: Callable[[], Protocol]) -> Factory:
    """A factory that serves every connection by a protocol of its own."""
    factory = Factory()
    factory.noisy = False
    factory.protocol = make
    return factory
