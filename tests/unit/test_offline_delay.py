"""The time that the answer ``offline`` takes tells nothing (protocol §2.1)."""

from __future__ import annotations

from typing import Final

from callnet.calls.preferences import NOBODY, Policy, Preferences, QuietExceptions, QuietHours
from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress
from tests.support.quiet import QuietTestCase
from tests.support.wires import Device, World

ANN: Final = DeviceAddress("13651884968", "phone")
TV: Final = DeviceAddress("13651884967", "tv")
PAD: Final = DeviceAddress("13651884966", "pad")
CAROL: Final = DeviceAddress("13651884969", "phone")
DELAY: Final = 0.15


class OfflineDelayTests(QuietTestCase):
    """A server as it is delivered."""

    def make_world(self) -> World:
        """Make it."""
        return World(CallSettings())

    def setUp(self) -> None:
        """Ann is there, and the television, which nobody may call."""
        super().setUp()
        self.ann, self.tv = self.world.device(*ANN), self.world.device(*TV)
        self.world.rooms.change_policy(TV.phone, Preferences(NOBODY))

    def call(self, device: Device, target: DeviceAddress) -> None:
        """Have a device call another one."""
        device.say("call", to_phone=target.phone, to_device_id=target.device_id)

    def pass_time(self, seconds: float) -> None:
        """Let time pass in one step."""
        self.world.clock.advance(seconds)
        self.world.settle()

    def test_whatever_the_cause(self) -> None:
        """It comes at the same time for a callee that is away, unknown, or not to be called, by whichever name."""
        self.world.device(*PAD).leave()
        for target in (TV, PAD, DeviceAddress("13651884900", "none"), TV._replace(device_id="*")):
            self.call(self.ann, target)
            self.pass_time(DELAY - 0.01)
            self.assertEqual([], self.ann.heard())
            self.pass_time(0.01)
            self.assertEqual("offline", self.ann.hears()["reason"])

    def test_first_of_two_calls(self) -> None:
        """It takes the same time where a second call rings; that is announced as any call."""
        twice = Policy(quiet=QuietHours(0, 0, "UTC"), exceptions=QuietExceptions(second_call_rings=True))
        self.world.rooms.change_policy(TV.phone, Preferences(twice))
        self.call(self.ann, TV)
        self.pass_time(DELAY - 0.01)
        self.assertEqual([], self.ann.heard())
        self.pass_time(0.01)
        self.assertEqual("offline", self.ann.hears()["reason"])
        self.assertEqual([], self.tv.heard())
        self.pass_time(10)
        self.call(self.ann, TV)
        self.pass_time(0)
        self.assertEqual("called", self.tv.hears()["type"])
        self.assertEqual([], self.ann.heard())

    def test_another_call(self) -> None:
        """A caller that calls another meanwhile is not told of the first; nothing waits for its answer."""
        carol = self.world.device(*CAROL)
        self.call(self.ann, TV)
        self.pass_time(0.1)
        self.call(self.ann, PAD)
        self.pass_time(0.1)
        self.assertEqual([], self.ann.heard())
        self.pass_time(0.05)
        self.assertEqual(PAD.phone, self.ann.hears()["to_phone"])
        self.call(self.ann, PAD)
        self.call(self.ann, CAROL)
        self.assertEqual("called", carol.hears()["type"])
        self.pass_time(DELAY)
        self.assertEqual([], self.ann.heard())

    def test_called_meanwhile(self) -> None:
        """A caller that is called meanwhile is told of its own call first, and of that no more."""
        carol = self.world.device(*CAROL)
        self.call(self.ann, TV)
        self.call(carol, ANN)
        self.assertEqual(["call_failed", "called"], [frame["type"] for frame in self.ann.heard()])
        self.pass_time(DELAY)
        self.assertEqual([], self.ann.heard())

    def test_itself(self) -> None:
        """A call to itself changes nothing."""
        self.call(self.ann, TV)
        self.call(self.ann, ANN)
        self.assertEqual("self", self.ann.hears()["reason"])
        self.pass_time(DELAY)
        self.assertEqual("offline", self.ann.hears()["reason"])

    def test_others_at_once(self) -> None:
        """All that does not depend on the callee is said at once, and that one who may be called is busy."""
        self.call(self.ann, ANN)
        self.assertEqual("self", self.ann.hears()["reason"])
        carol, pad = self.world.device(*CAROL), self.world.device(*PAD)
        self.call(carol, PAD)
        pad.hears()
        self.call(self.ann, PAD)
        self.assertEqual("busy", self.ann.hears()["reason"])

    def test_gone_before_the_answer(self) -> None:
        """A caller that leaves earlier is told nothing, and nothing is left of it."""
        self.call(self.ann, TV)
        session = self.world.rooms._devices[ANN]
        self.ann.leave()
        self.pass_time(DELAY)
        self.assertEqual([], self.world.rooms._retries._pauses)
        self.assertIsNotNone(session.offline)  # what is told is not kept

    def test_stop(self) -> None:
        """A server that stops tells it to nobody."""
        self.call(self.ann, TV)
        self.world.rooms.stop()
        self.assertEqual([], self.ann.heard())
