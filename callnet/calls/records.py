"""Live state: devices, calls and the seats of rooms, as versioned records.

A record never changes: who decides something writes a new one with the next version. The stores keep
these records (:class:`callnet.calls.ports.ICallStore`); the rules in :mod:`callnet.calls` decide on them.
All times are seconds on the store's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, Literal, NamedTuple, TypeAlias, TypeGuard

from msgspec import Struct
from typing_extensions import TypeVar

from callnet.calls.quiet_hours import QuietHours
from callnet.model import DeviceAddress, Reason, RoomId

IN_RECORDS_MAX: Final = 16
"""Phones that a policy may name and still be written into the record of each device. A longer one is kept once for its
phone."""
KEPT_ONCE: Final = frozenset([""])
"""``only`` of the policy in a device's record, if the policy of its phone is kept once. No phone has this number: a
node of the revision before, which knows the record alone, lets nobody call the device."""


class Policy(Struct, frozen=True, gc=False, array_like=True):
    """The callers that a phone accepts, beside its own devices, and the ways to reach those."""

    blocked: frozenset[str] = frozenset()
    """These phones may not."""
    only: frozenset[str] | None = None
    """Nobody but these may; ``None``: everybody else may."""
    quiet: QuietHours | None = None
    """Nobody may then."""
    wakes: frozenset[str] = frozenset()
    """The ids of its devices that can be woken when they sleep: they have no socket, and can be called all the same."""

    @property
    def is_kept_once(self) -> bool:
        """True if it is too long for the records of devices."""
        return len(self.blocked) + len(self.only or ()) > IN_RECORDS_MAX

    def in_record_of(self, device_id: str) -> Policy:
        """The part of it that is written into the record of a device: all of it if it is short.

        Of the devices that can be woken the record names none but its own device.
        """
        wakes = self.wakes & {device_id}
        if self.is_kept_once:
            return Policy(only=KEPT_ONCE, wakes=wakes)
        return self if wakes == self.wakes else Policy(self.blocked, self.only, self.quiet, wakes)

    def allows(self, phone: str, date: float) -> bool:
        """Tell whether a phone may call at a date, in seconds since 1970."""
        if phone in self.blocked or (self.only is not None and phone not in self.only):
            return False
        return self.quiet is None or not self.quiet.cover(date)


ANYONE: Final = Policy()
NOBODY: Final = Policy(only=frozenset())
"""The policy of a phone whose own has not been loaded."""


class Known(NamedTuple):
    """A call of which a device has shown that it knows how it came out for it (protocol §2.4)."""

    room: RoomId
    is_over: bool
    """It knows that the call is over; else, that it was answered."""


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
    unheard: Any
    """Not used: ``None``, or what a node of the release before has written here, which keeps a note of its own."""
    lost_at: float | None
    """The time when the socket went away; ``None`` while it is connected, and when it sleeps."""
    room: RoomId | None
    """The newest call that this device was put in. It is *in* that call only if the call's record says so."""
    previous_room: RoomId | None
    """The call before that one."""
    due: float | None
    """The time when this record must be looked at again."""
    policy: Policy = ANYONE
    """The policy of its phone (:meth:`Policy.in_record_of`). :meth:`Records.policy_of` knows it in any case."""
    known: tuple[Known, ...] = ()
    """The calls that it had acknowledged when its socket went away. Empty while it is connected: if its node dies,
    nobody can say."""

    @property
    def can_be_woken(self) -> bool:
        """True if it has no socket but can be woken."""
        return not self.connected and self.address.device_id in self.policy.wakes


class Ringing(Struct, frozen=True, gc=False):
    """A call that rings."""

    word: ClassVar[Literal["ringing"]] = "ringing"
    """As it is called in Redis and in metrics."""
    stage: ClassVar[int] = 0

    devices: tuple[DeviceAddress, ...]
    """Those that still ring."""
    awaited_until: float | None = None
    """The callee has no socket now and is waited for until then (protocol §2.4, step 7)."""
    announced: bool = False
    """A device that it rings was told so on a live socket, and its extended caller is told of that."""


class Active(Struct, frozen=True, gc=False):
    """A call that was answered."""

    word: ClassVar[Literal["active"]] = "active"
    stage: ClassVar[int] = 1

    callee: DeviceAddress
    """The device that accepted."""
    since: float
    """The time of the answer."""
    by_calling: bool = False
    """The callee accepted by calling its caller (glare), so it is owed a ``call_success`` too."""
    by_itself: bool = False
    """The device accepted without anybody touching it, as its owner wants it for this caller."""
    signalled: bool = False
    """Media is arranged by v2 ``signal`` messages, not by the page."""
    absent: tuple[DeviceAddress, ...] = ()
    """Those of its two parties that have no socket just now, and whose other party is extended."""
    transferred_from: tuple[DeviceAddress, ...] = ()
    """Devices that others of their phones have taken it over from."""
    moved_at: float | None = None
    """The time of the last transfer."""
    original_parties: tuple[DeviceAddress, DeviceAddress] | None = None
    """Caller and callee before that happened first: to base clients they go by these names."""


class Over(Struct, frozen=True, gc=False):
    """A call that is over."""

    word: ClassVar[Literal["over"]] = "over"
    stage: ClassVar[int] = 2

    was: Ringing | Active
    """Its state before. If it rang, nobody does any more."""
    reason: Reason
    at: float
    """The time when it ended."""
    by: DeviceAddress | None = None
    """The device that refused or hung up, which need not be told."""
    untold: bool = False
    """A node ended it for want of somebody who may have been elsewhere, and had nobody there to tell; nor has anybody
    been told since: if it was answered, or goes on, elsewhere, that counts."""


