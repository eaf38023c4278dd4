"""Several nodes in one process: each has its own way to the same records, and a bus that goes by their names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from callnet.cluster.tables import Tables
from callnet.interfaces import OVERTAKEN, BusMessage, Commit, IBus, ICallStore
from callnet.model import DeviceAddress, RoomId
from callnet.records import CallRecord, Changes, DeviceRecord, Displaced, Notice, Records, SeatNotice, SeatsRecord


class Cluster:
    """What nodes share: the records, a clock, and who listens under which name."""

    def __init__(self, clock: IReactorTime) -> None:
        self.tables: Final = Tables()
        self.clock: Final = clock
        self.listening: Final[dict[str, list[Callable[[BusMessage], None]]]] = {}

    def send(self, node: str, message: BusMessage) -> bool:
        """Hand a message to a node. Tells whether anybody listens there."""
        receivers = self.listening.get(node, [])
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
        """See :meth:`callnet.interfaces.IBus.subscribe`."""
        self._cluster.listening.setdefault(self._node, []).append(receiver)

    def publish(self, node: str, message: BusMessage) -> None:
        """See :meth:`callnet.interfaces.IBus.publish`."""
        self._cluster.send(node, message)


@implementer(ICallStore)
class NodeStore:
    """One node's way to the records. It answers at once."""

    def __init__(self, cluster: Cluster, node: str) -> None:
        self.node: Final = node
        self._cluster = cluster

    def now(self) -> float:
        """See :meth:`callnet.interfaces.ICallStore.now`."""
        return self._cluster.clock.seconds()

    def read(
        self,
        phones: Collection[str],  # noqa: ARG002
        rooms: Collection[RoomId],  # noqa: ARG002
        fresh: bool = False,  # noqa: ARG002
    ) -> Deferred[Records]:
        """See :meth:`callnet.interfaces.ICallStore.read`."""
        return succeed(self._cluster.tables.records)

    def commit(self, changes: Changes) -> Deferred[Commit]:
        """See :meth:`callnet.interfaces.ICallStore.commit`."""
        tables = self._cluster.tables
        if not tables.holds(changes):
            return succeed(OVERTAKEN)
        tables.apply(changes)
        unreached = [notice.to for notice in changes.notices if not self._tell(notice) and isinstance(notice, Notice)]
        return succeed(Commit(True, tuple(unreached)))

    def _tell(self, notice: Notice | SeatNotice | Displaced) -> bool:
        """Send a notice to the node that its addressee is on, if it is on any; tell whether it has reached that."""
        if isinstance(notice, SeatNotice):
            return all(
                self._cluster.send(seat.node, notice)
                for seat in notice.seats.seats
                if seat is not None and seat.key == notice.key
            )
        if isinstance(notice, Displaced):
            return self._cluster.send(notice.node, notice)
        node = self._node_of(notice.to)
        return node is None or self._cluster.send(node, notice)

    def _node_of(self, address: DeviceAddress) -> str | None:
        device = self._cluster.tables.records.device(address)
        return device.node if device is not None and device.connected else None

    def due(self, now: float) -> Deferred[Sequence[DeviceRecord | CallRecord | SeatsRecord]]:
        """See :meth:`callnet.interfaces.ICallStore.due`."""
        return succeed(self._cluster.tables.due(now))
