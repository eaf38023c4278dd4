"""The encoding of records and messages in Redis: msgpack, a record after its version in four bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, cast

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder
from msgspec.structs import replace

from callnet.calls.ports import BusMessage
from callnet.calls.preferences import Policy
from callnet.calls.records import (
    Active,
    CallRecord,
    CallState,
    Changes,
    DeviceRecord,
    DeviceRelay,
    Displaced,
    Notice,
    Over,
    PresenceChanged,
    Records,
    Relay,
    Ringing,
    Seat,
    SeatNotice,
    SeatsRecord,
)
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.store.tables import Record


class _FlatCall(Struct, frozen=True, array_like=True):
    """A call with the fields of all its states, in the field order of earlier releases."""

    room: RoomId
    version: int
    state: Literal["ringing", "active", "over"]
    caller: DeviceAddress
    target: DeviceAddress
    targets: tuple[DeviceAddress, ...]
    ringing: tuple[DeviceAddress, ...]
    placed_at: float
    due: float | None
    awaited_until: float | None = None
    callee: DeviceAddress | None = None
    answered_at: float | None = None
    by_calling: bool = False
    signalled: bool = False
    reason: Reason | None = None
    ended_at: float | None = None
    ended_by: DeviceAddress | None = None
    untold: bool = False
    by_itself: bool = False
    extended: tuple[DeviceAddress, ...] = ()
    announced: bool = False
    absent: tuple[DeviceAddress, ...] = ()
    transferred_from: tuple[DeviceAddress, ...] = ()
    moved_at: float | None = None
    original_parties: tuple[DeviceAddress, DeviceAddress] | None = None
    aliases: tuple[tuple[DeviceAddress, RoomId], ...] = ()
    woken: tuple[DeviceAddress, ...] = ()
    held_by: tuple[DeviceAddress, ...] = ()


class _FlatNotice(Struct, frozen=True, array_like=True, tag="Notice"):
    to: DeviceAddress
    call: _FlatCall


class _FlatSeatNotice(Struct, frozen=True, array_like=True, tag="SeatNotice"):
    key: str
    seats: SeatsRecord
    call: _FlatCall | None


class _View(Struct, frozen=True, array_like=True):
    devices: list[DeviceRecord]
    calls: list[_FlatCall]
    seats: list[SeatsRecord]
    dead: list[tuple[str, float]]
    quiet: bool
    policies: dict[str, Policy]


class _Swept(Struct, frozen=True, array_like=True):
    members: list[str]
    view: _View


encode: Final = Encoder().encode
_view: Final = Decoder(_View).decode
_swept: Final = Decoder(_Swept).decode
_call: Final = Decoder(_FlatCall).decode
_messages: Final = Decoder(
    list[_FlatNotice | _FlatSeatNotice | Relay | DeviceRelay | Displaced | PresenceChanged]
).decode
decode_names: Final = Decoder(list[str]).decode


def _version_of(record: Record | None) -> int:
    return 0 if record is None else record.version


# Calls, by state and flat

_NEVER_RANG: Final = Ringing(())
_UNANSWERED: Final = Active(DeviceAddress("", ""), 0.0)


def _flat(call: CallRecord) -> _FlatCall:
    state = call.state
    end = state if isinstance(state, Over) else None
    before = state.was if isinstance(state, Over) else state
    rings, active = (before, _UNANSWERED) if isinstance(before, Ringing) else (_NEVER_RANG, before)
    is_answered = active is not _UNANSWERED
    return _FlatCall(
        call.room,
        call.version,
        state.word,
        call.caller,
        call.target,
        call.targets,
        rings.devices,
        call.placed_at,
        call.due,
        rings.awaited_until,
        active.callee if is_answered else None,
        active.since if is_answered else None,
        active.by_calling,
        active.signalled,
        None if end is None else end.reason,
        None if end is None else end.at,
        None if end is None else end.by,
        end is not None and end.untold,
        active.by_itself,
        call.extended,
        rings.announced,
        active.absent,
        active.transferred_from,
        active.moved_at,
        active.original_parties,
        call.aliases,
        call.woken,
        active.held_by,
    )


def _by_state(flat: _FlatCall) -> CallRecord:
    state: CallState
    if flat.callee is None or flat.answered_at is None:
        state = Ringing(flat.ringing, flat.awaited_until, flat.announced)
    else:
        state = Active(
            flat.callee,
            flat.answered_at,
            flat.by_calling,
            flat.by_itself,
            flat.signalled,
            flat.absent,
            flat.transferred_from,
            flat.moved_at,
            flat.original_parties,
            flat.held_by,
        )
    if flat.state == "over":
        ended_at = flat.placed_at if flat.ended_at is None else flat.ended_at
        state = Over(state, flat.reason or Reason.INTERNAL, ended_at, flat.ended_by, flat.untold)
    return CallRecord(
        flat.room,
        flat.version,
        state,
        flat.caller,
        flat.target,
        flat.targets,
        flat.placed_at,
        flat.due,
        flat.extended,
        flat.aliases,
        flat.woken,
    )


def encode_device(device: DeviceRecord) -> bytes:
    """Encode a device's record, which ends before the calls that were turned away if there are none.

    Redis stores the records of a phone compactly as long as each has at most 64 bytes, with its version.
    """
    data = encode(device)
    return data if device.turned_away else bytes((data[0] - 1,)) + data[1:-1]


def encode_call(call: CallRecord) -> bytes:
    """Encode a call's record."""
    return encode(_flat(call))


