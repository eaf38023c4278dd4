"""The order in which a `call` is judged (protocol §2.4), and the devices that it rings."""

from __future__ import annotations

from callnet.calls.records import Active, Over, Ringing
from callnet.model import DeviceAddress, Reason
from tests.rules.frames import be_hangup, call_failed, call_refuse, call_success, called
from tests.rules.world import Device, RulesTestCase

NOBODY = DeviceAddress("13600000009", "phone")


class FirstStepsTests(RulesTestCase):
    """Steps 1 and 2: nothing changes."""

    def test_self(self) -> None:
        """A device cannot call itself, and trying to leaves the call that it is in as it was."""
        ringing = self.ringing(self.ann, self.tv)
        active = self.active(self.pad, self.carol)
        before = dict(self.world.calls)
        for device in (self.ann, self.tv, self.pad, self.carol):
            self.assertIsNone(device.calls(device))
            self.assert_heard(device, call_failed(device, "self"))
        self.assertEqual(before, self.world.calls)
        self.assert_silence()
        self.assert_call(ringing, Ringing)
        self.assert_call(active, Active)

    def test_unknown_caller(self) -> None:
        """A device whose connection the store has not heard of is told `unavailable`, and nobody is rung."""
        stranger = Device(self.world, "13600000007", "tv")
        self.assertIsNone(stranger.calls(self.tv))
        self.assert_heard(stranger, call_failed(self.tv, "unavailable"))
        self.assertEqual({}, self.world.calls)

    def test_second_tap(self) -> None:
        """Within 2 s of its accept, its other party: answered by `call_success` of that call again."""
        room = self.active(self.ann, self.tv, seconds=2.0)
        before = self.world.calls[room]
        self.ann.calls(self.tv)
        self.assert_heard(self.ann, call_success(self.tv, room))
        self.tv.calls(self.ann)
        self.assert_heard(self.tv, call_success(self.ann, room))
        self.ann.calls(self.tv.everywhere())
        self.assert_heard(self.ann, call_success(self.tv, room))
        self.assertIs(before, self.world.calls[room])
        self.assert_silence()

    def test_late_second_tap(self) -> None:
        """After 2 s it is a new call."""
        room = self.active(self.ann, self.tv, seconds=2.1)
        self.assertIsNotNone(self.ann.calls(self.tv))
        self.assert_call(room, Over, Reason.REPLACED)

    def test_second_tap_on_another(self) -> None:
        """Within 2 s, a call to someone else is one to someone else: to another device of that phone, too."""
        room = self.active(self.ann, self.tv, seconds=1.0)
        second = self.ann.calls(self.pad)
        assert second is not None
        self.assert_call(room, Over, Reason.REPLACED)
        self.assert_heard(self.pad, called(self.ann, second))

    def test_fork_and_one_of_its_devices(self) -> None:
        """The target is compared as it was asked: one device of a fork is another target than `*`."""
        room = self.ringing(self.ann, self.tv.everywhere())
        second = self.ann.calls(self.tv)
        assert second is not None
        self.assert_call(room, Over, Reason.CANCELLED)
        self.assert_heard(self.tv, be_hangup(self.ann, room, "cancelled"), called(self.ann, second))
        self.assert_heard(self.pad, be_hangup(self.ann, room, "cancelled"))


class GlareTests(RulesTestCase):
    """Step 3: who calls the caller of a call that rings it accepts that call."""

    def test_glare(self) -> None:
        """Both get `call_success` with the same room; the sender's late answer to that room has no effect."""
        room = self.ringing(self.ann, self.tv)
        self.assertIsNone(self.tv.calls(self.ann))
        self.assert_call(room, Active)
        self.assert_heard(self.ann, call_success(self.tv, room))
        self.assert_heard(self.tv, call_success(self.ann, room))
        before = self.world.calls[room]
        self.assertIsNone(self.tv.accepts(room))
        self.assertIsNone(self.tv.refuses(room))
        self.assertIs(before, self.world.calls[room])
        self.assert_silence()

    def test_everywhere(self) -> None:
        """The target, `"*"` included, covers the caller."""
        room = self.ringing(self.ann, self.tv)
        self.assertIsNone(self.tv.calls(self.ann.everywhere()))
        self.assert_heard(self.tv, call_success(self.ann, room))
        self.assert_heard(self.ann, call_success(self.tv, room))

    def test_fork(self) -> None:
        """A rung device of a fork accepts so too, and the other rung devices are told."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.tv.calls(self.ann)
        self.assert_heard(self.pad, be_hangup(self.ann, room, "answered_elsewhere"))
        self.assert_heard(self.ann, call_success(self.tv, room))
        self.assert_heard(self.tv, call_success(self.ann, room))

    def test_caller_has_no_socket(self) -> None:
        """It is an acceptance whether or not that caller has a socket just now."""
        room = self.ringing(self.ann, self.tv)
        self.ann.loses_socket()
        self.world.wait(5)
        self.tv.calls(self.ann)
        self.assert_heard(self.tv, call_success(self.ann, room))
        self.assertEqual([call_success(self.tv, room)], self.ann.connects())

    def test_another_device_of_the_caller(self) -> None:
        """A call to another device of the caller's phone is a call to someone else."""
        room = self.ringing(self.pad, self.ann)
        second = self.ann.calls(self.tv)
        assert second is not None
        self.assert_heard(self.pad, call_refuse(self.ann, room, "busy"))
        self.assert_heard(self.tv, called(self.ann, second))

    def test_caller_calls_its_callee_everywhere(self) -> None:
        """Glare is for the rung: the caller of a ringing call that calls `*` instead starts a new call."""
        room = self.ringing(self.ann, self.tv)
        second = self.ann.calls(self.tv.everywhere())
        assert second is not None
        self.assert_call(room, Over, Reason.CANCELLED)
        self.assert_heard(self.tv, be_hangup(self.ann, room, "cancelled"), called(self.ann, second))
        self.assert_heard(self.pad, called(self.ann, second))


