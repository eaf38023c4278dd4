"""Common parts of all tests of stores of calls, and the stores in memory that they run against."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from twisted.internet import reactor as global_reactor
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from callnet.calls.ports import OVERTAKEN, IBus, ICallStore, IPresence
from callnet.calls.records import CallRecord, Changes, DeviceRecord, Displaced, Records, SeatsRecord
from callnet.model import DeviceAddress, RoomId
from callnet.store.memory import MemoryBus, MemoryCallStore
from tests.contract.records import ANN, TV, Receiver, Samples, room_number
from tests.support.late_store import LateCallStore
from tests.support.nodes import Cluster, NodeBus, NodeStore

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object

NOBODY = DeviceAddress("13600000009", "phone")
SOON = 5.5
"""Seconds after the start of a test at which it has records due. Much is asked before, of servers on a busy machine."""


class StoreCase(_Base):
    """A test of a store. Subclasses say which store; nothing need fire at once."""

    async def make_store(self) -> tuple[ICallStore, IBus]:
        """Make an empty store, and the bus that it publishes on."""
        raise NotImplementedError

    async def pass_time(self, seconds: float) -> None:
        """Let time pass on the clock of the store."""
        raise NotImplementedError

    async def start(self) -> tuple[ICallStore, Samples]:
        """Begin with an empty store, with a receiver on its bus, and records of its node as it is now."""
        store, bus = await self.make_store()
        verifyObject(ICallStore, store)
        self.receiver = Receiver()
        bus.subscribe(self.receiver)
        self.of = Samples(store.node, float(int(store.now())))
        return store, self.of

    async def read(
        self, store: ICallStore, phones: Collection[str] = (), rooms: Collection[RoomId] = ()
    ) -> list[DeviceRecord | CallRecord | SeatsRecord]:
        """All records of these phones and rooms, and only those, however much the answer holds."""
        records: Records = await store.read(phones, rooms, fresh=True)
        devices = [record for phone in phones for record in records.devices.get(phone, {}).values()]
        calls = [records.calls[room] for room in rooms if room in records.calls]
        return [*devices, *calls, *(records.seats[room] for room in rooms if room in records.seats)]

    async def assert_commits(self, store: ICallStore, changes: Changes) -> None:
        """The store takes the changes."""
        commit = await store.commit(changes)
        self.assertEqual((True, ()), (commit.held, commit.unreached))
        for message in commit.here:
            self.receiver(message)

    async def assert_refuses(self, store: ICallStore, changes: Changes) -> None:
        """The store does not take the changes: not one of them, and nobody is told."""
        phones, rooms = (ANN.phone, TV.phone), tuple(map(room_number, range(4)))
        before = await self.read(store, phones, rooms)
        heard = len(await self.receiver.first(0))
        self.assertEqual(OVERTAKEN, await store.commit(changes))
        self.assertEqual(before, await self.read(store, phones, rooms))
        mark = Displaced(NOBODY, store.node, 1)
        await self.assert_commits(store, Changes([self.of.device(NOBODY)], notices=[mark]))
        self.assertEqual(mark, (await self.receiver.first(heard + 1))[heard])
        await self.assert_commits(store, Changes(forgotten=await self.read(store, [NOBODY.phone])))


class InMemory(StoreCase):
    """Stores whose time is that of the tests."""

    def setUp(self) -> None:
        """Begin at some time."""
        self.clock = Clock()
        self.clock.advance(1000.25)

    async def pass_time(self, seconds: float) -> None:
        """See :meth:`StoreCase.pass_time`."""
        self.clock.advance(seconds)


class OfOneProcess(InMemory):
    """The store of a single process, which is its own presence."""

    async def make_store(self) -> tuple[ICallStore, IBus]:
        """Make one."""
        bus = MemoryBus()
        return MemoryCallStore(self.clock, self.clock.seconds), bus

    async def make_presence(self) -> tuple[IPresence, ICallStore]:
        """Make one."""
        store = MemoryCallStore(self.clock, self.clock.seconds)
        return store, store


class ThatAnswersLate(InMemory):
    """The tests' own store that answers late: it must be a good one to show anything."""

    async def make_store(self) -> tuple[ICallStore, IBus]:
        """Make one."""
        bus = MemoryBus()
        next_turns = IReactorTime(global_reactor)
        return LateCallStore(
            MemoryCallStore(self.clock, self.clock.seconds), bus, lambda step: next_turns.callLater(0, step)
        ), bus


class OfSeveralNodes(InMemory):
    """The tests' own store of several nodes."""

    async def make_store(self) -> tuple[ICallStore, IBus]:
        """Make the first of two nodes."""
        self.cluster = Cluster(self.clock)
        return NodeStore(self.cluster, "here"), NodeBus(self.cluster, "here")
