"""The effect of frames on a device's active call, or after the connection was lost, and the listeners that are told."""

from __future__ import annotations

from msgspec.structs import replace
from twisted.internet.defer import CancelledError

from callnet_client.call import Call
from callnet_client.calls import DOUBT, LATE, RING_TIME
from callnet_client.ended import REMEMBERED
from callnet_client.events import CallEvent
from tests.support.calls_case import FRIEND, OTHER, ROOM, ROOM_2, CallsCase, hang_up, refusal, view


class ActiveTests(CallsCase):
    """In a call."""

    def test_hanging_up(self) -> None:
        """It is over at once; nothing is said twice."""
        call = self.active()
        call.hang_up()
        call.hang_up()
        self.assertEqual([hang_up()], self.take_sent())
        self.assert_over(call, "hangup", is_own=True)

    def test_told_of_what_it_has_ended(self) -> None:
        """Should the server speak of the call, it has not heard of the end, and is told again."""
        self.active().hang_up()
        self.take_sent()
        self.answer("call_success", room_id=ROOM)
        self.calls.welcomed(view("outgoing", "active"))
        self.assertEqual([hang_up(), hang_up()], self.take_sent())
        self.calls.welcomed(view("incoming", "ringing"))
        self.ring()
        self.assertEqual([refusal()], self.take_sent())
        self.assertIsNone(self.calls.present)

    def test_the_other_side(self) -> None:
        """The state of the other side's connection is known, and the device on which it goes on."""
        call = self.active()
        for state, fields, other_side, device in (
            ("reconnecting", {}, "reconnecting", "phone1"),
            ("back", {}, "here", "phone1"),
            ("moved", {"device_id": "pad"}, "here", "pad"),
        ):
            self.hear("peer_state", room_id=ROOM, state=state, **fields)
            self.assertEqual((other_side, (FRIEND.phone, device)), (call.other_side, call.peer))
        self.hear("peer_state", room_id=ROOM_2, state="reconnecting")
        self.assertEqual("here", call.other_side)

    def test_signals(self) -> None:
        """Signals go to the other party while the call is active, and nowhere otherwise."""
        call = self.place()
        call.signal("early")
        self.answer("call_success", room_id=ROOM)
        call.signal({"offer": 1})
        call.hang_up()
        call.signal("late")
        self.assertEqual([{"type": "signal", "room_id": ROOM, "data": {"offer": 1}}, hang_up()], self.take_sent())

    def test_the_page_has_seen_the_end(self) -> None:
        """A call that its page has seen to end is over, and the server is told."""
        call = self.active()
        self.calls.note_end(call)
        self.calls.note_end(call)
        self.assertEqual([hang_up()], self.take_sent())
        self.assert_over(call, "over")

    def test_logged_out(self) -> None:
        """A logout leaves the call."""
        call = self.active()
        self.calls.revoked(is_own=True)
        self.assert_over(call, "revoked", is_own=True)
        self.calls.revoked(is_own=True)
        self.assertEqual([], self.take_sent())

    def test_how_many_ended_calls_are_remembered(self) -> None:
        """The latest ones."""
        for number in range(REMEMBERED + 1):
            self.ring(f"{number:032x}")
            self.present().refuse()
        self.take_sent()
        self.ring(f"{1:032x}")
        self.assertEqual(1, len(self.take_sent()))
        self.ring(f"{0:032x}")
        self.assertEqual("ringing", self.present().state)


