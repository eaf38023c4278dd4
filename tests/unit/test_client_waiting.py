"""The effect of frames on a device with call waiting, whose call is active: a second call may ring."""

from __future__ import annotations

from callnet_client import DeviceAddress
from callnet_client.call import Call
from callnet_client.calls import DOUBT, LATE, RING_TIME
from tests.support.calls_case import FRIEND, OTHER, ROOM, ROOM_2, CallsCase, hang_up, refusal, view

ROOM_3 = "c" * 32


class WaitingCase(CallsCase):
    """A device with call waiting."""

    call_waiting = True

    def both(self) -> tuple[Call, Call]:
        """It is in a call, and a second one rings."""
        first = self.active()
        self.ring(ROOM_2, OTHER)
        second = self.calls.waiting
        assert second is not None
        self.take_told()
        return first, second

    def assert_calls(self, present: Call | None, waiting: Call | None = None) -> None:
        """The device has these calls."""
        self.assertEqual((present, waiting), (self.calls.present, self.calls.waiting))

    def assert_ended(self, call: Call, reason: str, is_own: bool = False) -> None:
        """A call is over."""
        self.assertEqual(("over", reason, is_own), (call.state, call.reason, call.is_own_end))


class SecondCallTests(WaitingCase):
    """The second call."""

    def test_rings(self) -> None:
        """It rings like any other, and the first goes on; to be told of it again changes nothing."""
        first = self.active()
        self.take_told()
        self.ring(ROOM_2, OTHER, from_name="Mum")
        self.ring(ROOM_2, OTHER)
        second = self.calls.waiting
        assert second is not None
        self.assert_calls(first, second)
        self.assertEqual(("active", "ringing", "Mum", OTHER), (first.state, second.state, second.name, second.peer))
        self.assertEqual((["incoming ringing"], []), (self.take_told(), self.take_sent()))

    def test_accepted(self) -> None:
        """It takes the place of the first, which the server is not told in a frame of its own."""
        first, second = self.both()
        second.accept()
        self.assert_calls(second)
        self.assert_ended(first, "replaced", is_own=True)
        self.assertEqual(["outgoing over replaced", "incoming active"], self.take_told())
        self.assertEqual([("called_success", ROOM_2)], [(one["type"], one["room_id"]) for one in self.take_sent()])

    def test_accepted_while_away(self) -> None:
        """A server that still has the first call is told its end; the end of the second may come."""
        _, second = self.both()
        second.accept()
        self.take_sent()
        self.calls.welcomed(view("outgoing", "active"))
        self.assertEqual([hang_up()], self.take_sent())
        self.assert_calls(second)
        self.hear("calling_be_hangup", room_id=ROOM_2, reason="busy")
        self.assert_calls(None)

    def test_present_while_away(self) -> None:
        """If the first is hung up the second rings on, until the server speaks of the first only."""
        first, second = self.both()
        first.hang_up()
        self.take_sent()
        self.calls.welcomed(view("outgoing", "active"))
        self.assertEqual([hang_up()], self.take_sent())
        self.clock.advance(DOUBT)
        self.assert_over(second, "forgotten")

    def test_refused(self) -> None:
        """It is refused, in either word, and the first goes on."""
        first = self.active()
        for refuse, room in ((Call.refuse, ROOM_2), (Call.hang_up, ROOM_3)):
            self.ring(room, OTHER)
            second = self.calls.waiting
            assert second is not None
            refuse(second)
            self.assert_ended(second, "refused", is_own=True)
            self.assertEqual([refusal(room, OTHER)], self.take_sent())
            self.assert_calls(first)

    def test_ends(self) -> None:
        """The server ends it, and the first goes on."""
        first, second = self.both()
        self.hear("calling_be_hangup", room_id=ROOM_2, reason="cancelled")
        self.assert_ended(second, "cancelled")
        self.assert_calls(first)

    def test_nobody_ends_the_ringing(self) -> None:
        """It ends by itself when its time is long over."""
        first, second = self.both()
        self.clock.advance(RING_TIME + LATE)
        self.assert_ended(second, "no_answer")
        self.assert_calls(first)

    def test_another_one(self) -> None:
        """The server is right about ended calls: the new one rings in the place of the second."""
        first, second = self.both()
        self.ring(ROOM_3, FRIEND)
        self.assert_ended(second, "over")
        self.assertEqual(ROOM_3, self.calls.waiting and self.calls.waiting.room_id)
        self.assert_calls(first, self.calls.waiting)

    def test_while_the_first_is_not_active(self) -> None:
        """A call takes the place of one that rings, and a caller is not rung."""
        first = self.rung()
        self.ring(ROOM_2, OTHER)
        self.assert_ended(first, "over")
        self.assert_calls(self.present())
        call = self.place()
        self.ring(ROOM_3, OTHER)
        self.assert_calls(call)


