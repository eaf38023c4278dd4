"""Events of calls, devices and seats. The rules decide on them.

Each event names the phones and rooms whose records the decision needs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf
from typing import ClassVar, Final

from msgspec import Struct, field

from callnet.calls.preferences import ANYONE, Policy
from callnet.calls.records import Known
from callnet.model import DeviceAddress, Reason, RoomId, new_room_id


class Event(Struct, frozen=True, gc=False):
    """An event for the rules to decide on."""

    fresh: ClassVar[bool] = False
    """True if the decision needs fresh records (:meth:`callnet.calls.ports.ICallStore.read`)."""
    own: ClassVar[bool] = False
    """True if its phones are those of a device of this node, whose record is at hand while the store can be reached."""
    guess: ClassVar[bool] = False
    """True if most likely nothing is known of its phones, so that this guess may be tried first."""
    shows: ClassVar[bool] = False
    """True if others may see devices of its phone come or go."""
    of_node: ClassVar[bool] = False
    """True if it has the name of the node that holds a socket; the node may be renamed before this is decided."""

    def phones(self) -> Collection[str]:
        """The phones to read, with their devices and the calls named there."""
        return ()

    def rooms(self) -> Collection[RoomId]:
        """The rooms to read, with their calls and seats."""
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


class _RoomDeviceEvent(RoomEvent, frozen=True):
    device: DeviceAddress


class Place(Event, frozen=True):
    """``caller`` calls ``target`` (protocol §2.1); ``room`` is a fresh id for the case that it rings.

    If a newer connection of the caller than that of ``generation`` is open, nothing happens.
    """

    caller: DeviceAddress
    target: DeviceAddress
    room: RoomId
    generation: int
    date: float
    """The time in seconds since 1970, for quiet hours."""
    extended: bool = False
    """The caller speaks ``callnet.v2``."""
    said: tuple[HangUp | Cancel | GaveUp, ...] = ()
    """Events by which the caller left earlier calls and whose commit is unknown: they take effect in any case."""
    secret: RoomId = field(default_factory=new_room_id)
    """The random secret from which the aliases of several rung devices are derived."""

    def phones(self) -> Collection[str]:
        """The phones of both parties."""
        return (self.caller.phone, self.target.phone)


class PlaceAsGuest(Place, frozen=True):
    """... and is a guest (§1). ``target``: all of the link's owner's phone, or of its own if it is to ring nobody."""


class _FrameEvent(_RoomDeviceEvent, frozen=True):
    """A frame of ``device``, sent on the connection of ``generation``."""

    own = True
    generation: float = inf

    def phones(self) -> Collection[str]:
        """The sender's phone."""
        return (self.device.phone,)


class Accept(_FrameEvent, frozen=True):
    """``device`` accepts the call in ``room`` (§2.2). If it is rung on a newer connection nothing happens."""

    by_itself: bool = False
    """It was accepted automatically."""
    extended: bool = False
    """The device speaks ``callnet.v2``."""
    hold: bool = False
    """It holds the call that it is in, instead of leaving it."""


class Resumed(_FrameEvent, frozen=True):
    """The extended ``device`` goes on with the call in ``room`` that it holds, and holds its current one, if any
    (§2.5). If a newer connection of it is open, or that one did not begin before ``sent_at``, nothing happens.
    """

    sent_at: float = inf


class Pulled(_FrameEvent, frozen=True):
    """The extended ``device`` takes over the call in ``room`` from another device of its phone (§2.5). If a newer
    connection of it is open, nothing happens.
    """

    fresh = True
    own = False
    alias: RoomId = field(default_factory=new_room_id)
    """The room id of the call for the device from then on."""


class Refuse(_FrameEvent, frozen=True):
    """``device`` refuses the call. If it is rung on a newer connection nothing happens."""


class RefusedByTicket(_DeviceEvent, frozen=True):
    """``device`` refuses, without its connection, the call that rings it, if that is the one which is meant.

    ``is_meant`` is asked with the room id by which the device knows the call.
    """

    fresh = True
    is_meant: Callable[[RoomId], bool]


class HangUp(_FrameEvent, frozen=True):
    """``device`` hangs up (§2.3). If it has heard of the call on a newer connection, it is told of the end there."""

    is_late: bool = False
    """It was kept until the store was back, or the call was known. The device is told: it may have been put in the call
    since, and its session goes on with the call that it holds."""


class Cancel(_DeviceEvent, frozen=True):
    """``device`` ends its call with ``phone``, placed before ``sent_at``, and may not know its room (§2.3).

    If a newer connection of it than that of ``generation`` is open, nothing happens.
    """

    phone: str
    generation: int = 0
    sent_at: float = inf


