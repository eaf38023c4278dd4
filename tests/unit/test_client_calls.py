"""The effect of frames on a device's call until it is active: the rules of :mod:`callnet_client.calls`."""

from __future__ import annotations

from callnet_client import DeviceAddress
from callnet_client.call import Call
from callnet_client.calls import LATE, RING_TIME, Calls
from callnet_client.event_queue import EventQueue
from tests.support.calls_case import FRIEND, OTHER, ROOM, ROOM_2, CallsCase, hang_up, refusal


class OutgoingTests(CallsCase):
    """Calling."""

    def test_placing(self) -> None:
        """A call is sent, and is ``calling``."""
        call = self.calls.place(FRIEND)
        self.assertEqual([{"type": "call", "to_phone": FRIEND.phone, "to_device_id": FRIEND.device_id}], self.sent)
        self.assertEqual(("outgoing", "calling", FRIEND), (call.direction, call.state, call.peer))
        self.assertEqual((False, "phone1", ""), (call.is_incoming, call.asked, call.room_id))

    def test_ringing_and_accepted(self) -> None:
        """It rings, and when it is accepted both meet in its room."""
        call = self.place()
        self.clock.advance(2)
        self.answer("call_ringing", room_id=ROOM, id=self.request_id)
        self.answer("call_success", room_id=ROOM, page="/page", id=self.request_id)
        self.assertEqual((ROOM, "/page", 2.0), (call.room_id, call.page, call.answered_at))
        self.clock.advance(5)
        self.hear("calling_be_hangup", room_id=ROOM)
        self.assert_over(call, "hangup")
        self.assertEqual(5.0, call.duration)
        self.assertEqual(
            ["outgoing calling", "outgoing ringing", "outgoing active", "outgoing over hangup"], self.take_told()
        )

    def test_refused_or_failed(self) -> None:
        """It is over for the reason that the server names, or for none in particular."""
        for kind, reason, told in (
            ("call_refuse", "refused", "refused"),
            ("call_refuse", None, "refused"),
            ("call_failed", "busy", "busy"),
            ("call_failed", None, "failed"),
        ):
            call = self.place()
            self.answer(kind, **({} if reason is None else {"reason": reason}))
            self.assert_over(call, told)
            self.assertIsNone(call.duration)

    def test_every_device(self) -> None:
        """If all devices of a phone are called the one that accepts is the other side."""
        call = self.place(DeviceAddress(FRIEND.phone, "*"))
        self.answer("call_success", room_id=ROOM)
        self.assertEqual((FRIEND, "*"), (call.peer, call.asked))

    def test_answers_to_an_earlier_call(self) -> None:
        """An answer to an earlier call is not taken for that to a new one, though it has the same address."""
        for is_extended, room in ((True, ROOM), (False, "c" * 32)):
            self.calls.connected(is_extended)
            first = self.place()
            named = {"id": self.request_id} if is_extended else {}
            self.answer("call_refuse", room_id=room, reason="refused", **named)
            self.assert_over(first, "refused")
            self.calls.connected(is_extended)
            call = self.place()
            self.answer("call_refuse", room_id=room, reason="refused")
            if is_extended:  # an unknown call has no id either, and a failure names no room
                self.answer("call_refuse", room_id=ROOM_2, reason="refused")
                self.answer("call_failed", reason="no_answer")
            self.assertEqual("calling", call.state)
            self.answer("call_failed", reason="busy", **({"id": self.request_id} if is_extended else {}))
            self.assert_over(call, "busy")

    def test_answer_on_a_later_connection(self) -> None:
        """A call that was placed on an earlier connection is answered without its id."""
        self.calls.connected(is_extended=True)
        call = self.place()
        self.calls.connected(is_extended=True)
        self.answer("call_failed", reason="busy")
        self.assert_over(call, "busy")

    def test_answers_to_another_call(self) -> None:
        """An answer to an earlier call changes nothing, by its address or by its id."""
        call = self.place()
        self.answer("call_failed", OTHER, reason="busy")
        self.answer("call_failed", reason="busy", id="call-0")
        self.answer("call_ringing", OTHER, room_id=ROOM)
        self.answer("call_success", OTHER, room_id=ROOM)
        self.assertEqual("calling", call.state)

    def test_no_address(self) -> None:
        """A call to an invalid address fails, though the server does not return the address."""
        call = self.place(DeviceAddress("x" * 40, "tv"))
        self.answer("call_failed", DeviceAddress("", ""), reason="invalid")
        self.assert_over(call, "invalid")

    def test_cancelling(self) -> None:
        """A call that has no room yet is taken back by the phone alone."""
        call = self.place()
        call.hang_up()
        self.assertEqual([hang_up("")], self.take_sent())
        self.assert_over(call, "cancelled", is_own=True)

    def test_cancelled_and_accepted(self) -> None:
        """If it was accepted meanwhile, that room is left as well, once its name is known; other calls are not."""
        self.place().hang_up()
        self.take_sent()
        self.answer("call_success", room_id=ROOM)
        self.assertEqual([hang_up()], self.take_sent())
        self.assertIsNone(self.calls.present)
        call = self.place()
        self.answer("call_success", room_id=ROOM_2)
        self.assertEqual(("active", []), (call.state, self.take_sent()))

    def test_calling_someone_else(self) -> None:
        """Calling another callee ends the call before, which the server is told first."""
        first = self.active()
        second = self.calls.place(OTHER)
        self.assertEqual(["calling_hangup", "call"], [frame["type"] for frame in self.sent])
        self.assertEqual(("over", "hangup", True), (first.state, first.reason, first.is_own_end))
        self.assertIs(second, self.calls.present)

    def test_being_called_meanwhile(self) -> None:
        """A caller is not rung: if the two call each other, the server joins them."""
        call = self.place()
        self.ring(ROOM_2, FRIEND)
        self.ring(ROOM, OTHER)
        self.assertEqual([], self.take_sent())
        self.answer("call_success", room_id=ROOM_2)
        self.assertEqual(("active", ROOM_2), (call.state, call.room_id))

    def test_a_call_that_it_does_not_know(self) -> None:
        """A restarted client that is told that its call was accepted is in that call."""
        self.answer("call_success", room_id=ROOM)
        self.assertEqual(("outgoing", "active", ROOM), (*self.states(), self.present().room_id))
        self.calls.left()

    def states(self) -> tuple[str, str]:
        """Direction and state of the present call."""
        return self.present().direction, self.present().state


