"""A device takes over the call of another one of its phone (protocol §2.5, `pull`)."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.accounts.history import sides
from callnet.calls import events
from callnet.calls.records import Active, Ringing, is_over
from callnet.calls.transitions import NotYours, TooLate
from callnet.model import Accepted, Reason, RoomId
from tests.rules.frames import be_hangup, call_success
from tests.rules.world import Device, RulesTestCase


class PullingCase(RulesTestCase):
    """Ann talks to Bob's television, and Bob has a pad."""

    def setUp(self) -> None:
        """Let them talk for some time."""
        super().setUp()
        self.room = self.talking(self.ann, self.tv)
        self.world.wait(10)

    def talking(self, caller: Device, callee: Device) -> RoomId:
        """A call that was answered."""
        room = self.ringing(caller, callee)
        callee.accepts(room)
        self.forget_heard()
        return room

    def pulls(self, device: Device, room: RoomId | None = None) -> object:
        """Let a device ask for a call. Returns the reply of the rules."""
        device.last_heard = self.world.now
        room = room or self.room
        reply = self.world.happen(events.Pulled(device.id_of(room), device.address, device.generation))
        if not isinstance(reply, Accepted):
            return reply
        device.ids[room] = reply.room
        return replace(reply, room=self.world.aliases.get(reply.room, reply.room))

    def extended_accepts(self, device: Device, room: RoomId) -> None:
        """Let an extended device accept."""
        self.world.happen(events.Accept(room, device.address, extended=True))


class PullTests(PullingCase):
    """The call changes hands."""

    def test_callee(self) -> None:
        """The pad takes the call: it is told its peer, the television that the call has moved, Ann nothing."""
        self.assertEqual(Accepted(self.room, self.ann.address), self.pulls(self.pad))
        self.assertEqual([be_hangup(self.ann, self.room, "moved")], self.tv.hears())
        self.assertEqual([], self.ann.hears())
        call = self.world.calls[self.room]
        self.assertIsInstance(call.state, Active)
        self.assertEqual(self.pad.address, call.callee)

    def test_caller(self) -> None:
        """The side that called is taken over in the same way."""
        room = self.talking(self.pad, self.carol)
        self.tv.hears()
        self.assertEqual(Accepted(room, self.carol.address), self.pulls(self.tv, room))
        self.assertEqual([be_hangup(self.carol, room, "moved")], self.pad.hears())

    def test_hanging_up(self) -> None:
        """Both go on as parties: the pad hangs up, and Ann, a base client, is told by the name that she called."""
        self.pulls(self.pad)
        self.tv.hears()
        self.pad.hangs_up(self.room)
        self.assertEqual([be_hangup(self.tv, self.room, "hangup")], self.ann.hears())
        self.assertEqual([], self.tv.hears())

    def test_hanging_up_without_a_room(self) -> None:
        """So it does if it names Ann alone, as a party of the call."""
        self.pulls(self.pad)
        self.tv.hears()
        self.pad.cancels(self.ann)
        self.assertEqual([be_hangup(self.tv, self.room, "hangup")], self.ann.hears())

    def test_other_party_hangs_up(self) -> None:
        """Ann hangs up: the pad is told, the television is not."""
        self.pulls(self.pad)
        self.tv.hears()
        self.ann.hangs_up(self.room)
        self.assertEqual([be_hangup(self.ann, self.room, "hangup")], self.pad.hears())
        self.assertEqual([], self.tv.hears())

    def test_extended_other_party(self) -> None:
        """An extended party is told by the new name."""
        room = self.ringing(self.pad, self.carol)
        self.extended_accepts(self.carol, room)
        self.pulls(self.tv, room)
        self.carol.hears()
        self.tv.hangs_up(room)
        self.assertEqual([be_hangup(self.tv, room, "hangup")], self.carol.hears())

    def test_back_again(self) -> None:
        """The television takes it back, and is not taken for one that has left."""
        self.pulls(self.pad)
        self.assertEqual(Accepted(self.room, self.ann.address), self.pulls(self.tv))
        self.assertEqual([be_hangup(self.ann, self.room, "moved")], self.pad.hears())
        self.tv.hears()
        self.ann.hangs_up(self.room)
        self.assertEqual([be_hangup(self.ann, self.room, "hangup")], self.tv.hears())

    def test_own_call_first(self) -> None:
        """A device that is in another call leaves that one first, as if it had called somebody."""
        other = self.talking(self.carol, self.pad)
        self.pulls(self.pad)
        self.assertEqual([be_hangup(self.pad, other, "replaced")], self.carol.hears())

    def test_own_ringing_first(self) -> None:
        """A device that is being rung leaves that call first, too."""
        self.ringing(self.carol, self.pad)
        self.pulls(self.pad)
        self.assertEqual("busy", self.carol.hears()[0]["reason"])

    def test_its_own_call(self) -> None:
        """A device that is in the call already is told its peer again, and nothing changes."""
        version = self.world.calls[self.room].version
        self.assertEqual(Accepted(self.room, self.ann.address), self.pulls(self.tv))
        self.assertEqual(version, self.world.calls[self.room].version)

    def test_busy(self) -> None:
        """The device that left is free, the one that came is busy."""
        self.pulls(self.pad)
        self.forget_heard()
        self.assertIsNotNone(self.carol.calls(self.tv))
        self.carol.cancels(self.tv)
        self.assertIsNone(self.carol.calls(self.pad))
        self.assertEqual("busy", self.carol.hears()[-1]["reason"])

    def test_history(self) -> None:
        """The history names the device that the call ended with."""
        self.pulls(self.pad)
        self.pad.hangs_up(self.room)
        call = self.world.calls[self.room]
        assert is_over(call)
        _, incoming = sides(call)
        self.assertEqual((self.pad.address.device_id, "answered"), (incoming.device_id, incoming.outcome))


