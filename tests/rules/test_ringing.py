"""A call that rings: the column RINGING of protocol §2.4, a test for each cell."""

from __future__ import annotations

from callnet.calls import events
from callnet.calls.records import Active, Over, Ringing
from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress, Reason
from tests.rules.frames import be_hangup, call_failed, call_refuse, call_success, called
from tests.rules.world import Page, RulesTestCase

NOBODY = DeviceAddress("13600000009", "phone")


class AnsweringTests(RulesTestCase):
    """A rung device accepts or refuses."""

    def test_call_rings(self) -> None:
        """A call puts `called` on the callee's screen, and its caller hears nothing yet."""
        room = self.ann.calls(self.tv)
        assert room is not None
        self.assert_call(room, Ringing)
        self.assert_heard(self.tv, called(self.ann, room))
        self.assert_silence()

    def test_accept(self) -> None:
        """Accept by a rung device: ACTIVE; `call_success` to the caller; other rung devices told."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.assertIsNone(self.tv.accepts(room))
        self.assert_call(room, Active)
        self.assert_heard(self.ann, call_success(self.tv, room))
        self.assert_heard(self.pad, be_hangup(self.ann, room, "answered_elsewhere"))
        self.assert_silence()

    def test_refuse(self) -> None:
        """Refuse by a rung device: OVER; `call_refuse`; other rung devices told."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.assertIsNone(self.tv.refuses(room))
        self.assert_call(room, Over, Reason.REFUSED)
        self.assert_heard(self.ann, call_refuse(self.tv.everywhere(), room))
        self.assert_heard(self.pad, be_hangup(self.ann, room, "refused_elsewhere"))
        self.assert_silence()

    def test_hang_up_by_the_caller(self) -> None:
        """Hangup by the caller: OVER `cancelled`; all rung devices told; the sender gets no answer."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.assertIsNone(self.ann.hangs_up(room))
        self.assert_call(room, Over, Reason.CANCELLED)
        for device in (self.tv, self.pad):
            self.assert_heard(device, be_hangup(self.ann, room, "cancelled"))
        self.assert_silence()

    def test_hang_up_by_a_rung_device(self) -> None:
        """Hangup by a rung device: OVER; as refuse."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.assertIsNone(self.tv.hangs_up(room))
        self.assert_call(room, Over, Reason.REFUSED)
        self.assert_heard(self.ann, call_refuse(self.tv.everywhere(), room))
        self.assert_heard(self.pad, be_hangup(self.ann, room, "refused_elsewhere"))
        self.assert_silence()

    def test_caller_answers_itself(self) -> None:
        """A frame that fits no state changes nothing: a caller can neither accept nor refuse its own call."""
        room = self.ringing(self.ann, self.tv)
        before = self.world.calls[room]
        self.assertIsNone(self.ann.accepts(room))
        self.assertIsNone(self.ann.refuses(room))
        self.assertIs(before, self.world.calls[room])
        self.assert_silence()


class TimeTests(RulesTestCase):
    """The time passes, and sockets go away."""

    def test_ring_time_is_raised(self) -> None:
        """A ring time that is raised while a call rings holds for that call: it ends later, and as not answered."""
        self.settings = CallSettings()
        self.setUp()
        room = self.ringing(self.ann, self.tv)
        self.settings.ring_time = 60.0
        self.world.wait(59.9)
        self.assert_call(room, Ringing)
        self.world.wait(0.1)
        self.assert_call(room, Over, Reason.NO_ANSWER)

    def test_ring_time_passes(self) -> None:
        """Ring time (45 s) passes: OVER `no_answer`; caller and all rung devices told, and not before."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.world.wait(44.9)
        self.assert_call(room, Ringing)
        self.assert_silence()
        self.world.wait(0.1)
        self.assert_call(room, Over, Reason.NO_ANSWER)
        self.assert_heard(self.ann, call_failed(self.tv.everywhere(), "no_answer"))
        for device in (self.tv, self.pad):
            self.assert_heard(device, be_hangup(self.ann, room, "no_answer"))
        self.assert_silence()

    def test_caller_is_gone_for_long(self) -> None:
        """Caller's socket gone longer than the grace (30 s): OVER `cancelled`; all rung devices told."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.ann.loses_socket()
        self.world.wait(29.9)
        self.assert_call(room, Ringing)
        self.world.wait(0.1)
        self.assert_call(room, Over, Reason.CANCELLED)
        for device in (self.tv, self.pad):
            self.assert_heard(device, be_hangup(self.ann, room, "cancelled"))
        self.assert_silence()

    def test_caller_is_gone_for_a_moment(self) -> None:
        """A caller that is back within the grace rings on, and is told of the answer then."""
        room = self.ringing(self.ann, self.tv)
        self.ann.loses_socket()
        self.world.wait(29.9)
        self.assertEqual([], self.ann.connects())
        self.world.wait(10)
        self.tv.accepts(room)
        self.assert_heard(self.ann, call_success(self.tv, room))

    def test_callee_is_gone(self) -> None:
        """A callee's socket gone: keeps ringing; `called` again when it is back, with the time that is left."""
        room = self.ringing(self.ann, self.tv)
        self.tv.loses_socket()
        self.world.wait(40)
        self.assert_call(room, Ringing)
        self.assertEqual([called(self.ann, room, expires_in=5)], self.tv.connects())
        self.assertIsNone(self.tv.accepts(room))
        self.assert_heard(self.ann, call_success(self.tv, room))

    def test_callee_stays_away(self) -> None:
        """A callee's socket gone: it keeps ringing until the ring time is over, and no longer."""
        room = self.ringing(self.ann, self.tv)
        self.tv.loses_socket()
        self.world.wait(45)
        self.assert_call(room, Over, Reason.NO_ANSWER)
        self.assert_heard(self.ann, call_failed(self.tv, "no_answer"))
        self.assertEqual([be_hangup(self.ann, room, "no_answer")], self.tv.connects())


