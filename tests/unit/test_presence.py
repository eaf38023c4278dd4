"""Presence and missed calls, as extended devices are told (protocol §2.5)."""

from __future__ import annotations

from typing import Any

from callnet.calls.preferences import NOBODY, Policy, Preferences, QuietHours
from callnet.frames.v2 import MissedCall
from callnet.model import DeviceAddress, RoomId
from tests.support.extended_case import ANN, DOB, PAD, TV, ExtendedCase, Lists
from tests.support.wires import Device, World


def presence(device: DeviceAddress, online: bool) -> dict[str, Any]:
    """The presence message of a device."""
    return {"type": "presence", "phone": device.phone, "device_id": device.device_id, "online": online}


class PresenceCase(ExtendedCase):
    """Ann lists the phone of the television and the pad."""

    def make_world(self) -> World:
        """A server where this is known."""
        self.lists = Lists()
        self.lists.lists[ANN.phone] = frozenset([TV.phone])
        return World(roster=self.lists)

    def comes(self) -> Device:
        """Connect Ann, who is told the present devices."""
        ann = self.extended(ANN)
        self.world.advance(2.25)
        return ann


class PresenceTests(PresenceCase):
    """Devices come and go."""

    def test_there_already(self) -> None:
        """Those that are there already are named first; those that are not are not named."""
        self.world.device(*TV)
        self.assertEqual([presence(TV, True)], self.comes().heard())

    def test_left_before_it_was_looked_at(self) -> None:
        """A device whose contacts are looked up a moment later is told of those that left between, too."""
        tv = self.world.device(*TV)
        ann = self.extended(ANN)
        self.lists.lists[ANN.phone] = frozenset([TV.phone, DOB.phone])
        dob = self.world.device(*DOB)
        tv.leave()
        self.world.advance(2.25)
        self.assertEqual([presence(TV, False)], ann.heard())
        dob.leave()
        self.world.rooms.extensions.data_changed({ANN.phone: ()})
        self.world.advance(5)
        self.assertEqual([presence(DOB, False)], ann.heard())
        self.world.rooms.extensions.data_changed({ANN.phone: ()})
        self.world.advance(5)
        self.assertEqual([], ann.heard())

    def test_long_gone(self) -> None:
        """A device that went longer ago is not named."""
        self.world.device(*TV).leave()
        self.world.advance(60)
        self.assertEqual([], self.comes().heard())

    def test_coming_and_going(self) -> None:
        """Each is reported within some seconds."""
        ann = self.comes()
        tv, _ = self.world.device(*TV), self.world.extended(*PAD)
        self.world.advance(4.25)
        self.assertEqual([presence(PAD, True), presence(TV, True)], ann.heard())
        tv.leave()
        self.world.advance(4.25)
        self.assertEqual([presence(TV, False)], ann.heard())

    def test_coming_and_going_at_once(self) -> None:
        """A device that was there between two reads is reported as gone: whoever has read its contacts then saw it."""
        ann = self.comes()
        self.world.device(*TV).leave()
        self.world.advance(4.25)
        self.assertEqual([presence(TV, False)], ann.heard())
        self.world.advance(40)
        self.assertEqual([], ann.heard())

    def test_at_most_once(self) -> None:
        """A device that comes and goes all the time is reported at most once every two seconds."""
        ann = self.comes()
        for _ in range(40):
            self.world.device(*TV).leave()
            self.world.advance(0.25)
            self.world.device(*TV)
            self.world.advance(0.25)
        self.assertLessEqual(len(ann.heard()), 11)

    def test_nothing_new(self) -> None:
        """A reconnect of a device that is there is not reported."""
        self.world.device(*TV)
        ann = self.comes()
        ann.heard()
        self.world.device(*TV)
        self.world.advance(5)
        self.assertEqual([], ann.heard())

    def test_strangers(self) -> None:
        """Devices of phones that are not listed are not told of."""
        ann = self.comes()
        self.world.device(*DOB)
        self.world.advance(5)
        self.assertEqual([], ann.heard())

    def test_base_clients(self) -> None:
        """Base clients are told nothing."""
        ann = self.world.device(*ANN)
        self.world.device(*TV)
        self.world.advance(5)
        self.assertEqual([], ann.heard())

    def test_list_changes(self) -> None:
        """A phone that is put on the list is reported from then on, one that is taken off is not any more."""
        self.world.device(*TV)
        dob = self.world.device(*DOB)
        ann = self.comes()
        ann.heard()
        self.lists.lists[ANN.phone] = frozenset([DOB.phone])
        self.world.rooms.extensions.data_changed({ANN.phone: (), "13651884900": ()})
        self.world.advance(5)
        self.assertEqual([presence(DOB, True)], ann.heard())
        dob.leave()
        self.world.device(*PAD)
        self.world.advance(5)
        self.assertEqual([presence(DOB, False)], ann.heard())

    def test_gone(self) -> None:
        """Nothing is kept of a device that has gone, or was displaced."""
        ann = self.comes()
        again = self.comes()
        self.assertEqual(4409, ann.close_code)
        again.leave()
        self.world.advance(5)
        watched = self.world.rooms.presence
        self.assertEqual(({}, {}), (watched._watches, watched._onlookers))
        self.assertEqual([ANN], self.lists.left)


