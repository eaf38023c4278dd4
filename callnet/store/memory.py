"""The records and the bus of a single process. Every result is available at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from callnet.calls.events import Event
from callnet.calls.ports import OVERTAKEN, BusMessage, Commit, IBus, ICallStore, IPresence
from callnet.calls.records import CallRecord, Changes, Over, Records
from callnet.model import DeviceAddress, RoomId
from callnet.ops.limits import LimitsAlone
from callnet.store.cluster_handle import ClusterHandle
from callnet.store.ended import EndedHere
from callnet.store.tables import Record, Tables, seen_online

NODE: Final = "local"
"""The only node."""
_CLOSE_ENOUGH: Final = 0.1
"""Seconds by which the offset of the two clocks may be off: they are not read in the same moment."""


class Dates:
    """Converts times of a monotonic clock to dates, by the current wall clock.

    :param steady: the monotonic clock, in seconds.
    :param wall: the time, in seconds since 1970; it may be set at any time.
    """

    def __init__(self, steady: Callable[[], float], wall: Callable[[], float]) -> None:
        self._steady = steady
        self._wall = wall
        self._ahead = wall() - steady()

    def of(self, moment: float) -> float:
        """The date of a time, in seconds since 1970."""
        ahead = self._wall() - self._steady()
        if abs(ahead - self._ahead) > _CLOSE_ENOUGH:
            self._ahead = ahead
        return moment + self._ahead


@implementer(IBus)
class MemoryBus:
    """A bus within this node."""

    def __init__(self) -> None:
        self._receivers: list[Callable[[BusMessage], None]] = []

    def subscribe(self, receiver: Callable[[BusMessage], None]) -> None:
        """See :meth:`callnet.calls.ports.IBus.subscribe`."""
        self._receivers.append(receiver)

    def publish(self, node: str, message: BusMessage) -> None:  # noqa: ARG002  there is only one
        """See :meth:`callnet.calls.ports.IBus.publish`."""
        self.deliver(message)

    def deliver(self, message: BusMessage) -> None:
        """Deliver a message to the receivers of this node."""
        for receiver in self._receivers:
            receiver(message)


@implementer(ICallStore, IPresence)
class MemoryCallStore:
    """Records in dictionaries. Reads return the store itself, without a copy.

    :param clock: the clock of all records.
    :param wall: the time, in seconds since 1970.
    """

    node = NODE

    def __init__(self, clock: IReactorTime, wall: Callable[[], float]) -> None:
        self.now: Final = clock.seconds
        """See :meth:`callnet.calls.ports.ICallStore.now`."""
        self.date_of: Final = Dates(clock.seconds, wall).of
        """See :meth:`callnet.calls.ports.ICallStore.date_of`."""
        self.ended: Final = EndedHere(self.date_of)
        self.failed: Final = self.ended.add
        """See :meth:`callnet.calls.ports.ICallStore.failed`."""
        self._tables = Tables()

    def view(self, event: Event, again: bool = False) -> Records:  # noqa: ARG002  all of it is here
        """See :meth:`callnet.calls.ports.ICallStore.view`."""
        return self._tables.records

    def read(
        self,
        phones: Collection[str],  # noqa: ARG002
        rooms: Collection[RoomId],  # noqa: ARG002
        fresh: bool = False,  # noqa: ARG002
    ) -> Deferred[Records]:
        """See :meth:`callnet.calls.ports.ICallStore.read`."""
        return succeed(self._tables.records)

    def known(self) -> Records:
        """See :meth:`callnet.calls.ports.ICallStore.known`."""
        return self._tables.records

    def try_commit(self, changes: Changes) -> Commit:
        """See :meth:`callnet.calls.ports.ICallStore.try_commit`. No other commit can be faster."""
        tables = self._tables
        if changes.devices:
            tables.put_devices(*changes.devices)
        for call in changes.calls:
            tables.put_call(call)
            if type(call.state) is Over:
                self.ended.add(cast("CallRecord[Over]", call))
        for seats in changes.seats:
            tables.put_seats(seats)
        for record in changes.forgotten:
            tables.forget(record)
        for phone, policy in changes.policies.items():
            tables.put_policy(phone, policy)
        return Commit(True, changes.notices)

    def commit(self, changes: Changes) -> Deferred[Commit]:
        """See :meth:`callnet.calls.ports.ICallStore.commit`."""
        return succeed(self.try_commit(changes) if self._tables.holds(changes) else OVERTAKEN)

    def due(self, now: float) -> Deferred[Iterable[Record]]:
        """See :meth:`callnet.calls.ports.ICallStore.due`."""
        return succeed(self._tables.due(now))

    def online(
        self, addresses: Collection[DeviceAddress], asker: str | None = None
    ) -> Deferred[frozenset[DeviceAddress]]:
        """See :meth:`callnet.calls.ports.IPresence.online`."""
        return succeed(seen_online(self._tables.records, addresses, asker, self.date_of(self.now())))


def open_alone(clock: IReactorTime, wall: Callable[[], float]) -> ClusterHandle:
    """Make the store and the bus of a single node."""
    bus = MemoryBus()
    store = MemoryCallStore(clock, wall)
    limits = LimitsAlone(clock.seconds)
    return ClusterHandle(
        store,
        store,
        bus,
        store.ended,
        limits,
        lambda kind, crowds: None,  # noqa: ARG005  there are no others
        lambda: None,
        lambda: succeed(None),
        lambda lost: None,  # noqa: ARG005  there is none
        lambda: None,
        lambda: succeed([]),
        None,
    )
