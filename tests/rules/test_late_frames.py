"""Frames that come late, and those that come to the wrong call: the table of protocol §2.3, and cancelling."""

from __future__ import annotations

from callnet.calls.records import Active, Over, Ringing
from callnet.calls.transitions import NoSuchCall, NotYours, TooLate
from callnet.model import Reason, RoomId
from tests.rules.frames import be_hangup, call_refuse, call_success
from tests.rules.world import Device, RulesTestCase

UNKNOWN = RoomId("f" * 32)


class LateFramesTestCase(RulesTestCase):
    """Helpers for a frame that must leave everything as it was."""

    def assert_harmless(self, device: Device, room: RoomId, *, accept: object, others: object = None) -> None:
        """The three frames about ``room`` change nothing, tell nobody, and are replied to like this."""
        before = dict(self.world.calls)
        self.assertEqual(accept, device.accepts(room))
        self.assertEqual(others, device.refuses(room))
        self.assertEqual(others if room in before else NoSuchCall(), device.hangs_up(room))
        self.assertEqual(before, self.world.calls)
        self.assert_silence()


class OverTests(LateFramesTestCase):
    """The frame names a call that is over."""

    def test_parties(self) -> None:
        """From either party: `called_success` is answered with the reason, the other two with silence."""
        room = self.over(self.ann, self.tv)
        for device in (self.ann, self.tv):
            self.assert_harmless(device, room, accept=TooLate(Reason.HANGUP))

    def test_strangers(self) -> None:
        """From a device that had no part in it: the same, with the call's reason."""
        room = self.over(self.ann, self.tv)
        self.assert_harmless(self.carol, room, accept=TooLate(Reason.HANGUP))

    def test_cancelled(self) -> None:
        """A callee that accepts just when the caller cancels learns that it did."""
        room = self.ringing(self.ann, self.tv)
        self.ann.hangs_up(room)
        self.forget_heard()
        self.assert_harmless(self.tv, room, accept=TooLate(Reason.CANCELLED))

    def test_no_answer(self) -> None:
        """A callee that accepts too late learns that nobody answered in time."""
        room = self.ringing(self.ann, self.tv)
        self.world.wait(45)
        self.forget_heard()
        self.assert_harmless(self.tv, room, accept=TooLate(Reason.NO_ANSWER))

    def test_refused(self) -> None:
        """Answering twice is harmless: an acceptance after a refusal, one's own or another device's, is too late."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.tv.refuses(room)
        self.forget_heard()
        for device in (self.tv, self.pad):
            self.assert_harmless(device, room, accept=TooLate(Reason.REFUSED_ELSEWHERE))

    def test_remembered_for_two_minutes(self) -> None:
        """A call that is over is remembered for 2 minutes; after that its room is not known: `expired`."""
        room = self.over(self.ann, self.tv)
        self.world.wait(119.9)
        self.assert_harmless(self.tv, room, accept=TooLate(Reason.HANGUP))
        self.world.wait(0.1)
        self.assertNotIn(room, self.world.calls)
        self.assert_harmless(self.tv, room, accept=TooLate(Reason.EXPIRED))


class NoLongerRungTests(LateFramesTestCase):
    """The frame names a call that rang the sender and no longer does."""

    def test_answered_elsewhere(self) -> None:
        """A device that lost a fork is no party: its frames never touch the call."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.tv.accepts(room)
        self.forget_heard()
        self.assert_harmless(self.pad, room, accept=TooLate(Reason.ANSWERED_ELSEWHERE))
        self.assert_call(room, Active)

    def test_left_for_another_call(self) -> None:
        """A device that left the ringing for a call of its own cannot come back to it, nor end it."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.tv.calls(self.carol)
        self.forget_heard()
        self.assert_harmless(self.tv, room, accept=TooLate(Reason.REPLACED))
        self.assert_call(room, Ringing)


class OthersTests(LateFramesTestCase):
    """The frame names a call or device that does not concern the sender."""

    def test_unknown_room(self) -> None:
        """A well-formed room that is not known: `expired` for an acceptance, silence for the rest."""
        self.assert_harmless(self.carol, UNKNOWN, accept=TooLate(Reason.EXPIRED))

    def test_another_ringing_call(self) -> None:
        """Another's live call is an error, while it rings; a device of the rung phone that is not rung is another."""
        room = self.ringing(self.ann, self.tv)
        for device in (self.carol, self.pad):
            self.assert_harmless(device, room, accept=NotYours(), others=NotYours())

    def test_another_active_call(self) -> None:
        """Another's live call is an error, once it was answered."""
        room = self.active(self.ann, self.tv)
        for device in (self.carol, self.pad):
            self.assert_harmless(device, room, accept=NotYours(), others=NotYours())


