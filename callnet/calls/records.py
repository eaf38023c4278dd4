"""Versioned records of devices, calls, and the seats of rooms.

A record never changes: a decision writes a new one with the next version. The stores keep these records
(:class:`callnet.calls.ports.ICallStore`); the rules in :mod:`callnet.calls` decide on them. All times are seconds on
the store's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, Literal, NamedTuple, TypeAlias, TypeGuard, final

from msgspec import Struct
from typing_extensions import TypeVar

from callnet.calls.preferences import ANYONE, KEPT_ONCE, NOBODY, SECOND_CALL_AFTER, SECOND_CALL_WITHIN, Policy
from callnet.model import DeviceAddress, Reason, RoomId, is_guest


class Known(NamedTuple):
    """A device's confirmed knowledge of a call's outcome (protocol §2.4)."""

    room: RoomId
    is_over: bool
    """True if it knows the call's end; false if it knows the answer only."""


class TurnedAway(NamedTuple):
    """A call that quiet hours alone have turned away, where a second call rings."""

    phone: str
    """The caller."""
    date: float
    """Seconds since 1970."""


TURNED_AWAY_MAX: Final = 8
"""The maximum number of such calls in a device's record: of the newest callers, each its last one."""


class DeviceRecord(Struct, frozen=True, gc=False, array_like=True):
    """A connected, recently lost or wakeable device."""

    address: DeviceAddress
    version: int
    node: str
    """The node that holds the device's socket."""
    generation: int
    """The generation of the device's connection: a greater one is newer.

    It is the time at which the connection opened, in milliseconds on the store's clock, or one more than the previous.
    """
    connected: bool
    unheard: Any = None
    """Unused: ``None``, or the value that a node of the previous release keeps here for itself."""
    lost_at: float | None = None
    """The time at which the socket closed; ``None`` while it is connected, and when it is asleep."""
    room: RoomId | None = None
    """The newest call of this device; of two, the active one. It is *in* that only if the call's record says so."""
    previous_room: RoomId | None = None
    """The previous call; or a second one, which rings the device while it is in the first, or which it holds."""
    due: float | None = None
    """The time at which this record must be processed again."""
    policy: Policy = ANYONE
    """The policy of its phone (:meth:`Policy.in_record_of`). :meth:`Records.policy_of` is complete in any case."""
    known: tuple[Known, ...] = ()
    """The outcomes that it had shown to know when its socket closed. Empty while it is connected: if its node dies,
    they are unknown."""
    call_waiting: bool = False
    """It can be rung by a second call while it is in an active one."""
    turned_away: tuple[TurnedAway, ...] = ()
    """Calls to this device, or to all of its phone; another device's record may have them. The newest is the last."""

    @property
    def rooms(self) -> tuple[RoomId, ...]:
        """Its calls, at most two, the newest first."""
        return tuple([room for room in (self.room, self.previous_room) if room is not None])

    @property
    def can_be_woken(self) -> bool:
        """True if it has no socket and can be woken."""
        return not self.connected and self.address.device_id in self.policy.wakes


@final
class Ringing(Struct, frozen=True, gc=False):
    """A ringing call."""

    word: ClassVar[Literal["ringing"]] = "ringing"
    """Its name in Redis and in metrics."""
    stage: ClassVar[int] = 0

    devices: tuple[DeviceAddress, ...]
    """The devices that still ring."""
    awaited_until: float | None = None
    """The callee has no socket at the moment and is awaited until then (protocol §2.4, step 7)."""
    announced: bool = False
    """A rung device was notified on a live socket, which the extended caller is told."""


@final
class Active(Struct, frozen=True, gc=False):
    """An answered call."""

    word: ClassVar[Literal["active"]] = "active"
    stage: ClassVar[int] = 1

    callee: DeviceAddress
    """The device that accepted."""
    since: float
    """The time of the answer."""
    by_calling: bool = False
    """The callee accepted by calling its caller (glare), so it is owed a ``call_success`` too."""
    by_itself: bool = False
    """The device accepted automatically, as its owner has set for this caller."""
    signalled: bool = False
    """Media is arranged by v2 ``signal`` messages, not by the page."""
    absent: tuple[DeviceAddress, ...] = ()
    """Parties without a socket whose other party is extended."""
    transferred_from: tuple[DeviceAddress, ...] = ()
    """Former devices of the call, replaced by transfers to another device of their phone."""
    moved_at: float | None = None
    """The time of the last transfer."""
    original_parties: tuple[DeviceAddress, DeviceAddress] | None = None
    """Caller and callee before the first transfer: base clients know them by these names."""
    held_by: tuple[DeviceAddress, ...] = ()
    """Parties that hold it: each is in another call, too."""


@final
class Over(Struct, frozen=True, gc=False):
    """An ended call."""

    word: ClassVar[Literal["over"]] = "over"
    stage: ClassVar[int] = 2

    was: Ringing | Active
    """The state before the end. If it was ringing, no device rings any more."""
    reason: Reason
    at: float
    """The time of the end."""
    by: DeviceAddress | None = None
    """The device that refused or hung up, which need not be told."""
    untold: bool = False
    """A node ended the call because of a missing party that may have been elsewhere, and no device was told of that
    end: a record of another node in which the call was answered, or is live, wins."""


