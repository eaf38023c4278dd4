"""Several nodes in one process: each has its own way to the same records, and a bus that goes by their names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from callnet.calls.events import Event
from callnet.calls.ports import EVERY_NODE, OVERTAKEN, BusMessage, Commit, IBus, ICallStore
from callnet.calls.records import (
    CallRecord,
    Changes,
    DeviceRecord,
    Displaced,
    Notice,
    Records,
    SeatNotice,
    SeatsRecord,
)
from callnet.calls.transaction import everyone
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, RoomId
from callnet.store.tables import Record, Tables
from tests.support.tables import write


class Cluster:
    """The shared part of nodes: the records, a clock, and the listeners by name."""

    def __init__(self, clock: IReactorTime) -> None:
        self.tables: Final = Tables()
        self.clock: Final = clock
        self.shift = 0.0
        """The lead of the store's clock over that of the nodes, in seconds."""
        self.listening: Final[dict[str, list[Callable[[BusMessage], None]]]] = {}
        self.failed: Final[list[CallRecord]] = []
        """Failed calls that have no record."""
        self.displaced: Final[list[Displaced]] = []
        """Those whose nodes could not be told."""

    def send(self, node: str, message: BusMessage) -> bool:
        """Hand a message to a node. Tells whether anybody listens there."""
        receivers = self.listening.get(node, [])
        if not receivers and isinstance(message, Displaced):
            self.displaced.append(message)
        for receiver in receivers:
            receiver(message)
        return bool(receivers)


@implementer(IBus)
class NodeBus:
    """One node's end of the bus."""

    def __init__(self, cluster: Cluster, node: str) -> None:
        self._cluster = cluster
        self._node = node

    def subscribe(self, receiver: Callable[[BusMessage], None]) -> None:
        """See :meth:`callnet.calls.ports.IBus.subscribe`."""
        self._cluster.listening.setdefault(self._node, []).append(receiver)

    def publish(self, node: str, message: BusMessage) -> None:
        """See :meth:`callnet.calls.ports.IBus.publish`."""
        for each in list(self._cluster.listening) if node == EVERY_NODE else (node,):
            self._cluster.send(each, message)


@implementer(ICallStore)
class NodeStore:
    """One node's way to the records. It answers at once.

    The node can be cut off: then it has only what concerns itself, nobody hears of what it does, and it of nobody.
    """

    def __init__(self, cluster: Cluster, node: str) -> None:
        self.node = node
        self._cluster = cluster
        self._cut_off: CutOff | None = None

    def is_cut_off(self) -> None:
        """Cut the node off."""
        if self._cut_off is None:
            self._cut_off = CutOff(self._cluster, self.node)

    def is_back(self) -> None:
        """Let the node be one of many again: everyone is told the missed changes."""
        if self._cut_off is not None:
            cut_off, self._cut_off = self._cut_off, None
            cut_off.ends()

    def now(self) -> float:
        """See :meth:`callnet.calls.ports.ICallStore.now`."""
        return self._cluster.clock.seconds() + self._cluster.shift

    def date_of(self, moment: float) -> float:
        """See :meth:`callnet.calls.ports.ICallStore.date_of`."""
        return moment

    def view(self, event: Event, again: bool = False) -> Records:  # noqa: ARG002  all of it is here
        """See :meth:`callnet.calls.ports.ICallStore.view`."""
        return self.known()

    def read(
        self,
        phones: Collection[str],  # noqa: ARG002
        rooms: Collection[RoomId],  # noqa: ARG002
        fresh: bool = False,  # noqa: ARG002
    ) -> Deferred[Records]:
        """See :meth:`callnet.calls.ports.ICallStore.read`."""
        return succeed(self.known())

    def known(self) -> Records:
        """See :meth:`callnet.calls.ports.ICallStore.known`."""
        return self._cluster.tables.records if self._cut_off is None else self._cut_off.records()

    def try_commit(self, changes: Changes) -> Commit:
        """See :meth:`callnet.calls.ports.ICallStore.try_commit`."""
        tables = self._cluster.tables
        if not tables.holds(changes):
            return OVERTAKEN
        if self._cut_off is not None:
            return self._cut_off.commit(changes)
        write(tables, changes)
        here: list[BusMessage] = []
        unreached = []
        for notice in changes.notices:
            for node in self._nodes_of(notice):
                if node == self.node:
                    here.append(notice)
                elif not self._cluster.send(node, notice) and isinstance(notice, Notice):
                    unreached.append(notice.to)
        return Commit(True, here, tuple(unreached))

    def commit(self, changes: Changes) -> Deferred[Commit]:
        """See :meth:`callnet.calls.ports.ICallStore.commit`."""
        return execute(self.try_commit, changes)

    def _nodes_of(self, notice: Notice | SeatNotice | Displaced) -> list[str]:
        """The nodes that the addressee of a notice is on."""
        if isinstance(notice, SeatNotice):
            return [seat.node for seat in notice.seats.seats if seat is not None and seat.key == notice.key]
        if isinstance(notice, Displaced):
            return [notice.node]
        device = self._cluster.tables.records.device(notice.to)
        return [device.node] if device is not None and device.connected else []

    def failed(self, call: CallRecord) -> None:
        """See :meth:`callnet.calls.ports.ICallStore.failed`."""
        self._cluster.failed.append(call)

    def due(self, now: float) -> Deferred[Iterable[Record]]:
        """See :meth:`callnet.calls.ports.ICallStore.due`."""
        due = self._cluster.tables.due(now)
        return succeed(due if self._cut_off is None else list(filter(self._cut_off.knows, due)))