class CancellingTests(RulesTestCase):
    """A hang-up without a room: "my call to that phone"."""

    def test_ringing(self) -> None:
        """RINGING: OVER `cancelled`, all rung devices told, the caller gets nothing."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.ann.cancels(self.tv)
        self.assert_call(room, Over, Reason.CANCELLED)
        for device in (self.tv, self.pad):
            self.assert_heard(device, be_hangup(self.ann, room, "cancelled"))
        self.assert_silence()

    def test_device_is_not_compared(self) -> None:
        """The device is not compared: only the phone says which call is meant."""
        room = self.ringing(self.ann, self.tv)
        self.ann.cancels(self.pad)
        self.assert_call(room, Over, Reason.CANCELLED)

    def test_accepted_meanwhile(self) -> None:
        """Accepted meanwhile: OVER `hangup`, the other told, and the sender is sent `calling_be_hangup` too."""
        room = self.ringing(self.ann, self.tv)
        self.tv.accepts(room)
        self.ann.cancels(self.tv)
        self.assert_call(room, Over, Reason.HANGUP)
        self.assert_heard(self.ann, call_success(self.tv, room), be_hangup(self.tv, room, "hangup"))
        self.assert_heard(self.tv, be_hangup(self.ann, room, "hangup"))
        self.assert_silence()

    def test_accepted_by_calling_meanwhile(self) -> None:
        """A device that accepted by calling is a caller as well, and may cancel before it has heard."""
        room = self.ringing(self.ann, self.tv)
        self.tv.calls(self.ann)
        self.forget_heard()
        self.tv.cancels(self.ann)
        self.assert_call(room, Over, Reason.HANGUP)
        self.assert_heard(self.ann, be_hangup(self.tv, room, "hangup"))
        self.assert_heard(self.tv, be_hangup(self.ann, room, "hangup"))

    def test_no_such_call(self) -> None:
        """No such call: silence, if it is of another phone, of nobody, over, or of others."""
        over = self.over(self.ann, self.tv)
        room = self.ringing(self.ann, self.tv)
        before = dict(self.world.calls)
        self.ann.cancels(self.carol)
        self.carol.cancels(self.tv)
        self.tv.cancels(self.carol)
        self.pad.cancels(self.ann)
        self.assertEqual(before, self.world.calls)
        self.assert_silence()
        self.ann.cancels(self.tv)
        self.forget_heard()
        self.ann.cancels(self.tv)
        self.assert_silence()
        self.assert_call(room, Over, Reason.CANCELLED)
        self.assert_call(over, Over, Reason.HANGUP)

    def test_rung_device(self) -> None:
        """A rung device refuses the call of that phone: `call_refuse`; other rung devices told."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.tv.cancels(self.ann)
        self.assert_call(room, Over, Reason.REFUSED)
        self.assert_heard(self.ann, call_refuse(self.tv.everywhere(), room))
        self.assert_heard(self.pad, be_hangup(self.ann, room, "refused_elsewhere"))
        self.assert_silence()

    def test_callee_of_an_active_call(self) -> None:
        """A callee ends its call with that phone: OVER `hangup`, and both are told, as if it had called."""
        room = self.active(self.ann, self.tv)
        self.tv.cancels(self.carol)
        self.assert_call(room, Active)
        self.tv.cancels(self.ann)
        self.assert_call(room, Over, Reason.HANGUP)
        self.assert_heard(self.ann, be_hangup(self.tv, room, "hangup"))
        self.assert_heard(self.tv, be_hangup(self.ann, room, "hangup"))
        self.assert_silence()
