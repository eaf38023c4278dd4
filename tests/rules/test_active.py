"""A call that was answered: the column ACTIVE of protocol §2.4, a test for each cell (seats: ``test_abandoned``)."""

from __future__ import annotations

from callnet.calls import events
from callnet.calls.records import Active, Over, Ringing
from callnet.config.schema import CallSettings
from callnet.model import Reason
from tests.rules.frames import be_hangup, call_success, called
from tests.rules.world import RulesTestCase


class FramesTests(RulesTestCase):
    """The frames of the parties."""

    def test_answers(self) -> None:
        """Accept and refuse by a rung device, or by the caller: no effect."""
        room = self.active(self.ann, self.tv)
        before = self.world.calls[room]
        for device in (self.tv, self.ann):
            self.assertIsNone(device.accepts(room))
            self.assertIsNone(device.refuses(room))
        self.assertIs(before, self.world.calls[room])
        self.assert_silence()

    def test_hang_up_by_the_caller(self) -> None:
        """Hangup by the caller: OVER `hangup`; other told; the sender gets no answer."""
        room = self.active(self.ann, self.tv)
        self.assertIsNone(self.ann.hangs_up(room))
        self.assert_call(room, Over, Reason.HANGUP)
        self.assert_heard(self.tv, be_hangup(self.ann, room, "hangup"))
        self.assert_silence()

    def test_hang_up_by_the_callee(self) -> None:
        """Hangup by the callee: OVER `hangup`; other told, by the name that it called."""
        room = self.active(self.ann, self.tv)
        self.assertIsNone(self.tv.hangs_up(room))
        self.assert_call(room, Over, Reason.HANGUP)
        self.assert_heard(self.ann, be_hangup(self.tv, room, "hangup"))
        self.assert_silence()

    def test_signal(self) -> None:
        """A v2 `signal` of a party is noted in the record once, and nobody is notified."""
        room = self.active(self.ann, self.tv)
        answered = self.world.calls[room]
        self.carol.signals(room)
        self.assertIs(answered, self.world.calls[room])
        self.tv.signals(room)
        noted = self.world.calls[room]
        assert noted.answer is not None
        self.assertTrue(noted.answer.signalled)
        self.ann.signals(room)
        self.assertIs(noted, self.world.calls[room])
        self.assert_silence()


class TimeTests(RulesTestCase):
    """The time passes, and sockets go away."""

    settings = CallSettings(unseated_limit=0.0)

    def test_ring_time_is_for_ringing(self) -> None:
        """The ring time means nothing to a call that was answered."""
        room = self.ringing(self.ann, self.tv)
        self.world.wait(44)
        self.tv.accepts(room)
        self.forget_heard()
        self.world.wait(3600)
        self.assert_call(room, Active)
        self.assert_silence()

    def test_a_party_is_gone_for_long(self) -> None:
        """A party's socket gone longer than the grace (30 s): OVER `connection_lost`; other told."""
        for gone, stays in ((self.ann, self.tv), (self.tv, self.ann)):
            room = self.active(self.ann, self.tv)
            gone.loses_socket()
            self.world.wait(29.9)
            self.assert_call(room, Active)
            self.world.wait(0.1)
            self.assert_call(room, Over, Reason.CONNECTION_LOST)
            self.assert_heard(stays, be_hangup(gone, room, "connection_lost"))
            self.assert_silence()
            gone.connects()

    def test_a_party_is_back_in_time(self) -> None:
        """Reconnecting within the grace keeps the call, and silently: the socket of neither has anything to say."""
        for device in (self.ann, self.tv):
            room = self.active(self.ann, self.tv)
            device.loses_socket()
            self.world.wait(29.9)
            self.assertEqual([], device.connects())
            self.world.wait(3600)
            self.assert_call(room, Active)
            self.assert_silence()

    def test_both_are_gone(self) -> None:
        """The first grace to end decides, and the other is told if it is back in time to hear it."""
        room = self.active(self.ann, self.tv)
        self.ann.loses_socket()
        self.world.wait(10)
        self.tv.loses_socket()
        self.world.wait(25)
        self.assert_call(room, Over, Reason.CONNECTION_LOST)
        self.assertEqual([be_hangup(self.ann, room, "connection_lost")], self.tv.connects())

    def test_grace_counts_from_when_the_socket_went(self) -> None:
        """A caller that went away while it rang has its 30 s from then on, answered or not."""
        room = self.ringing(self.ann, self.tv)
        self.ann.loses_socket()
        self.world.wait(20)
        self.tv.accepts(room)
        self.world.wait(10)
        self.assert_call(room, Over, Reason.CONNECTION_LOST)
        self.assert_heard(self.tv, be_hangup(self.ann, room, "connection_lost"))

    def test_too_long(self) -> None:
        """The call is older than the limit (12 h): OVER `too_long`; both told, and not before."""
        room = self.active(self.ann, self.tv, seconds=0)
        self.world.wait(12 * 3600 - 0.1)
        self.assert_call(room, Active)
        self.world.wait(0.1)
        self.assert_call(room, Over, Reason.TOO_LONG)
        self.assert_heard(self.ann, be_hangup(self.tv, room, "too_long"))
        self.assert_heard(self.tv, be_hangup(self.ann, room, "too_long"))
        self.assert_silence()


