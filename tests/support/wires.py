"""A whole server on a clock, and devices and pages that speak RFC 6455 to it over wires in memory.

Nothing here is a stand-in for anything of ours: the sockets are Autobahn's, the tokens real. What a client
sends is made byte by byte, so that a test can send what no client library would.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from callnet.accounts.links import Guests
from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import Revocations, Tokens
from callnet.accounts.validation import phone_rule
from callnet.calls.ports import GuestLink, IPreferences, IRoster
from callnet.calls.rooms import RoomManager
from callnet.calls.waking import Wake, nobody_can
from callnet.config.schema import CallSettings, LimitSettings, SignalingSettings, SocketSettings, TurnSettings
from callnet.model import DeviceAddress
from callnet.ops.ice import IceServers, TurnSecret
from callnet.ops.limits import LimitsAlone
from callnet.schemas import TO_DEVICE, TO_EXTENDED, TO_GUEST, TO_PAGE, Direction
from callnet.store.memory import MemoryBus, MemoryCallStore
from callnet.ws.device_socket import GUEST_PATH, SignalingFactory
from callnet.ws.factory import NO_SETTINGS
from callnet.ws.page_socket import RoomSocketFactory
from harness.websocket import CLOSE, PING, PONG, TEXT, Frame, FrameReader, client_frame
from tests.support.frame_schemas import check
from tests.support.no_roster import NO_ROSTER
from tests.support.plain_preferences import OPEN
from tests.support.tables import next_due
from tests.support.transport import Transport
from tests.support.unlimited import NO_TURN, UNLIMITED

ANSWERED: Final = 512
"""All messages to a base client are shorter than this, in bytes (protocol §2)."""

_PEER: Final = IPv4Address("TCP", "192.0.2.7", 4711)
_STEP: Final = 0.25
AT_ONCE: Final = CallSettings(offline_after=0.0)
"""Nobody waits to be told that a device is offline."""


class ServerFactory(Protocol):
    """A factory that accepts connections."""

    def buildProtocol(self, addr: IAddress, /) -> Any:
        """Make the protocol of one connection."""


class Wire:
    """The client's end of a connection: the handshake as text, then frames."""

    def __init__(self, factory: ServerFactory) -> None:
        self.transport = Transport(peerAddress=_PEER)
        self.transport.protocol = factory.buildProtocol(_PEER)
        self.transport.protocol.makeConnection(self.transport)
        self.answers_close = True
        self.answers_ping = True
        self.frames: list[Frame] = []
        self.head = ""
        """The answer to the handshake, with its headers."""
        self.close_code: int | None = None
        self.lost = False
        """The connection is gone."""
        self.reads = True
        self._unsent = b""
        self._unread = b""
        self._reader = FrameReader()
        self._closed = False
        self._told: Direction | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status that answered the handshake, once it has."""
        return int(self.head.split(" ", 2)[1]) if self.head else None

    @property
    def open(self) -> bool:
        """True if the server has upgraded the connection and not begun to close it."""
        return self.status == 101 and self.close_code is None and not self.lost

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._unsent += data

    def handshake(self, path: str, headers: Mapping[str, str | None] | None = None, method: str = "GET") -> None:
        """Ask for the upgrade. A header that is ``None`` is left out."""
        offered = ((headers or {}).get("Sec-WebSocket-Protocol") or "").replace(",", " ").split()
        told = TO_EXTENDED if "callnet.v2" in offered else TO_DEVICE
        self._told = TO_GUEST if path.startswith(GUEST_PATH) else TO_PAGE if path.startswith("/room") else told
        fields = {
            "Host": "callnet.test",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
            **(headers or {}),
        }
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        self.send("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1"))

    def begin_anew(self) -> None:
        """Forget the answer to the request before."""
        self.head, self._unread, self._reader = "", b"", FrameReader()

    def frame(self, opcode: int, payload: bytes = b"", fin: bool = True) -> None:
        """Send one frame."""
        self.send(client_frame(opcode, payload, fin))

    def take_unsent(self) -> bytes:
        """Take back the bytes that have not gone out yet, to send them in another way."""
        data, self._unsent = self._unsent, b""
        return data

    def leave(self, reason: Exception | None = None) -> None:
        """Let the connection break."""
        if not self.lost:
            self.lost = True
            self.transport.protocol.connectionLost(Failure(reason or ConnectionLost()))

    def move(self) -> bool:
        """Carry the pending bytes; tell whether there were any."""
        if self.lost:
            return False
        moved = self._deliver() | self._take()
        if self.transport.ended_by is not None and not self.lost:
            self.lost = moved = True
            self.transport.protocol.connectionLost(Failure(self.transport.ended_by()))
        return moved

    def _deliver(self) -> bool:
        if not self._unsent or self.transport.producerState != "producing" or self.transport.ended_by is not None:
            return False
        data, self._unsent = self._unsent, b""
        self.transport.protocol.dataReceived(data)
        return True

    def _take(self) -> bool:
        if not self.reads:
            return False
        data = self.transport.read()
        if not data:
            return False
        self._unread += data
        if not self.head and b"\r\n\r\n" in self._unread:
            head, _, self._unread = self._unread.partition(b"\r\n\r\n")
            self.head = head.decode("ascii")
        if self.status == 101:
            unread, self._unread = self._unread, b""
            for frame in self._reader.feed(unread):
                self._got(frame)
        return True

    def _got(self, frame: Frame) -> None:
        assert not self._closed, f"after its close frame the server sent {frame}"
        if frame.opcode == CLOSE:
            self._closed = True
            self.close_code = int.from_bytes(frame.payload[:2], "big") or 1005
            if self.answers_close:
                self.frame(CLOSE, frame.payload[:2])
        elif frame.opcode == PING and self.answers_ping:
            self.frame(PONG, frame.payload)
        elif frame.opcode == TEXT and self._told is not None:
            check(self._told, frame.payload)
        self.frames.append(frame)


class Device:
    """A device, or a page, that speaks JSON over its wire."""

    def __init__(self, world: World, wire: Wire, longest: int) -> None:
        self._world = world
        self._longest = longest
        self._heard = 0
        self.wire: Final = wire

    @property
    def close_code(self) -> int | None:
        """The code with which the server has closed the socket."""
        return self.wire.close_code

    def say(self, kind: str, **fields: Any) -> None:
        """Send a message."""
        self.say_raw(json.dumps({"type": kind, **fields}).encode("ascii"))

    def say_raw(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one message, whatever it says."""
        self.wire.frame(opcode, payload)
        self._world.settle()

    def leave(self) -> None:
        """Let the connection break."""
        self.wire.leave()
        self._world.settle()

    def heard(self) -> list[dict[str, Any]]:
        """Every message since this was last asked: each in a frame of its own, without newlines, not too long."""
        new, self._heard = self.wire.frames[self._heard :], len(self.wire.frames)
        messages = []
        for frame in new:
            if frame.opcode in (CLOSE, PING, PONG):
                continue
            assert frame.opcode == TEXT, frame
            assert b"\n" not in frame.payload, frame
            assert len(frame.payload) < self._longest, frame
            messages.append(json.loads(frame.payload))
        return messages

    def hears(self) -> dict[str, Any]:
        """The only message since this was last asked."""
        (message,) = self.heard()
        assert isinstance(message, dict)
        return message