CallState: TypeAlias = Ringing | Active | Over
"""The life of a call (protocol §2.4). It goes from the first by the second to the last, and never back."""
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
    """The time when this record must be looked at again."""
    extended: tuple[DeviceAddress, ...] = ()
    """Those of its two parties that speak ``callnet.v2`` (§2.5), and are told more."""
    aliases: tuple[tuple[DeviceAddress, RoomId], ...] = ()
    """Room ids by which devices know the call, if that is not ``room``: of a device its last one (:meth:`room_for`)."""

    @property
    def age(self) -> tuple[int, int]:
        """Of two records of one call the one with the greater age is the later one.

        Within one store the version says so. A node that was cut off may have gone further in versions, but
        a call never goes back to an earlier state.
        """
        return self.state.stage, self.version

    def is_later_than(self, other: CallRecord) -> bool:
        """Tell whether this is the later one of two records of one call."""
        mine, others = self.state.stage, other.state.stage
        return mine > others or (mine == others and self.version > other.version)

    @property
    def answer(self) -> Active | None:
        """Its state since it was answered, if it was; of a call that is over, that before the end."""
        state: CallState = self.state
        if isinstance(state, Over):
            state = state.was
        return state if isinstance(state, Active) else None

    @property
    def end(self) -> Over | None:
        """Its state, if it is over."""
        return self.state if isinstance(self.state, Over) else None

    @property
    def callee(self) -> DeviceAddress | None:
        """The device that accepted, if one did."""
        answer = self.answer
        return None if answer is None else answer.callee

    @property
    def transferred_from(self) -> tuple[DeviceAddress, ...]:
        """Devices that others of their phones have taken it over from."""
        answer = self.answer
        return () if answer is None else answer.transferred_from

    @property
    def parties(self) -> tuple[DeviceAddress, ...]:
        """Everyone who is in it now: its caller, and whoever rings or has answered."""
        state = self.state
        if isinstance(state, Ringing):
            return (self.caller, *state.devices)
        return (self.caller, state.callee) if isinstance(state, Active) else ()

    def room_for(self, device: DeviceAddress) -> RoomId:
        """The room id by which a device knows the call.

        Of several rung devices each has an alias of its own. That of the one which accepts is the caller's, too, from
        then on. A device that takes the call over gets another one.
        """
        if not self.aliases:
            return self.room
        aliases = dict(self.aliases)
        callee = self.callee
        if device == self.caller and device not in aliases and callee is not None:
            return aliases.get(callee, self.room)
        return aliases.get(device, self.room)


def is_over(call: CallRecord) -> TypeGuard[CallRecord[Over]]:
    """Tell whether a call is over."""
    return isinstance(call.state, Over)


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
    """The time when the page's socket went away; ``None`` while somebody sits here."""
    came_by: RoomId | None = None
    """The room id that the page named, if it is an alias."""


class SeatsRecord(Struct, frozen=True, array_like=True):
    """The two seats of one room, of a call or made up by hand."""

    room: RoomId
    version: int
    seats: tuple[Seat | None, Seat | None]
    due: float | None
    """The time when this record must be looked at again."""
    closed: bool = False
    """Someone hung up a room that has no call; it starts again with the next visitor."""


class Records(Struct, frozen=True):
    """A view of the store, as much of it as was asked for. Read only."""

    devices: Mapping[str, Mapping[str, DeviceRecord]]
    """By phone, then by device id."""
    calls: Mapping[RoomId, CallRecord]
    seats: Mapping[RoomId, SeatsRecord]
    complete: bool = True
    """``False``: other nodes may know more, and cannot be asked now. These are records that this node knows."""
    policies: Mapping[str, Policy] = {}
    """By phone, those that are too long for the records of its devices."""
    aliases: Mapping[RoomId, RoomId] = {}
    """The room of each alias of ``calls``."""
    alone: bool = False
    """True while the shared store is out of reach: what is decided on these reaches other nodes later."""

    def call(self, room: RoomId) -> CallRecord | None:
        """The call of a room, which may go by an alias."""
        return self.calls.get(self.aliases.get(room, room))

    def device(self, address: DeviceAddress) -> DeviceRecord | None:
        """The record of one device."""
        of_phone = self.devices.get(address.phone)
        return None if of_phone is None else of_phone.get(address.device_id)

    def policy_of(self, device: DeviceRecord) -> Policy:
        """The policy of the phone of a device of these records: who may call it."""
        policy = device.policy
        return policy if policy.only != KEPT_ONCE else self.policies.get(device.address.phone, NOBODY)

    def may_call(self, phone: str, device: DeviceRecord, date: float) -> bool:
        """Tell whether the devices of a phone may call a device at a date, and see whether it is there."""
        if device.policy == ANYONE or phone == device.address.phone:
            return True
        return self.policy_of(device).allows(phone, date)


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
    """A message of one page to the other, verbatim: no record keeps it."""

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
    """A message of one party of a call to the other (protocol §2.5, ``signal``), verbatim: no record keeps it."""

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
    """The result of a decision: new records, records to forget, and notices in order.

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
    policies: Mapping[str, Policy] = {}
    """Policies to keep once for their phones, as long as these have devices. They have no versions: who writes a policy
    has just read it from the database, and hears of it when it changes there."""


NOTHING = Changes()
"""The decision that changes nothing."""