class Connected(_DeviceEvent, frozen=True):
    """``device`` has a new socket on ``node``, opened at ``opened_at``.

    ``known``: the outcomes that the device has shown to know on the socket that it displaces on this node; ``None`` if
    there is none. ``tried``: the generation of an earlier attempt that may have been committed. ``policy``: the policy
    of its phone. ``call_waiting``: it can show a second call.
    """

    guess = True
    shows = True
    of_node = True
    node: str
    known: tuple[Known, ...] | None
    opened_at: float
    tried: int = 0
    policy: Policy = ANYONE
    call_waiting: bool = False
    extended: ClassVar[bool] = False


class ExtendedConnected(Connected, frozen=True):
    """... and the device speaks ``callnet.v2``: it is told of the calls of its phone."""

    guess = False
    extended = True


class Disconnected(_DeviceEvent, frozen=True):
    """The socket of that ``generation`` closed at ``at``; the device has shown that it knows ``known``."""

    shows = True
    generation: int
    known: tuple[Known, ...] = ()
    at: float = inf


class Sleeps(_DeviceEvent, frozen=True):
    """``device`` can be woken under ``policy``, and may be unknown here: it was not connected recently."""

    policy: Policy


class NotWoken(_RoomDeviceEvent, frozen=True):
    """The rung ``device`` could not be woken."""


class PolicyChanged(_DeviceEvent, frozen=True):
    """The policy of the phone of ``device`` (or ``*``) has changed. All its devices may be asleep, on no node."""

    shows = True
    policy: Policy


class GaveUp(_RoomDeviceEvent, frozen=True):
    """``device`` was told that its request in a call cannot be done at the moment: it has left the call."""

    has_left_first: bool = False
    """It accepted this as a second call, and was not to hold its first."""
    generation: float = inf
    """It was told so on this connection. On a newer one it is rung again, or is in the call: it stays in it."""

    def phones(self) -> Collection[str]:
        """The phone of the device."""
        return (self.device.phone,)


class RangInVain(RoomEvent, frozen=True):
    """No node of a rung device could be notified of that ``version`` of the call."""

    version: int
    is_last: bool = False
    """It was rung again before, or cannot be: the call has failed."""


class Revoked(_DeviceEvent, frozen=True):
    """The token of ``device`` was revoked, it logged out or was removed; ``*``: all devices of its phone.

    ``generation``: that of the connection opened with that token; ``None``: all devices that are not connected.
    """

    generation: int | None


class Announced(_RoomDeviceEvent, frozen=True):
    """The rung ``device`` was notified on a live socket."""


class Signalled(_RoomDeviceEvent, frozen=True):
    """``device`` sent a v2 ``signal`` in its call (§2.5)."""


class Stopped(RoomEvent, frozen=True):
    """The operator ends the call."""


# The consequences of events of devices and seats for their calls


class LostToken(_DeviceEvent, frozen=True):
    """The token of ``device`` was revoked: it leaves its call."""


class LostDevice(_DeviceEvent, frozen=True):
    """The party ``device`` has lost its socket."""


class DeviceBack(_DeviceEvent, frozen=True):
    """The party ``device`` has a new socket."""

    extended: bool
    """The device speaks ``callnet.v2``."""


class GraceOver(_DeviceEvent, frozen=True):
    """The party ``device`` has been lost for longer than the grace period."""


class MeetingOver(Event, frozen=True):
    """The meeting of the call's pages has ended."""

    reason: Reason


class DeviceDue(_DeviceEvent, frozen=True):
    """A device's record is due."""

    shows = True


class CallDue(RoomEvent, frozen=True):
    """A call's record is due."""


class SeatsDue(RoomEvent, frozen=True):
    """The seats of a room are due."""


class SeatTaken(RoomEvent, frozen=True):
    """A page on ``node`` wants a seat: page load ``session``, with the seat key ``key`` (docs/room.md).

    Only fresh records can show that a room is full.
    """

    fresh: ClassVar[bool] = True
    of_node: ClassVar[bool] = True
    key: str
    session: str
    node: str


class SeatEmptied(RoomEvent, frozen=True):
    """The page socket of that ``generation`` in the seat of ``key`` has closed."""

    key: str
    generation: int


class PageHungUp(RoomEvent, frozen=True):
    """The page in the seat of ``key`` hung up."""

    key: str


WHEN_DUE: Final = frozenset({DeviceDue, CallDue, SeatsDue})
"""Events of timers."""
