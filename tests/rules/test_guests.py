"""Calls of guests, by a link that rings (protocol §1, §2.7)."""

from __future__ import annotations

from typing import ClassVar

from callnet.calls import events
from callnet.calls.preferences import ANYONE, NOBODY, Policy, QuietHours
from callnet.calls.records import Active, Over, Ringing
from callnet.model import DeviceAddress, Reason, RoomId, Withdrawn
from tests.rules.frames import be_hangup, call_failed, call_refuse, call_success, called
from tests.rules.world import Device, RulesTestCase, World

ALWAYS = QuietHours(0, 0, "UTC")


class Guest(Device):
    """A guest, connected."""

    drawn: ClassVar = 0

    def __init__(self, world: World, name: str = "Visitor") -> None:
        Guest.drawn += 1
        super().__init__(world, f"guest:00000000000a{Guest.drawn:012x}", name)
        self.policy = NOBODY
        self.places = events.PlaceAsGuest
        self.connects()


class GuestTestCase(RulesTestCase):
    """A guest of Bob's, who has a television and a pad."""

    def setUp(self) -> None:
        """Connect it."""
        super().setUp()
        self.guest = Guest(self.world)
        self.bob = self.tv.everywhere()

    def has_policy(self, policy: Policy) -> None:
        """Let Bob's phone have a policy."""
        self.world.happen(events.PolicyChanged(self.bob, policy))


class RingingTests(GuestTestCase):
    """The devices that a guest rings."""

    def test_rings(self) -> None:
        """Every free device of the phone rings; the first to accept has the call."""
        room = self.guest.calls(self.bob)
        assert room is not None
        self.assert_heard(self.tv, called(self.guest, room))
        self.assert_heard(self.pad, called(self.guest, room))
        self.pad.accepts(room)
        self.assert_heard(self.guest, call_success(self.pad, room))
        self.assert_heard(self.tv, be_hangup(self.guest, room, "answered_elsewhere"))

    def test_refused(self) -> None:
        """A refusal is one for all devices."""
        room = self.ringing(self.guest, self.bob)
        self.tv.refuses(room)
        self.assert_heard(self.guest, call_refuse(self.bob, room))
        self.assert_heard(self.pad, be_hangup(self.guest, room, "refused_elsewhere"))

    def test_lists_do_not_matter(self) -> None:
        """The link is the permission: neither who may call matters, nor who is blocked."""
        self.has_policy(Policy(blocked=frozenset([self.guest.address.phone]), only=frozenset()))
        self.assertIsNotNone(self.guest.calls(self.bob))
        self.assertEqual(1, len(self.tv.hears()))

    def test_again(self) -> None:
        """While its call rings, another changes nothing."""
        room = self.ringing(self.guest, self.bob)
        self.assertIsNone(self.guest.calls(self.bob))
        self.assertIsNone(self.guest.calls(self.ann.everywhere()))
        self.assert_silence()
        self.assertIsInstance(self.world.calls[room].state, Ringing)

    def test_goes_on(self) -> None:
        """A guest in a call that calls another phone leaves the first."""
        room = self.active(self.guest, self.tv)
        other = self.guest.calls(self.ann.everywhere())
        assert other is not None
        self.assert_heard(self.tv, be_hangup(self.guest, room, "replaced"))
        self.assert_heard(self.ann, called(self.guest, other))

    def test_nobody_calls_a_guest(self) -> None:
        """A guest cannot be called, not even by who is in a call with it."""
        for caller in (self.ann, self.carol):
            caller.calls(self.guest)
            self.assert_heard(caller, call_failed(self.guest, "offline"))
        self.assert_silence()

    def test_calls_a_ringing_guest(self) -> None:
        """A guest whose call rings is in a call for whoever may call it, should there be anybody."""
        self.guest.policy = ANYONE
        self.guest.connects()
        room = self.ringing(self.guest, self.bob)
        self.ann.calls(self.guest)
        self.assert_heard(self.ann, call_failed(self.guest, "busy"))
        self.assert_silence()
        self.assertIsInstance(self.world.calls[room].state, Ringing)

    def active(self, caller: Device, callee: Device, seconds: float = 10.0) -> RoomId:
        """As before, to all devices."""
        room = self.ringing(caller, callee.everywhere())
        callee.accepts(room)
        self.world.wait(seconds)
        self.forget_heard()
        return room


class NobodyTests(GuestTestCase):
    """A guest cannot tell a link that does not ring from nobody at home."""

    def assert_rings_nobody(self, target: DeviceAddress) -> None:
        """A call rings nobody and ends after the ring time, and no sooner."""
        room = self.guest.calls(target)
        assert room is not None
        self.world.wait(self.settings.ring_time - 0.1)
        self.assert_silence()
        self.world.wait(0.2)
        self.assert_heard(self.guest, call_failed(self.world.calls[room].target, "no_answer"))
        self.assert_silence()

    def test_link_does_not_ring(self) -> None:
        """The link is none, off, expired or used up."""
        self.assert_rings_nobody(self.guest.everywhere())

    def test_nobody_there(self) -> None:
        """No device is connected."""
        self.tv.loses_socket()
        self.pad.loses_socket()
        self.assert_rings_nobody(self.bob)

    def test_unknown_phone(self) -> None:
        """No device of the phone has ever been there."""
        self.assert_rings_nobody(self.bob._replace(phone="13600000009"))

    def test_quiet(self) -> None:
        """The phone has quiet hours."""
        self.has_policy(Policy(quiet=ALWAYS))
        self.assert_rings_nobody(self.bob)

    def test_not_woken(self) -> None:
        """The last device that could be woken could not."""
        self.tv.loses_socket()
        self.pad.loses_socket()
        self.has_policy(Policy(wakes=frozenset(["tv"])))
        room = self.guest.calls(self.bob)
        assert room is not None
        self.world.happen(events.NotWoken(room, self.tv.address))
        self.assert_silence()
        self.world.wait(self.settings.ring_time)
        self.assert_heard(self.guest, call_failed(self.bob, "no_answer"))

    def test_unreachable(self) -> None:
        """No node of a rung device could be notified."""
        room = self.ringing(self.guest, self.bob)
        self.world.happen(events.RangInVain(room, self.world.calls[room].version, is_last=True))
        self.assertEqual([], self.guest.hears())
        self.assertEqual(Ringing(()), self.world.calls[room].state)

    def test_hung_up(self) -> None:
        """The guest gives up."""
        room = self.ringing(self.guest, self.guest.everywhere())
        self.guest.hangs_up(room)
        self.assertIsInstance(self.world.calls[room].state, Over)
        self.assert_silence()

    def test_gone(self) -> None:
        """The guest goes, and does not come back."""
        room = self.ringing(self.guest, self.bob)
        self.guest.loses_socket()
        self.world.wait(self.settings.grace + 1)
        self.assert_heard(self.tv, be_hangup(self.guest, room, "cancelled"))


