"""What every bus must do: one contract, run against each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from callnet.cluster.memory import MemoryBus
from callnet.interfaces import BusMessage, IBus
from callnet.records import Displaced, Notice, Relay, SeatNotice
from tests.contract.records import ANN, TV, Receiver, over, ringing, room_number, seats

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object

MESSAGES: list[BusMessage] = [
    Notice(TV, ringing(1)),
    Displaced(ANN, 3),
    SeatNotice("red", seats(1), None),
    SeatNotice("red", seats(1), over(1)),
    Relay(room_number(1), "red", "b1", '{"sdp":"v=0\\r\\n 房间"}'.encode()),
]


class BusContract(_Base):
    """Carries messages to the node that holds a device or a page, at most once each."""

    async def make_bus(self) -> IBus:
        """Make a bus on whose node Ann, the television and the page in the red seat are."""
        raise NotImplementedError

    async def test_everything_comes(self) -> None:
        """What is published comes to this node as it was, in order."""
        bus = await self.make_bus()
        verifyObject(IBus, bus)
        receiver = Receiver()
        bus.subscribe(receiver)
        bus.publish(MESSAGES[:2])
        bus.publish(())
        bus.publish(MESSAGES[2:])
        self.assertEqual(MESSAGES, await receiver.first(len(MESSAGES)))

    async def test_once(self) -> None:
        """It comes once for each time that it was published."""
        bus = await self.make_bus()
        receiver = Receiver()
        bus.subscribe(receiver)
        bus.publish(MESSAGES[:1])
        bus.publish(MESSAGES[:1])
        bus.publish(MESSAGES[1:2])
        self.assertEqual([MESSAGES[0], *MESSAGES[:2]], await receiver.first(3))

    async def test_several_receivers(self) -> None:
        """Every receiver of this node is called."""
        bus = await self.make_bus()
        receivers = Receiver(), Receiver()
        for receiver in receivers:
            bus.subscribe(receiver)
        bus.publish(MESSAGES)
        for receiver in receivers:
            self.assertEqual(MESSAGES, await receiver.first(len(MESSAGES)))


class MemoryBusTests(BusContract, TestCase):
    """The bus of a single process."""

    async def make_bus(self) -> IBus:
        """Make one."""
        return MemoryBus()
