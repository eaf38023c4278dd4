"""Incomplete records: decisions that need other nodes' records are not made, and nothing changes."""

from __future__ import annotations

from callnet.calls import events
from callnet.calls.preferences import ANYONE, Policy
from callnet.calls.records import Active, Over, Ringing
from callnet.calls.seats import Seated
from callnet.calls.transitions import NoSuchCall, NotYours, TooLate
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, Reason, RoomId
from tests.rules.frames import Frame, be_hangup, call_failed, call_refuse, call_success, called
from tests.rules.world import Device, Page, RulesTestCase

UNKNOWN = RoomId("f" * 32)
STRANGER = DeviceAddress("13600000009", "phone")


class IncompleteCase(RulesTestCase):
    """Other nodes may know more."""

    def setUp(self) -> None:
        """Cut the node off."""
        super().setUp()
        self.world.complete = False

    def assert_unavailable(self, event: events.Event) -> None:
        """It cannot be decided, and nothing changes."""
        world = self.world
        devices = {phone: dict(of_phone) for phone, of_phone in world.devices.items()}
        before = (devices, dict(world.calls), dict(world.seats))
        self.assertRaises(Unavailable, world.happen, event)
        self.assertEqual(before, (world.devices, world.calls, world.seats))
        self.assert_silence()

    def place(self, caller: Device, target: DeviceAddress) -> events.Place:
        """A call of the newest connection of a device."""
        return events.Place(caller.address, target, self.world.new_room(), caller.generation, self.world.now)


class PlacingTests(IncompleteCase):
    """`unavailable` is judged before anything is left."""

    def test_known_device(self) -> None:
        """A device that is connected and known can be called."""
        room = self.ann.calls(self.tv)
        assert room is not None
        self.assert_heard(self.tv, called(self.ann, room))

    def test_unknown_device(self) -> None:
        """One that is not known may be connected elsewhere."""
        self.assert_unavailable(self.place(self.ann, STRANGER))
        self.assert_unavailable(self.place(self.ann, DeviceAddress(self.tv.address.phone, "watch")))
        self.assert_unavailable(self.place(self.ann, DeviceAddress(STRANGER.phone, "*")))

    def test_device_that_is_gone(self) -> None:
        """One that is gone may have come back elsewhere."""
        self.tv.loses_socket()
        self.assert_unavailable(self.place(self.ann, self.tv.address))

    def test_every_device(self) -> None:
        """A call to all devices of a phone rings those that are known."""
        self.tv.loses_socket()
        room = self.ann.calls(self.tv.everywhere())
        assert room is not None
        self.assert_heard(self.pad, called(self.ann, room))

    def test_one_room(self) -> None:
        """Those that ring are told one room id where the store is out of reach: others could not be looked up."""
        self.ann.calls(self.tv.everywhere())
        first, *_ = self.world.calls.values()
        self.assertEqual(2, len(first.aliases))
        self.ann.cancels(self.tv)
        for device in (self.tv, self.pad):
            device.hears()
        self.world.alone = True
        room = self.ann.calls(self.tv.everywhere())
        assert room is not None
        self.assertEqual((), self.world.calls[room].aliases)
        for device in (self.tv, self.pad):
            self.assert_heard(device, called(self.ann, room))

    def test_no_free_device(self) -> None:
        """A call that rings nobody would still end the caller's call, and that may be on a node out of reach."""
        self.active(self.carol, self.tv)
        self.assert_unavailable(self.place(self.ann, self.tv.address))
        self.active(self.ann, self.pad)
        self.assert_unavailable(self.place(self.ann, self.tv.address))

    def test_nothing_is_left(self) -> None:
        """The call that the sender is in goes on."""
        self.active(self.ann, self.tv)
        self.assert_unavailable(self.place(self.ann, STRANGER))
        self.ringing(self.carol, self.pad)
        self.assert_unavailable(self.place(self.pad, STRANGER))
        self.assert_unavailable(self.place(self.carol, STRANGER))

    def test_own_call(self) -> None:
        """Frames about the sender's own call need nobody else: the same call again, a second tap, glare."""
        room = self.ringing(self.ann, self.tv)
        self.tv.loses_socket()
        self.assertIsNone(self.ann.calls(self.tv))
        self.assert_silence()
        self.tv.connects()
        self.tv.accepts(room)
        self.tv.loses_socket()
        self.forget_heard()
        self.assertIsNone(self.ann.calls(self.tv))
        self.assert_heard(self.ann, call_success(self.tv, room))
        room = self.ringing(self.carol, self.pad)
        self.carol.loses_socket()
        self.assertIsNone(self.pad.calls(self.carol))
        self.assert_call(room, Active)

    def test_oneself(self) -> None:
        """A call to oneself needs nobody else either."""
        self.assertIsNone(self.ann.calls(self.ann))
        self.assert_heard(self.ann, call_failed(self.ann, "self"))