class NotToBeHadTests(PullingCase):
    """Calls that cannot be taken over. Nothing changes."""

    def assert_refused(self, device: Device, room: RoomId, reason: Reason | None) -> None:
        """The device may not have the call."""
        before = self.world.calls.get(room)
        self.assertEqual(NotYours() if reason is None else TooLate(reason), self.pulls(device, room))
        self.assertEqual(before, self.world.calls.get(room))

    def test_of_another_phone(self) -> None:
        """One of other phones, whether it goes on or is over."""
        self.assert_refused(self.carol, self.room, None)
        self.ann.hangs_up(self.room)
        self.assert_refused(self.carol, self.room, None)

    def test_over(self) -> None:
        """One that is over, with its reason."""
        self.ann.hangs_up(self.room)
        self.assert_refused(self.pad, self.room, Reason.HANGUP)

    def test_unknown(self) -> None:
        """One that nobody knows."""
        self.assert_refused(self.pad, RoomId("f" * 32), Reason.EXPIRED)

    def test_ringing(self) -> None:
        """One that rings still."""
        room = self.ringing(self.carol, self.pad)
        self.assert_refused(self.pad, room, None)

    def test_older_connection(self) -> None:
        """A device that has reconnected does not take it over on its older connection."""
        older = self.pad.generation
        self.pad.connects()
        self.assertIsNone(self.world.happen(events.Pulled(self.room, self.pad.address, older)))
        self.assertEqual(self.tv.address, self.world.calls[self.room].callee)


class AfterwardsTests(PullingCase):
    """Late frames, and devices that come back."""

    def setUp(self) -> None:
        """The pad has the call."""
        super().setUp()
        self.pulls(self.pad)
        self.forget_heard()

    def test_late_frames(self) -> None:
        """The device that left is no party: its acceptance is told that the call has moved, its hang-up is silent."""
        self.assertEqual(TooLate(Reason.MOVED), self.tv.accepts(self.room))
        self.assertIsNone(self.tv.hangs_up(self.room))
        self.assertIsInstance(self.world.calls[self.room].state, Active)

    def test_left_device_was_away(self) -> None:
        """A device that was away when its call was taken over is told so when it is back."""
        self.pulls(self.tv)
        self.forget_heard()
        self.tv.loses_socket()
        self.world.wait(1)
        self.pulls(self.pad)
        self.world.wait(1)
        self.assertEqual([be_hangup(self.ann, self.room, "moved")], self.tv.connects())

    def test_pulling_device_comes_back(self) -> None:
        """A device that may not have heard that it has the call is told so when it is back."""
        self.pad.last_heard = self.world.now - 1
        self.pad.loses_socket()
        self.assertEqual([call_success(self.ann, self.room)], self.pad.connects())

    def test_base_party_comes_back(self) -> None:
        """Ann, who called the television, may be told again that it accepted, by that name."""
        self.world.wait(1)
        self.assertEqual([call_success(self.tv, self.room)], self.ann.connects(node="there"))

    def test_grace(self) -> None:
        """The call ends when the device that took it over is gone for longer than the grace."""
        self.pad.loses_socket()
        self.world.wait(self.settings.grace + 1)
        self.assertEqual([be_hangup(self.tv, self.room, "connection_lost")], self.ann.hears())

    def test_left_device_goes(self) -> None:
        """Nobody minds that the device that left is gone."""
        self.tv.loses_socket()
        self.world.wait(self.settings.grace + 1)
        self.assertEqual([], self.ann.hears())
        self.assertIsInstance(self.world.calls[self.room].state, Active)


class AnnouncedTests(RulesTestCase):
    """The caller is extended, and a device is told that it rings."""

    def test_once(self) -> None:
        """It is noted once, while it rings, for a caller that is extended."""
        place = events.Place(
            self.ann.address, self.tv.address, self.world.new_room(), self.ann.generation, self.world.now, True
        )
        self.world.happen(place)
        for device, noted in ((self.carol, False), (self.tv, True), (self.tv, True)):
            self.world.happen(events.Announced(place.room, device.address))
            self.assertEqual(Ringing((self.tv.address,), announced=noted), self.world.calls[place.room].state)
        self.assertEqual(2, self.world.calls[place.room].version)

    def test_base_caller(self) -> None:
        """A base caller is not to know."""
        room = self.ringing(self.ann, self.tv)
        self.world.happen(events.Announced(room, self.tv.address))
        self.assertEqual(1, self.world.calls[room].version)


class DialectTests(RulesTestCase):
    """A device comes back with another client."""

    def test_changes(self) -> None:
        """The protocol of the present connection counts."""
        room = self.ringing(self.ann, self.tv)
        self.tv.accepts(room)
        for extended in (True, True, False, True):
            connected = events.ExtendedConnected if extended else events.Connected
            self.world.happen(connected(self.tv.address, "here", None, self.world.now))
            self.assertEqual((self.tv.address,) if extended else (), self.world.calls[room].extended)