CallState: TypeAlias = Ringing | Active | Over
"""The states of a call (protocol §2.4). It goes from the first by the second to the last, and never back.

On the way of every call ``type(state)`` is compared: an ``isinstance`` that is false takes ten times as long, since the
metaclass of structs has it look for an ``__instancecheck__``.
"""
S = TypeVar("S", bound=Ringing | Active | Over, covariant=True, default=CallState)


class CallRecord(Struct, Generic[S], frozen=True):
    """One call, from ringing until it is forgotten. The record is the call."""

    room: RoomId
    version: int
    state: S
    caller: DeviceAddress
    target: DeviceAddress
    """The address as the caller gave it; its device may be ``*``."""
    targets: tuple[DeviceAddress, ...]
    """Every device that this call rings or rang, fixed when it was placed."""
    placed_at: float
    due: float | None = None
    """The time at which this record must be processed again."""
    extended: tuple[DeviceAddress, ...] = ()
    """The parties that speak ``callnet.v2`` (§2.5) and receive its messages."""
    aliases: tuple[tuple[DeviceAddress, RoomId], ...] = ()
    """Room ids of the call for devices, where they are not ``room``: the last one of a device counts
    (:meth:`room_for`)."""
    woken: tuple[DeviceAddress, ...] = ()
    """The devices that were asleep when it was placed, or lost their socket while it rang, and could be woken: they are
    told when it no longer rings."""

    @property
    def age(self) -> tuple[int, int]:
        """The age of the record: of two records of one call the one with the greater age is the later one.

        Within one store the version says so. A node that was cut off may have gone further in versions, but a call
        never goes back to an earlier state.
        """
        return self.state.stage, self.version

    def is_later_than(self, other: CallRecord) -> bool:
        """Return whether this is the later one of two records of one call."""
        mine, others = self.state.stage, other.state.stage
        return mine > others or (mine == others and self.version > other.version)

    @property
    def answer(self) -> Active | None:
        """The state since the answer, if there was one; of an ended call, that before the end."""
        state: CallState = self.state
        if isinstance(state, Over):
            state = state.was
        return state if isinstance(state, Active) else None

    @property
    def end(self) -> Over | None:
        """The state, if the call has ended."""
        return self.state if isinstance(self.state, Over) else None

    @property
    def callee(self) -> DeviceAddress | None:
        """The device that accepted, if any."""
        answer = self.answer
        return None if answer is None else answer.callee

    @property
    def transferred_from(self) -> tuple[DeviceAddress, ...]:
        """Former devices of the call, replaced by transfers to another device of their phone."""
        answer = self.answer
        return () if answer is None else answer.transferred_from

    @property
    def parties(self) -> tuple[DeviceAddress, ...]:
        """The current parties: the caller, and the ringing devices or the answering one."""
        state = self.state
        if isinstance(state, Ringing):
            return (self.caller, *state.devices)
        return (self.caller, state.callee) if isinstance(state, Active) else ()

    def room_for(self, device: DeviceAddress) -> RoomId:
        """The room id of the call for a device.

        Of several rung devices each has an alias of its own. The alias of the device that accepts becomes the caller's,
        too. A device that takes the call over gets another one.
        """
        if not self.aliases:
            return self.room
        aliases = dict(self.aliases)
        callee = self.callee
        if device == self.caller and device not in aliases and callee is not None:
            return aliases.get(callee, self.room)
        return aliases.get(device, self.room)


def is_ringing(call: CallRecord | None) -> TypeGuard[CallRecord[Ringing]]:
    """Return whether there is a call, and it rings."""
    return call is not None and isinstance(call.state, Ringing)


def rings_for_guest(call: CallRecord) -> TypeGuard[CallRecord[Ringing]]:
    """Return whether a guest's call rings: the guest hears of no device, and of none that stops ringing."""
    return isinstance(call.state, Ringing) and is_guest(call.caller.phone) is not None


def is_over(call: CallRecord) -> TypeGuard[CallRecord[Over]]:
    """Return whether a call has ended."""
    return isinstance(call.state, Over)


class Seat(Struct, frozen=True, array_like=True):
    """One of the two seats of a page's room."""

    key: str
    """A page that shows this key again gets this seat again."""
    session: str
    """The page load in this seat, 32 hex digits."""
    node: str
    """The node that holds the page's socket."""
    generation: int
    """The generation of the seat's socket: a greater one is newer, as for a device's connections."""
    empty_since: float | None
    """The time at which the page's socket closed; ``None`` while it is open."""
    came_by: RoomId | None = None
    """The room id that the page named, if it is an alias."""


