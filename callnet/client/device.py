"""One device on the signaling service: its WebSocket, and what it may say (protocol §2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.web.iweb import IPolicyForHTTPS

from callnet.client.errors import CallWithdrawn, ConnectionClosed
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
from callnet.client.socket import ClientSocket, open_socket
from callnet.model import DeviceAddress

EXTENDED: Final = "callnet.v2"
"""The subprotocol of the extended protocol (docs/extended-protocol.md)."""


def connect(
    url: str,
    token: str,
    reactor: IReactorTime,
    *,
    trust: IPolicyForHTTPS | None = None,
    endpoint: IStreamClientEndpoint | None = None,
    extended: bool = False,
    on_frame: Callable[[Frame], object] | None = None,
    on_sent: Callable[[bytes], object] | None = None,
) -> Deferred[Device]:
    """Open the WebSocket of the device that ``token`` was issued for.

    :param url: of the signaling service, ``ws://`` or ``wss://``, without a query.
    :param trust: whose certificates to believe; without it, the authorities of this machine.
    :param endpoint: the way to the server instead of the one that ``url`` names.
    :param extended: speak ``callnet.v2`` if the server does; :attr:`Device.is_extended` tells.
    :param on_frame: is called with every frame that comes, before anything else is done with it.
    :param on_sent: is called with every frame that goes out.
    :return: a Deferred with the device.
    :raises UpgradeRefused: (the Deferred) the server did not open the WebSocket.
    :raises Unreachable: (the Deferred) there is no way to the server.
    """
    socket = ClientSocket(reactor)
    device = Device(socket, on_frame, on_sent)
    opened = open_socket(
        f"{url}?token={quote(token, safe='')}",
        socket,
        trust=trust,
        endpoint=endpoint,
        subprotocols=(EXTENDED,) if extended else (),
    )
    return opened.addCallback(lambda _: device)


class Device:
    """A device that is connected; :func:`connect` makes it.

    At most one call rings for it at a time, since that is all that the server lets it do.
    """

    def __init__(
        self,
        socket: ClientSocket,
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

    @property
    def is_extended(self) -> bool:
        """Whether the server speaks ``callnet.v2`` on this connection: then ``welcome`` is its first frame."""
        return self._socket.subprotocol == EXTENDED

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
        if not self._socket.send(payload, binary):
            raise ConnectionClosed(self._close or CloseReason(1006, "closing"))
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
