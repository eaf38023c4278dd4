"""What may happen to a call, a device or a seat. The rules decide what comes of it.

Each event names the phones and rooms whose records it is decided on.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf
from typing import ClassVar, Final

from msgspec import Struct, field

from callnet.calls.records import ANYONE, Known, Policy
from callnet.model import DeviceAddress, Reason, RoomId, new_room_id


class Event(Struct, frozen=True, gc=False):
    """An event that the rules decide on."""

    fresh: ClassVar[bool] = False
    """Whether it must not be decided on records that may be old (:meth:`callnet.calls.ports.ICallStore.read`)."""
    guess: ClassVar[bool] = False
    """Whether most likely nothing is known of its phones, so that this may be tried first."""
    shows: ClassVar[bool] = False
    """Whether others may see devices of its phone come or go."""

    def phones(self) -> Collection[str]:
        """Phones whose devices must be read, with the calls that they name."""
        return ()

    def rooms(self) -> Collection[RoomId]:
        """Rooms whose call and seats must be read."""
        return ()


class _DeviceEvent(Event, frozen=True):
    device: DeviceAddress

    def phones(self) -> Collection[str]:
        return (self.device.phone,)


class RoomEvent(Event, frozen=True):
    """An event of the call or the seats of one room."""

    room: RoomId

    def rooms(self) -> Collection[RoomId]:
        """The room."""
        return (self.room,)


class Place(Event, frozen=True):
    """``caller`` calls ``target`` (protocol §2.1); ``room`` is a fresh id, should it come to ringing.

    If a newer connection of the caller than that of ``generation`` is open, nothing happens.
    """

    caller: DeviceAddress
    target: DeviceAddress
    room: RoomId
    generation: int
    date: float
    """The time in seconds since 1970, which quiet hours go by."""
    extended: bool = False
    """The caller speaks ``callnet.v2``."""
    said: tuple[HangUp | Cancel | GaveUp, ...] = ()
    """By what the caller left calls before, of which nobody knows whether it was written: that holds all the same."""
    secret: RoomId = field(default_factory=new_room_id)
    """The random secret that the aliases of several rung devices are made from."""

    def phones(self) -> Collection[str]:
        """Both sides."""
        return (self.caller.phone, self.target.phone)


class Accept(RoomEvent, frozen=True):
    """``device`` accepts the call in ``room`` (§2.2)."""

    device: DeviceAddress
    by_itself: bool = False
    """Without anybody touching it."""
    extended: bool = False
    """It speaks ``callnet.v2``."""


class Refuse(RoomEvent, frozen=True):
    """``device`` refuses it."""

    device: DeviceAddress


class LateAnswer(Event, frozen=True):
    """An answer, tried again when the store had been away.

    If a newer connection of the device than that of ``generation`` is open it is rung there, or
    told that it is too late.
    """

    fresh = True
    answer: Accept | Refuse
    generation: int

    def phones(self) -> Collection[str]:
        """Its sender's."""
        return (self.answer.device.phone,)

    def rooms(self) -> Collection[RoomId]:
        """The call's."""
        return (self.answer.room,)


class HangUp(RoomEvent, frozen=True):
    """``device`` hangs up (§2.3)."""

    device: DeviceAddress


class Cancel(_DeviceEvent, frozen=True):
    """``device`` ends its own call to ``phone``, whose room it may not know (§2.3). It placed it before ``sent_at``.

    If a newer connection of it than that of ``generation`` is open, nothing happens.
    """

    phone: str
    generation: int = 0
    sent_at: float = inf


class Connected(_DeviceEvent, frozen=True):
    """``device`` has a new socket on ``node``, which opened at ``opened_at``.

    ``known``: what the device has shown that it knows on the socket that it displaces on this node;
    ``None`` if there is none. ``tried``: the generation under which an earlier try may have made it known,
    of which nobody knows whether it did. ``policy``: who may call its phone.
    """

    guess = True
    shows = True
    node: str
    known: tuple[Known, ...] | None
    opened_at: float
    tried: int = 0
    policy: Policy = ANYONE
    extended: ClassVar[bool] = False


class ExtendedConnected(Connected, frozen=True):
    """... and the device speaks ``callnet.v2``: it is told of the calls of its phone."""

    guess = False
    extended = True


