"""Calls to every device of a phone, `"*"` (protocol §2.1, §2.4)."""

from __future__ import annotations

from callnet.calls.records import Active, Over, Ringing
from callnet.model import Reason
from tests.rules.frames import be_hangup, call_failed, call_success, called
from tests.rules.world import Device, RulesTestCase


class WhoRingsTests(RulesTestCase):
    """Which devices ring."""

    def test_all_that_are_free(self) -> None:
        """`"*"` rings every online device of the phone that is free."""
        radio = Device(self.world, self.tv.address.phone, "radio")
        radio.connects()
        radio.loses_socket()
        room = self.ann.calls(self.tv.everywhere())
        assert room is not None
        self.assert_heard(self.tv, called(self.ann, room))
        self.assert_heard(self.pad, called(self.ann, room))
        self.assertEqual([], radio.connects())

    def test_one_is_busy(self) -> None:
        """A device that is in a call is left out, and keeps it."""
        self.active(self.carol, self.pad)
        room = self.ann.calls(self.tv.everywhere())
        assert room is not None
        self.assertEqual((self.tv.address,), self.world.calls[room].targets)
        self.assert_heard(self.tv, called(self.ann, room))
        self.assert_silence()

    def test_own_phone(self) -> None:
        """The caller's own device apart: `"*"` of one's own phone rings the other devices."""
        room = self.tv.calls(self.tv.everywhere())
        assert room is not None
        self.assert_heard(self.pad, called(self.tv, room))
        self.assert_silence()

    def test_none_online(self) -> None:
        """None online: `offline`."""
        self.tv.loses_socket()
        self.pad.loses_socket()
        self.ann.calls(self.tv.everywhere())
        self.assert_heard(self.ann, call_failed(self.tv.everywhere(), "offline"))

    def test_only_oneself_online(self) -> None:
        """A call to one's own phone, with no other device online: `offline`."""
        self.ann.calls(self.ann.everywhere())
        self.assert_heard(self.ann, call_failed(self.ann.everywhere(), "offline"))

    def test_none_free(self) -> None:
        """Some online, none free: `busy`."""
        self.active(self.carol, self.pad)
        self.tv.loses_socket()
        self.ann.calls(self.tv.everywhere())
        self.assert_heard(self.ann, call_failed(self.tv.everywhere(), "busy"))

    def test_set_is_fixed(self) -> None:
        """The set is fixed when the call is placed: a device that comes later does not ring."""
        self.pad.loses_socket()
        room = self.ringing(self.ann, self.tv.everywhere())
        self.assertEqual([], self.pad.connects())
        self.assertEqual(Ringing((self.tv.address,)), self.world.calls[room].state)


class OutcomeTests(RulesTestCase):
    """The outcomes of a fork."""

    def test_first_to_accept_wins(self) -> None:
        """The first to accept wins, and `call_success` names it; a second acceptance changes nothing."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.accepts(room)
        self.assert_heard(self.ann, call_success(self.pad, room))
        self.assert_heard(self.tv, be_hangup(self.ann, room, "answered_elsewhere"))
        self.tv.accepts(room)
        self.assertEqual(self.pad.address, self.world.calls[room].callee)
        self.assert_silence()

    def test_loser_is_free(self) -> None:
        """A device that lost the fork is free at once, and the call goes on without it."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.accepts(room)
        self.forget_heard()
        self.tv.hangs_up(room)
        self.tv.loses_socket()
        self.world.wait(30)
        self.assert_call(room, Active)
        self.tv.connects()
        second = self.carol.calls(self.tv)
        assert second is not None
        self.assert_heard(self.tv, called(self.carol, second))
        self.assert_silence()

    def test_one_is_gone(self) -> None:
        """A rung device that is gone hears, when it is back, how it came out."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.tv.loses_socket()
        self.world.wait(5)
        self.pad.accepts(room)
        self.assertEqual([be_hangup(self.ann, room, "answered_elsewhere")], self.tv.connects())

    def test_the_end_is_for_the_parties(self) -> None:
        """The end of an answered fork is told to its parties, not to the losers."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.accepts(room)
        self.forget_heard()
        self.ann.hangs_up(room)
        self.assert_heard(self.pad, be_hangup(self.ann, room, "hangup"))
        self.assert_silence()

    def test_one_left(self) -> None:
        """A device that left the ringing is not told the outcome, nor when it reconnects."""
        for end in (self.pad.accepts, self.pad.refuses):
            room = self.ringing(self.ann, self.tv.everywhere())
            second = self.tv.calls(self.carol)
            assert second is not None
            self.carol.hears()
            end(room)
            self.pad.hears()
            self.assert_silence(self.ann)
            self.tv.loses_socket()
            self.assertEqual([], self.tv.connects())
            self.tv.hangs_up(second)
            self.ann.hangs_up(room)
            self.forget_heard()

    def test_ring_time(self) -> None:
        """The last device that still rings ends with the ring time, and devices that left are not told."""
        room = self.ringing(self.ann, self.tv.everywhere())
        second = self.tv.calls(self.carol)
        assert second is not None
        self.tv.hangs_up(second)
        self.forget_heard()
        self.world.wait(45)
        self.assert_call(room, Over, Reason.NO_ANSWER)
        self.assert_heard(self.ann, call_failed(self.tv.everywhere(), "no_answer"))
        self.assert_heard(self.pad, be_hangup(self.ann, room, "no_answer"))
        self.assert_silence()