class FirstCallTests(WaitingCase):
    """The first call, while a second one rings."""

    def test_ends(self) -> None:
        """Whoever ends it, the second is the present one, and goes on ringing for its time."""
        for ends in (Call.hang_up, lambda _: self.hear("calling_be_hangup", room_id=ROOM)):
            self.setUp()
            first, second = self.both()
            self.clock.advance(10)
            ends(first)
            self.assertEqual("hangup", first.reason)
            self.assert_calls(second)
            self.assertEqual(["outgoing over hangup"], self.take_told())
            self.clock.advance(RING_TIME + LATE - 11)
            self.assertEqual("ringing", second.state)
            self.clock.advance(1)
            self.assert_over(second, "no_answer")

    def test_changes(self) -> None:
        """News of it is not news of the second."""
        first, second = self.both()
        self.hear("peer_state", room_id=ROOM, state="reconnecting")
        self.assertEqual(("reconnecting", "here"), (first.other_side, second.other_side))

    def test_forgotten(self) -> None:
        """A call that the server has lost may be active all the same: a second one rings beside it."""
        first = self.active()
        self.calls.welcomed(None)
        self.ring(ROOM_2, OTHER)
        self.clock.advance(DOUBT)
        self.assertTrue(first.is_forgotten)
        self.assert_calls(first, self.calls.waiting)


class BothCallsTests(WaitingCase):
    """The end of both calls."""

    def test_calling_someone_else(self) -> None:
        """Both end: the second is refused, and the first hung up."""
        first, second = self.both()
        third = self.calls.place(DeviceAddress("13651884970", "tv"))
        self.assert_ended(first, "hangup", is_own=True)
        self.assert_ended(second, "refused", is_own=True)
        self.assertEqual(["called_refuse", "calling_hangup", "call"], [frame["type"] for frame in self.take_sent()])
        self.assert_calls(third)

    def test_calling_the_second(self) -> None:
        """Calling the phone that rings accepts its call."""
        first, second = self.both()
        self.assertIs(second, self.calls.place(DeviceAddress(OTHER.phone, "*")))
        self.assert_ended(first, "replaced", is_own=True)
        self.assertEqual(["called_success"], [frame["type"] for frame in self.take_sent()])
        self.assert_calls(second)

    def test_pulling(self) -> None:
        """Taking over a call leaves both."""
        first, second = self.both()
        third = self.calls.pull(ROOM_3)
        self.assertEqual(("hangup", "refused"), (first.reason, second.reason))
        self.assert_calls(third)

    def test_resuming(self) -> None:
        """A call that was remembered takes the place of both."""
        first, second = self.both()
        third = self.calls.resume(view("incoming", "active", ROOM_3))
        self.assertEqual(("over", "over"), (first.reason, second.reason))
        self.assert_calls(third)

    def test_welcomed(self) -> None:
        """On another connection the second rings no more, of which nothing is said; the first goes on."""
        first, second = self.both()
        self.calls.welcomed(view("outgoing", "active"))
        self.assert_ended(second, "busy")
        self.assertEqual([], self.take_sent())
        self.assert_calls(first)

    def test_logged_out(self) -> None:
        """A logout leaves both."""
        first, second = self.both()
        self.calls.revoked(is_own=True)
        for call in (first, second):
            self.assert_ended(call, "revoked", is_own=True)
        self.assert_calls(None)

    def test_closed(self) -> None:
        """When the device is closed nobody waits any more, whatever the one who is told first does."""
        first, second = self.both()
        hung_up, waiting = first.until("over"), second.until("over")
        hung_up.addCallback(lambda _: first.hang_up())
        self.calls.left()
        self.successResultOf(hung_up)
        self.assertEqual("ringing", self.successResultOf(waiting))

    def test_rung_instead(self) -> None:
        """If the server rings it by another call, it does not have the first: that is doubted, and the other rings."""
        first = self.active()
        self.calls.welcomed(view("incoming", "ringing", ROOM_2, OTHER))
        self.ring(ROOM_2, OTHER)
        self.clock.advance(DOUBT)
        self.assertTrue(first.is_forgotten)
        self.assertIsNotNone(self.calls.waiting)


