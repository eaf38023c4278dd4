"""A decision in progress: the records as read, the changes by the rules, and the deadlines that they bring."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from callnet.calls.preferences import Policy
from callnet.calls.records import (
    NOTHING,
    Active,
    CallRecord,
    CallState,
    Changes,
    DeviceRecord,
    Displaced,
    Known,
    Notice,
    Over,
    Records,
    Ringing,
    SeatNotice,
    SeatsRecord,
)
from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress, Reason, RoomId

REMEMBERED: Final = 120.0
"""Seconds for which an ended call is remembered (protocol §2.3)."""

KNOWN_AFTER: Final = 2.0
"""Seconds after which a device that is still heard from counts as knowing a message (§2.4)."""

OLD_END_AFTER: Final = 1.0
"""Seconds after it has connected at which a base device is sent an old end, unless it has placed a call (§2.4)."""

SECOND_TAP: Final = 2.0
"""Seconds after the accept in which calling the other party again is an impatient second tap (§2.4)."""

SEAT_KEPT: Final = 10.0
"""Seconds for which an empty seat is kept for its key (docs/room.md)."""

SEAT_PASSES: Final = 10.0
"""Seconds after a transfer in which the new device's page may have the seat of the one that left."""

BOTH_SEATS_EMPTY: Final = 30.0
"""Seconds after which a call with empty seats is abandoned (§2.4)."""

ONE_SEAT_EMPTY: Final = 120.0
"""Seconds after which a call with one empty seat of two is abandoned (§2.4)."""

T = TypeVar("T", bound=CallState)


def everyone(call: CallRecord) -> tuple[DeviceAddress, ...]:
    """All present and former devices of a call, each once."""
    callee = () if call.callee is None else (call.callee,)
    return tuple(dict.fromkeys((call.caller, *call.targets, *callee, *call.transferred_from)))


def concerned(call: CallRecord, *known: CallRecord | None) -> tuple[DeviceAddress, ...]:
    """The devices concerned by a call's changes from the records in ``known``.

    For devices that rang for it the call was over when it was answered, and they were told of that.
    """
    records = [one for one in (call, *known) if one is not None]
    parties = [party for one in records for party in (one.caller, one.callee) if party is not None]
    is_answered = all(one is not None and one.callee is not None for one in (call, *known))
    return tuple(dict.fromkeys((*parties, *call.transferred_from) if is_answered else (*everyone(call), *parties)))


def other_party(call: CallRecord, device: DeviceAddress) -> DeviceAddress:
    """The other party for ``device``, now or formerly: the callee for the caller's side, else the caller."""
    state: CallState = call.state
    return other_in(call, state.was if isinstance(state, Over) else state, device)


def other_in(call: CallRecord, state: Ringing | Active, device: DeviceAddress) -> DeviceAddress:
    """The same, in a state of the call."""
    caller = call.caller
    if type(state) is Ringing:
        return call.target if device == caller else caller
    has_called = device == caller or (device in state.transferred_from and device.phone == caller.phone)
    return state.callee if has_called else caller


def first_party(call: CallRecord, device: DeviceAddress) -> DeviceAddress:
    """The other party before any transfer, for ``device`` or its predecessor."""
    answer = call.answer
    if answer is None or answer.original_parties is None:
        return other_party(call, device)
    caller, callee = answer.original_parties
    return caller if other_in(call, answer, device) == call.caller else callee


def has_pulled(call: CallRecord, device: DeviceAddress) -> bool:
    """Return whether a party of ``call`` has taken it over from another device."""
    answer = call.answer
    return answer is not None and answer.original_parties is not None and device not in answer.original_parties


def can_be_held(call: CallRecord, device: DeviceAddress) -> bool:
    """Return whether a party can hold its call: both speak the extended protocol."""
    state: CallState = call.state
    return isinstance(state, Active) and device in call.extended and other_in(call, state, device) in call.extended


