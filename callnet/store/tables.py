"""Records in tables, and an index of what is due: a whole store, or what one node knows of a shared one."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from itertools import chain
from typing import Final, Generic, TypeVar

from callnet.calls.preferences import Policy
from callnet.calls.records import CallRecord, Changes, DeviceRecord, Records, SeatsRecord
from callnet.model import DeviceAddress, RoomId

K = TypeVar("K", bound=Hashable)


class DueIndex(Generic[K]):
    """Keys in buckets of one second each. Moving a key is cheap, and so is finding nothing due."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[K, float]] = {}
        self._to_come = 0
        """The first second that has not begun."""
        self._begun: dict[int, None] = {}
        """The earlier seconds that have buckets."""

    def move(self, key: K, old: float | None, new: float | None) -> None:
        """Make ``key`` due at ``new`` (seconds; ``None``: never), and no longer at ``old``."""
        if old is not None:
            number = int(old)
            bucket = self._buckets.get(number)
            if bucket is not None and bucket.pop(key, None) is not None and not bucket:
                del self._buckets[number]
                self._begun.pop(number, None)
        if new is not None:
            number = int(new)
            bucket = self._buckets.get(number)
            if bucket is None:
                bucket = self._buckets[number] = {}
                if number < self._to_come:
                    self._begun[number] = None
            bucket[key] = new

    def until(self, now: float) -> list[K]:
        """The keys due at ``now``."""
        end = int(now) + 1
        if end - self._to_come > len(self._buckets):
            seconds = [number for number in self._buckets if self._to_come <= number < end]
        else:
            seconds = [number for number in range(self._to_come, end) if number in self._buckets]
        self._begun.update(dict.fromkeys(seconds))
        self._to_come = max(self._to_come, end)
        return [key for number in self._begun for key, due in self._buckets[number].items() if due <= now]


Record = DeviceRecord | CallRecord | SeatsRecord


class Tables:
    """Devices, calls and seats. ``records`` is a live view of them, without copies."""

    def __init__(self) -> None:
        self.devices: Final[dict[str, dict[str, DeviceRecord]]] = {}
        self.calls: Final[dict[RoomId, CallRecord]] = {}
        self.seats: Final[dict[RoomId, SeatsRecord]] = {}
        self.policies: Final[dict[str, Policy]] = {}
        self.aliases: Final[dict[RoomId, RoomId]] = {}
        self.records: Final = Records(
            self.devices, self.calls, self.seats, policies=self.policies, aliases=self.aliases
        )
        self._devices_due: DueIndex[DeviceAddress] = DueIndex()
        self._calls_due: DueIndex[RoomId] = DueIndex()
        self._seats_due: DueIndex[RoomId] = DueIndex()

    def holds(self, changes: Changes) -> bool:
        """Return whether every record is unchanged since the decision on ``changes``."""
        return (
            all(_version(self.records.device(new.address)) == new.version - 1 for new in changes.devices)
            and all(_version(self.calls.get(new.room)) == new.version - 1 for new in changes.calls)
            and all(_version(self.seats.get(new.room)) == new.version - 1 for new in changes.seats)
            and all(_version(self.calls.get(call.room)) == call.version for call in changes.unchanged)
            and all(self.present(old) == old for old in changes.forgotten)
            and self._whole(changes)
        )

    def _whole(self, changes: Changes) -> bool:
        """Return whether rooms in ``changes`` have no record unseen by the decision."""
        named = (*changes.seats, *changes.forgotten)
        seats = {record.room for record in named if not isinstance(record, DeviceRecord)}
        calls = {call.room for call in (*changes.calls, *changes.unchanged)}
        return all(call.room not in self.seats or call.room in seats for call in changes.calls) and all(
            record.room not in self.calls or record.room in calls for record in changes.seats
        )

    def present(self, record: Record) -> Record | None:
        """The current record, if it exists."""
        if isinstance(record, DeviceRecord):
            return self.records.device(record.address)
        return self.calls.get(record.room) if isinstance(record, CallRecord) else self.seats.get(record.room)

    def put_devices(self, *devices: DeviceRecord) -> None:
        """Write records of devices."""
        for new in devices:
            phone, device_id = new.address
            of_phone = self.devices.get(phone)
            if of_phone is None:
                of_phone = self.devices[phone] = {}
            old = of_phone.get(device_id)
            of_phone[device_id] = new
            if old is None or old.due != new.due:
                self._devices_due.move(new.address, None if old is None else old.due, new.due)

    def put_policy(self, phone: str, policy: Policy) -> None:
        """Keep the policy of a phone for as long as it has devices."""
        if phone in self.devices:
            self.policies[phone] = policy

    def put_call(self, new: CallRecord) -> None:
        """Write a call's record."""
        old = self.calls.get(new.room)
        self.calls[new.room] = new
        self._calls_due.move(new.room, None if old is None else old.due, new.due)
        if new.aliases or (old is not None and old.aliases):
            self._alias(old, new)

    def _alias(self, old: CallRecord | None, new: CallRecord | None) -> None:
        """Update the index of aliases."""
        for _, alias in () if old is None else old.aliases:
            self.aliases.pop(alias, None)
        for _, alias in () if new is None else new.aliases:
            if new is not None and alias != new.room:
                self.aliases[alias] = new.room

    def put_seats(self, new: SeatsRecord) -> None:
        """Write the record of a room's seats."""
        old = self.seats.get(new.room)
        self.seats[new.room] = new
        self._seats_due.move(new.room, None if old is None else old.due, new.due)

    def forget(self, record: Record) -> None:
        """Remove a record, whatever its version, if it is there."""
        old = self.present(record)
        if isinstance(old, DeviceRecord):
            of_phone = self.devices[old.address.phone]
            del of_phone[old.address.device_id]
            if not of_phone:
                del self.devices[old.address.phone]
                self.policies.pop(old.address.phone, None)
            self._devices_due.move(old.address, old.due, None)
        elif isinstance(old, CallRecord):
            del self.calls[old.room]
            self._calls_due.move(old.room, old.due, None)
            if old.aliases:
                self._alias(old, None)
        elif old is not None:
            del self.seats[old.room]
            self._seats_due.move(old.room, old.due, None)

    def due(self, now: float) -> Iterator[Record]:
        """Yield due records, each in its state at that moment, except ended calls.

        Those are forgotten when they are due, with the seats of their rooms.
        """
        found: Iterator[Record | None] = chain(
            map(self.records.device, self._devices_due.until(now)),
            map(self.calls.get, self._calls_due.until(now)),
            map(self.seats.get, self._seats_due.until(now)),
        )
        for record in found:
            if record is None or record.due is None or record.due > now:
                continue
            if isinstance(record, CallRecord) and record.end is not None:
                self.forget(record)
                if (seats := self.seats.get(record.room)) is not None:
                    self.forget(seats)
            else:
                yield record


def _version(record: Record | None) -> int:
    return 0 if record is None else record.version


def seen_online(
    records: Records, addresses: Collection[DeviceAddress], asker: str | None, date: float
) -> frozenset[DeviceAddress]:
    """The connected ones of these devices, as visible to ``asker`` (:class:`IPresence`)."""
    found = (device for device in map(records.device, addresses) if device is not None and device.connected)
    return frozenset(device.address for device in found if asker is None or records.may_call(asker, device, date))