class WelcomeTests(CallsCase):
    """The first messages of the server on a connection."""

    def test_goes_on(self) -> None:
        """A call that both sides have goes on."""
        call = self.active()
        self.calls.welcomed(view("outgoing", "active"))
        self.assertIs(call, self.present())
        self.assertEqual([], self.take_sent())

    def test_answered_meanwhile(self) -> None:
        """A call that was answered while the connection was lost is active, since then."""
        call = self.place()
        self.clock.advance(10)
        self.calls.welcomed(view("outgoing", "active"))
        self.assertEqual(("active", ROOM, 1.0), (call.state, call.room_id, call.answered_at))

    def test_answered_by_one_of_several(self) -> None:
        """The room of a call that rang several devices may change with the answer, to the accepting device's."""
        for is_told_later in (False, True):
            self.setUp()
            call = self.place()
            self.answer("call_ringing", room_id=ROOM)
            if is_told_later:
                self.calls.welcomed(view("outgoing", "ringing"))
                self.answer("call_success", room_id=ROOM_2)
            else:
                self.calls.welcomed(view("outgoing", "active", ROOM_2))
            self.assertIs(call, self.present())
            self.assertEqual(("active", ROOM_2), (call.state, call.room_id))

    def test_begun_anew(self) -> None:
        """A restarted client is in the call of the server."""
        for direction, state in (("incoming", "active"), ("outgoing", "active"), ("outgoing", "ringing")):
            room = f"{direction} {state}"
            self.calls.welcomed(view(direction, state, room))
            call = self.present()
            self.assertEqual((direction, state, room, FRIEND), (call.direction, call.state, call.room_id, call.peer))
            self.hear("calling_be_hangup", room_id=room)

    def test_being_rung(self) -> None:
        """A ringing call is announced by ``called``."""
        self.calls.welcomed(view("incoming", "ringing"))
        self.assertIsNone(self.calls.present)

    def test_rung_instead(self) -> None:
        """A server that rings it does not have the call that it has placed: that is over, and the other rings, at once
        or when it does.
        """
        for is_rung_at_once in (True, False):
            call = self.place()
            self.calls.connected(is_extended=True)
            self.calls.welcomed(view("incoming", "ringing", ROOM_2, OTHER))
            if is_rung_at_once:
                self.ring(ROOM_2, OTHER)
                self.assertEqual((True, ROOM_2), (call.is_over, self.present().room_id))
                self.present().hang_up()
            else:
                self.clock.advance(DOUBT)
                self.assert_over(call, "forgotten")

    def test_forgotten_on_the_base_protocol(self) -> None:
        """There the server says of no call that it knows none: one that does not go on is over when no server rings as
        long, and keeps no other call from ringing.
        """
        for is_rung in (False, True):
            call = self.place()
            self.calls.connected(is_extended=False)
            if is_rung:
                self.ring()
                self.assertEqual((True, ROOM), (call.is_over, self.present().room_id))
                self.calls.left()
                self.calls.connected(is_extended=False)
            last = self.present()
            self.clock.advance(30)
            self.calls.connected(is_extended=False)
            self.clock.advance(RING_TIME + LATE - 31)
            self.assertFalse(last.is_over)
            self.clock.advance(1)
            self.assert_over(last, "forgotten")
            self.assertEqual("called_refuse" if is_rung else "calling_hangup", self.take_sent()[-1]["type"])

    def test_not_forgotten_on_the_base_protocol(self) -> None:
        """A call of which the server speaks before goes on, on either protocol."""
        call = self.place()
        for is_extended in (False, True):
            self.calls.connected(is_extended)
        self.calls.welcomed(view("outgoing", "ringing"))
        self.clock.advance(RING_TIME + LATE)
        self.assertFalse(call.is_over)
        self.calls.connected(is_extended=False)
        self.answer("call_success", room_id=ROOM)
        self.calls.connected(is_extended=False)
        self.clock.advance(RING_TIME + LATE)
        self.assertEqual(("active", False), (call.state, call.is_forgotten))

    def test_rings_after_all(self) -> None:
        """A call that is missing in the welcome is not doubted any more when it rings."""
        call = self.place()
        self.calls.welcomed(None)
        self.answer("call_ringing", room_id=ROOM)
        self.clock.advance(DOUBT)
        self.assertEqual("ringing", call.state)

    def test_accepted_before(self) -> None:
        """A server that rings it by the call that it has accepted has not heard that: nothing is doubted."""
        call = self.rung()
        call.accept()
        self.calls.welcomed(view("incoming", "ringing"))
        self.clock.advance(DOUBT)
        self.assertFalse(call.is_forgotten)

    def test_rung_after_a_doubt(self) -> None:
        """... nor if that was doubted until it rings, whether the doubt is over or not."""
        call = self.rung()
        call.accept()
        for doubted in (DOUBT / 2, DOUBT):
            self.calls.welcomed(None)
            self.clock.advance(doubted)
            self.take_sent()
            self.ring()
            self.assertEqual(["called_success"], [frame["type"] for frame in self.take_sent()])
            self.clock.advance(DOUBT)
            self.assertEqual(("active", False), (call.state, call.is_forgotten))

    def test_ended_before(self) -> None:
        """A server that was apart may name a call whose end another one has told: it is told of that."""
        call = self.place()
        self.answer("call_refuse", room_id=ROOM)
        self.assertTrue(call.is_over)
        self.active_in(ROOM_2)
        self.hear("calling_be_hangup", room_id=ROOM_2)
        for state in ("ringing", "active"):
            for room in (ROOM, ROOM_2):
                self.calls.welcomed(view("outgoing", state, room))
                self.answer("call_success", room_id=room)
                self.assertEqual(([hang_up(room)] * 2, None), (self.take_sent(), self.calls.present))

    def test_answered_again(self) -> None:
        """The repeated answer to a call that it has ended is not that to its next call to the same device."""
        self.active().hang_up()
        call = self.place()
        self.take_sent()
        for kind in ("call_ringing", "call_success"):
            self.hear(kind, to_phone=FRIEND.phone, to_device_id=FRIEND.device_id, room_id=ROOM)
        self.assertEqual(("calling", [hang_up(ROOM)]), (call.state, self.take_sent()))
        self.answer("call_success", room_id=ROOM_2, id=self.request_id)
        self.assertEqual(("active", ROOM_2), (call.state, call.room_id))

    def test_taken_back(self) -> None:
        """... but not by a call that it has taken over again since."""
        self.active()
        self.hear("calling_be_hangup", room_id=ROOM, reason="moved")
        call = self.calls.pull(ROOM)
        self.answer("call_success", room_id=ROOM, id=self.request_id)
        self.take_sent()
        self.calls.welcomed(view("outgoing", "active"))
        self.assertEqual((call, []), (self.calls.present, self.take_sent()))

    def active_in(self, room: str) -> None:
        """Be in a call in this room."""
        self.place()
        self.answer("call_success", room_id=room)

    def test_another_call(self) -> None:
        """The server's call replaces a call that the server does not know."""
        old = self.active()
        self.calls.welcomed(view("incoming", "active", ROOM_2, OTHER))
        self.assertEqual(("over", "over"), (old.state, old.reason))
        self.assertEqual(ROOM_2, self.present().room_id)

    def test_forgotten(self) -> None:
        """The end of a call unknown to the server may still come; else it stops ringing, or is said to be forgotten."""
        call = self.rung()
        self.calls.welcomed(None)
        self.calls.welcomed(None)
        self.clock.advance(DOUBT)
        self.assert_over(call, "forgotten")
        call = self.active()
        self.calls.welcomed(None)
        self.clock.advance(DOUBT)
        self.assertEqual(("active", True), (call.state, call.is_forgotten))
        self.calls.welcomed(view("outgoing", "active"))
        self.assertFalse(call.is_forgotten)
        self.calls.welcomed(None)
        self.hear("calling_be_hangup", room_id=ROOM, reason="connection_lost")
        self.assert_over(call, "connection_lost")

    def test_resuming(self) -> None:
        """A call that was remembered is active, until the server says something else."""
        call = self.calls.resume(view("incoming", "active"))
        self.assertEqual(("incoming", "active", 1.0), (call.direction, call.state, call.answered_at))
        self.assertFalse(call.is_on_hold)
        self.hear("calling_be_hangup", room_id=ROOM, reason="expired")
        self.assert_over(call, "expired")

    def test_resuming_on_hold(self) -> None:
        """It is on hold from the beginning if it was then."""
        self.assertTrue(self.calls.resume(replace(view("incoming", "active"), on_hold=True)).is_on_hold)