class CutOff:
    """The time in which a node is alone. Its commits are written at once, but nobody is told."""

    def __init__(self, cluster: Cluster, node: str) -> None:
        self._cluster = cluster
        self._node = node
        self._ears = cluster.listening.pop(node, [])
        self._calls = dict(cluster.tables.calls)
        self._seats = dict(cluster.tables.seats)

    def _is_own(self, address: DeviceAddress) -> bool:
        record = self._cluster.tables.records.device(address)
        return record is not None and record.node == self._node

    def knows(self, record: Record) -> bool:
        """Tell whether a record concerns this node."""
        if isinstance(record, DeviceRecord):
            return record.node == self._node
        if isinstance(record, SeatsRecord):
            return any(seat is not None and seat.node == self._node for seat in record.seats)
        return any(map(self._is_own, everyone(record)))

    def records(self) -> Records:
        """The records that concern this node."""
        tables = self._cluster.tables
        devices = {
            phone: {record.address.device_id: record for record in of_phone.values() if self.knows(record)}
            for phone, of_phone in tables.devices.items()
        }
        rooms = {call.room for call in tables.calls.values() if self.knows(call)}
        rooms |= {seats.room for seats in tables.seats.values() if self.knows(seats)}
        calls = {room: tables.calls[room] for room in rooms if room in tables.calls}
        seats = {room: tables.seats[room] for room in rooms if room in tables.seats}
        return Records(devices, calls, seats, False, tables.policies, tables.aliases)

    def commit(self, changes: Changes) -> Commit:
        """Take changes that concern nobody else; tell those who are here."""
        records: list[Record] = [*changes.devices, *changes.calls, *changes.seats]
        if not all(map(self._is_alone_in, records)):
            raise Unavailable("this concerns other nodes")
        write(self._cluster.tables, changes)
        return Commit(True, [one for one in changes.notices if isinstance(one, SeatNotice) or self._is_own(one.to)])

    def _is_alone_in(self, record: Record) -> bool:
        if isinstance(record, DeviceRecord):
            return record.node == self._node
        if isinstance(record, CallRecord):
            return record.end is not None or all(map(self._is_own, everyone(record)))
        return all(seat is None or seat.node == self._node for seat in record.seats)

    def _hear(self, message: BusMessage) -> None:
        for ear in self._ears:
            ear(message)

    def ends(self) -> None:
        """Tell everybody the changes of that time."""
        tables = self._cluster.tables
        self._cluster.listening[self._node] = self._ears
        for displaced in self._cluster.displaced:
            if displaced.node == self._node:
                self._hear(displaced)
        for call in list(tables.calls.values()):
            if self._calls.get(call.room) is not call:
                for address in everyone(call):
                    device = tables.records.device(address)
                    if device is not None and device.connected:
                        self._cluster.send(device.node, Notice(address, call))
        for seats in list(tables.seats.values()):
            for seat in seats.seats:
                if seat is not None and self._seats.get(seats.room) is not seats:
                    self._cluster.send(seat.node, SeatNotice(seat.key, seats, tables.calls.get(seats.room)))