class World:
    """A server that nobody is connected to yet."""

    def __init__(
        self,
        settings: CallSettings | None = None,
        allowed_origins: Sequence[str] = (),
        preferences: IPreferences = OPEN,
        clock: Clock | None = None,
        limits: LimitSettings = UNLIMITED,
        turn: TurnSettings = NO_TURN,
        sockets: SocketSettings = NO_SETTINGS,
        roster: IRoster = NO_ROSTER,
        wake: Wake = nobody_can,
    ) -> None:
        self.clock = clock or Clock()
        self.bus = MemoryBus()
        self.store = MemoryCallStore(self.clock, self.clock.seconds)
        self.revocations = Revocations(as_of=0.0)
        ring = KeyRing.of(Key.of(b"k" * 32))
        self.tokens = Tokens(ring, 7 * 86400, self.clock.seconds, self.revocations, split_user_name=True)
        self.rooms = RoomManager(
            self.store,
            self.bus,
            self.clock,
            settings or AT_ONCE,
            preferences,
            roster,
            wake,
            guest_answered=self._guest_answered,
            read_phone=phone_rule("number").read,
        )
        alone = LimitsAlone(self.clock.seconds)
        self.ice = IceServers(turn, TurnSecret(turn.secret), limits, alone, self.clock.seconds)
        self.signaling = SignalingFactory(
            self.rooms,
            self.tokens.verify,
            self.clock,
            limits,
            alone,
            self.ice,
            SignalingSettings(tuple(allowed_origins)),
            sockets=sockets,
            guest=self._guest,
        )
        self.guests: Guests | None = None
        """Lets guests in, if there are any."""
        self.pages = RoomSocketFactory(self.rooms, self.clock, limits, self.ice, sockets)
        self.wires: list[Wire] = []
        self.rooms.start()
        self.signaling.startFactory()
        self.pages.startFactory()

    def connect(self, factory: ServerFactory | None = None) -> Wire:
        """Open a connection to the devices' listener, or to another one, and say nothing yet."""
        wire = Wire(factory or self.signaling)
        self.wires.append(wire)
        return wire

    def ask(
        self,
        path: str,
        headers: Mapping[str, str | None] | None = None,
        factory: ServerFactory | None = None,
        method: str = "GET",
    ) -> Wire:
        """Open a connection and ask for the upgrade."""
        wire = self.connect(factory)
        wire.handshake(path, headers, method)
        self.settle()
        return wire

    def device(self, phone: str, device_id: str, factory: ServerFactory | None = None) -> Device:
        """Log a device in and connect it."""
        token = self.tokens.issue(DeviceAddress(phone, device_id))
        wire = self.ask(f"/socket.io?token={token}", factory=factory)
        assert wire.status == 101, wire.head
        return Device(self, wire, ANSWERED)

    def extended(self, phone: str, device_id: str, claimed: bool = False, more: str = "") -> Device:
        """Log a device in that speaks ``callnet.v2``, and connect it; ``more``: in the query of its socket."""
        token = self.tokens.issue(DeviceAddress(phone, device_id), claimed)
        wire = self.ask(f"/socket.io?token={token}{more}", {"Sec-WebSocket-Protocol": "callnet.v2"})
        assert wire.status == 101, wire.head
        return Device(self, wire, 65536 + 200)

    def _guest(self, token: str, host: str) -> GuestLink:
        assert self.guests is not None
        return self.guests.link(token, host)

    def _guest_answered(self, phone: str) -> None:
        assert self.guests is not None
        self.guests.answered(phone)

    def guest(self, token: str) -> Device:
        """Connect a guest with its token."""
        wire = self.ask(f"{GUEST_PATH}?token={token}", {"Sec-WebSocket-Protocol": "callnet.v2"})
        assert wire.status == 101, wire.head
        return Device(self, wire, ANSWERED)

    def page(self, factory: ServerFactory | None = None) -> Device:
        """Open the socket of a page."""
        wire = self.ask("/room", {"Origin": "https://callnet.test"}, factory or self.pages)
        assert wire.status == 101, wire.head
        return Device(self, wire, 65536 + 200)

    def settle(self) -> None:
        """Carry everything that is under way on any wire, and all that follows from it."""
        while sum(wire.move() for wire in self.wires):  # not any(): each has its turn, for there may be thousands
            pass

    def advance(self, seconds: float) -> None:
        """Let time go by, in small steps, but for the time in which nothing is due."""
        left = int(seconds / _STEP)
        steps = min(1, left)  # bytes may be under way
        while left:
            self.clock.advance(steps * _STEP)
            self.settle()
            left -= steps
            idle = (self._next_due() - self.clock.seconds()) / _STEP
            steps = max(int(min(idle, left)), 1)

    def _next_due(self) -> float:
        """The earliest time of a timer or a deadline, apart from the timer with which the rooms look for deadlines."""
        timers = sorted(timer.getTime() for timer in self.clock.getDelayedCalls())[1:]
        return min([*timers, next_due(self.store._tables)])

    def stop(self) -> None:
        """Stop the server: nothing may be left that wants to happen."""
        self.signaling.shut_down()
        self.pages.shut_down()
        self.settle()
        self.clock.advance(5)
        self.settle()
        self.rooms.stop()
        assert not self.clock.getDelayedCalls(), self.clock.getDelayedCalls()
        assert not self.signaling.sockets, self.signaling.sockets
        assert not self.pages.sockets, self.pages.sockets