class ComingTests(IncompleteCase):
    """A device that comes from a node that cannot be asked is in the calls that this node knows it to be in."""

    def comes_from_elsewhere(self, device: Device) -> list[Frame]:
        """Let it come from a node that alone had its records; returns the first frames to it."""
        self.world.wait(1)
        del self.world.devices[device.address.phone][device.address.device_id]
        self.forget_heard()
        return device.connects()

    def test_its_call_is_over(self) -> None:
        """It is told that its call is over: the other party may have hung up while nobody knew where it was."""
        room = self.active(self.ann, self.tv)
        self.tv.hangs_up(room)
        self.assertEqual([be_hangup(self.tv, room, "hangup")], self.comes_from_elsewhere(self.ann))

    def test_its_call_goes_on(self) -> None:
        """It is told its present call, and can end it."""
        room = self.active(self.ann, self.tv)
        self.assertEqual([call_success(self.tv, room)], self.comes_from_elsewhere(self.ann))
        self.ann.hangs_up(room)
        self.assert_heard(self.tv, be_hangup(self.ann, room, "hangup"))

    def test_it_rings(self) -> None:
        """It is rung."""
        room = self.ringing(self.ann, self.tv)
        self.assertEqual([called(self.ann, room, expires_in=44)], self.comes_from_elsewhere(self.tv))

    def test_a_newer_call(self) -> None:
        """This node's older facts about the device count for less than the call that it is in."""
        old = self.active(self.ann, self.tv)
        self.ann.hangs_up(old)
        self.world.wait(1)
        room = self.active(self.ann, self.pad)
        record = self.ann.record
        self.comes_from_elsewhere(self.ann)
        self.assertEqual((room, old), (self.ann.record.room, self.ann.record.previous_room))
        self.assertGreater(self.ann.record.generation, 0)
        self.assertEqual(record.address, self.ann.record.address)

    def test_a_stranger(self) -> None:
        """A device without a call here is connected, and nothing else happens."""
        self.active(self.ann, self.tv)
        self.assertEqual([], self.comes_from_elsewhere(self.carol))
        self.assert_silence()
        self.assertIsNone(self.carol.record.room)