def decode_call(data: bytes) -> CallRecord:
    """Decode a call's record."""
    return _by_state(_call(data))


def decode_ended(data: bytes) -> CallRecord[Over]:
    """Decode the record of an ended call.

    :raises ValueError: the call has not ended.
    """
    call = decode_call(data)
    if not isinstance(call.state, Over):
        raise ValueError("this call goes on")
    return cast("CallRecord[Over]", call)


def encode_message(message: BusMessage) -> bytes:
    """Encode a message to other nodes."""
    if isinstance(message, Notice):
        return encode(_FlatNotice(message.to, _flat(message.call)))
    if isinstance(message, SeatNotice):
        call = None if message.call is None else _flat(message.call)
        return encode(_FlatSeatNotice(message.key, message.seats, call))
    return encode(message)


def decode_messages(data: bytes) -> list[BusMessage]:
    """Decode messages of other nodes."""
    return [_message(flat) for flat in _messages(data)]


def _message(flat: _FlatNotice | _FlatSeatNotice | Relay | DeviceRelay | Displaced | PresenceChanged) -> BusMessage:
    if isinstance(flat, _FlatNotice):
        return Notice(flat.to, _by_state(flat.call))
    if isinstance(flat, _FlatSeatNotice):
        return SeatNotice(flat.key, flat.seats, None if flat.call is None else _by_state(flat.call))
    return flat


# Decoding


def decode_view(data: bytes) -> Records:
    """Decode the records of a view. Devices and seats of a dead node are shown as gone since its death."""
    return _records(_view(data))


def _records(view: _View) -> Records:
    dead = dict(view.dead)
    devices: dict[str, dict[str, DeviceRecord]] = {}
    calls: dict[RoomId, CallRecord] = {}
    seats: dict[RoomId, SeatsRecord] = {}
    aliases: dict[RoomId, RoomId] = {}
    for device in view.devices:
        if device.connected and device.node in dead:
            device = _gone(device, dead[device.node])  # noqa: PLW2901
        devices.setdefault(device.address.phone, {})[device.address.device_id] = device
    for flat in view.calls:
        calls[flat.room] = _by_state(flat)
        for _, alias in flat.aliases:
            aliases[alias] = flat.room
    for record in view.seats:
        seats[record.room] = _emptied(record, dead) if dead else record
    return Records(devices, calls, seats, not view.quiet, view.policies, aliases)


def _gone(device: DeviceRecord, since: float) -> DeviceRecord:
    return replace(device, connected=False, unheard=None, lost_at=since, due=since)


def _emptied(record: SeatsRecord, dead: Mapping[str, float]) -> SeatsRecord:
    def emptied(seat: Seat | None) -> Seat | None:
        if seat is None or seat.empty_since is not None or seat.node not in dead:
            return seat
        return replace(seat, empty_since=dead[seat.node])

    first, second = map(emptied, record.seats)
    if (first, second) == record.seats:
        return record
    return replace(record, seats=(first, second), due=min(dead.values()))


def decode_swept(data: bytes) -> list[Record]:
    """Decode the records for this node to process."""
    swept = _swept(data)
    records = _records(swept.view)
    return [record for member in swept.members if (record := _named(records, member)) is not None]


