"""The reactions of a device of the fault proof to messages."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from acceptance.faults.books import Books
from acceptance.faults.phone import Phone
from harness.base_protocol import EVERY, Address, Frame

ME, OTHER = Address("13800000001", "phone"), Address("13800000002", "tv")
ROOM = "1e35fbd7b72eb68bb72fecdaf98f8894"


class Recorded(Phone):
    """A device that keeps its messages."""

    def __init__(self) -> None:
        super().__init__(ME, [], Books(), Random(1), False)  # noqa: S311  nothing is drawn
        self.said: list[Frame] = []

    def say(self, frame: Frame) -> None:
        """Keep it."""
        self.said.append(frame)


class GivenTests(SynchronousTestCase):
    """A device is told that a call was accepted."""

    def setUp(self) -> None:
        """A device that has called, was answered, and has hung up, on a node that could tell nobody."""
        self.phone = Recorded()
        self.phone.call(OTHER)
        self.give()
        self.phone.hang_up()

    def give(self) -> None:
        """Tell it that the other device has accepted."""
        self.phone.hear(
            {"type": "call_success", "to_phone": OTHER.phone, "to_device_id": OTHER.device_id, "room_id": ROOM}
        )

    def hangs_up_again(self) -> None:
        """Make sure that it says once more that it has hung up, and takes it for nothing else."""
        self.assertEqual([frame["type"] for frame in self.phone.said].count("calling_hangup"), 2)
        self.assertEqual(self.phone.said[-1]["room_id"], ROOM)
        self.assertEqual(self.phone.books.sights, [])
        self.assertIsNone(self.phone.room)

    def test_a_call_that_it_hung_up(self) -> None:
        """The call that it has hung up, by its room: somebody has not heard that, and is told again."""
        self.give()
        self.hangs_up_again()

    def test_while_it_calls_anew(self) -> None:
        """It is that call, too, if the device waits for the answer to another one to the same phone."""
        self.phone.call(Address(OTHER.phone, EVERY))
        self.give()
        self.hangs_up_again()
        self.assertIsNotNone(self.phone.attempt)

    def test_a_call_that_it_left_for_another(self) -> None:
        """It is the same with a call that it left by calling somebody else."""
        phone = self.phone = Recorded()
        phone.call(OTHER)
        self.give()
        phone.call(Address(OTHER.phone, EVERY))
        self.give()
        self.assertEqual([frame["type"] for frame in phone.said], ["call", "call", "calling_hangup"])
        self.assertEqual(phone.books.sights, [])

    def test_a_call_that_it_left_for_one_that_was_cut_off(self) -> None:
        """A device that has left a call by another, which reached nobody, says so of both."""
        phone = self.phone = Recorded()
        phone.call(OTHER)
        self.give()
        part = phone.part
        assert part is not None
        phone.call(Address("13800000003", "tablet"))
        phone.cancel("cut off")
        self.assertEqual([frame["room_id"] for frame in phone.said[-2:]], ["", ROOM])
        self.assertGreaterEqual(part.left_at(), part.end)
        self.assertIsNotNone(part.instead)

    def test_after_another_call_failed(self) -> None:
        """It is that call, too, if another one to the same phone has failed since."""
        self.phone.call(Address(OTHER.phone, EVERY))
        self.phone.hear(
            {"type": "call_failed", "to_phone": OTHER.phone, "to_device_id": EVERY, "reason": "unavailable"}
        )
        self.give()
        said = [frame for frame in self.phone.said if frame["type"] == "calling_hangup"]
        self.assertEqual(said[-1]["room_id"], ROOM)
        self.assertEqual(self.phone.books.sights, [])


class AcceptedByCallingTests(SynchronousTestCase):
    """A device that is rung calls back, and goes to a node that has not heard of that."""

    def test_rung_again(self) -> None:
        """It rings there, until it is told once more that it is in the call."""
        phone = Recorded()
        other = phone.books.place(OTHER, ME, 0.0)
        called = {"type": "called", "from_phone": OTHER.phone, "from_device_id": OTHER.device_id, "room_id": ROOM}
        success = {"type": "call_success", "to_phone": OTHER.phone, "to_device_id": OTHER.device_id, "room_id": ROOM}
        phone.hear(called)
        phone.call(OTHER)
        phone.hear(success)
        phone.connections += 1
        phone.hear(called)
        self.assertEqual(([ROOM], None), (list(phone.rings), phone.room))
        phone.hear(success)
        self.assertEqual(([], ROOM), (list(phone.rings), phone.room))
        self.assertEqual(["accepted"] * 2, [ring.how for ring in other.stories[0].rings])
        self.assertEqual([], phone.books.sights)