class LeavingTests(RulesTestCase):
    """Step 4: the sender leaves the call it was in, and it stays left whatever follows."""

    def test_active_call_is_left_for_nobody(self) -> None:
        """An active call is replaced even if the new call fails at once; its peer is told."""
        room = self.active(self.ann, self.tv)
        self.assertIsNone(self.ann.calls(NOBODY))
        self.assert_call(room, Over, Reason.REPLACED)
        self.assert_heard(self.tv, be_hangup(self.ann, room, "replaced"))
        self.assert_heard(self.ann, call_failed(NOBODY, "offline"))

    def test_ringing_is_left_for_nobody(self) -> None:
        """So is a ringing call of the sender, and a ringing that the sender was part of."""
        room = self.ringing(self.ann, self.tv)
        self.ann.calls(NOBODY)
        self.assert_call(room, Over, Reason.CANCELLED)
        room = self.ringing(self.ann, self.tv)
        self.tv.calls(NOBODY)
        self.assert_call(room, Over, Reason.BUSY)

    def test_device_is_never_stuck(self) -> None:
        """A device that was left or has left can be called, and can call, at once."""
        self.active(self.ann, self.tv)
        self.ann.calls(NOBODY)
        self.assertIsNotNone(self.carol.calls(self.ann))
        self.assertIsNotNone(self.tv.calls(self.pad))

    def test_old_call_before_the_new(self) -> None:
        """The end of the old call comes before the new one, for the device or its peer."""
        self.active(self.ann, self.tv)
        room = next(iter(self.world.calls))
        second = self.ann.calls(self.tv.everywhere())
        assert second is not None
        self.assert_heard(self.tv, be_hangup(self.ann, room, "replaced"), called(self.ann, second))


class BusyTests(RulesTestCase):
    """Step 6: the target is in a call."""

    def test_busy(self) -> None:
        """The target is in a call, RINGING or ACTIVE, as either party → `busy`, and does not notice."""
        room = self.ringing(self.ann, self.tv)
        for answered in (False, True):
            if answered:
                self.tv.accepts(room)
                self.forget_heard()
            for target in (self.ann, self.tv):
                self.carol.calls(target)
                self.assert_heard(self.carol, call_failed(target, "busy"))
            self.assert_silence()

    def test_busy_though_it_is_away(self) -> None:
        """A party whose socket is gone is busy within its grace: step 6 comes before step 7."""
        self.active(self.ann, self.tv)
        self.tv.loses_socket()
        self.carol.calls(self.tv)
        self.assert_heard(self.carol, call_failed(self.tv, "busy"))

    def test_two_callers_at_once(self) -> None:
        """Exactly one of two concurrent callers gets through."""
        room = self.ann.calls(self.tv)
        assert room is not None
        self.carol.calls(self.tv)
        self.assert_heard(self.carol, call_failed(self.tv, "busy"))
        self.assert_heard(self.tv, called(self.ann, room))

    def test_free_again(self) -> None:
        """A device whose call is over is not busy, however the call ended."""
        self.over(self.ann, self.tv)
        self.assertIsNotNone(self.carol.calls(self.tv))


class OfflineTests(RulesTestCase):
    """Step 7: no live socket."""

    def test_never_seen(self) -> None:
        """Unknown phones and devices are `offline` too."""
        for target in (NOBODY, DeviceAddress(NOBODY.phone, "*"), DeviceAddress(self.tv.address.phone, "radio")):
            self.ann.calls(target)
            self.assert_heard(self.ann, call_failed(target, "offline"))

    def test_gone(self) -> None:
        """A device whose socket has just gone is `offline`, unless it is in a call."""
        self.tv.loses_socket()
        self.ann.calls(self.tv)
        self.assert_heard(self.ann, call_failed(self.tv, "offline"))