class PlacingTests(RulesTestCase):
    """A party of an active call calls."""

    def test_a_party_calls_someone_else(self) -> None:
        """A party sends `call` to someone else: OVER `replaced`; other told; the new call goes on."""
        for leaves, stays in ((self.ann, self.tv), (self.tv, self.ann)):
            room = self.active(self.ann, self.tv)
            second = leaves.calls(self.carol)
            assert second is not None
            self.assert_call(room, Over, Reason.REPLACED)
            self.assert_heard(stays, be_hangup(leaves, room, "replaced"))
            self.assert_call(second, Ringing)
            self.assert_heard(self.carol, called(leaves, second))
            self.assert_silence()
            leaves.hangs_up(second)
            self.carol.hears()

    def test_the_caller_calls_again(self) -> None:
        """The caller sends the same `call` again: the old call is replaced, and the callee's phone rings again."""
        room = self.active(self.ann, self.tv)
        second = self.ann.calls(self.tv)
        assert second is not None
        self.assert_call(room, Over, Reason.REPLACED)
        self.assert_heard(self.tv, be_hangup(self.ann, room, "replaced"), called(self.ann, second))
        self.assert_silence()
        self.tv.accepts(second)
        self.assert_heard(self.ann, call_success(self.tv, second))

    def test_the_callee_calls_its_caller(self) -> None:
        """A callee that calls its caller begins a new call just so."""
        room = self.active(self.ann, self.tv)
        second = self.tv.calls(self.ann)
        assert second is not None
        self.assert_call(room, Over, Reason.REPLACED)
        self.assert_heard(self.ann, be_hangup(self.tv, room, "replaced"), called(self.tv, second))


class OthersTests(RulesTestCase):
    """Other events that may end an active call."""

    def test_a_party_is_revoked(self) -> None:
        """A party's token is revoked, it logs out or is removed: OVER `revoked`; other told."""
        for gone, stays in ((self.ann, self.tv), (self.tv, self.ann)):
            room = self.active(self.ann, self.tv)
            gone.is_revoked()
            self.assert_call(room, Over, Reason.REVOKED)
            self.assert_heard(stays, be_hangup(gone, room, "revoked"))
            self.assert_silence()

    def test_an_older_connection_is_revoked(self) -> None:
        """A device that has connected with another token since stays in its call."""
        room = self.active(self.ann, self.tv)
        older = self.ann.generation
        self.ann.connects()
        self.world.happen(events.Revoked(self.ann.address, older))
        self.world.happen(events.Revoked(self.ann.address, None))
        self.assert_call(room, Active)

    def test_a_party_without_a_socket_is_revoked(self) -> None:
        """A party that is waited for leaves at once, named alone or with every device of its phone."""
        for address in (self.tv.address, self.tv.everywhere()):
            room = self.active(self.ann, self.tv)
            self.tv.loses_socket()
            self.world.happen(events.Revoked(self.pad.address, None))
            self.assert_call(room, Active)
            self.world.happen(events.Revoked(address, None))
            self.assert_call(room, Over, Reason.REVOKED)
            self.assert_heard(self.ann, be_hangup(self.tv, room, "revoked"))
            self.tv.connects()

    def test_operator_ends_it(self) -> None:
        """The operator ends it: OVER `shutting_down`; both told."""
        room = self.active(self.ann, self.tv)
        self.world.happen(events.Stopped(room))
        self.assert_call(room, Over, Reason.SHUTTING_DOWN)
        self.assert_heard(self.ann, be_hangup(self.tv, room, "shutting_down"))
        self.assert_heard(self.tv, be_hangup(self.ann, room, "shutting_down"))
        self.assert_silence()
