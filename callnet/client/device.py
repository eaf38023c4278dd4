"""One device on the signaling service: its WebSocket, and what it may say (protocol §2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import msgspec
from autobahn.exception import Disconnected
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS

from callnet.client.errors import CallWithdrawn, ConnectionClosed, UpgradeRefused, in_time, unreachable
from callnet.client.frames import (
    Call,
    CallAnswer,
    CalledRefuse,
    CalledSuccess,
    CallingHangup,
    CloseReason,
    Frame,
    Request,
    parse_answer,
    parse_frame,
)
from callnet.client.trust import public_trust
from callnet.model import DeviceAddress

OPEN_TIMEOUT: Final = 30
"""Seconds from the TCP connection to the open WebSocket."""

CLOSE_TIMEOUT: Final = 5
"""Seconds for the other side to close its half, then the connection is cut."""

LARGEST_MESSAGE: Final = 1 << 20
"""Longest message that is taken from the server, in bytes."""


def connect(
    url: str,
    token: str,
    reactor: IReactorTime,
    *,
    trust: IPolicyForHTTPS | None = None,
    endpoint: IStreamClientEndpoint | None = None,
    on_frame: Callable[[Frame], object] | None = None,
    on_sent: Callable[[bytes], object] | None = None,
) -> Deferred[Device]:
    """Open the WebSocket of the device that ``token`` was issued for.

    :param url: of the signaling service, ``ws://`` or ``wss://``, without a query.
    :param trust: whose certificates to believe; without it, the authorities of this machine.
    :param endpoint: the way to the server instead of the one that ``url`` names.
    :param on_frame: is called with every frame that comes, before anything else is done with it.
    :param on_sent: is called with every frame that goes out.
    :return: a Deferred with the device.
    :raises UpgradeRefused: (the Deferred) the server did not open the WebSocket.
    :raises Unreachable: (the Deferred) there is no way to the server.
    """
    socket = _Socket(reactor)
    factory = _Factory(f"{url}?token={quote(token, safe='')}", socket)
    if endpoint is None:
        endpoint = _endpoint(factory, reactor, trust or public_trust())
    device = Deferred.fromCoroutine(_open(endpoint, factory, socket, Device(socket, on_frame, on_sent)))
    return device.addErrback(unreachable)


def _endpoint(factory: _Factory, reactor: IReactorTime, trust: IPolicyForHTTPS) -> IStreamClientEndpoint:
    endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, factory.host, factory.port)
    if factory.isSecure:
        endpoint = wrapClientTLS(trust.creatorForNetloc(factory.host.encode("idna"), factory.port), endpoint)
    return endpoint


async def _open(endpoint: IStreamClientEndpoint, factory: _Factory, socket: _Socket, device: Device) -> Device:
    await endpoint.connect(factory)
    await socket.opened
    return device


class Device:
    """A device that is connected; :func:`connect` makes it.

    At most one call rings for it at a time, since that is all that the server lets it do.
    """

    def __init__(
        self,
        socket: _Socket,
        on_frame: Callable[[Frame], object] | None,
        on_sent: Callable[[bytes], object] | None,
    ) -> None:
        self._socket = socket
        self._on_frame = on_frame
        self._on_sent = on_sent
        self._close: CloseReason | None = None
        self._asked: DeviceAddress | None = None
        self._callers: list[Deferred[CallAnswer]] = []
        self._mourners: list[Deferred[CloseReason]] = []
        socket.received = self._received
        socket.lost = self._lost

    def call(self, phone: str, device_id: str) -> Deferred[CallAnswer]:
        """Ring a device; ``*`` rings all of the phone's.

        :return: a Deferred with the server's answer, however long the ringing takes.
        :raises CallWithdrawn: (the Deferred) it was cancelled, or someone else was called meanwhile.
        :raises ConnectionClosed: (at once, or the Deferred) the connection is gone.
        """
        asked = DeviceAddress(phone, device_id)
        if asked != self._asked:
            self._withdraw()
        self.send(Call(phone, device_id))
        self._asked = asked
        answer = Deferred[CallAnswer]()
        self._callers.append(answer)
        return answer

    def cancel(self) -> None:
        """Stop ringing. If the callee has accepted meanwhile, the call is hung up; frames tell (protocol §2.3)."""
        if self._asked is not None:
            self.send(CallingHangup(*self._asked, room_id=""))
            self._withdraw()

    def accept(self, called: Frame, by_itself: bool = False) -> None:
        """Accept the call that a ``called`` frame announced.

        :param by_itself: nobody has touched the device, whose owner wants it so for this caller.
        """
        self.send(CalledSuccess(*called.sender, room_id=called.room_id, auto_answer=by_itself))

    def refuse(self, called: Frame) -> None:
        """Refuse the call that a ``called`` frame announced."""
        self.send(CalledRefuse(*called.sender, room_id=called.room_id))

    def hang_up(self, peer: DeviceAddress, room_id: str) -> None:
        """End a call. The server sends no answer."""
        self.send(CallingHangup(*peer, room_id=room_id))

    def send(self, request: Request) -> None:
        """Send a frame.

        :raises ConnectionClosed: it cannot be sent any more.
        """
        self.send_raw(msgspec.json.encode(request))

    def send_raw(self, payload: bytes, *, binary: bool = False) -> None:
        """Send any bytes in one frame.

        :raises ConnectionClosed: they cannot be sent any more.
        """
        try:
            self._socket.sendMessage(payload, binary)
        except Disconnected:
            raise ConnectionClosed(self._close or CloseReason(1006, "closing")) from None
        if self._on_sent is not None:
            self._on_sent(payload)

    def when_closed(self) -> Deferred[CloseReason]:
        """A Deferred of the caller's own that fires when the connection is gone."""
        closed = Deferred[CloseReason]()
        if self._close is not None:
            closed.callback(self._close)
        else:
            self._mourners.append(closed)
        return closed

    def close(self, code: int = 1000, reason: str = "") -> Deferred[CloseReason]:
        """Close the connection in form, or cut it if the server does not answer within ``CLOSE_TIMEOUT``.

        :param code: 1000 or 3000-4999.
        """
        if self._close is None:
            self._socket.sendClose(code, reason)
        return self.when_closed()

    def abort(self) -> Deferred[CloseReason]:
        """Cut the connection without a word."""
        if self._close is None:
            self._socket.cut()
        return self.when_closed()

    def _received(self, payload: bytes) -> None:
        frame = parse_frame(payload)
        if self._on_frame is not None:
            self._on_frame(frame)
        answer = parse_answer(frame)
        if answer is not None and self._is_ours(answer.to):
            for caller in self._take_callers():
                caller.callback(answer)

    def _is_ours(self, answered: DeviceAddress) -> bool:
        # The server gives back no address that it cannot accept (protocol §2.6).
        return self._asked is not None and (not answered.phone or self._asked.covers(answered))

    def _lost(self, close: CloseReason) -> None:
        self._close = close
        mourners, self._mourners = self._mourners, []
        for caller in self._take_callers():
            caller.errback(ConnectionClosed(close))
        for mourner in mourners:
            mourner.callback(close)

    def _withdraw(self) -> None:
        for caller in self._take_callers():
            caller.errback(CallWithdrawn("the call was withdrawn"))

    def _take_callers(self) -> list[Deferred[CallAnswer]]:
        callers, self._callers, self._asked = self._callers, [], None
        return callers