class CallAgainTests(RulesTestCase):
    """Call again after a drop: a device inside the grace of the call just replaced is waited for."""

    def setUp(self) -> None:
        """Ann's picture froze 10 s ago: the television's socket is gone."""
        super().setUp()
        self.first = self.active(self.ann, self.tv)
        self.tv.loses_socket()
        self.world.wait(10)

    def call_again(self, target: DeviceAddress | None = None) -> None:
        """Ann calls the television again."""
        room = self.ann.calls(target or self.tv.address)
        assert room is not None
        self.room = room
        self.assert_call(self.first, Over, Reason.REPLACED)
        self.assert_silence()

    def test_rung_when_it_is_back(self) -> None:
        """It is rung when it is back, after it was told of the old call."""
        self.call_again()
        self.world.wait(19)
        told = [be_hangup(self.ann, self.first, "replaced"), called(self.ann, self.room, expires_in=26)]
        self.assertEqual(told, self.tv.connects())
        self.world.wait(10)
        self.assert_call(self.room, Ringing)
        self.tv.accepts(self.room)
        self.assert_heard(self.ann, call_success(self.tv, self.room))

    def test_rings_until_the_ring_time_is_over(self) -> None:
        """Once it is back it rings like any other, also if its socket goes again."""
        self.call_again()
        self.world.wait(5)
        self.tv.connects()
        self.tv.loses_socket()
        self.world.wait(39)
        self.assert_call(self.room, Ringing)
        self.world.wait(1)
        self.assert_call(self.room, Over, Reason.NO_ANSWER)

    def test_offline_when_its_grace_ends(self) -> None:
        """`offline` is sent when its grace ends, counted from when its socket went."""
        self.call_again()
        self.world.wait(19.9)
        self.assert_call(self.room, Ringing)
        self.assert_silence()
        self.world.wait(0.1)
        self.assert_heard(self.ann, call_failed(self.tv, "offline"))
        self.assertEqual([be_hangup(self.ann, self.first, "replaced")], self.tv.connects())

    def test_cancelled_before_it_is_back(self) -> None:
        """A ring that was cancelled before the device was back is nothing to it; the old call's end is."""
        self.call_again()
        self.world.wait(1)
        self.ann.hangs_up(self.room)
        self.world.wait(5)
        self.assertEqual([be_hangup(self.ann, self.first, "replaced")], self.tv.connects())

    def test_everywhere(self) -> None:
        """Called again as `*`, with no device of the phone online, it is waited for just so."""
        self.pad.loses_socket()
        self.call_again(self.tv.everywhere())
        self.assertEqual(
            [be_hangup(self.ann, self.first, "replaced"), called(self.ann, self.room)],
            self.tv.connects(),
        )
        self.assertEqual([], self.pad.connects())

    def test_everywhere_with_another_device_online(self) -> None:
        """Called again as `*`, the devices that are online and free ring, and those only."""
        room = self.ann.calls(self.tv.everywhere())
        assert room is not None
        self.assert_heard(self.pad, called(self.ann, room))
        self.assertEqual([be_hangup(self.ann, self.first, "replaced")], self.tv.connects())

    def test_everywhere_with_another_device_busy(self) -> None:
        """Called again as `*`, some online, none free: `busy`; step 6 comes before step 7."""
        self.active(self.pad, self.carol, seconds=0)
        self.assertIsNone(self.ann.calls(self.tv.everywhere()))
        self.assert_heard(self.ann, call_failed(self.tv.everywhere(), "busy"))

    def test_grace_is_over(self) -> None:
        """A device whose grace is over is `offline` at once, even if nobody has acted on that yet."""
        self.world.now += 20
        self.assertIsNone(self.ann.calls(self.tv))
        self.assert_call(self.first, Over, Reason.REPLACED)
        self.assert_heard(self.ann, call_failed(self.tv, "offline"))

    def test_ringing_call(self) -> None:
        """A device that went away while it rang is in no call that could be replaced: it is `offline`."""
        self.tv.connects()
        self.pad.loses_socket()
        self.ringing(self.ann, self.tv)
        self.tv.loses_socket()
        self.assertIsNone(self.ann.calls(self.tv.everywhere()))
        self.assert_heard(self.ann, call_failed(self.tv.everywhere(), "offline"))

    def test_busy_for_others(self) -> None:
        """While it is waited for it is in a call: others find it busy."""
        self.call_again()
        self.carol.calls(self.tv)
        self.assert_heard(self.carol, call_failed(self.tv, "busy"))

    def test_someone_else_within_the_grace(self) -> None:
        """Another device that is away is `offline` at once, and so is this one for another caller's phone."""
        self.pad.loses_socket()
        self.ann.calls(self.pad)
        self.assert_heard(self.ann, call_failed(self.pad, "offline"))
        self.ann.calls(self.tv)
        self.assert_heard(self.ann, call_failed(self.tv, "offline"))

    def test_callee_calls_again(self) -> None:
        """Either party may call again."""
        self.tv.connects()
        self.ann.loses_socket()
        room = self.tv.calls(self.ann)
        assert room is not None
        self.assertEqual([be_hangup(self.tv, self.first, "replaced"), called(self.tv, room)], self.ann.connects())