class PolicyTests(PresenceCase):
    """A caller that may not call sees no change, ever."""

    def prefer(self, policy: Policy) -> None:
        """Let the owner of the television want this."""
        self.world.rooms.change_policy(TV.phone, Preferences(policy))

    def test_blocked(self) -> None:
        """A phone that blocks Ann is seen to go, and nothing of it afterwards."""
        tv = self.world.device(*TV)
        ann = self.comes()
        self.assertEqual([presence(TV, True)], ann.heard())
        self.prefer(Policy(frozenset([ANN.phone])))
        self.world.advance(5)
        self.assertEqual([presence(TV, False)], ann.heard())
        tv.leave()
        self.world.advance(5)
        self.assertEqual([], ann.heard())
        self.assertEqual([], self.comes().heard())

    def test_quiet_hours(self) -> None:
        """When a phone's quiet hours begin its devices are seen to go, within half a minute."""
        self.world.device(*TV)
        self.prefer(Policy(quiet=QuietHours(1, 2, "UTC")))
        ann = self.comes()
        self.assertEqual([presence(TV, True)], ann.heard())
        self.world.advance(95)
        self.assertEqual([presence(TV, False)], ann.heard())
        self.world.advance(60)
        self.assertEqual([presence(TV, True)], ann.heard())

    def test_allowed_again(self) -> None:
        """When she may call it is seen to have come."""
        self.world.device(*TV)
        self.prefer(NOBODY)
        ann = self.comes()
        self.assertEqual([], ann.heard())
        self.prefer(Policy())
        self.world.advance(5)
        self.assertEqual([presence(TV, True)], ann.heard())


class MissedTests(PresenceCase):
    """Calls that nobody answered while the device was away."""

    def test_told(self) -> None:
        """They come after `welcome`, and are not told of twice; if there are none nothing is said."""
        call = MissedCall(RoomId("a" * 32), DOB.phone, DOB.device_id, ANN.device_id, 7.0)
        self.lists.missed[ANN] = [call]
        welcome, missed = self.world.extended(*ANN).heard()
        self.assertEqual(("welcome", "missed"), (welcome["type"], missed["type"]))
        self.assertEqual(
            [
                {
                    "room_id": "a" * 32,
                    "peer_phone": DOB.phone,
                    "peer_device_id": DOB.device_id,
                    "device_id": ANN.device_id,
                    "started_at": 7.0,
                }
            ],
            missed["calls"],
        )
        self.assertEqual(["welcome"], [message["type"] for message in self.world.extended(*ANN).heard()])
