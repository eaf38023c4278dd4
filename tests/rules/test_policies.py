"""Callers that a phone's policy rejects (protocol §2.4, step 5)."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.preferences import (
    KEPT_ONCE,
    SECOND_CALL_AFTER,
    SECOND_CALL_WITHIN,
    Policy,
    QuietExceptions,
    QuietHours,
)
from callnet.calls.records import TURNED_AWAY_MAX, Active, Over, Ringing, TurnedAway
from callnet.model import DeviceAddress, Failed, Reason
from tests.rules.frames import call_failed
from tests.rules.world import Device, RulesTestCase


class PolicyTests(RulesTestCase):
    """A rejected caller is told `offline`, and cannot tell it from the truth."""

    def block(self, device: Device, *phones: str) -> None:
        """Let these phones not call a device's phone."""
        policy = Policy(frozenset(phones))
        self.world.happen(events.PolicyChanged(device.everywhere(), policy))
        self.assertEqual({policy}, {record.policy for record in self.world.devices[device.address.phone].values()})

    def test_blocked(self) -> None:
        """A blocked caller is told `offline`, whether the device is free, busy, or one of several."""
        self.block(self.tv, self.ann.address.phone)
        self.active(self.carol, self.pad)
        for target in (self.tv, self.pad):
            self.assertIsNone(self.ann.calls(target))
            self.assert_heard(self.ann, call_failed(target, "offline"))
        self.assertIsNone(self.ann.calls(self.tv.everywhere()))
        self.assert_heard(self.ann, call_failed(self.tv.everywhere(), "offline"))
        self.assert_silence()

    def test_own_call_is_left(self) -> None:
        """The call that it was in is left before that, as for any other call."""
        room = self.active(self.ann, self.carol)
        self.block(self.tv, self.ann.address.phone)
        self.assertIsNone(self.ann.calls(self.tv))
        self.assert_call(room, Over, Reason.REPLACED)
        self.assert_heard(self.ann, call_failed(self.tv, "offline"))

    def test_glare(self) -> None:
        """Calling the caller that rings one accepts, whatever the policies."""
        room = self.ringing(self.tv, self.ann)
        self.block(self.tv, self.ann.address.phone)
        self.ann.calls(self.tv)
        self.assert_call(room, Active)

    def test_call_again(self) -> None:
        """A party that was blocked meanwhile is not waited for."""
        self.active(self.ann, self.tv)
        self.world.wait(3)
        self.tv.loses_socket()
        self.block(self.tv, self.ann.address.phone)
        self.assertIsNone(self.ann.calls(self.tv))
        self.assert_heard(self.ann, call_failed(self.tv, "offline"))

    def test_a_new_connection(self) -> None:
        """Each connection sets the policy again."""
        self.block(self.tv, self.ann.address.phone)
        self.tv.connects()
        self.assertIsNotNone(self.ann.calls(self.tv))

    def test_many(self) -> None:
        """A policy that names many phones is kept once for the phone, and none of its devices' records has it."""
        many = Policy(frozenset(f"139{number:08d}" for number in range(1000)) | {self.ann.address.phone})
        for policy in (many, Policy(only=many.blocked - {self.ann.address.phone})):
            self.world.happen(events.PolicyChanged(self.tv.everywhere(), policy))
            self.assertEqual(policy, self.world.policies[self.tv.address.phone])
            self.assertEqual({Policy(only=KEPT_ONCE)}, {self.tv.record.policy, self.pad.record.policy})
            self.assertFalse(self.tv.record.policy.allows(self.carol.address.phone, 0))
            self.assertIsNone(self.ann.calls(self.tv.everywhere()))
            self.assert_heard(self.ann, call_failed(self.tv.everywhere(), "offline"))
        versions = self.tv.record.version, self.pad.record.version
        self.world.happen(events.PolicyChanged(self.tv.everywhere(), Policy(many.blocked - {self.ann.address.phone})))
        self.assertEqual(versions, (self.tv.record.version, self.pad.record.version))
        self.assertIsNotNone(self.ann.calls(self.tv.everywhere()))

    def test_few_again(self) -> None:
        """When it names few phones it is in the records again, and goes before the kept one."""
        many = Policy(frozenset(f"139{number:08d}" for number in range(1000)))
        self.world.happen(events.PolicyChanged(self.tv.everywhere(), many))
        self.block(self.tv, self.ann.address.phone)
        self.assertIsNone(self.ann.calls(self.tv))
        self.assertIsNotNone(self.carol.calls(self.tv))

    def test_of_the_revision_before(self) -> None:
        """A record with a policy of any length, as a node of the revision before writes it, is gone by."""
        policy = Policy(frozenset(f"139{number:08d}" for number in range(1000)) | {self.ann.address.phone})
        phone, device_id = self.tv.address
        self.world.devices[phone][device_id] = replace(self.tv.record, policy=policy)
        self.assertIsNone(self.ann.calls(self.tv))
        self.assertIsNotNone(self.carol.calls(self.tv))
        self.assertEqual(policy, self.tv.record.policy)

    def test_quiet_until(self) -> None:
        """Until a time nobody else's device may call, whatever the hours; then the hours alone count."""
        self.world.wait(5 * 60 - self.world.now)
        policy = Policy(quiet=QuietHours(10, 20, "UTC"), quiet_until=9 * 60.0)
        self.world.happen(events.PolicyChanged(self.tv.everywhere(), policy))
        for second, is_quiet in ((539, True), (540, False), (600, True)):
            self.world.wait(second - self.world.now)
            self.assertEqual(is_quiet, self.ann.calls(self.tv) is None, second)
            self.ann.calls(self.carol)
            self.ann.cancels(self.carol)

    def test_quiet(self) -> None:
        """In the quiet hours of a phone nobody else's device may call it; before and after them they may."""
        quiet = QuietHours(10, 20, "UTC")
        self.world.happen(events.PolicyChanged(self.tv.everywhere(), Policy(quiet=quiet)))
        for minute, is_quiet in ((9, False), (10, True), (19, True), (20, False)):
            self.world.wait(minute * 60 - self.world.now)
            outcome = self.ann.calls(self.tv)
            self.assertEqual(is_quiet, outcome is None, minute)
            if is_quiet:
                self.assert_heard(self.ann, call_failed(self.tv, "offline"))
            else:
                self.ann.calls(self.carol)
                self.ann.cancels(self.carol)