class Disconnected(_DeviceEvent, frozen=True):
    """The socket of that ``generation`` is gone since ``at``; the device has shown that it knows what is ``known``."""

    shows = True
    generation: int
    known: tuple[Known, ...] = ()
    at: float = inf


class Sleeps(_DeviceEvent, frozen=True):
    """``device`` can be woken, as ``policy`` says, and may be unknown here: it was not connected lately."""

    policy: Policy


class NotWoken(RoomEvent, frozen=True):
    """``device``, which the call rings, could not be woken."""

    device: DeviceAddress


class PolicyChanged(_DeviceEvent, frozen=True):
    """Who may call the phone of ``device``, which may be ``*``, has changed. Its devices may all sleep, on no node."""

    shows = True
    policy: Policy


class GaveUp(RoomEvent, frozen=True):
    """``device`` was told that what it asked for in a call cannot be done just now: it takes no part any more."""

    device: DeviceAddress


class RangInVain(RoomEvent, frozen=True):
    """No node that holds a device which the call rings could be told, when the call had that ``version``."""

    version: int


class Unreachable(RoomEvent, frozen=True):
    """... nor could it when the call was rung again."""

    version: int


class Revoked(_DeviceEvent, frozen=True):
    """The token of ``device`` was revoked, it logged out or was removed; ``*``: all devices of its phone.

    ``generation``: that of the connection that was opened with that token; ``None``: of whatever device is not
    connected it is taken that it was.
    """

    generation: int | None


class Announced(RoomEvent, frozen=True):
    """``device``, which the call rings, was told so on a live socket."""

    device: DeviceAddress


class Pulled(_DeviceEvent, frozen=True):
    """``device``, which speaks ``callnet.v2``, takes over the call in ``room`` from another device of its phone (§2.5).

    If a newer connection of it than that of ``generation`` is open, nothing happens.
    """

    fresh = True
    room: RoomId
    generation: int
    alias: RoomId = field(default_factory=new_room_id)
    """The room id by which it knows the call from then on."""

    def rooms(self) -> Collection[RoomId]:
        """The call's."""
        return (self.room,)


class Signalled(RoomEvent, frozen=True):
    """``device`` sent a v2 ``signal`` in its call (§2.5)."""

    device: DeviceAddress


class Stopped(RoomEvent, frozen=True):
    """The operator ends the call."""


# What becomes of devices and seats, as it happens to their calls


class LostToken(_DeviceEvent, frozen=True):
    """The token of ``device`` was revoked: it leaves its call."""


class LostDevice(_DeviceEvent, frozen=True):
    """``device``, which is in the call, has lost its socket."""


class DeviceBack(_DeviceEvent, frozen=True):
    """``device``, which is in the call, has a new socket."""

    extended: bool
    """It speaks ``callnet.v2``."""


class GraceOver(_DeviceEvent, frozen=True):
    """``device``, which is in the call, is gone for longer than the grace."""


class MeetingOver(Event, frozen=True):
    """The pages of the call meet no more."""

    reason: Reason


class DeviceDue(_DeviceEvent, frozen=True):
    """The time of a device's record has come."""

    shows = True


class CallDue(RoomEvent, frozen=True):
    """The time of a call's record has come."""


class SeatsDue(RoomEvent, frozen=True):
    """The time of a room's seats has come."""


class SeatTaken(RoomEvent, frozen=True):
    """A page on ``node`` wants a seat: page load ``session``, which shows ``key`` (docs/room.md).

    A room that is full is full only if it is so now.
    """

    fresh: ClassVar[bool] = True
    key: str
    session: str
    node: str


class SeatEmptied(RoomEvent, frozen=True):
    """The page socket of that ``generation`` in the seat of ``key`` is gone."""

    key: str
    generation: int


class PageHungUp(RoomEvent, frozen=True):
    """Whoever sits in the seat of ``key`` pressed hang up."""

    key: str


WHEN_DUE: Final = (DeviceDue, CallDue, SeatsDue)
"""Events that happen by themselves."""
OF_A_NODE: Final = (Connected, ExtendedConnected, SeatTaken)
"""Events that name the node that holds a socket; it may have got another name when they are decided."""