class RoomTests(IncompleteCase):
    """Frames and pages that name a room."""

    def test_unknown_room(self) -> None:
        """A device that answers or hangs up there may be in a call that only others know."""
        for event in (
            events.Accept(UNKNOWN, self.tv.address),
            events.Refuse(UNKNOWN, self.tv.address),
            events.HangUp(UNKNOWN, self.tv.address),
            events.GaveUp(UNKNOWN, self.tv.address),
            events.Pulled(UNKNOWN, self.tv.address, self.tv.generation),
            events.SeatTaken(UNKNOWN, "red", "s", "here"),
        ):
            self.assert_unavailable(event)

    def test_known_room(self) -> None:
        """In a room that is known everything goes on."""
        room = self.ringing(self.ann, self.tv)
        self.assertIsInstance(self.carol.accepts(room), NotYours)
        self.assertIsNone(self.tv.accepts(room))
        self.assertIsInstance(Page(self.world, room, "red").comes(), Seated)
        self.tv.hangs_up(room)
        self.assertEqual(TooLate(Reason.HANGUP), self.tv.accepts(room))

    def test_known_seats(self) -> None:
        """It does the same in a made-up room with known seats."""
        red, blue = Page(self.world, UNKNOWN, "red"), Page(self.world, UNKNOWN, "blue")
        self.world.complete = True
        red.comes()
        self.world.complete = False
        self.assertIsInstance(blue.comes(), Seated)

    def test_asleep(self) -> None:
        """An unknown device is not made known as asleep, since it may be connected elsewhere; a known one is left."""
        for device, policy in ((STRANGER, Policy(wakes=frozenset([STRANGER.device_id]))), (self.tv.address, ANYONE)):
            event = events.Sleeps(device, policy)
            if device == STRANGER:
                self.assert_unavailable(event)
            else:
                self.world.happen(event)
        self.assertTrue(self.tv.record.connected)

    def test_policy(self) -> None:
        """A policy of a phone without known devices is not done with: one of them may be asleep."""
        policy = Policy(frozenset([self.ann.address.phone]))
        self.assert_unavailable(events.PolicyChanged(STRANGER, policy))
        self.world.happen(events.PolicyChanged(self.tv.everywhere(), policy))
        self.assertEqual(policy, self.tv.record.policy)

    def cancels(self, sent_at: float) -> object:
        """Let Ann cancel the call that she placed to the television until then. Returns the reply of the rules."""
        event = events.Cancel(self.ann.address, self.tv.address.phone, self.ann.generation, sent_at)
        return self.world.happen(event)

    def test_cancel(self) -> None:
        """The cancel of an unknown call is ignored; a call that has just been placed may be known soon."""
        self.assertEqual(NoSuchCall(), self.cancels(self.world.now))
        self.world.wait(self.settings.grace + 1)
        self.assertIsNone(self.cancels(self.world.now))
        self.assert_silence()

    def test_cancel_that_is_known_late(self) -> None:
        """Then it is cancelled; one that was placed afterwards is not."""
        self.world.complete = True
        before = self.world.now
        self.world.wait(1)
        room = self.ringing(self.ann, self.tv)
        self.assertIsNone(self.cancels(before))
        self.assert_call(room, Ringing)
        self.cancels(self.world.now)
        self.assert_call(room, Over, Reason.CANCELLED)


class DisplacedTests(RulesTestCase):
    """A frame that was sent on an older connection than the newest one."""

    def test_call(self) -> None:
        """It places no call, and leaves none."""
        room = self.ringing(self.ann, self.tv)
        older = self.ann.generation
        self.ann.connects(node="there")
        before = dict(self.world.calls)
        for target in (self.carol.address, self.tv.address, self.ann.address):
            self.world.happen(events.Place(self.ann.address, target, self.world.new_room(), older, self.world.now))
        self.world.happen(events.Cancel(self.ann.address, self.tv.address.phone, older))
        self.assertEqual(before, self.world.calls)
        self.assert_silence()
        self.ann.cancels(self.tv)
        self.assert_call(room, Over, Reason.CANCELLED)

    def test_store_that_lags(self) -> None:
        """A store that has not heard of this connection yet is no reason to refuse it."""
        self.ann.generation += 1
        self.assertIsNotNone(self.ann.calls(self.tv))

    def test_stranger(self) -> None:
        """A device that has no record cancels nothing."""
        self.world.happen(events.Cancel(STRANGER, self.tv.address.phone, 1))
        self.assert_silence()