class SeatsRecord(Struct, frozen=True, array_like=True):
    """The two seats of one room, of a call or made up by hand."""

    room: RoomId
    version: int
    seats: tuple[Seat | None, Seat | None]
    due: float | None
    """The time at which this record must be processed again."""
    closed: bool = False
    """A page hung up a room that has no call; the next page starts a new meeting."""

    @property
    def taken(self) -> list[Seat]:
        """The seats of pages that are there, or for which they are kept."""
        return [seat for seat in self.seats if seat is not None]


class Records(Struct, frozen=True):
    """A read-only view of the requested part of the store."""

    devices: Mapping[str, Mapping[str, DeviceRecord]]
    """Keyed by phone, then by device id."""
    calls: Mapping[RoomId, CallRecord]
    seats: Mapping[RoomId, SeatsRecord]
    complete: bool = True
    """``False``: these are the records of this node; other nodes may know more, and cannot be queried at the moment."""
    policies: Mapping[str, Policy] = {}
    """The policies that are too long for the records of devices, by phone."""
    aliases: Mapping[RoomId, RoomId] = {}
    """The room of each alias of ``calls``."""
    alone: bool = False
    """True while the shared store is out of reach: decisions on these records reach other nodes later."""

    def call(self, room: RoomId) -> CallRecord | None:
        """The call of a room or an alias."""
        return self.calls.get(self.aliases.get(room, room))

    def device(self, address: DeviceAddress) -> DeviceRecord | None:
        """The record of one device."""
        of_phone = self.devices.get(address.phone)
        return None if of_phone is None else of_phone.get(address.device_id)

    def policy_of(self, device: DeviceRecord) -> Policy:
        """The policy of the phone of a device of these records."""
        policy = device.policy
        return policy if policy.only != KEPT_ONCE else self.policies.get(device.address.phone, NOBODY)

    def may_call(self, phone: str, device: DeviceRecord, date: float) -> bool:
        """Return whether the devices of a phone may call a device at a date, and see its presence."""
        if device.policy == ANYONE or phone == device.address.phone:
            return True
        return self.policy_of(device).allows(phone, date)

    def may_ring(self, phone: str, device: DeviceRecord, date: float) -> bool:
        """Return whether a call of the devices of a phone rings a device at a date: they may call it, or call again."""
        if device.policy == ANYONE or self.may_call(phone, device, date):
            return True
        return self.policy_of(device).allows_again(phone) and self._is_second(phone, device.address.phone, date)

    def is_quiet(self, device: DeviceRecord, date: float) -> bool:
        """Return whether the phone of a device has quiet hours at a date."""
        return device.policy != ANYONE and self.policy_of(device).is_quiet(date)

    def _is_second(self, phone: str, target: str, date: float) -> bool:
        return any(
            one.phone == phone and SECOND_CALL_AFTER < date - one.date <= SECOND_CALL_WITHIN
            for device in self.devices[target].values()
            for one in device.turned_away
        )


class Notice(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Notifies a device, or the pages in the call's room, of a change of a call."""

    to: DeviceAddress
    call: CallRecord


class SeatNotice(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Notifies the page in one seat of a change of its room."""

    key: str
    seats: SeatsRecord
    call: CallRecord | None


class Relay(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """A message from one page to the other, verbatim: no record keeps it."""

    room: RoomId
    node: str
    """The node that holds the page's socket."""
    key: str
    """The key of the addressed seat."""
    sender: str
    """The session of the sender."""
    data: bytes
    """JSON."""


class DeviceRelay(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """A ``signal`` of one party of a call to the other (protocol §2.5), verbatim: no record keeps it."""

    to: DeviceAddress
    room: RoomId
    data: bytes
    """JSON."""


class PresenceChanged(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Devices of these phones have come or gone, or became visible or invisible to others; without phones: a node
    announces onlookers.
    """

    phones: tuple[str, ...]


class Displaced(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """A newer connection of ``to`` is open; one on ``node`` that is older than ``generation`` must be closed."""

    to: DeviceAddress
    node: str
    generation: int


class Changes(Struct, frozen=True):
    """The changes of a decision: new records, records to forget, and notices, in order.

    The version of each record here is one more than that of the record it was decided on, which must still hold when
    this is committed (a record that is new has version 1). A room is committed as a whole: if its call is named here
    and its seats are not, there must be none when this is committed, and the other way about.
    """

    devices: Sequence[DeviceRecord] = ()
    calls: Sequence[CallRecord] = ()
    seats: Sequence[SeatsRecord] = ()
    forgotten: Sequence[DeviceRecord | CallRecord | SeatsRecord] = ()
    """Records as they were read."""
    unchanged: Sequence[CallRecord] = ()
    """Calls as they were read, on which the decision relies: those of ``seats`` and of forgotten seats, and others."""
    notices: Sequence[Notice | SeatNotice | Displaced] = ()
    policies: Mapping[str, Policy] = {}
    """Policies to keep once for their phones, as long as these have devices. They have no versions: the writer has just
    read the policy from the database, and is notified when it changes there."""


NOTHING = Changes()
"""The decision that changes nothing."""