def _named(records: Records, member: str) -> Record | None:
    kind, name = member[0], member[1:]
    if kind == "d":
        phone, device_id = name.split("\n")
        return records.device(DeviceAddress(phone, device_id))
    return records.calls.get(RoomId(name)) if kind == "c" else records.seats.get(RoomId(name))


# Committing

_Key: TypeAlias = tuple[Literal["c", "s"], RoomId]
"""The key of a call's record, or of a room's seats."""


def encode_changes(changes: Changes, read: Records | None = None) -> Sequence[bytes]:
    """Encode the arguments of ``commit``: a description, and then the values to write (scripts/commit.lua).

    :param read: the records that were read, if the versions of ``changes`` do not just follow theirs.
    """
    words = [b""]
    devices: list[tuple[Any, ...]] = []
    for device in changes.devices:
        before = device.version - 1 if read is None else _version_of(read.device(device.address))
        devices.append((*device.address, before, device.due, device.node if device.connected else None))
        words.append(device.version.to_bytes(4, "big") + encode_device(device))
    rooms: dict[_Key, tuple[Any, ...]] = {}
    places: dict[RoomId, int] = {}
    for call in changes.calls:
        room = call.room
        before = call.version - 1 if read is None else _version_of(read.calls.get(room))
        rooms["c", room] = "c", room, before, True, call.due, isinstance(call.state, Over), call.aliases
        words.append(call.version.to_bytes(4, "big") + encode(_flat(call)))
        places[room] = len(rooms)
    if changes.seats or changes.forgotten:
        _encode_rarer(changes, read, words, devices, rooms)
    written = list(rooms)
    for call in changes.unchanged:
        rooms.setdefault(("c", call.room), ("c", call.room, call.version, False))
    for _, room in written:  # both records of such a room are checked
        rooms.setdefault(("c", room), ("c", room, 0, False))
        rooms.setdefault(("s", room), ("s", room, 0, False))
    notices: list[tuple[Any, ...]] = []
    for notice in changes.notices:
        if isinstance(notice, Notice) and (place := places.get(notice.call.room)) is not None:
            notices.append((*notice.to, place))  # the script has the call already
        else:
            notices.append(_place_of(notice))
            words.append(encode_message(notice))
    words.extend(map(encode, changes.policies.values()))
    words[0] = encode((len(words), devices, list(rooms.values()), notices, list(changes.policies)))
    return words


def _encode_rarer(
    changes: Changes,
    read: Records | None,
    words: list[bytes],
    devices: list[tuple[Any, ...]],
    rooms: dict[_Key, tuple[Any, ...]],
) -> None:
    """Add the less frequent records: those of seats, and those to be forgotten."""
    for seats in changes.seats:
        before = seats.version - 1 if read is None else _version_of(read.seats.get(seats.room))
        rooms["s", seats.room] = "s", seats.room, before, True, *_seats_last(seats, changes)
        words.append(seats.version.to_bytes(4, "big") + encode(seats))
    for record in changes.forgotten:
        if isinstance(record, DeviceRecord):
            devices.append((*record.address, record.version, None, None))
            words.insert(len(devices), b"")
        else:
            key: _Key = "c" if isinstance(record, CallRecord) else "s", record.room
            rooms[key] = *key, record.version, True
            words.append(b"")


def _seats_last(seats: SeatsRecord, changes: Changes) -> tuple[float | None, bool, Sequence[str]]:
    """The due time of seats, a flag for the end of their call, and their nodes."""
    for call in (*changes.calls, *changes.unchanged):
        if call.room == seats.room and call.end is not None:
            return call.due, True, ()
    holders = {seat.node for seat in seats.taken if seat.empty_since is None}
    return seats.due, False, list(holders)


def _place_of(notice: Notice | SeatNotice | Displaced) -> tuple[str, ...]:
    """The address of a notice: a device, on any node, or a node."""
    if isinstance(notice, Notice):
        return notice.to
    if isinstance(notice, Displaced):
        return (notice.node,)
    return next((seat.node,) for seat in notice.seats.taken if seat.key == notice.key)


def encode_known(devices: Sequence[DeviceRecord], rooms: Sequence[RoomId], records: Records) -> bytes:
    """Encode the versions of a node's records for ``compare``."""
    return encode(
        (
            [(*device.address, _version_of(device)) for device in devices],
            [(room, _version_of(records.calls.get(room)), _version_of(records.seats.get(room))) for room in rooms],
        )
    )
