"""How records and messages look in Redis: msgpack, a record behind its version in four bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.msgpack import Decoder, Encoder
from msgspec.structs import replace

from callnet.cluster.tables import Record
from callnet.interfaces import BusMessage
from callnet.model import DeviceAddress, RoomId
from callnet.records import (
    CallRecord,
    CallState,
    Changes,
    DeviceRecord,
    Displaced,
    Notice,
    Policy,
    Records,
    Seat,
    SeatNotice,
    SeatsRecord,
)

_NOTHING: Final = Raw(b"\xa0")
"""The version of what must not be there, and the value of what is to be forgotten."""


class _View(Struct, frozen=True, array_like=True):
    devices: list[DeviceRecord]
    calls: list[CallRecord]
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
decode_call: Final = Decoder(CallRecord).decode
decode_messages: Final = Decoder(list[BusMessage]).decode
decode_names: Final = Decoder(list[str]).decode


def _raw(data: bytes) -> Raw:
    """Bytes as the msgpack of Lua takes them: it has no type for them but that of text."""
    length = len(data)
    if length < 32:
        return Raw(bytes((0xA0 + length,)) + data)
    return Raw(
        b"\xda" + length.to_bytes(2, "big") + data if length < 0x10000 else b"\xdb" + length.to_bytes(4, "big") + data
    )


def _version(version: int) -> Raw:
    """A version as it stands before its record."""
    return Raw(b"\xa4" + version.to_bytes(4, "big")) if version else _NOTHING


def _version_of(record: Record | None) -> Raw:
    return _NOTHING if record is None else _version(record.version)


def _value(record: Record) -> Raw:
    return _raw(record.version.to_bytes(4, "big") + encode(record))


# Reading


def decode_view(data: bytes) -> Records:
    """The records of a view. What is held by a dead node is shown as gone since then."""
    return _records(_view(data))


def _records(view: _View) -> Records:
    dead = dict(view.dead)
    devices: dict[str, dict[str, DeviceRecord]] = {}
    for device in view.devices:
        if device.connected and device.node in dead:
            device = _gone(device, dead[device.node])  # noqa: PLW2901
        devices.setdefault(device.address.phone, {})[device.address.device_id] = device
    calls = {call.room: call for call in view.calls}
    seats = {record.room: _emptied(record, dead) if dead else record for record in view.seats}
    aliases = {alias: call.room for call in view.calls if call.aliases for _, alias in call.aliases}
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
    """The records that this node is to look at."""
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


def encode_changes(changes: Changes, until: float, read: Records | None = None) -> bytes:
    """A set for ``commit``, which does nothing after ``until``.

    :param read: the records that were read, if the versions of ``changes`` do not just follow theirs.
    """
    rooms = _Rooms(changes, read)
    forgotten = [record for record in changes.forgotten if isinstance(record, DeviceRecord)]
    devices = [
        *(
            _device(new, _before(new, None if read is None else read.device(new.address), read))
            for new in changes.devices
        ),
        *((*old.address, _version_of(old), _NOTHING, None, None) for old in forgotten),
    ]
    policies = () if not changes.policies else [(phone, _raw(encode(one))) for phone, one in changes.policies.items()]
    return encode((until, devices, rooms.changes(), [_notice(notice) for notice in changes.notices], policies))


def _before(new: Record, old: Record | None, read: Records | None) -> Raw:
    if read is not None:
        return _version_of(old)
    return _version(new.version - 1)


def _device(new: DeviceRecord, before: Raw) -> tuple[Any, ...]:
    return (*new.address, before, _value(new), new.due, new.node if new.connected else None)


class _Rooms:
    """The calls and seats of changes, room by room: of a room that is touched both are checked."""

    def __init__(self, changes: Changes, read: Records | None) -> None:
        self._read = read
        self._calls = {call.room: call for call in changes.calls}
        self._seats = {seats.room: seats for seats in changes.seats}
        self._unchanged = {call.room: call for call in changes.unchanged}
        gone = [record for record in changes.forgotten if not isinstance(record, DeviceRecord)]
        self._gone_calls = {record.room: record for record in gone if isinstance(record, CallRecord)}
        self._gone_seats = {record.room: record for record in gone if isinstance(record, SeatsRecord)}

    def changes(self) -> list[tuple[Any, ...]]:
        """What becomes of each."""
        changes: list[tuple[Any, ...]] = []
        for room in {**self._calls, **self._seats, **self._gone_calls, **self._gone_seats}:
            changes += (self._call(room), self._of_seats(room))
            self._unchanged.pop(room, None)
        return changes + [("c", room, _version_of(call)) for room, call in self._unchanged.items()]

    def _call(self, room: RoomId) -> tuple[Any, ...]:
        new = self._calls.get(room)
        if new is not None:
            old = None if self._read is None else self._read.calls.get(room)
            value = _value(new)
            over = new.state is CallState.OVER
            aliases = tuple(alias for _, alias in new.aliases) if new.aliases else ()
            return ("c", room, _before(new, old, self._read), value, new.due, over, aliases)
        if (gone := self._gone_calls.get(room)) is not None:
            return ("c", room, _version_of(gone), _NOTHING)
        return ("c", room, _version_of(self._unchanged.get(room)))

    def _of_seats(self, room: RoomId) -> tuple[Any, ...]:
        new = self._seats.get(room)
        if new is None:
            gone = self._gone_seats.get(room)
            return ("s", room, _version_of(gone), None if gone is None else _NOTHING)
        old = None if self._read is None else self._read.seats.get(room)
        before = _before(new, old, self._read)
        value = _value(new)
        call = self._calls.get(room) or self._unchanged.get(room)
        if call is not None and call.state is CallState.OVER:
            return ("s", room, before, value, call.due, True, ())
        return ("s", room, before, value, new.due, False, tuple(_holders(new)))


def _holders(record: SeatsRecord) -> Iterable[str]:
    return {seat.node for seat in record.seats if seat is not None and seat.empty_since is None}


def _notice(notice: Notice | SeatNotice | Displaced) -> tuple[Any, ...]:
    message = _raw(encode(notice))
    if isinstance(notice, Notice):
        return (message, *notice.to)
    if isinstance(notice, Displaced):
        return (message, notice.node)
    seat = next(seat for seat in notice.seats.seats if seat is not None and seat.key == notice.key)
    return (message, seat.node)


# Asking


def encode_question(phones: Collection[str], rooms: Collection[RoomId]) -> bytes:
    """A question for ``read``."""
    return encode((tuple(phones), tuple(rooms)))


def encode_known(devices: Sequence[DeviceRecord], rooms: Sequence[RoomId], records: Records) -> bytes:
    """What a node knows, for ``compare``."""
    return encode(
        (
            [(*device.address, _version_of(device)) for device in devices],
            [(room, _version_of(records.calls.get(room)), _version_of(records.seats.get(room))) for room in rooms],
        )
    )
