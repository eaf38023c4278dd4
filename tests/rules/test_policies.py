"""Callers that a phone's policy rejects (protocol §2.4, step 5)."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.preferences import KEPT_ONCE, Policy, QuietHours
from callnet.calls.records import Active, Over
from callnet.model import Reason
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
