"""What is remembered of the living: devices, calls, and the seats of rooms, as versioned records.

A record never changes: who decides something writes a new one with the next version. The stores keep
these records (:class:`callnet.interfaces.ICallStore`); the rules in :mod:`callnet.calls` decide on them.
All times are seconds on the store's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from callnet.model import DeviceAddress, Reason, RoomId
from callnet.quiet_hours import QuietHours


class CallState(StrEnum):
    """The life of a call (protocol §2.4)."""

    RINGING = "ringing"
    ACTIVE = "active"
    OVER = "over"


_LIFE: Final = {CallState.RINGING: 0, CallState.ACTIVE: 1, CallState.OVER: 2}


_SOME_HOURS: Final = QuietHours(0, 0, "UTC")
"""Looked at where there are none."""


class Policy(Struct, frozen=True, gc=False, array_like=True):
    """Who may call a phone, beside its own devices, and how these are reached."""

    blocked: frozenset[str] = frozenset()
    """These phones may not."""
    only: frozenset[str] | None = None
    """Nobody but these may; ``None``: everybody else may."""
    quiet: QuietHours | None = None
    """Nobody may then."""
    wakes: frozenset[str] = frozenset()
    """The ids of its devices that can be woken when they sleep: they have no socket, and can be called all the same."""

    def allows(self, phone: str, now: float) -> bool:
        """Tell whether a phone may call just now. To say no for one reason takes as long as for another."""
        is_blocked = phone in self.blocked
        is_unlisted = self.only is not None and phone not in self.only
        is_quiet = (self.quiet or _SOME_HOURS).cover(now) and self.quiet is not None
        return not (is_blocked or is_unlisted or is_quiet)


ANYONE: Final = Policy()
NOBODY: Final = Policy(only=frozenset())
"""What holds for a phone of which it is not known who may call it."""


class Owed(Struct, frozen=True, gc=False, array_like=True):
    """A device that is nowhere may believe to be in a call that it is not in: that it must be told above all."""

    room: RoomId
    heard_at: float
    """When anything was last received from its last connection."""
    since: float
    """When there was something to tell it: what is decided later is newer."""


class DeviceRecord(Struct, frozen=True, gc=False, array_like=True):
    """A device that is connected, or was a moment ago, or sleeps and can be woken."""

    address: DeviceAddress
    version: int
    node: str
    """The node that holds the device's socket."""
    generation: int
    """Which of the device's connections is meant: a greater one is newer.

    It is when the connection opened, in milliseconds on the store's clock, or one more than the one before.
    """
    connected: bool
    heard: float | Owed | None
    """When anything was last received from the connection before the present one; ``None``: not known. Of a device that
    is nowhere, and must be told of one of its calls above all, that, too."""
    lost_at: float | None
    """When the socket went away; ``None`` while it is connected, and when it sleeps."""
    room: RoomId | None
    """The newest call that this device was put in. It is *in* that call only if the call's record says so."""
    previous: RoomId | None
    """The call before that one."""
    due: float | None
    """When this record must be looked at again."""
    policy: Policy = ANYONE
    """Who may call its phone."""

    @property
    def heard_at(self) -> float | None:
        """When anything was last received from the connection before the present one; ``None``: not known."""
        return self.heard.heard_at if isinstance(self.heard, Owed) else self.heard

    @property
    def owed(self) -> Owed | None:
        """What it must be told above all when it is back, if there is anything."""
        return self.heard if isinstance(self.heard, Owed) else None

    @property
    def can_be_woken(self) -> bool:
        """Whether it has no socket, and it is known how to have it get one."""
        return not self.connected and self.address.device_id in self.policy.wakes

    def may_be_called_by(self, phone: str, now: float) -> bool:
        """Tell whether the devices of a phone may call this one now, and see whether it is there."""
        return phone == self.address.phone or self.policy.allows(phone, now)


