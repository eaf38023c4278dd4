"""One node's copies of records of the shared store: its own devices and pages, and their calls.

A copy may be old, which a commit detects. The copies are enough to decide the answer of a device of this node, to
process deadlines punctually, and to go on when the shared store is out of reach.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from callnet.calls.ports import BusMessage
from callnet.calls.records import (
    Active,
    CallRecord,
    Changes,
    DeviceRecord,
    Displaced,
    Notice,
    Records,
    Ringing,
    Seat,
    SeatNotice,
    SeatsRecord,
)
from callnet.calls.transaction import calls_in, concerned, everyone
from callnet.model import DeviceAddress, RoomId
from callnet.store.tables import Record, Tables


class LocalCache:
    """The copies of one node.

    :param name: the constant part of this node's names: they all begin with it and a point.
    """

    def __init__(self, name: str) -> None:
        self._own = f"{name}."
        self._tables: Final = Tables()
        self._old: set[RoomId] = set()
        self.changed: dict[RoomId, None] = {}
        """Rooms of this node's pages whose calls have changed; see :meth:`messages_of_pages`."""
        self.holds: Final = self._tables.holds
        self.records: Final = self._tables.records
        """All copies, live."""
        self.alone: Final = replace(self.records, complete=False, alone=True)
        """The same, as records that may be incomplete."""

    # Queries

    def devices(self) -> list[DeviceRecord]:
        """Every device of this node."""
        return [device for of_phone in self.records.devices.values() for device in of_phone.values()]

    def rooms(self) -> list[RoomId]:
        """Every room with a record."""
        return list({**self.records.calls, **self.records.seats})

    def knows(self, rooms: Iterable[RoomId]) -> bool:
        """Return whether these rooms are known, and not marked as old."""
        for name in rooms:
            room = self.records.aliases.get(name, name)
            if room in self._old or (room not in self.records.calls and room not in self.records.seats):
                return False
        return True

    def is_here(self, node: str) -> bool:
        """Return whether a node name is, or was, this node's."""
        return node.startswith(self._own)

    def is_put_in(self, address: DeviceAddress, room: RoomId, changed: Iterable[DeviceRecord]) -> bool:
        """Return whether a device connected to this node is, or has been, in a call here, before or after these
        changes: its record names two calls at most, and may name others then.
        """
        records = (self.records.device(address), *(device for device in changed if device.address == address))
        return any(device is not None and room in device.rooms for device in records)

    def know_better(self, message: BusMessage) -> bool:
        """Return whether a copy is later than a delayed message."""
        known = self.records.calls.get(message.call.room) if isinstance(message, Notice) else None
        return known is not None and isinstance(message, Notice) and known.is_later_than(message.call)

    def is_wanted(self, call: CallRecord) -> bool:
        """Return whether a call concerns a device or a page of this node.

        Devices that rang for a call are not concerned once another device has answered it.
        """
        devices = self.records.devices
        phone, device_id = call.caller
        if phone in devices and device_id in devices[phone]:
            return True
        concerned = call.parties if isinstance(call.state, Active) else everyone(call)
        return any(map(self.records.device, concerned)) or self._has_seat(self.records.seats.get(call.room))

    def is_ours(self, record: Record) -> bool:
        """Return whether a record concerns this node only, so that it may be changed without the store."""
        if isinstance(record, DeviceRecord):
            return self.is_here(record.node)
        if isinstance(record, CallRecord):
            return record.end is not None or all(map(self.records.device, (record.caller, *record.targets)))
        return all(self.is_here(seat.node) for seat in record.taken)

    def _has_seat(self, seats: SeatsRecord | None) -> bool:
        return seats is not None and any(self.is_here(seat.node) for seat in seats.taken)

    # Changes

    def apply(self, changes: Changes, pages_know: bool = True) -> None:
        """Apply committed changes.

        :param pages_know: true if the pages of its seats are notified by the committer.
        """
        for gone in changes.forgotten:
            if isinstance(gone, DeviceRecord):
                self._lose_device(gone)
            else:
                self._tables.forget(gone)
        for device in changes.devices:
            self._put_device(device)
        for phone, policy in changes.policies.items():
            self._tables.put_policy(phone, policy)
        # A call may be wanted for a seat in its room, and seats for their call.
        for record in changes.seats:
            self._put_seats(record)
        for call in (*changes.unchanged, *changes.calls):
            self._put_call(call)
        for record in changes.seats:
            self._put_seats(record)
            if pages_know:
                self.changed.pop(record.room, None)

    def distrust(self, changes: Changes) -> None:
        """Mark the rooms of failed changes as old, so that they are read again."""
        for record in (*changes.calls, *changes.seats, *changes.unchanged, *changes.forgotten):
            if not isinstance(record, DeviceRecord) and self._is_known(record.room):
                self._old.add(record.room)

    def _is_known(self, room: RoomId) -> bool:
        return room in self.records.calls or room in self.records.seats

    def drop_room(self, room: RoomId) -> None:
        """Drop the copies of a room."""
        self._old.discard(room)
        for record in (self.records.calls.get(room), self.records.seats.get(room)):
            if record is not None:
                self._tables.forget(record)

    def see(self, records: Records, phones: Collection[str], rooms: Collection[RoomId]) -> Sequence[BusMessage]:
        """Apply a complete read of these phones and rooms; return the messages to this node's own devices and pages."""
        changed, calls = self._not_known(records, phones)
        messages: list[BusMessage] = []
        if changed or calls or records.seats:
            messages += self._missed_by(records, changed, calls)
        for phone in changed:
            self._see_devices(phone, records.devices.get(phone, {}))
        for room in rooms:
            if room not in records.calls and room not in records.seats:
                self.drop_room(room)
        self._old.difference_update(rooms, records.calls, records.seats)
        for phone in records.policies.keys() & phones:
            self._tables.put_policy(phone, records.policies[phone])
        if calls or records.seats:
            seats = [self._with_its_pages(record) for record in records.seats.values()]
            self.apply(Changes(calls=calls, seats=seats), pages_know=False)
        if self.changed:
            messages += self.messages_of_pages()
        return messages

    def _not_known(self, records: Records, phones: Iterable[str]) -> tuple[list[str], list[CallRecord]]:
        """The phones and calls with changed records. Most often there are none.

        For a call with pages it is checked again whether it is wanted.
        """
        known, changed, calls = self.records, list[str](), list[CallRecord]()
        for phone in phones:
            if records.devices.get(phone) != known.devices.get(phone):
                changed.append(phone)
        for room, call in records.calls.items():
            if known.calls.get(room) != call or room in records.seats:
                calls.append(call)
        return changed, calls

    def _see_devices(self, phone: str, read: Mapping[str, DeviceRecord]) -> None:
        for device in list(self.records.devices.get(phone, {}).values()):
            if device.address.device_id not in read:
                self._lose_device(device)
        for device in read.values():
            self._put_device(self._with_its_socket(device))

    def _missed_by(self, records: Records, phones: Iterable[str], calls: Iterable[CallRecord]) -> Iterator[BusMessage]:
        """Messages for lost or delayed changes."""
        for phone in phones:
            for mine in self.records.devices.get(phone, {}).values():
                now = records.device(mine.address)
                if now is not None and now.generation > mine.generation:
                    yield Displaced(mine.address, mine.node, now.generation)
        for call in calls:
            known = self.records.calls.get(call.room)
            if known is None or call.is_later_than(known):
                yield from (Notice(device.address, call) for device in self._concerned(call, known, records))
        for seats in records.seats.values():
            known_seats = self.records.seats.get(seats.room)
            if known_seats is not None and known_seats.version < seats.version:
                yield from self._news_of_seats(known_seats, seats, records.calls.get(seats.room))

    def _concerned(self, call: CallRecord, known: CallRecord | None, read: Records) -> Iterator[DeviceRecord]:
        for device in filter(None, map(self.records.device, concerned(call, known))):
            # Changes from before the device connected were sent, if necessary, when it connected; but a node that was
            # apart then may have announced since that it had been in this call.
            now = read.device(device.address)
            was_put_in = now is not None and call.room in now.rooms and call.room not in device.rooms
            if known is not None or call.placed_at * 1000 >= device.generation or was_put_in:
                yield device

    def _news_of_seats(self, known: SeatsRecord, seats: SeatsRecord, call: CallRecord | None) -> Iterator[SeatNotice]:
        for seat in known.seats:
            if seat is not None and seat.empty_since is None and self.is_here(seat.node):
                yield SeatNotice(seat.key, seats, call)

    def messages_of_pages(self) -> Sequence[SeatNotice]:
        """Notices to this node's pages of changes of their calls; each is returned once.

        The committer of a change may not have known the pages: the store had lost its records, or was away.
        """
        changed, self.changed = self.changed, {}
        rooms = filter(None, map(self.records.seats.get, changed))
        calls = self.records.calls
        return [notice for seats in rooms for notice in self._news_of_seats(seats, seats, calls.get(seats.room))]

    def _with_its_socket(self, read: DeviceRecord) -> DeviceRecord:
        """A device's record, corrected if others took it for lost though its socket is here."""
        known = self.records.device(read.address)
        if read.connected or known is None or not known.connected or known.generation != read.generation:
            return read
        return replace(read, node=known.node, connected=True, unheard=None, known=(), lost_at=None, due=None)

    def _with_its_pages(self, read: SeatsRecord) -> SeatsRecord:
        """A room's seats, corrected if others took pages for lost though their sockets are here."""
        known = self.records.seats.get(read.room)
        if known is None:
            return read
        here = {seat.key: seat for seat in known.taken if seat.empty_since is None}
        seats = [self._unless_it_is_here(seat, here) for seat in read.seats]
        return replace(read, seats=(seats[0], seats[1]))

    def _unless_it_is_here(self, seat: Seat | None, here: Mapping[str, Seat]) -> Seat | None:
        if seat is None or seat.empty_since is None:
            return seat
        known = here.get(seat.key)
        is_here = known is not None and known.generation == seat.generation and self.is_here(known.node)
        return known if is_here else seat

    def hear(self, message: BusMessage) -> None:
        """Apply a message of another node."""
        if isinstance(message, Notice):
            self._hear_of_call(message.to, message.call)
        elif isinstance(message, SeatNotice):
            calls = () if message.call is None else (message.call,)
            self.apply(Changes(calls=calls, seats=(self._with_its_pages(message.seats),)))
        elif isinstance(message, Displaced):
            device = self.records.device(message.to)
            if device is not None and device.generation < message.generation:
                self._lose_device(device)

    def _hear_of_call(self, to: DeviceAddress, call: CallRecord) -> None:
        self._put_call(call)
        device = self.records.device(to)
        rings = isinstance(call.state, Ringing) and to in call.state.devices
        if device is not None and call.room not in device.rooms and rings:
            # The node that placed the call has written the same into the device's record.
            talks = [one.room for one in calls_in(self.records.calls.get, device) if isinstance(one.state, Active)]
            room, previous = (talks[0], call.room) if talks else (call.room, device.room)
            new = replace(device, version=device.version + 1, room=room, previous_room=previous)
            self._tables.put_devices(new)

    def due(self, now: float) -> Iterator[Record]:
        """Yield due records; ended calls are forgotten when they are due."""
        yield from self._tables.due(now)
        if self._old:
            self._old = set(filter(self._is_known, self._old))

    def _put_device(self, device: DeviceRecord) -> None:
        if device.node.startswith(self._own):
            self._tables.put_devices(device)
        elif (old := self.records.device(device.address)) is not None:
            self._lose_device(old)

    def _lose_device(self, device: DeviceRecord) -> None:
        self._tables.forget(device)
        for room in device.rooms:
            call = self.records.calls.get(room)
            if call is not None and not self.is_wanted(call):
                self.drop_room(call.room)

    def _put_call(self, call: CallRecord) -> None:
        old = self.records.calls.get(call.room)
        if old is not None and old.is_later_than(call):
            return
        if self.is_wanted(call):
            self._tables.put_call(call)
            if call.room in self.records.seats and old is not None and call.is_later_than(old):
                self.changed[call.room] = None
        elif old is not None:
            self.drop_room(call.room)

    def _put_seats(self, seats: SeatsRecord) -> None:
        old = self.records.seats.get(seats.room)
        if old is not None and old.version > seats.version:
            return
        if self._has_seat(seats) or seats.room in self.records.calls:
            self._tables.put_seats(seats)
        elif old is not None:
            self._tables.forget(old)
