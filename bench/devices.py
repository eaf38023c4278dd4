"""The devices of the generator: sockets that call, answer and hang up, and check every frame."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import Final, cast

from msgspec import Struct
from msgspec.json import decode, encode

from callnet.model import is_room_id
from harness.base_protocol import Address, Frame, answer, call, hang_up, socket_path
from harness.seed_token import seed_token
from harness.websocket import CLOSE, PING, PONG, TEXT, FrameReader, Handshake, client_frame

KEY: Final = b"bench-key-bench-key-bench-key-00"
"""Signs the tokens; the references know it, and callnet is given it."""

TOKEN_LIFETIME: Final = 86400

_NO_LINGER: Final = struct.pack("ii", 1, 0)
_NORMAL: Final = struct.pack("!H", 1000)


class LoadError(Exception):
    """The server did something that it may not do; no figure would mean anything."""


class Closed(LoadError):
    """The server closed the socket, with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the server closed with {code}")
        self.code: Final = code


class Waits(Struct, frozen=True):
    """Seconds from a ``call``: to the callee's ``called``, and to the caller's ``call_success``."""

    called: float
    success: float


def address_of(number: int) -> Address:
    """The device with this number."""
    return Address(f"138{number:08d}", f"dev{number:06d}")


def sign_token(address: Address, key: bytes, expires: int) -> str:
    """A token as the login service would issue it, so that no login is needed."""
    return seed_token({"phone": address.phone, "deviceid": address.device_id, "exp": expires}, key)


class Client(asyncio.Protocol):
    """One socket of whatever kind. ``port``: of the server that it connects to."""

    def __init__(self, port: int) -> None:
        self.port: Final = port
        self.opened: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self.error: Exception | None = None
        """Its error."""
        self._transport: asyncio.Transport
        self._handshake: Handshake | None = None
        self._reader = FrameReader()
        self._is_done = False

    @property
    def authority(self) -> str:
        """Host and port of the server."""
        return f"127.0.0.1:{self.port}"

    def handshake(self) -> Handshake:
        """The handshake to open the socket with."""
        raise NotImplementedError

    def received(self, frame: Frame) -> None:
        """Take a frame.

        :raises LoadError: it should not have come.
        """
        raise NotImplementedError

    def abort(self) -> None:
        """Cut the connection with a reset, which leaves no socket waiting behind."""
        self._is_done = True
        sock: socket.socket = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    def close(self) -> None:
        """Say that this is the end, and leave."""
        self._is_done = True
        self._transport.write(client_frame(CLOSE, _NORMAL))
        self._transport.close()

    def send(self, payload: bytes) -> None:
        """Send a text frame."""
        self._transport.write(client_frame(TEXT, payload))

    def failed(self, error: Exception) -> None:
        """Come to an end because of ``error``, which :meth:`received` or the connection raised."""
        self.error = error
        if not self.opened.done():
            self.opened.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._handshake = self.handshake()
        self._transport.write(self._handshake.request)

    def data_received(self, data: bytes) -> None:
        """Take the server's bytes."""
        try:
            if self._handshake is None:
                self._take(data)
            else:
                self._upgrade(self._handshake, data)
        except Exception as error:  # noqa: BLE001  whatever it is, it spoils the measurement
            self._is_done = True
            self._transport.abort()
            self.failed(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Complain, unless it was wanted."""
        if not self._is_done:
            self._is_done = True
            self.failed(exc or LoadError("the server closed the connection"))

    def _upgrade(self, handshake: Handshake, data: bytes) -> None:
        rest = handshake.feed(data)
        if rest is not None:
            self._handshake = None
            self.opened.set_result(None)
            self._take(rest)

    def _take(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            if frame.opcode == TEXT:
                self.received(decode(frame.payload))
            elif frame.opcode == PING:
                self._transport.write(client_frame(PONG, frame.payload))
            elif frame.opcode == CLOSE:
                self._transport.write(client_frame(CLOSE, frame.payload[:2]))
                raise Closed(int.from_bytes(frame.payload[:2], "big"))


class Device(Client):
    """A device that nobody is expected to call."""

    def __init__(self, number: int, port: int) -> None:
        super().__init__(port)
        self.address: Final = address_of(number)

    def handshake(self) -> Handshake:
        """Open the socket of a device."""
        token = sign_token(self.address, KEY, int(time.time()) + TOKEN_LIFETIME)
        return Handshake(socket_path(token), self.authority)

    def received(self, frame: Frame) -> None:
        """Complain.

        :raises LoadError: always.
        """
        raise LoadError(f"an idle device was sent {frame}")


class Callee(Device):
    """Accepts the calls of one caller."""

    def __init__(self, number: int, port: int, caller: Caller, on_over: Callable[[Exception | None], None]) -> None:
        super().__init__(number, port)
        self.room = ""
        self._caller = caller
        self._on_over = on_over

    def failed(self, error: Exception) -> None:
        """Fail the pair."""
        super().failed(error)
        self._on_over(error)

    def received(self, frame: Frame) -> None:
        """Accept, or take note that the call is over."""
        caller = self._caller.address
        room: str = frame.get("room_id", "")
        if frame.get("type") == "called" and not self.room:
            _expect(frame, from_phone=caller.phone, from_device_id=caller.device_id)
            if not is_room_id(room):
                raise LoadError(f"no room in {frame}")
            self.room = room
            self._caller.rings()
            self.send(encode(answer(caller, room)))
        elif frame.get("type") == "calling_be_hangup":
            _expect(frame, room_id=self.room, fire_phone=caller.phone, fire_device_id=caller.device_id)
            self.room = ""
            self._on_over(None)
        else:
            raise LoadError(f"a callee was sent {frame}")


class Caller(Device):
    """Calls one callee when it is told to, and hangs up as soon as it is answered."""

    def __init__(self, number: int, port: int, on_over: Callable[[Exception | None], None]) -> None:
        super().__init__(number, port)
        self.callee: Callee
        self.waited = Waits(0.0, 0.0)
        """The waits of the last call that was answered."""
        self._on_over = on_over
        self._since = self._rung_after = 0.0

    def failed(self, error: Exception) -> None:
        """Fail the pair."""
        super().failed(error)
        self._on_over(error)

    def call(self, since: float) -> None:
        """Call. ``since``: when the waiting began, on :func:`time.perf_counter`."""
        self._since = since
        self.send(encode(call(self.callee.address)))

    def rings(self) -> None:
        """Take note that the callee is rung."""
        self._rung_after = time.perf_counter() - self._since

    def received(self, frame: Frame) -> None:
        """Hang up the call that was answered."""
        if frame.get("type") != "call_success" or not self._since:
            raise LoadError(f"a caller was sent {frame}")
        to = self.callee.address
        _expect(frame, room_id=self.callee.room, to_phone=to.phone, to_device_id=to.device_id)
        self.waited, self._since = Waits(self._rung_after, time.perf_counter() - self._since), 0.0
        self.send(encode(hang_up(to, self.callee.room)))


def _expect(frame: Frame, **fields: str) -> None:
    for name, value in fields.items():
        if frame.get(name) != value:
            raise LoadError(f"{name} is not {value!r} in {frame}")
