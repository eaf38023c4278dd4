"""The records and the bus of a single process. Every Deferred has fired when it is handed out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from callnet.cluster.due import DueIndex
from callnet.interfaces import BusMessage, IBus, ICallStore, IPresence
from callnet.model import DeviceAddress, RoomId
from callnet.records import CallRecord, Changes, DeviceRecord, Records, SeatsRecord

_Roomed = TypeVar("_Roomed", CallRecord, SeatsRecord)


@implementer(IBus)
class MemoryBus:
    """Everything is on this node: to publish is to call."""

    def __init__(self) -> None:
        self._receivers: list[Callable[[BusMessage], None]] = []

    def subscribe(self, receiver: Callable[[BusMessage], None]) -> None:
        """See :meth:`callnet.interfaces.IBus.subscribe`."""
        self._receivers.append(receiver)

    def publish(self, messages: Iterable[BusMessage]) -> None:
        """See :meth:`callnet.interfaces.IBus.publish`."""
        for message in messages:
            for receiver in self._receivers:
                receiver(message)


@implementer(ICallStore, IPresence)
class MemoryCallStore:
    """Records in dictionaries. What it hands out to read is the store itself, so nothing is copied."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._devices: dict[str, dict[str, DeviceRecord]] = {}
        self._calls: dict[RoomId, CallRecord] = {}
        self._seats: dict[RoomId, SeatsRecord] = {}
        self._records = Records(self._devices, self._calls, self._seats)
        self._devices_due: DueIndex[DeviceAddress] = DueIndex()
        self._calls_due: DueIndex[RoomId] = DueIndex()
        self._seats_due: DueIndex[RoomId] = DueIndex()

    def read(self, phones: Collection[str], rooms: Collection[RoomId]) -> Deferred[Records]:  # noqa: ARG002
        """See :meth:`callnet.interfaces.ICallStore.read`."""
        return succeed(self._records)

    def commit(self, changes: Changes) -> Deferred[bool]:
        """See :meth:`callnet.interfaces.ICallStore.commit`."""
        if not self._holds(changes):
            return succeed(False)
        for device in changes.devices:
            self._put_device(device)
        for call in changes.calls:
            _put(self._calls, self._calls_due, call)
        for seats in changes.seats:
            _put(self._seats, self._seats_due, seats)
        for record in changes.forgotten:
            self._forget(record)
        if changes.notices:
            self._bus.publish(changes.notices)
        return succeed(True)

    def due(self, now: float) -> Deferred[Sequence[DeviceRecord | CallRecord | SeatsRecord]]:
        """See :meth:`callnet.interfaces.ICallStore.due`."""
        found: list[DeviceRecord | CallRecord | SeatsRecord | None] = [
            *map(self._records.device, self._devices_due.until(now)),
            *map(self._calls.get, self._calls_due.until(now)),
            *map(self._seats.get, self._seats_due.until(now)),
        ]
        return succeed(
            [record for record in found if record is not None and record.due is not None and record.due <= now]
        )

    def online(self, addresses: Collection[DeviceAddress]) -> Deferred[frozenset[DeviceAddress]]:
        """See :meth:`callnet.interfaces.IPresence.online`."""
        found = ((address, self._records.device(address)) for address in addresses)
        return succeed(frozenset(address for address, record in found if record is not None and record.connected))

    def _holds(self, changes: Changes) -> bool:
        return (
            all(_version(self._records.device(new.address)) == new.version - 1 for new in changes.devices)
            and all(_version(self._calls.get(new.room)) == new.version - 1 for new in changes.calls)
            and all(_version(self._seats.get(new.room)) == new.version - 1 for new in changes.seats)
            and all(self._present(old) is old for old in changes.forgotten)
        )

    def _present(self, old: DeviceRecord | CallRecord | SeatsRecord) -> DeviceRecord | CallRecord | SeatsRecord | None:
        if isinstance(old, DeviceRecord):
            return self._records.device(old.address)
        return self._calls.get(old.room) if isinstance(old, CallRecord) else self._seats.get(old.room)

    def _put_device(self, new: DeviceRecord) -> None:
        phone, device_id = new.address
        of_phone = self._devices.get(phone)
        if of_phone is None:
            of_phone = self._devices[phone] = {}
        old = of_phone.get(device_id)
        of_phone[device_id] = new
        if old is None or old.due != new.due:
            self._devices_due.move(new.address, None if old is None else old.due, new.due)

    def _forget(self, old: DeviceRecord | CallRecord | SeatsRecord) -> None:
        if isinstance(old, DeviceRecord):
            phone, device_id = old.address
            of_phone = self._devices[phone]
            del of_phone[device_id]
            if not of_phone:
                del self._devices[phone]
            self._devices_due.move(old.address, old.due, None)
        elif isinstance(old, CallRecord):
            del self._calls[old.room]
            self._calls_due.move(old.room, old.due, None)
        else:
            del self._seats[old.room]
            self._seats_due.move(old.room, old.due, None)


def _version(record: DeviceRecord | CallRecord | SeatsRecord | None) -> int:
    return 0 if record is None else record.version


def _put(table: dict[RoomId, _Roomed], index: DueIndex[RoomId], new: _Roomed) -> None:
    old = table.get(new.room)
    table[new.room] = new
    index.move(new.room, None if old is None else old.due, new.due)