class GaveUpTests(RulesTestCase):
    """A device was told that its request cannot be done: it takes no part in the call any more."""

    def gives_up(self, device: Device, room: RoomId) -> None:
        """Let it be so."""
        self.world.happen(events.GaveUp(room, device.address))

    def test_caller_of_a_ringing_call(self) -> None:
        """The ringing ends as if it had cancelled."""
        room = self.ringing(self.ann, self.tv)
        self.gives_up(self.ann, room)
        self.assert_heard(self.tv, be_hangup(self.ann, room, "cancelled"))
        self.assert_silence(self.tv)

    def test_rung_device(self) -> None:
        """It leaves the ringing; the last to leave is a refusal, and may have been told nothing."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.gives_up(self.tv, room)
        self.assert_call(room, Ringing)
        self.assert_silence()
        self.gives_up(self.pad, room)
        self.assert_heard(self.ann, call_refuse(self.tv.everywhere(), room, "busy"))
        self.assert_heard(self.pad, be_hangup(self.ann, room, "busy"))
        self.assert_silence(self.ann, self.pad)

    def test_rung_again(self) -> None:
        """A device that is rung again on a newer connection goes on ringing there."""
        room = self.ringing(self.ann, self.tv.everywhere())
        older = self.tv.generation
        self.tv.connects(displaces=True)
        self.world.happen(events.GaveUp(room, self.tv.address, generation=older))
        self.forget_heard()
        self.pad.accepts(room)
        self.assert_heard(self.tv, be_hangup(self.ann, room, "answered_elsewhere"))

    def test_answered_call(self) -> None:
        """It is over, and both are told."""
        for device in (self.ann, self.tv):
            room = self.active(self.ann, self.tv)
            self.gives_up(device, room)
            self.assert_heard(self.ann, be_hangup(self.tv, room, "connection_lost"))
            self.assert_heard(self.tv, be_hangup(self.ann, room, "connection_lost"))

    def test_in_the_call_again(self) -> None:
        """A device that is in the call on a newer connection stays in it."""
        room = self.active(self.ann, self.tv)
        older = self.tv.generation
        self.tv.connects(displaces=True)
        self.world.happen(events.GaveUp(room, self.tv.address, generation=older))
        self.assert_call(room, Active)

    def test_stranger(self) -> None:
        """A device outside the call cannot give up a part in it."""
        room = self.ringing(self.ann, self.tv)
        self.gives_up(self.carol, room)
        self.gives_up(self.carol, UNKNOWN)
        self.assert_call(room, Ringing)


class UnreachedTests(RulesTestCase):
    """No node that holds a device which a call rings could be told."""

    def happens(self, room: RoomId, *, is_last: bool) -> None:
        """Let it be found out, of the call as it now is."""
        self.world.happen(events.RangInVain(room, self.world.calls[room].version, is_last))

    def test_rings_again(self) -> None:
        """All devices that still ring are told again."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.happens(room, is_last=False)
        self.assertEqual(2, self.world.calls[room].version)
        self.assert_heard(self.tv, called(self.ann, room))
        self.assert_heard(self.pad, called(self.ann, room))
        self.assert_silence()

    def test_fails(self) -> None:
        """The callee is unreachable: the call has failed; a device that rings late is told that it is over."""
        room = self.ringing(self.ann, self.tv)
        self.happens(room, is_last=True)
        self.assert_call(room, Over, Reason.UNAVAILABLE)
        self.assert_heard(self.ann, call_failed(self.tv, "unavailable"))
        self.assert_heard(self.tv, be_hangup(self.ann, room, "expired"))

    def test_answered(self) -> None:
        """A call that was answered meanwhile has reached somebody."""
        room = self.active(self.ann, self.tv)
        for is_last in (False, True):
            self.happens(room, is_last=is_last)
        self.assert_call(room, Active)
        self.assert_silence()

    def test_changed(self) -> None:
        """So has a call that a device has left."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.tv.calls(self.carol)
        self.forget_heard()
        before = self.world.calls[room]
        for is_last in (False, True):
            self.world.happen(events.RangInVain(room, 1, is_last))
        self.assertIs(before, self.world.calls[room])
