"""Who may not call a phone (protocol §2.4, step 5)."""

from __future__ import annotations

from callnet.calls import events
from callnet.model import Reason
from callnet.quiet_hours import QuietHours
from callnet.records import CallState, Policy
from tests.rules.frames import call_failed
from tests.rules.world import Device, RulesTestCase


class PolicyTests(RulesTestCase):
    """Who may not call is told `offline`, and cannot tell it from the truth."""

    def block(self, device: Device, *phones: str) -> None:
        """Let these phones not call a device's phone."""
        policy = Policy(frozenset(phones))
        self.world.happen(events.PolicyChanged(device.everywhere(), policy))
        self.assertEqual({policy}, {record.policy for record in self.world.devices[device.address.phone].values()})

    def test_blocked(self) -> None:
        """A device that is free, busy, or one of several: whom its phone has blocked is told `offline`."""
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
        self.assert_call(room, CallState.OVER, Reason.REPLACED)
        self.assert_heard(self.ann, call_failed(self.tv, "offline"))

    def test_glare(self) -> None:
        """To call whoever rings one is to accept, whatever the policies."""
        room = self.ringing(self.tv, self.ann)
        self.block(self.tv, self.ann.address.phone)
        self.ann.calls(self.tv)
        self.assert_call(room, CallState.ACTIVE)

    def test_call_again(self) -> None:
        """A party that was blocked meanwhile is not waited for."""
        self.active(self.ann, self.tv)
        self.world.wait(3)
        self.tv.loses_socket()
        self.block(self.tv, self.ann.address.phone)
        self.assertIsNone(self.ann.calls(self.tv))
        self.assert_heard(self.ann, call_failed(self.tv, "offline"))

    def test_a_new_connection(self) -> None:
        """With each connection it is said anew who may call."""
        self.block(self.tv, self.ann.address.phone)
        self.tv.connects()
        self.assertIsNotNone(self.ann.calls(self.tv))

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