class CallRecord(Struct, frozen=True, array_like=True):
    """One call, from ringing until it is forgotten. The record is the call."""

    room: RoomId
    version: int
    state: CallState
    caller: DeviceAddress
    asked: DeviceAddress
    """The address as the caller gave it; its device may be ``*``."""
    rung: tuple[DeviceAddress, ...]
    """Every device that this call rings or rang, fixed when it was placed."""
    ringing: tuple[DeviceAddress, ...]
    """Those that still ring."""
    placed_at: float
    due: float | None
    """When this record must be looked at again."""
    awaited_until: float | None = None
    """The callee has no socket just now and is waited for until then (protocol §2.4, step 7)."""
    callee: DeviceAddress | None = None
    """The device that accepted."""
    answered_at: float | None = None
    answered_by_calling: bool = False
    """The callee accepted by calling its caller (glare), so it is owed a ``call_success`` too."""
    signalled: bool = False
    """Media is arranged by v2 ``signal`` messages, not by the page."""
    reason: Reason | None = None
    """Why the call is over."""
    ended_at: float | None = None
    ended_by: DeviceAddress | None = None
    """The device that refused or hung up, which need not be told."""
    untold: bool = False
    """A node ended it for want of somebody who may have been elsewhere, and had nobody there to tell; nor has anybody
    been told since: if it was answered, or goes on, elsewhere, that counts."""
    answered_by_itself: bool = False
    """The device accepted without anybody touching it, as its owner wants it for this caller."""
    extended: tuple[DeviceAddress, ...] = ()
    """Those of its two parties that speak ``callnet.v2`` (§2.5), and are told more."""
    announced: bool = False
    """A device that it rings was told so on a live socket, and its extended caller is told of that."""
    absent: tuple[DeviceAddress, ...] = ()
    """Those of its two parties that have no socket just now, and whose other party is extended."""
    left: tuple[DeviceAddress, ...] = ()
    """Devices that others of their phones have taken it over from."""
    moved_at: float | None = None
    """When that happened last."""
    known_as: tuple[DeviceAddress, DeviceAddress] | None = None
    """Caller and callee before that happened first: to base clients they go by these names."""

    @property
    def age(self) -> tuple[int, int]:
        """Of two records of one call the one with the greater age is the later one.

        Within one store the version says so. A node that was cut off may have gone further in versions, but
        a call goes from RINGING by ACTIVE to OVER and never back.
        """
        return _LIFE[self.state], self.version


class Seat(Struct, frozen=True, array_like=True):
    """One of the two seats of a page's room."""

    key: str
    """Whoever shows this key again gets this seat again."""
    session: str
    """The page load that sits here, 32 hex digits."""
    node: str
    """The node that holds the page's socket."""
    generation: int
    """Which of the seat's sockets is meant: a greater one is newer. As of a device's connections."""
    empty_since: float | None
    """When the page's socket went away; ``None`` while somebody sits here."""


class SeatsRecord(Struct, frozen=True, array_like=True):
    """The two seats of one room, of a call or made up by hand."""

    room: RoomId
    version: int
    seats: tuple[Seat | None, Seat | None]
    due: float | None
    """When this record must be looked at again."""
    closed: bool = False
    """Someone hung up a room that has no call; it begins anew with whoever comes next."""


class Records(Struct, frozen=True):
    """A view of the store, as much of it as was asked for. Read only."""

    devices: Mapping[str, Mapping[str, DeviceRecord]]
    """By phone, then by device id."""
    calls: Mapping[RoomId, CallRecord]
    seats: Mapping[RoomId, SeatsRecord]
    complete: bool = True
    """``False``: other nodes may know more, and cannot be asked just now. These are records that this node knows."""

    def device(self, address: DeviceAddress) -> DeviceRecord | None:
        """The record of one device."""
        of_phone = self.devices.get(address.phone)
        return None if of_phone is None else of_phone.get(address.device_id)


class Notice(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Someone is to look at a call that has changed: a device, or whoever sits in the call's room."""

    to: DeviceAddress
    call: CallRecord


class SeatNotice(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """The page in one seat is to look at its room, which has changed."""

    key: str
    seats: SeatsRecord
    call: CallRecord | None


class Relay(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """What one page says to the other, verbatim: no record keeps it."""

    room: RoomId
    node: str
    """The node that holds the page's socket."""
    key: str
    """The seat that it goes to."""
    sender: str
    """The session that said it."""
    data: bytes
    """JSON."""


class DeviceRelay(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """What one party of a call says to the other (protocol §2.5, ``signal``), verbatim: no record keeps it."""

    to: DeviceAddress
    room: RoomId
    data: bytes
    """JSON."""


class PresenceChanged(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Devices of these phones have come or gone, or others may see them now, or may not any more; if there are none:
    somebody wants to be told of that.
    """

    phones: tuple[str, ...]


class Displaced(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """A newer connection of ``to`` is open; one on ``node`` that is older than ``generation`` is to be closed."""

    to: DeviceAddress
    node: str
    generation: int


class Changes(Struct, frozen=True):
    """What a decision comes to: new records, records to forget, and who is to be told, in order.

    The version of each record here is one more than that of the record it was decided on, which must
    still hold when this is committed (a record that is new has version 1). A room is committed as a whole:
    if its call is named here and its seats are not, there must be none when this is committed, and the
    other way about.
    """

    devices: Sequence[DeviceRecord] = ()
    calls: Sequence[CallRecord] = ()
    seats: Sequence[SeatsRecord] = ()
    forgotten: Sequence[DeviceRecord | CallRecord | SeatsRecord] = ()
    """Records as they were read."""
    unchanged: Sequence[CallRecord] = ()
    """Calls as they were read, which were relied on: those of ``seats`` and of forgotten seats, and others."""
    notices: Sequence[Notice | SeatNotice | Displaced] = ()


NOTHING = Changes()
"""The decision that changes nothing."""