class _Factory(WebSocketClientFactory):
    noisy = False

    def __init__(self, url: str, socket: _Socket) -> None:
        WebSocketClientFactory.__init__(self, url)
        # Autobahn's timers run on a clock of its own: the two that are needed are in _Socket, on ours.
        self.setProtocolOptions(
            maxMessagePayloadSize=LARGEST_MESSAGE,
            failByDrop=False,
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            serverConnectionDropTimeout=0,
        )
        self._socket = socket
        socket.factory = self

    def buildProtocol(self, addr: IAddress | None) -> _Socket:  # noqa: ARG002, N802
        return self._socket


class _Socket(WebSocketClientProtocol):
    """Autobahn's side of a :class:`Device`: translates, decides nothing."""

    http_status_line = ""
    transport: ITCPTransport
    received: Callable[[bytes], None]
    lost: Callable[[CloseReason], None]
    _lost_because: Failure

    def __init__(self, reactor: IReactorTime) -> None:
        super().__init__()
        self._reactor = reactor
        self._cutting: IDelayedCall | None = None
        self.opened: Deferred[None] = Deferred(lambda _: self.cut())

    def cut(self) -> None:
        """Drop the connection at once."""
        self.transport.abortConnection()

    def connectionMade(self) -> None:  # noqa: N802
        in_time(self.opened, OPEN_TIMEOUT, self._reactor)
        super().connectionMade()

    def onOpen(self) -> None:  # noqa: N802
        self.opened.callback(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: ARG002, N802, N803
        self.received(payload)

    def sendCloseFrame(self, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        super().sendCloseFrame(*args, **kwargs)
        if self._cutting is None:
            self._cutting = self._reactor.callLater(CLOSE_TIMEOUT, self.cut)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        if self._cutting is not None and self._cutting.active():
            self._cutting.cancel()
        self._lost_because = reason
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: ARG002, N802, N803
        if self.opened.called:
            self.lost(CloseReason(self.remoteCloseCode or 1006, self.remoteCloseReason or ""))
        else:
            _, _, text = self.http_status_line.partition(" ")
            status = text[:3]
            self.opened.errback(UpgradeRefused(int(status), text) if status.isdecimal() else self._lost_because)
