"""The contract of every bus, run against each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from callnet.calls.ports import BusMessage, IBus
from callnet.calls.records import Displaced, Notice, Relay, SeatNotice
from callnet.store.memory import NODE, MemoryBus
from tests.contract.records import ANN, TV, Receiver, Samples, room_number
from tests.support.nodes import Cluster, NodeBus

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object


def messages(node: str) -> list[BusMessage]:
    """One of each kind, and a few more, for Ann, the television and the page in the red seat on a node."""
    of = Samples(node)
    return [
        Notice(TV, of.ringing(1)),
        Displaced(ANN, node, 3),
        SeatNotice("red", of.seats(1), None),
        SeatNotice("red", of.seats(1), of.over(1)),
        Relay(room_number(1), node, "red", "b1", '{"sdp":"v=0\\r\\n 房间"}'.encode()),
    ]


class BusContract(_Base):
    """Carries messages to the node that holds a device or a page, at most once each."""

    async def make_bus(self) -> tuple[IBus, str]:
        """Make a bus, and tell the name of its node."""
        raise NotImplementedError

    async def test_everything_comes(self) -> None:
        """Published messages come to this node unchanged and in order."""
        bus, node = await self.make_bus()
        verifyObject(IBus, bus)
        receiver = Receiver()
        bus.subscribe(receiver)
        for message in messages(node):
            bus.publish(node, message)
        self.assertEqual(messages(node), await receiver.first(len(messages(node))))

    async def test_once(self) -> None:
        """It comes once for each time that it was published."""
        bus, node = await self.make_bus()
        receiver = Receiver()
        bus.subscribe(receiver)
        first, second, *_ = messages(node)
        for message in (first, first, second):
            bus.publish(node, message)
        self.assertEqual([first, first, second], await receiver.first(3))

    async def test_several_receivers(self) -> None:
        """Every receiver of this node is called."""
        bus, node = await self.make_bus()
        receivers = Receiver(), Receiver()
        for receiver in receivers:
            bus.subscribe(receiver)
        for message in messages(node):
            bus.publish(node, message)
        for receiver in receivers:
            self.assertEqual(messages(node), await receiver.first(len(messages(node))))


class SharedBusContract(BusContract):
    """The contract of a bus with more than one node."""

    async def make_buses(self) -> tuple[tuple[IBus, str], tuple[IBus, str]]:
        """Make the buses of two nodes, and tell the nodes' names."""
        raise NotImplementedError

    async def make_bus(self) -> tuple[IBus, str]:
        """Any of them will do."""
        return (await self.make_buses())[0]

    async def test_from_node_to_node(self) -> None:
        """A message comes to the node that it is for, and to no other; for one that is not there it is lost."""
        (here, name_here), (there, name_there) = await self.make_buses()
        heard_here, heard_there = Receiver(), Receiver()
        here.subscribe(heard_here)
        there.subscribe(heard_there)
        for message in messages(name_there):
            here.publish(name_there, message)
            here.publish("nowhere", message)
            there.publish(name_here, message)
        number = len(messages(name_there))
        self.assertEqual(messages(name_there), await heard_there.first(number))
        self.assertEqual(messages(name_there), await heard_here.first(number))


class MemoryBusTests(BusContract, TestCase):
    """The bus of a single process."""

    async def make_bus(self) -> tuple[IBus, str]:
        """Make one."""
        return MemoryBus(), NODE


class NodeBusTests(SharedBusContract, TestCase):
    """The tests' own bus between nodes of one process."""

    async def make_buses(self) -> tuple[tuple[IBus, str], tuple[IBus, str]]:
        """Make two."""
        cluster = Cluster(Clock())
        return (NodeBus(cluster, "here"), "here"), (NodeBus(cluster, "there"), "there")
