"""The books that the devices of the soak keep: they accept valid events, and notice invalid ones."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from acceptance.device import Device
from acceptance.ledger import Ledger
from harness.base_protocol import Address

ANNE = Address("13800000001", "tv")
BERT = Address("13800000002", "phone")
CARL = Address("13800000003", "tablet")
ROOM = "0123456789abcdef0123456789abcdef"
OTHER_ROOM = "fedcba9876543210fedcba9876543210"


def to(kind: str, address: Address, **more: str) -> dict[str, Any]:
    """An answer to a call to ``address``."""
    return {"type": kind, "to_phone": address.phone, "to_device_id": address.device_id, **more}


def success(address: Address, room: str = ROOM) -> dict[str, Any]:
    """``address`` has accepted."""
    return to("call_success", address, room_id=room)


def called(address: Address, room: str = ROOM) -> dict[str, Any]:
    """``address`` calls."""
    return {"type": "called", "from_phone": address.phone, "from_device_id": address.device_id, "room_id": room}


def over(address: Address, room: str = ROOM) -> dict[str, Any]:
    """``address`` has hung up."""
    fire = {"fire_phone": address.phone, "fire_device_id": address.device_id}
    return {"type": "calling_be_hangup", **fire, "room_id": room, "reason": "hangup"}


class DeviceTests(SynchronousTestCase):
    """One device's own books. It has no connection; its messages go nowhere."""

    def setUp(self) -> None:
        """One device, and the books of its fleet."""
        self.ledger = Ledger()
        self.device = Device(ANNE, (0, 0), self.ledger)

    def hear(self, *frames: dict[str, Any]) -> None:
        """Have the device hear these frames."""
        for frame in frames:
            self.device.hear(frame)

    def assert_violations(self, *beginnings: str) -> None:
        """Assert that these violations were noticed, and no others."""
        self.assertEqual(len(beginnings), len(self.ledger.violations), self.ledger.violations)
        for beginning, violation in zip(beginnings, self.ledger.violations, strict=True):
            self.assertIn(beginning, violation)

    def test_a_call_that_is_answered(self) -> None:
        """A call that is answered is in order, and the device is in it until it is over."""
        self.device.call(BERT)
        self.hear(success(BERT))
        self.assertEqual((ROOM, BERT), (self.device.room, self.device.peer))
        self.hear(over(BERT))
        self.assertIsNone(self.device.room)
        self.assert_violations()

    def test_an_answer_too_many(self) -> None:
        """A second answer to one call is noticed."""
        self.device.call(BERT)
        self.hear(to("call_refuse", BERT), to("call_refuse", BERT))
        self.assert_violations("waits for no such thing")

    def test_an_answer_for_somebody_else(self) -> None:
        """An answer that names somebody who was not called is noticed, and the right one is still owed."""
        self.device.call(BERT)
        self.hear(to("call_failed", CARL, reason="busy"))
        self.assert_violations("waits for no such thing")
        self.assertIsNotNone(self.device.owed)

    def test_a_failure_of_the_server(self) -> None:
        """A call that fails by the server's fault is noticed."""
        self.device.call(BERT)
        self.hear(to("call_failed", BERT, reason="internal"))
        self.assert_violations("failed with internal")

    def test_a_wildcard(self) -> None:
        """A call to all devices of a phone is answered by whichever of them accepts."""
        self.device.call(Address(BERT.phone, "*"))
        self.hear(success(BERT))
        self.assertEqual(BERT, self.device.peer)
        self.assert_violations()

    def test_an_accept_that_crosses_a_cancelling(self) -> None:
        """After a cancelling an accept may still come, followed by the end."""
        self.device.call(BERT)
        self.device.hang_up("", BERT)
        self.hear(success(BERT), over(BERT))
        self.assertIsNone(self.device.room)
        self.assert_violations()

    def test_an_accept_that_crosses_another_call(self) -> None:
        """An accept that comes after the device called someone else leads nowhere."""
        self.device.call(BERT)
        self.device.call(CARL)
        self.hear(success(BERT))
        self.assertIsNone(self.device.room)
        self.hear(success(CARL, OTHER_ROOM))
        self.assertEqual(OTHER_ROOM, self.device.room)
        self.assert_violations()

    def test_a_call_to_itself(self) -> None:
        """A call to itself changes nothing: the device stays in its call."""
        self.device.call(BERT)
        self.hear(success(BERT))
        self.device.call(ANNE)
        self.hear(to("call_failed", ANNE, reason="self"))
        self.assertEqual(ROOM, self.device.room)
        self.assert_violations()

    def test_ringing(self) -> None:
        """Being rung by somebody who called is in order; twice on one connection, or by nobody, is not."""
        self.ledger.called_phones[BERT].add(ANNE.phone)
        self.hear(called(BERT))
        self.assert_violations()
        self.hear(called(BERT))
        self.assert_violations("was rung twice")
        self.hear(called(CARL, OTHER_ROOM))
        self.assert_violations("was rung twice", "who never called it")

    def test_the_end_of_an_unknown_call(self) -> None:
        """The end of a call that the device does not know is noticed."""
        self.hear(over(BERT))
        self.assert_violations("of which it never heard")

    def test_a_message_that_base_clients_do_not_know(self) -> None:
        """Any other message is noticed."""
        self.hear({"type": "error", "errorCode": 2})
        self.assert_violations("was sent")

    def test_answers_that_could_be_mistaken(self) -> None:
        """A phone is not called again while an answer from it may be under way."""
        self.device.call(BERT)
        self.assertTrue(self.device.may_call(CARL.phone))
        self.device.hang_up("", BERT)
        self.assertFalse(self.device.may_call(BERT.phone))


class DisagreementTests(SynchronousTestCase):
    """The books of all, compared."""

    def setUp(self) -> None:
        """The story of a room that rang for one caller."""
        self.ledger = Ledger()
        self.story = self.ledger.stories[ROOM]
        self.story.callers.add(ANNE)

    def test_a_call(self) -> None:
        """A caller may be given the callee that accepted."""
        self.story.accepted.add(BERT)
        self.story.successes.add((ANNE, BERT))
        self.assertEqual([], self.ledger.disagreements())

    def test_glare(self) -> None:
        """A callee that called its caller may be given the caller."""
        self.ledger.called_phones[BERT].add(ANNE.phone)
        self.story.successes |= {(ANNE, BERT), (BERT, ANNE)}
        self.assertEqual([], self.ledger.disagreements())

    def test_what_must_not_be(self) -> None:
        """Two callers, two callees, a stranger, one who never accepted, and a room that never rang are noticed."""
        self.story.accepted |= {BERT, CARL}
        self.story.successes |= {(ANNE, BERT), (ANNE, CARL)}
        self.ledger.stories["a"].callers |= {ANNE, BERT}
        self.ledger.stories["b"].callers.add(ANNE)
        self.ledger.stories["b"].successes.add((BERT, CARL))
        self.ledger.stories["c"].callers.add(ANNE)
        self.ledger.stories["c"].successes.add((ANNE, BERT))
        self.ledger.stories["d"].successes.add((ANNE, BERT))
        found = "\n".join(self.ledger.disagreements())
        for words in ("several callees", "several callers", "neither is the caller", "and has not", "never rang"):
            self.assertIn(words, found)
