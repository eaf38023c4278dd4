"""In which words a call is spoken of (protocol §2.1-§2.3)."""

from __future__ import annotations

import json

from callnet.calls.events import Stopped
from callnet.calls.telling import answer, notification_for, outcome_of
from callnet.frames.base import FAILURES, encode
from callnet.model import Accepted, Failed, Reason, Refused, Withdrawn
from tests.rules.frames import be_hangup, call_success, called, on_wire
from tests.rules.world import RulesTestCase


class TellingTests(RulesTestCase):
    """The messages that follow from a record."""

    def test_seconds_left(self) -> None:
        """`expires_in` counts whole seconds of ringing left; when there is none, nobody is rung any more.

        A node whose clock is a little slow says no more than there were.
        """
        room = self.ringing(self.ann, self.tv)
        call = self.world.calls[room]
        for later in (45.0, 46.0):
            self.assertIsNone(notification_for(call, self.tv.address, self.world.now + later, 45.0))
        for later, left in ((-0.05, 45), (0.0, 45), (0.4, 45), (1.0, 44), (44.9, 1)):
            message = notification_for(call, self.tv.address, self.world.now + later, 45.0)
            assert message is not None
            self.assertEqual(called(self.ann, room, expires_in=left), on_wire(message))

    def test_outsiders(self) -> None:
        """A device that has nothing to do with a call is told nothing of it."""
        room = self.ringing(self.ann, self.tv)
        self.assertIsNone(notification_for(self.world.calls[room], self.carol.address, self.world.now, 45.0))

    def test_callee(self) -> None:
        """A callee that accepted is told nothing of that; one that did so by calling is owed a `call_success`."""
        room = self.active(self.ann, self.tv)
        self.assertIsNone(notification_for(self.world.calls[room], self.tv.address, self.world.now, 45.0))
        room = self.ringing(self.carol, self.pad)
        self.pad.calls(self.carol)
        message = notification_for(self.world.calls[room], self.pad.address, self.world.now, 45.0)
        assert message is not None
        self.assertEqual(call_success(self.carol, room), on_wire(message))

    def test_each_knows_the_other(self) -> None:
        """`fire_*` is the other party: for the caller the callee that answered, for everyone else the caller."""
        room = self.active(self.ann, self.tv)
        self.world.happen(Stopped(room))
        call = self.world.calls[room]
        for device, other in ((self.ann, self.tv), (self.tv, self.ann)):
            message = notification_for(call, device.address, self.world.now, 45.0)
            assert message is not None
            self.assertEqual(be_hangup(other, room, "shutting_down"), on_wire(message))

    def test_who_hung_up(self) -> None:
        """The device that hung up is not told of it."""
        room = self.active(self.ann, self.tv)
        self.tv.hangs_up(room)
        self.assertIsNone(notification_for(self.world.calls[room], self.tv.address, self.world.now, 45.0))

    def test_caller_that_was_taken_for_gone(self) -> None:
        """A caller whose ringing ended by its absence, and that is there after all, is told `unavailable`; one
        that ended it itself is told nothing.
        """
        room = self.ringing(self.ann, self.tv)
        self.ann.loses_socket()
        self.world.wait(31)
        call = self.world.calls[room]
        self.assertEqual(Reason.CANCELLED, call.end and call.end.reason)
        message = notification_for(call, self.ann.address, self.world.now, 45.0)
        assert message is not None
        self.assertEqual("unavailable", on_wire(message)["reason"])
        room = self.ringing(self.carol, self.tv)
        self.carol.cancels(self.tv)
        self.assertIsNone(notification_for(self.world.calls[room], self.carol.address, self.world.now, 45.0))

    def test_failure(self) -> None:
        """A failure carries the address as it was asked, **no `room_id`**, and a message for a person."""
        for reason, words in FAILURES.items():
            message = answer(Failed(self.tv.everywhere(), reason))
            assert message is not None
            expected = {
                "type": "call_failed",
                "to_phone": self.tv.address.phone,
                "to_device_id": "*",
                "reason": reason.value,
                "message": words,
            }
            self.assertEqual(expected, json.loads(encode(message)))

    def test_outcomes(self) -> None:
        """The outcome of a call is read off its record, and stays unchanged when an answered call ends."""
        room = self.ringing(self.ann, self.tv)
        self.assertIsNone(outcome_of(self.world.calls[room]))
        self.tv.accepts(room)
        accepted = Accepted(room, self.tv.address)
        self.assertEqual(accepted, outcome_of(self.world.calls[room]))
        self.ann.hangs_up(room)
        self.assertEqual(accepted, outcome_of(self.world.calls[room]))
        room = self.ringing(self.ann, self.tv)
        self.tv.refuses(room)
        refused = Refused(room, self.tv.address, Reason.REFUSED)
        self.assertEqual(refused, outcome_of(self.world.calls[room]))
        room = self.ringing(self.ann, self.tv)
        self.ann.hangs_up(room)
        self.assertEqual(Withdrawn(), outcome_of(self.world.calls[room]))

    def test_size(self) -> None:
        """A frame for a base client is under 512 bytes."""
        frame = called(self.ann, self.ringing(self.ann, self.tv))
        self.assertLess(len(json.dumps(frame)), 512)