class PlacingTests(RulesTestCase):
    """A party of a ringing call calls."""

    def test_caller_calls_someone_else(self) -> None:
        """The caller sends `call` to someone else: OVER `cancelled`; all rung devices told; the new call goes on."""
        room = self.ringing(self.ann, self.tv.everywhere())
        second = self.ann.calls(self.carol)
        assert second is not None
        self.assert_call(room, Over, Reason.CANCELLED)
        for device in (self.tv, self.pad):
            self.assert_heard(device, be_hangup(self.ann, room, "cancelled"))
        self.assert_call(second, Ringing)
        self.assert_heard(self.carol, called(self.ann, second))
        self.assert_silence()

    def test_callee_calls_someone_else(self) -> None:
        """A callee sends `call` to someone else: it leaves the ringing, which goes on without it."""
        room = self.ringing(self.ann, self.tv.everywhere())
        second = self.tv.calls(self.carol)
        assert second is not None
        self.assert_call(room, Ringing)
        self.assertEqual(Ringing((self.pad.address,)), self.world.calls[room].state)
        self.assert_heard(self.carol, called(self.tv, second))
        self.assert_silence()
        self.pad.accepts(room)
        self.assert_heard(self.ann, call_success(self.pad, room))
        self.assert_call(second, Ringing)
        self.assert_silence()

    def test_last_callee_calls_someone_else(self) -> None:
        """The last to leave is a refusal (`call_refuse`, reason `busy`); the new call goes on."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.tv.calls(self.carol)
        self.carol.hears()
        second = self.pad.calls(NOBODY)
        self.assertIsNone(second)
        self.assert_call(room, Over, Reason.BUSY)
        self.assert_heard(self.ann, call_refuse(self.tv.everywhere(), room, "busy"))
        self.assert_heard(self.pad, call_failed(NOBODY, "offline"))
        self.assert_silence()

    def test_only_callee_calls_someone_else(self) -> None:
        """A single callee that calls someone else is the last to leave."""
        room = self.ringing(self.ann, self.tv)
        second = self.tv.calls(self.carol)
        assert second is not None
        self.assert_heard(self.ann, call_refuse(self.tv, room, "busy"))
        self.assert_heard(self.carol, called(self.tv, second))
        self.assert_silence()

    def test_caller_sends_the_same_call_again(self) -> None:
        """The caller sends the same `call` again: no effect, it goes on ringing."""
        for target in (self.tv.address, self.tv.everywhere()):
            room = self.ringing(self.ann, target)
            before = self.world.calls[room]
            self.world.wait(20)
            self.assertIsNone(self.ann.calls(target))
            self.assertIs(before, self.world.calls[room])
            self.assert_silence()


class OthersTests(RulesTestCase):
    """Other events of a ringing call."""

    settings = CallSettings(longest=20.0, unseated_limit=10.0)

    def test_too_long_and_abandoned_are_for_answered_calls(self) -> None:
        """A ringing call is neither too old nor abandoned, whatever its age and its seats."""
        room = self.ringing(self.ann, self.tv)
        page = Page(self.world, room, "a")
        page.comes()
        page.goes()
        self.world.wait(44)
        self.assert_call(room, Ringing)
        self.assert_silence()

    def test_caller_is_revoked(self) -> None:
        """A party's token is revoked: it leaves at once: caller → `cancelled`."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.ann.is_revoked()
        self.assert_call(room, Over, Reason.CANCELLED)
        for device in (self.tv, self.pad):
            self.assert_heard(device, be_hangup(self.ann, room, "cancelled"))
        self.assert_silence()

    def test_callee_is_revoked(self) -> None:
        """A party's token is revoked: it leaves at once: callee → as refuse."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.tv.is_revoked()
        self.assert_call(room, Over, Reason.REFUSED)
        self.assert_heard(self.ann, call_refuse(self.tv.everywhere(), room))
        self.assert_heard(self.pad, be_hangup(self.ann, room, "refused_elsewhere"))
        self.assert_silence()

    def test_operator_ends_it(self) -> None:
        """The operator ends it: OVER `shutting_down`; all told."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.world.happen(events.Stopped(room))
        self.assert_call(room, Over, Reason.SHUTTING_DOWN)
        self.assert_heard(self.ann, call_failed(self.tv.everywhere(), "shutting_down"))
        for device in (self.tv, self.pad):
            self.assert_heard(device, be_hangup(self.ann, room, "shutting_down"))

    def test_signal_and_page_do_nothing(self) -> None:
        """A v2 `signal` is for ACTIVE calls, and so is the button of the page: neither changes a ringing call."""
        room = self.ringing(self.ann, self.tv)
        page = Page(self.world, room, "a")
        page.comes()
        before = self.world.calls[room]
        self.ann.signals(room)
        page.hangs_up()
        self.assertIs(before, self.world.calls[room])
        self.assert_silence()