ALWAYS = QuietHours(0, 0, "UTC")
TWICE = Policy(quiet=ALWAYS, exceptions=QuietExceptions(second_call_rings=True))


class ExceptionTests(RulesTestCase):
    """Exceptions from quiet hours."""

    def set_policy(self, device: Device, policy: Policy) -> None:
        """Set the policy of a device's phone."""
        self.world.happen(events.PolicyChanged(device.everywhere(), policy))

    def assert_rings(self, caller: Device, target: Device | DeviceAddress) -> None:
        """A call rings; it is cancelled."""
        room = caller.calls(target)
        assert room is not None
        self.assert_call(room, Ringing)
        caller.hangs_up(room)

    def assert_offline(self, caller: Device, target: Device | DeviceAddress) -> None:
        """A call fails as if the device were not there, and nobody hears of it."""
        self.forget_heard()
        self.assertIsNone(caller.calls(target))
        self.assert_heard(caller, call_failed(target, "offline"))
        self.assert_silence()

    def test_named(self) -> None:
        """Named callers ring through the hours and the single quiet time, at one device or all; others do not."""
        ann = QuietExceptions(frozenset([self.ann.address.phone]))
        for policy in (Policy(quiet=ALWAYS), Policy(quiet_until=1e9), Policy(quiet=ALWAYS, quiet_until=1e9)):
            self.set_policy(self.tv, replace(policy, exceptions=ann))
            for target in (self.tv, self.tv.everywhere()):
                self.assert_rings(self.ann, target)
                self.assert_offline(self.carol, target)

    def test_named_but_blocked(self) -> None:
        """A caller that may not call at any time does not ring through, nor by calling again."""
        ann = frozenset([self.ann.address.phone])
        for blocked, only in ((ann, None), (frozenset(), frozenset([self.carol.address.phone]))):
            self.set_policy(self.tv, Policy(blocked, only, ALWAYS, exceptions=QuietExceptions(ann, True)))
            for _ in range(3):
                self.assert_offline(self.ann, self.tv)
                self.world.wait(30)
            self.assertEqual((), self.tv.record.turned_away)

    def test_many_named(self) -> None:
        """A policy that names many is kept once for the phone, as one that blocks many is."""
        phone = self.ann.address.phone
        many = frozenset(f"139{number:08d}" for number in range(100)) | {phone}
        self.set_policy(self.tv, Policy(quiet=ALWAYS, exceptions=QuietExceptions(many)))
        self.assertEqual(KEPT_ONCE, self.tv.record.policy.only)
        self.assert_rings(self.ann, self.tv)
        self.assert_offline(self.carol, self.tv)

    def test_second_call(self) -> None:
        """The second of two calls within three minutes rings; not a later one, nor where that is not switched on."""
        self.set_policy(self.tv, TWICE)
        self.assert_offline(self.ann, self.tv)
        self.world.wait(SECOND_CALL_WITHIN - 1)
        self.assert_offline(self.carol, self.tv)
        self.assert_rings(self.ann, self.tv)
        self.world.wait(2)
        self.assert_offline(self.ann, self.tv)
        self.world.wait(SECOND_CALL_WITHIN + 1)
        self.assert_offline(self.ann, self.tv)
        self.set_policy(self.tv, replace(TWICE, exceptions=None))
        self.world.wait(30)
        self.assert_offline(self.ann, self.tv)

    def test_rings_on(self) -> None:
        """In the three minutes after the first call every call rings."""
        self.set_policy(self.tv, TWICE)
        self.assert_offline(self.ann, self.tv)
        for _ in range(3):
            self.world.wait(50)
            self.assert_rings(self.ann, self.tv)

    def test_pressed_twice(self) -> None:
        """A call just after the first is the same one; it counts as the first."""
        self.set_policy(self.tv, TWICE)
        self.assert_offline(self.ann, self.tv)
        self.world.wait(SECOND_CALL_AFTER)
        self.assert_offline(self.ann, self.tv)
        self.world.wait(SECOND_CALL_AFTER)
        self.assert_offline(self.ann, self.tv)
        self.world.wait(SECOND_CALL_AFTER + 1)
        self.assert_rings(self.ann, self.tv)

    def test_decided_twice(self) -> None:
        """A call that is decided again, since it is unknown whether it was committed, is no second call."""
        self.set_policy(self.tv, TWICE)
        ann = self.ann
        event = events.Place(ann.address, self.tv.address, self.world.new_room(), ann.record.generation, self.world.now)
        for _ in range(2):
            self.assertEqual(Failed(self.tv.address, Reason.OFFLINE), self.world.happen(event))
            self.world.wait(20)

    def test_other_addresses(self) -> None:
        """Callers are phones: another device may call again, another device or all of them."""
        everywhere = self.tv.everywhere()
        desk = Device(self.world, self.ann.address.phone, "desk")
        desk.connects()
        self.set_policy(self.tv, TWICE)
        for first, second in ((self.tv, everywhere), (everywhere, self.pad), (self.pad, self.tv)):
            self.assert_offline(self.ann, first)
            self.world.wait(5)
            room = desk.calls(second)
            assert room is not None
            target = second if isinstance(second, DeviceAddress) else second.address
            rung = {device.address for device in (self.tv, self.pad) if target.covers(device.address)}
            self.assertEqual(rung, set(self.world.calls[room].targets))
            desk.hangs_up(room)
            self.world.wait(SECOND_CALL_WITHIN)

    def test_not_there(self) -> None:
        """Only a call that would have rung counts as the first: of a device that is away nothing is noted."""
        self.set_policy(self.tv, TWICE)
        self.tv.loses_socket()
        self.assert_offline(self.ann, self.tv)
        self.assertEqual((), self.tv.record.turned_away)
        self.world.wait(5)
        self.tv.connects()
        self.set_policy(self.tv, TWICE)
        self.assert_offline(self.ann, self.tv)
        self.world.wait(5)
        self.assert_rings(self.ann, self.tv)

    def test_asleep(self) -> None:
        """A device that sleeps is woken by the second call."""
        asleep = replace(TWICE, wakes=frozenset(["tv"]))
        self.set_policy(self.tv, asleep)
        self.tv.loses_socket()
        self.world.wait(300)
        self.assertEqual("", self.tv.record.node)
        self.assert_offline(self.ann, self.tv)
        self.world.wait(100)
        room = self.ann.calls(self.tv)
        assert room is not None
        self.assertEqual((self.tv.address,), self.world.calls[room].woken)

    def test_busy(self) -> None:
        """The second call finds a device that is in a call as any call does."""
        self.set_policy(self.tv, TWICE)
        self.active(self.tv, self.carol)
        self.assert_offline(self.ann, self.tv)
        self.world.wait(10)
        self.forget_heard()
        self.assertIsNone(self.ann.calls(self.tv))
        self.assert_heard(self.ann, call_failed(self.tv, "busy"))

    def test_own_devices(self) -> None:
        """The devices of the phone itself ring at any time, and are not noted."""
        self.set_policy(self.tv, TWICE)
        self.pad.loses_socket()
        self.assertIsNone(self.tv.calls(self.pad))
        self.assertEqual(((), ()), (self.tv.record.turned_away, self.pad.record.turned_away))

    def test_bound(self) -> None:
        """Of many callers the newest are noted, each once, and none for longer than it counts."""
        self.set_policy(self.tv, TWICE)
        callers = [Device(self.world, f"1390000{number:04d}", "phone") for number in range(TURNED_AWAY_MAX + 1)]
        for caller in callers:
            caller.connects()
        for caller in (*callers, callers[1], *callers[2:]):
            self.assert_offline(caller, self.tv)
        noted = [TurnedAway(caller.address.phone, self.world.now) for caller in callers[1:]]
        self.assertEqual(noted, list(self.tv.record.turned_away))
        self.world.wait(SECOND_CALL_WITHIN)
        self.assert_offline(callers[0], self.tv)
        self.assertEqual([TurnedAway(callers[0].address.phone, self.world.now)], list(self.tv.record.turned_away))

    def test_new_connection(self) -> None:
        """The first call is remembered when the device connects again."""
        self.set_policy(self.tv, TWICE)
        self.assert_offline(self.ann, self.tv)
        self.world.wait(5)
        self.tv.loses_socket()
        self.tv.connects()
        self.set_policy(self.tv, TWICE)
        self.assert_rings(self.ann, self.tv)