class BusyTests(GuestTestCase):
    """Family goes first."""

    def test_talking(self) -> None:
        """All devices that are there are in a call."""
        self.pad.loses_socket()
        self.active(self.ann, self.tv)
        self.assertIsNone(self.guest.calls(self.bob))
        self.assert_heard(self.guest, call_failed(self.bob, "busy"))

    def test_ringing(self) -> None:
        """All devices ring for somebody else, which does not say that anybody is at home."""
        self.pad.loses_socket()
        self.ringing(self.ann, self.tv)
        room = self.guest.calls(self.bob)
        assert room is not None
        self.assert_silence()
        self.assertEqual(Ringing(()), self.world.calls[room].state)

    def test_call_waiting(self) -> None:
        """A guest is no second call."""
        self.pad.loses_socket()
        self.tv.extended = self.tv.call_waiting = True
        self.tv.connects(displaces=True)
        self.active(self.ann, self.tv)
        self.guest.calls(self.bob)
        self.assert_heard(self.guest, call_failed(self.bob, "busy"))
        self.assert_silence()

    def test_one_guest(self) -> None:
        """One guest rings a phone at a time; another one is not told that somebody is at home."""
        first = self.ringing(self.guest, self.bob)
        another = Guest(self.world)
        self.world.wait(10)
        room = another.calls(self.bob)
        assert room is not None
        self.guest.hangs_up(first)
        self.forget_heard()
        self.world.wait(self.settings.ring_time)
        self.assertEqual([call_failed(self.bob, "no_answer")], another.hears())
        self.assert_silence()

    def test_makes_way(self) -> None:
        """A device that rings for a guest is free for others: it stops ringing for the guest, who is not told."""
        room = self.ringing(self.guest, self.bob)
        call = self.carol.calls(self.tv)
        assert call is not None
        self.assert_heard(self.tv, be_hangup(self.guest, room, "replaced"), called(self.carol, call))
        self.assert_silence()
        self.assertEqual(Ringing((self.pad.address,)), self.world.calls[room].state)
        other = self.ann.calls(self.bob)
        assert other is not None
        self.assert_heard(self.pad, be_hangup(self.guest, room, "replaced"), called(self.ann, other))
        self.assert_silence()
        self.assertEqual(Ringing(()), self.world.calls[room].state)
        self.tv.accepts(call)
        self.assert_heard(self.carol, call_success(self.tv, call))
        self.world.wait(self.settings.ring_time)
        self.assert_heard(self.guest, call_failed(self.bob, "no_answer"))

    def test_keeps_lost_device(self) -> None:
        """A device that cannot be rung for somebody else goes on ringing for the guest, and is there again."""
        self.pad.loses_socket()
        room = self.ringing(self.guest, self.bob)
        self.tv.loses_socket()
        self.carol.calls(self.tv)
        self.assert_heard(self.carol, call_failed(self.tv, "offline"))
        self.assertEqual(Ringing((self.tv.address,)), self.world.calls[room].state)
        self.tv.connects()
        self.tv.accepts(room)
        self.assert_heard(self.guest, call_success(self.tv, room))

    def test_answers_too_late(self) -> None:
        """A device that accepts the guest's call when it no longer rings is told that this is over."""
        room = self.ringing(self.guest, self.bob)
        call = self.ringing(self.carol, self.tv)
        reply = self.tv.accepts(room)
        self.assertEqual(Reason.REPLACED, getattr(reply, "reason", None))
        self.assertIsInstance(self.world.calls[call].state, Ringing)

    def test_guest_is_talking(self) -> None:
        """A call with a guest is one like any other."""
        self.pad.loses_socket()
        room = self.ringing(self.guest, self.bob)
        self.tv.accepts(room)
        self.assertIsInstance(self.world.calls[room].state, Active)
        self.forget_heard()
        self.carol.calls(self.tv)
        self.assert_heard(self.carol, call_failed(self.tv, "busy"))

    def test_callee_calls(self) -> None:
        """The last device that rings for a guest and calls somebody is busy."""
        self.pad.loses_socket()
        room = self.ringing(self.guest, self.bob)
        self.assertIsNotNone(self.tv.calls(self.ann))
        self.assert_heard(self.guest, call_refuse(self.bob, room, "busy"))

    def test_again_while_ringing(self) -> None:
        """A guest that calls while its call rings is not answered."""
        self.ringing(self.guest, self.bob)
        event = events.PlaceAsGuest(self.guest.address, self.bob, self.world.new_room(), self.guest.generation, 0.0)
        self.assertEqual(Withdrawn(), self.world.happen(event))