class PullTests(CallsCase):
    """Taking over a call of another device."""

    def pull(self) -> Call:
        """Ask for it."""
        call = self.calls.pull(ROOM)
        self.assertEqual([{"type": "pull", "room_id": ROOM}], self.take_sent())
        self.assertEqual(("calling", ROOM, ""), (call.state, call.room_id, call.peer.phone))
        return call

    def test_pulled(self) -> None:
        """It is active when the server says so, also on a later connection."""
        for fields in ({"id": "call-1"}, {}):
            call = self.pull()
            self.answer("call_success", room_id=ROOM, **fields)
            self.assertEqual(("active", FRIEND), (call.state, call.peer))
            self.calls.welcomed(view("incoming", "active"))
            self.assertIs(call, self.present())
            self.hear("calling_be_hangup", room_id=ROOM)

    def test_not_to_be_had(self) -> None:
        """It is over if the call is over, or the server refuses."""
        call = self.pull()
        self.hear("calling_be_hangup", room_id=ROOM, reason="expired")
        self.assert_over(call, "expired")
        call = self.pull()
        self.hear("error", errorCode=2, id=self.request_id)
        self.assert_over(call, "failed")

    def test_errors_of_others(self) -> None:
        """An error about anything else changes nothing."""
        call = self.pull()
        self.hear("error", errorCode=2)
        self.hear("error", errorCode=2, id="call-0")
        self.assertEqual("calling", call.state)