class WelcomedAgainTests(WaitingCase):
    """A second welcome on one connection: the server knows of a call that it did not know at the first one."""

    VIEW = view("outgoing", "active")

    def setUp(self) -> None:
        """It is welcomed."""
        super().setUp()
        self.calls.connected(is_extended=True)
        self.calls.welcomed(None)

    def test_calls(self) -> None:
        """A call that it has asked for meanwhile is newer, and ends the other one at the server."""
        call = self.calls.place(OTHER)
        self.calls.welcomed(self.VIEW)
        self.answer("call_success", OTHER, room_id=ROOM_2, id=self.request_id)
        self.assert_calls(call)
        self.assertEqual(("active", ["call"]), (call.state, [frame["type"] for frame in self.take_sent()]))

    def test_accepts(self) -> None:
        """So is one that it has accepted, until the server names it."""
        self.ring(ROOM_2, OTHER)
        call = self.present()
        call.accept()
        self.calls.welcomed(self.VIEW)
        self.assert_calls(call)
        self.calls.welcomed(view("incoming", "active", ROOM_2, OTHER))
        self.calls.connected(is_extended=True)
        self.calls.welcomed(None)
        self.calls.welcomed(self.VIEW)
        self.assertEqual(ROOM, self.present().room_id)

    def test_rung(self) -> None:
        """A call that rings goes on ringing beside that which the server knows of now, and beside another one."""
        self.ring(ROOM_2, OTHER)
        second = self.present()
        for _ in range(2):
            self.calls.welcomed(self.VIEW)
            self.assertEqual((ROOM, "active"), (self.present().room_id, self.present().state))
            self.assertEqual((second, "ringing"), (self.calls.waiting, second.state))
        self.calls.welcomed(view("outgoing", "active", ROOM_3, FRIEND))
        self.assertEqual((ROOM_3, second), (self.present().room_id, self.calls.waiting))
        self.assertEqual([], self.take_sent())

    def test_holds(self) -> None:
        """A device that holds a call is rung no more."""
        self.ring(ROOM_2, OTHER)
        second = self.present()
        self.calls.welcomed(self.VIEW, view("incoming", "active", ROOM_3, FRIEND))
        self.assertEqual((ROOM, ROOM_3), (self.present().room_id, self.calls.held and self.calls.held.room_id))
        self.assert_ended(second, "over")


class HeldTests(WaitingCase):
    """The first call is held for the second."""

    def hold(self) -> tuple[Call, Call]:
        """It holds the first."""
        first = self.active()
        self.ring(ROOM_2, OTHER, can_hold=True)
        second = self.calls.waiting
        assert second is not None
        second.accept(hold=True)
        self.take_sent()
        self.take_told()
        return first, second

    def test_welcomed_with_none(self) -> None:
        """A server that names neither may have restarted: both are doubted alike, until it names them again."""
        first, second = self.hold()
        self.calls.welcomed(None)
        self.clock.advance(DOUBT)
        self.assertEqual((second, first), (self.calls.present, self.calls.held))
        self.assertEqual([True, True], [first.is_forgotten, second.is_forgotten])
        self.assertEqual([], self.take_sent())
        self.calls.welcomed(view("incoming", "active", ROOM_2, OTHER), view("outgoing", "active"))
        self.assertEqual([False, False], [first.is_forgotten, second.is_forgotten])

    def test_welcomed_with_one(self) -> None:
        """If it names the second only the first is over, and it is told so: it may not know of that."""
        first, second = self.hold()
        self.calls.welcomed(view("incoming", "active", ROOM_2, OTHER))
        self.assert_left(second, first, hang_up())

    def test_welcomed_with_the_held_one(self) -> None:
        """If it names the first only the second is over."""
        first, second = self.hold()
        self.calls.welcomed(view("outgoing", "active"))
        self.assert_left(first, second, hang_up(ROOM_2, OTHER))

    def test_exchange_unheard(self) -> None:
        """If it names them the other way round it has not heard of an exchange: it is told again."""
        first, second = self.hold()
        self.calls.swap()
        resume = {"type": "resume", "room_id": ROOM}
        self.assertEqual([resume], self.take_sent())
        self.calls.welcomed(view("incoming", "active", ROOM_2, OTHER), view("outgoing", "active"))
        self.assertEqual(((first, second), [resume]), ((self.calls.present, self.calls.held), self.take_sent()))

    def test_exchange_refused(self) -> None:
        """If the server refuses to go on with the held call the exchange is taken back; only its last answer counts."""
        first, second = self.hold()
        self.calls.swap()
        refused = self.request_id
        self.take_told()
        self.hear("error", message="too many calls", id="resume-9")
        self.assertEqual([], self.take_told())
        self.hear("error", message="too many calls", id=refused)
        self.assertEqual((second, first), (self.calls.present, self.calls.held))
        self.assertEqual(["outgoing active", "incoming active"], self.take_told())

    def assert_left(self, stays: Call, ended: Call, said: dict[str, str]) -> None:
        """One call is over, and the server was told so."""
        self.assert_ended(ended, "over")
        self.assert_calls(stays)
        self.assertEqual([said], self.take_sent())
