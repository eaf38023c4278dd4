"""Devices for tests of the heart: real sessions whose sockets only remember sent frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from msgspec import Struct
from twisted.internet.task import Clock
from zope.interface import implementer

from callnet.calls.ports import IPeer
from callnet.calls.rooms import RoomManager
from callnet.calls.session import Session
from callnet.calls.session_v2 import ExtendedSession
from callnet.model import DeviceAddress, RoomId
from tests.support.unlimited import ANY_NUMBER, NO_SERVERS

Frame = dict[str, object]
OUTCOMES: Final = ("call_success", "call_refuse", "call_failed")


class Sent(Struct, frozen=True):
    """A frame that a device sent after it had received a number of frames."""

    after: int
    frame: Frame

    def concerns(self, room: object, second: Collection[object], room_of: Callable[[object], object]) -> bool:
        """Tell whether it may have taken its sender out of the call in this room.

        :param second: the rooms of calls that are accepted instead of the one that the sender is in.
        :param room_of: returns the room of the call that an id names.
        """
        kind, named = self.frame["type"], room_of(self.frame.get("room_id", ""))
        return (
            kind == "call"
            or (kind == "called_success" and named != room and named in second and not self.frame.get("hold"))
            or (kind == "pull" and named != room)
            or (kind in ("calling_hangup", "called_refuse") and named in ("", room))
        )


@implementer(IPeer)
class Connection:
    """A socket of a device, and the session behind it."""

    def __init__(
        self,
        address: DeviceAddress,
        rooms: RoomManager,
        clock: Clock,
        extended: bool = False,
        call_waiting: bool = False,
    ) -> None:
        self.address: Final = address
        self.frames: list[Frame] = []
        """The frames that the device received."""
        self.sent: list[Sent] = []
        """The frames that it sent."""
        self.is_open = True
        self._clock = clock
        self._last_heard = clock.seconds()
        more = partial(ExtendedSession, may_pull=True, ice=NO_SERVERS, site=None, call_waiting=call_waiting)
        session = more if extended else Session
        self.session: Final = session(address, rooms, self, clock, ANY_NUMBER)
        self.session.opened()

    def send(self, payload: bytes) -> None:
        """See :meth:`callnet.calls.ports.IPeer.send`."""
        if self.is_open:
            self.frames.append(json.loads(payload))

    def close(self, code: int, reason: str) -> None:  # noqa: ARG002
        """See :meth:`callnet.calls.ports.IPeer.close`. The socket is gone only when it has :meth:`ended`."""
        self.is_open = False

    def heard_at(self) -> float:
        """See :meth:`callnet.calls.ports.IPeer.heard_at`."""
        return self._last_heard

    def pongs(self) -> None:
        """Let something be received that is no frame."""
        self._last_heard = self._clock.seconds()

    def ended(self, said_goodbye: bool = False) -> None:
        """Let the socket be gone; ``said_goodbye``: after a close frame of the device."""
        if said_goodbye:
            self.pongs()
        self.is_open = False
        self.session.closed(said_goodbye)

    # Frames of the device

    def calls(self, target: DeviceAddress) -> None:
        """Send ``call``."""
        self._sends(type="call", to_phone=target.phone, to_device_id=target.device_id)

    def answers(self, room: RoomId, accepted: bool, hold: bool = False) -> None:
        """Send ``called_success`` or ``called_refuse``."""
        kind = "called_success" if accepted else "called_refuse"
        self._sends(type=kind, from_phone="", from_device_id="", room_id=room, **({"hold": True} if hold else {}))

    def hangs_up(self, phone: str, room: str = "") -> None:
        """Send ``calling_hangup``."""
        self._sends(type="calling_hangup", notified_phone=phone, notified_device_id="", room_id=room)

    def pulls(self, room: RoomId) -> None:
        """Send ``pull``."""
        self._sends(type="pull", room_id=room)

    def resumes(self, room: RoomId) -> None:
        """Send ``resume``."""
        self._sends(type="resume", room_id=room)

    def signals(self, room: RoomId) -> None:
        """Send ``signal``."""
        self._sends(type="signal", room_id=room, data=len(self.sent))

    def _sends(self, **frame: object) -> None:
        self._last_heard = self._clock.seconds()
        self.sent.append(Sent(len(self.frames), frame))
        self.session.received(json.dumps(frame).encode())

    # Facts about it afterwards

    def rooms_left_open(self, room_of: Callable[[object], object]) -> list[object]:
        """Rooms of the calls that reached it whose end it neither heard nor made.

        :param room_of: returns the room of the call that an id names. A device leaves a call by any id of it.
        """
        return [
            room_of(frame["room_id"])
            for index, frame in enumerate(self.frames)
            if frame["type"] in ("called", "call_success") and not self._has_left(frame["room_id"], index, room_of)
        ]

    def _has_left(self, named: object, index: int, room_of: Callable[[object], object]) -> bool:
        """A frame that names the call may cross the `called` on a slow way, and is acted on after it."""
        told = any(f["type"] == "calling_be_hangup" and f["room_id"] == named for f in self.frames[index + 1 :])
        room = room_of(named)
        rang = {room_of(frame["room_id"]) for frame in self.frames if frame["type"] == "called"}
        second = rang if self.session.call_waiting else ()
        left = (s for s in self.sent if s.after > index or room_of(s.frame.get("room_id")) == room)
        return told or any(one.concerns(room, second, room_of) for one in left)

    def outcomes(self) -> list[tuple[int, bool]]:
        """For each call that it sent: the number of outcomes, and whether it did anything else after it.

        A call to oneself is no call and leaves everything as it was, so it and its failure do not count.
        """
        found = []
        actions = [sent for sent in self.sent if not self._is_idle(sent.frame)]
        for index, sent in enumerate(actions):
            if sent.frame["type"] == "call":
                later = actions[index + 1 :]
                frames = self.frames[sent.after : later[0].after if later else None]
                number = sum(f["type"] in OUTCOMES and f.get("reason") != "self" for f in frames)
                found.append((number, bool(later)))
        return found

    def _is_idle(self, frame: Frame) -> bool:
        """Tell whether a frame leaves its sender in the call that it placed."""
        return frame["type"] == "called_success" or self.address == (frame.get("to_phone"), frame.get("to_device_id"))