class WaitingTests(CallsCase):
    """Waiting for a call, and being told of it."""

    def test_until(self) -> None:
        """A waiter is called when the state is reached, or when the call is over."""
        call = self.place()
        ringing, active, over = call.until("ringing"), call.until("active"), call.until("over")
        self.answer("call_ringing", room_id=ROOM)
        self.assertEqual("ringing", self.successResultOf(ringing))
        self.assertNoResult(active)
        self.hear("calling_be_hangup", room_id=ROOM)
        self.assertEqual(("over", "over"), (self.successResultOf(active), self.successResultOf(over)))
        self.assertEqual("over", self.successResultOf(call.until("active")))

    def test_cancelled(self) -> None:
        """A cancelled wait ends."""
        waiting = self.place().until("active")
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.answer("call_success", room_id=ROOM)

    def test_closed(self) -> None:
        """When the device is closed nobody waits any more."""
        waiting = self.rung().until("active")
        self.calls.left()
        self.assertEqual("ringing", self.successResultOf(waiting))

    def test_who_is_told_may_act(self) -> None:
        """Actions of a listener are reported after the event that it was called with, and nothing of it is lost."""
        self.react = lambda event: event.state == "over" and len(self.told) < 4 and self.calls.place(OTHER)
        self.place().hang_up()
        self.assertEqual(["outgoing calling", "outgoing over cancelled", "outgoing calling"], self.take_told())
        self.ring(ROOM, FRIEND)
        self.assertEqual("calling", self.present().state)

    def test_a_listener_fails(self) -> None:
        """It is logged, and the call goes on."""

        def fail(_event: CallEvent) -> None:
            raise ZeroDivisionError

        self.react = fail
        call = self.active()
        self.assertEqual("active", self.successResultOf(call.until("active")))
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_what_it_shows_of_itself(self) -> None:
        """Its ``repr`` does not show phones."""
        call = self.active()
        call.hang_up()
        self.assertEqual("<Call outgoing over hangup>", repr(call))