class IncomingTests(CallsCase):
    """Being called."""

    def test_ringing(self) -> None:
        """It rings, with the server's data of the caller."""
        self.ring(from_name="Mum", page="/page", auto_answer=True, expires_in=45)
        call = self.present()
        self.assertEqual(("incoming", "ringing", FRIEND, ROOM), (call.direction, call.state, call.peer, call.room_id))
        self.assertEqual(("Mum", "/page", True, "*"), (call.name, call.page, call.auto_answer, call.asked))

    def test_accepting(self) -> None:
        """It accepts, once."""
        call = self.rung()
        call.accept(by_itself=True)
        call.accept()
        call.refuse()
        self.assertEqual("active", call.state)
        (accepted,) = self.take_sent()
        self.assertEqual(("called_success", ROOM, True), tuple(accepted[n] for n in ("type", "room_id", "auto_answer")))

    def test_refusing(self) -> None:
        """It refuses, in either word, and is not asked again."""
        for refuse in (Call.refuse, Call.hang_up):
            call = self.rung()
            refuse(call)
            self.assertEqual([refusal()], self.take_sent())
            self.assert_over(call, "refused", is_own=True)
            self.calls = Calls(self.say, lambda _: None, EventQueue(), self.clock)

    def test_what_is_no_answer(self) -> None:
        """A caller neither accepts nor refuses its own call."""
        call = self.place()
        call.accept()
        call.refuse()
        self.assertEqual(("calling", []), (call.state, self.take_sent()))

    def test_calling_who_rings(self) -> None:
        """Calling the phone that rings it accepts the call."""
        call = self.rung()
        self.assertIs(call, self.calls.place(DeviceAddress(FRIEND.phone, "*")))
        self.assertEqual("active", call.state)

    def test_calling_someone_else(self) -> None:
        """Calling another callee refuses the call."""
        call = self.rung()
        self.calls.place(OTHER)
        self.assertEqual([refusal(), "call"], [self.sent[0], self.sent[1]["type"]])
        self.assertEqual("refused", call.reason)

    def test_crossing(self) -> None:
        """It rings after a call that the server refused at once: the device has not left its caller's call by that."""
        for reason in ("rate_limited", "unavailable"):
            self.place(OTHER)
            self.assertEqual("calling", self.rung().state)
            self.hear("call_failed", to_phone=OTHER.phone, to_device_id=OTHER.device_id, reason=reason)
            ring = self.calls.present
            assert ring is not None
            self.assertEqual(("incoming", "ringing", ROOM), (ring.direction, ring.state, ring.room_id))
            self.hear("calling_be_hangup", room_id=ROOM)
            self.calls = Calls(self.say, lambda _: None, EventQueue(), self.clock)

    def test_crossing_pull(self) -> None:
        """... and after a takeover that it refused."""
        self.calls.pull(ROOM_2)
        self.rung()
        self.hear("error", id="call-1")
        ring = self.calls.present
        self.assertEqual(ROOM, ring and ring.room_id)

    def test_crossing_and_left(self) -> None:
        """It does not ring if the device has left that call by its own, or that has ended."""
        failed = {"to_phone": OTHER.phone, "to_device_id": OTHER.device_id}
        for told in ([("busy", False)], [("rate_limited", True)], [(None, False), ("unavailable", False)]):
            self.place(OTHER)
            self.rung()
            for reason, has_ended in told:
                if has_ended:
                    self.hear("calling_be_hangup", room_id=ROOM)
                if reason is None:
                    self.hear("call_ringing", room_id=ROOM_2, **failed)
                else:
                    self.hear("call_failed", reason=reason, **failed)
            self.assertIsNone(self.calls.present)
            self.calls = Calls(self.say, lambda _: None, EventQueue(), self.clock)

    def test_stops_ringing(self) -> None:
        """The server ends the ringing, for its reason."""
        call = self.rung()
        self.hear("calling_be_hangup", room_id=ROOM_2, reason="cancelled")
        self.assertEqual("ringing", call.state)
        self.hear("calling_be_hangup", room_id=ROOM, reason="answered_elsewhere")
        self.assert_over(call, "answered_elsewhere")

    def test_nobody_ends_the_ringing(self) -> None:
        """When its time is long over it ends by itself: the connection is lost."""
        for fields, seconds in (({}, RING_TIME), ({"expires_in": 5}, 5.0)):
            self.ring(**fields)
            call = self.present()
            self.clock.advance(seconds + LATE - 1)
            self.assertEqual("ringing", call.state)
            self.clock.advance(1)
            self.assert_over(call, "no_answer")

    def test_called_again(self) -> None:
        """The same call on a later connection changes nothing; an acceptance that was lost is sent again."""
        call = self.rung()
        self.take_told()
        self.ring()
        self.assertEqual(([], []), (self.take_told(), self.take_sent()))
        call.accept()
        self.take_sent()
        self.ring()
        self.assertEqual(["called_success"], [frame["type"] for frame in self.take_sent()])

    def test_called_again_after_refusing(self) -> None:
        """A refusal that was lost is sent again."""
        self.rung().refuse()
        self.take_sent()
        self.ring()
        self.assertEqual([refusal()], self.take_sent())
        self.assertIsNone(self.calls.present)

    def test_called_by_another(self) -> None:
        """The server is right about ended calls: the new call rings in the place of the old one."""
        for before in (self.rung, self.active):
            old = before()
            self.ring(ROOM_2, OTHER)
            self.assertEqual(("over", "over", False), (old.state, old.reason, old.is_own_end))
            self.assertEqual((OTHER, "ringing"), (self.present().peer, self.present().state))
            self.hear("calling_be_hangup", room_id=ROOM_2)