def calls_in(call_of_room: Callable[[RoomId], CallRecord | None], device: DeviceRecord) -> list[CallRecord]:
    """The calls of a device, at most two: its current one, then one that rings or is held beside it."""
    calls = map(call_of_room, dict.fromkeys(device.rooms))
    return [call for call in calls if call is not None and device.address in call.parties]


def without(devices: tuple[DeviceAddress, ...], device: DeviceAddress) -> tuple[DeviceAddress, ...]:
    """All devices but one."""
    return () if devices == (device,) else tuple([other for other in devices if other != device])


def over(was: CallState, reason: Reason, at: float, by: DeviceAddress | None = None) -> Over:
    """The state of an ended call; unchanged if it was over before."""
    if type(was) is Over:
        return was
    return Over(Ringing((), was.awaited_until, was.announced) if type(was) is Ringing else was, reason, at, by)


class Transaction(Struct):
    """Collects the changes of one decision. Each record is raised by one version however often it changes."""

    records: Records
    now: float
    settings: CallSettings
    _devices: dict[DeviceAddress, DeviceRecord] = {}
    _calls: dict[RoomId, CallRecord] = {}
    _seats: dict[RoomId, SeatsRecord] = {}
    _policies: dict[str, Policy] = {}
    _forgotten: list[DeviceRecord | CallRecord | SeatsRecord] = []
    _relied: list[RoomId] = []
    _told: list[tuple[DeviceAddress, RoomId]] = []
    _displaced: list[Displaced] = []

    def device(self, address: DeviceAddress) -> DeviceRecord | None:
        """The current record of a device."""
        changed = self._devices.get(address)
        if changed is not None:
            return changed
        of_phone = self.records.devices.get(address.phone)
        return None if of_phone is None else of_phone.get(address.device_id)

    def devices_of(self, phone: str) -> list[DeviceRecord]:
        """Every device of a phone, by device id."""
        return [self._devices.get(r.address, r) for _, r in sorted(self.records.devices.get(phone, {}).items())]

    def call(self, room: RoomId | None) -> CallRecord | None:
        """The current call of a room or an alias."""
        if room is None:
            return None
        room = self.records.aliases.get(room, room)
        return self._calls.get(room) or self.records.calls.get(room)

    def resolve(self, known: Iterable[Known]) -> tuple[Known, ...]:
        """Known outcomes with the aliases of their rooms resolved."""
        aliases = self.records.aliases
        return tuple(Known(aliases.get(one.room, one.room), one.is_over) for one in known)

    def seats(self, room: RoomId) -> SeatsRecord | None:
        """The current seats of a room."""
        return self._seats.get(room) or self.records.seats.get(room)

    def call_of(self, address: DeviceAddress, device: DeviceRecord | None = None) -> CallRecord | None:
        """The call of a device, ringing or active; of two, the active one. ``device``: its record, if it is at hand."""
        device = device or self.device(address)
        if device is None:
            return None
        for room in (device.room, device.previous_room):
            call = None if room is None else self._calls.get(room) or self.records.calls.get(room)
            if call is not None and not isinstance(call.state, Over) and address in call.parties:
                return call
        return None

    def calls_of(self, device: DeviceRecord | None) -> list[CallRecord]:
        """See :func:`calls_in`."""
        return [] if device is None else calls_in(self.call, device)

    def second_call_of(self, device: DeviceRecord) -> CallRecord | None:
        """The call that rings a device, or is held by it, while it is in another one."""
        return next(iter(self.calls_of(device)[1:]), None)

    def rooms_with(self, address: DeviceAddress) -> list[RoomId]:
        """The rooms of all calls of a device, present and former. This searches every call in the records."""
        return [
            call.room
            for call in self.records.calls.values()
            if address in call.targets or address in (call.caller, call.callee)
        ]

    def next_generation(self, older: int, opened_at: float) -> int:
        """The generation of a connection opened at ``opened_at`` (:attr:`DeviceRecord.generation`)."""
        return max(older + 1, int(opened_at * 1000))

    def put_device(self, device: DeviceRecord, **changed: Any) -> DeviceRecord:
        """Change a device's record."""
        version = device.version if device.address in self._devices else device.version + 1
        self._devices[device.address] = record = replace(device, version=version, **changed)
        return record

    def keep_policy(self, phone: str, policy: Policy) -> None:
        """Keep the policy of a phone once, if it is too long for the records of its devices."""
        if policy.is_kept_once:
            self._policies[phone] = policy

    def put_in(self, room: RoomId, devices: Iterable[DeviceRecord]) -> None:
        """Put devices in the call of a room."""
        for device in devices:
            version = device.version if device.address in self._devices else device.version + 1
            self._devices[device.address] = replace(device, version=version, room=room, previous_room=device.room)

    def put_call(self, call: CallRecord, state: T, *notified: DeviceAddress, **head: Any) -> CallRecord[T]:
        """Change a call's record, and with its state its deadline.

        :param notified: the devices to notify, in this order, after those already named.
        """
        room, settings = call.room, self.settings
        entered: CallState = state
        if type(entered) is Over:
            due = self.now + REMEMBERED  # a node may announce an end from long ago, of which others do not know
        elif type(entered) is Active:
            limit = settings.longest
            is_seated = room in self._seats or room in self.records.seats
            if settings.unseated_limit and not entered.signalled and not is_seated:
                limit = min(limit, settings.unseated_limit)
            due = entered.since + limit
        else:
            due = call.placed_at + settings.ring_time
            if entered.awaited_until is not None:
                due = min(due, entered.awaited_until)
        if call.woken and isinstance(call.state, Ringing) and type(entered) is not Ringing:
            head["woken"] = tuple([one for one in call.woken if one in call.state.devices])  # others were told before
        version = call.version if room in self._calls else call.version + 1
        record: CallRecord[Any] = replace(call, version=version, state=state, due=due, **head)
        self._calls[room] = record
        for device in notified:
            self._told.append((device, room))
        return record

    def put_seats(self, record: SeatsRecord, **changed: Any) -> SeatsRecord:
        """Change the seats of a room."""
        version = record.version if record.room in self._seats else record.version + 1
        self._seats[record.room] = record = replace(record, version=version, **changed)
        return record

    def put_as_is(self, record: DeviceRecord | CallRecord | SeatsRecord) -> None:
        """Put a record as it is, with its version, decided elsewhere."""
        if isinstance(record, DeviceRecord):
            self._devices[record.address] = record
        elif isinstance(record, CallRecord):
            self._calls[record.room] = record
            self.put_call(record, record.state)  # with its deadline
        else:
            self._seats[record.room] = record

    def end(self, call: CallRecord, reason: Reason, *notified: DeviceAddress, by: DeviceAddress | None = None) -> None:
        """End a call, and notify devices. ``by``: the device that ended it, if any."""
        self.put_call(call, over(call.state, reason, self.now, by), *notified)

    def transfer(
        self, call: CallRecord[Active], leaves: DeviceAddress, comes: DeviceAddress, alias: RoomId
    ) -> CallRecord[Active]:
        """Replace one device by another, which knows the call by ``alias``; the one that leaves does not."""
        caller, state = call.caller, call.state
        is_caller = leaves == caller
        known = dict(call.aliases)
        common = [(party, call.room_for(party)) for party in (caller, state.callee) if party not in known]
        # Of a device's aliases the first, which may be the one that both parties had, and the newest are kept.
        superseded = [(device, room) for device, room in call.aliases if device == comes][1:]
        older = [pair for pair in call.aliases if pair not in superseded]
        moved = replace(
            state,
            callee=state.callee if is_caller else comes,
            absent=without(state.absent, leaves),
            held_by=without(state.held_by, leaves),
            transferred_from=(*without(state.transferred_from, comes), leaves),
            moved_at=self.now,
            original_parties=state.original_parties or (caller, state.callee),
        )
        return self.put_call(
            call,
            moved,
            caller=comes if is_caller else caller,
            extended=(*without(call.extended, leaves), comes),
            aliases=(*older, *common, (comes, alias)),
        )

    def forget(self, record: DeviceRecord | CallRecord | SeatsRecord) -> None:
        """Remove a record. It must be as it was read."""
        self._forgotten.append(record)

    def notify(self, call: CallRecord, *devices: DeviceAddress) -> None:
        """Notify devices of a call, in this order, after those already named."""
        for device in devices:
            self._told.append((device, call.room))

    def require_unchanged(self, rooms: Iterable[RoomId]) -> None:
        """Commit only if any calls of these rooms are unchanged."""
        self._relied.extend(room for room in rooms if room in self.records.calls)

    def displace(self, older: DeviceRecord, newer: DeviceRecord) -> None:
        """Have the socket of ``older`` closed, on its node."""
        self._displaced.append(Displaced(newer.address, older.node, newer.generation))

    def build(self) -> Changes:
        """Return the changes, with the deadlines of their records."""
        for room in self._calls if self.records.seats else ():
            if room not in self._seats and (seats_as_read := self.records.seats.get(room)) is not None:
                self.put_seats(seats_as_read)
        if not (self._devices or self._calls or self._seats or self._forgotten or self._policies):
            return NOTHING
        for address, record in self._devices.items():
            if record.lost_at is not None or record.due is not None:
                self._devices[address] = self._with_due(record)
        notices: list[Notice | SeatNotice | Displaced] = []
        for device, room in self._told:
            notices.append(Notice(device, self._calls.get(room) or self.records.calls[room]))
        notices += self._displaced
        seats = self._finish_seats(notices) if self._seats else ()
        unchanged = self._relied_on() if seats or self._forgotten or self._relied else ()
        devices, calls = list(self._devices.values()), list(self._calls.values())
        return Changes(devices, calls, seats, self._forgotten, unchanged, notices, self._policies)

    def _with_due(self, device: DeviceRecord) -> DeviceRecord:
        """The record with the time for a lost device to lose its call, or to be forgotten, which is not urgent."""
        if device.lost_at is None:
            return replace(device, due=None)
        grace_ends = device.lost_at + self.settings.grace
        has_call = grace_ends > self.now and self.call_of(device.address) is not None
        return replace(device, due=grace_ends if has_call else max(grace_ends, self.now + REMEMBERED / 2))

    def _finish_seats(self, notices: list[Notice | SeatNotice | Displaced]) -> list[SeatsRecord]:
        """Add the changed seats; their pages are notified."""
        finished = [replace(seats, due=seats_due(seats, self.call(seats.room))) for seats in self._seats.values()]
        notices += [
            SeatNotice(seat.key, seats, self.call(seats.room))
            for seats in finished
            for seat in seats.taken
            if seat.empty_since is None
        ]
        return finished

    def _relied_on(self) -> list[CallRecord]:
        """The unchanged calls behind the decision."""
        forgotten = (record.room for record in self._forgotten if isinstance(record, SeatsRecord))
        rooms = {*self._seats, *forgotten, *self._relied} - self._calls.keys()
        return [call for room in rooms if (call := self.records.calls.get(room)) is not None]


# Deadlines: every time limit of the protocol, derived from the records


def seats_due(seats: SeatsRecord, call: CallRecord | None) -> float | None:
    """The due time of a room's seats: to free one, or to end an abandoned call."""
    if call is None:
        emptied = [seat.empty_since for seat in seats.taken if seat.empty_since is not None]
        return min(emptied) + SEAT_KEPT if emptied else None
    return abandoned_at(seats, call.state) if isinstance(call.state, Active) else None


def abandoned_at(seats: SeatsRecord, call: Active) -> float | None:
    """The end of an active call with empty seats (§2.4), if they are empty."""
    taken = seats.taken
    emptied = [max(seat.empty_since, call.since) for seat in taken if seat.empty_since is not None]
    limits = []
    if taken and len(emptied) == len(taken):
        limits.append(max(emptied) + BOTH_SEATS_EMPTY)
    if len(taken) == len(seats.seats) and emptied:
        limits.append(min(emptied) + ONE_SEAT_EMPTY)
    return min(limits) if limits else None
