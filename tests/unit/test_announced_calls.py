"""Announcement of callers to phones whose owners have preferences for calls (protocol §2.2), and to others."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from callnet.calls.preferences import QuietHours
from callnet.model import CONTACT_NAME_MAX, DeviceAddress
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.preferences import SettingsChange
from tests.support.people_case import ANN, CAROL, TV, PeopleCase
from tests.support.wires import Device

LONGEST = "13651884966"
HOUR = 3600.0


class AnnouncedTests(PeopleCase):
    """A whole server."""

    def name(self, owner: str, phone: str, name: str) -> None:
        """Have the owner of one phone call another something."""
        contacts.add(self.database, [Pair(owner, phone, name)], self.world.clock.seconds())
        self.world.advance(1.5)

    def set_(self, phone: str, **wanted: Any) -> None:
        """Have a device set something for its phone."""
        token = self.successResultOf(self.fixture.logins.login(phone, "other")).token
        self.successResultOf(self.fixture.settings.change(token, SettingsChange(**wanted)))
        self.world.advance(1.5)

    def called(self, caller: Device, device: Device, target: DeviceAddress) -> dict[str, Any]:
        """The announcement to a called device, without the addresses; the caller goes away again."""
        self.assertEqual({}, self.calls(caller, target))
        message = device.hears()
        caller.say("calling_hangup", notified_phone=target.phone, notified_device_id=target.device_id, room_id="")
        device.hears()
        for name in ("type", "from_phone", "from_device_id", "room_id", "expires_in", "page"):
            del message[name]
        return message

    def test_name(self) -> None:
        """A caller for which the owner has a name is announced by it, on every device of the phone; others are not."""
        self.assertEqual({}, self.called(self.ann, self.tv, TV))
        self.name(TV.phone, ANN.phone, "Ännchen 📺")
        self.name(ANN.phone, TV.phone, "Grandmother")
        for device, address in ((self.tv, TV), (self.pad, TV._replace(device_id="pad"))):
            self.assertEqual({"from_name": "Ännchen 📺"}, self.called(self.ann, device, address))
        self.assertEqual({}, self.called(self.connected(CAROL), self.tv, TV))
        self.name(TV.phone, ANN.phone, "")
        self.assertEqual({}, self.called(self.ann, self.tv, TV))

    def test_name_that_was_there(self) -> None:
        """The same holds on a new connection, including that of a device which is being rung."""
        self.name(TV.phone, ANN.phone, "Ann")
        self.tv.leave()
        self.tv = self.connected(TV)
        self.assertEqual({"from_name": "Ann"}, self.called(self.ann, self.tv, TV))
        self.calls(self.ann, TV)
        self.tv.leave()
        self.tv = self.connected(TV)
        self.assertEqual("Ann", self.tv.heard()[-1]["from_name"])

    def test_long_names(self) -> None:
        """A name is cut, and the page's path left out, where they do not fit into 511 bytes."""
        for device_id in ("x", "电" * 50, "\U0001f4fa" * 50, '"' * 50):
            caller = self.connected(DeviceAddress(LONGEST, device_id))
            for name in ("a" * CONTACT_NAME_MAX, "名" * CONTACT_NAME_MAX, "\U0001f4fa" * CONTACT_NAME_MAX, '\\"' * 32):
                self.name(TV.phone, LONGEST, name)
                self.calls(caller, TV)
                message = self.tv.hears()
                self.assertEqual(device_id, message["from_device_id"])
                self.assertTrue(name.startswith(message.get("from_name", "")), message)
                self.assertGreater(len(message.get("from_name", "")), 20, message)
                caller.say("calling_hangup", notified_phone=TV.phone, notified_device_id="tv", room_id="")
                self.tv.hears()

    def test_auto_answer(self) -> None:
        """A caller that the owner wants to be answered automatically is announced so."""
        self.set_(TV.phone, auto_answer=[ANN.phone])
        self.assertEqual({"auto_answer": True}, self.called(self.ann, self.tv, TV))
        self.assertEqual({}, self.called(self.connected(CAROL), self.tv, TV))
        self.assertEqual({}, self.called(self.tv, self.ann, ANN))
        self.set_(TV.phone, auto_answer=[])
        self.assertEqual({}, self.called(self.ann, self.tv, TV))

    def test_quiet(self) -> None:
        """In quiet hours the phone's devices are offline for others, in calls and in lists, and not for each other."""
        self.set_(TV.phone, quiet=QuietHours(60, 120, "UTC"))
        self.assertEqual({}, self.called(self.ann, self.tv, TV))
        self.world.clock.advance(HOUR)
        self.tv, self.ann = self.connected(TV), self.connected(ANN)
        self.assertEqual("offline", self.calls(self.ann, TV)["reason"])
        self.assertEqual("offline", self.calls(self.ann, TV._replace(device_id="*"))["reason"])
        self.assertEqual((set(), {"tv", "pad"}), (self.sees(ANN.phone), self.sees(TV.phone)))
        self.assertEqual([], self.tv.heard())
        self.set_(TV.phone, auto_answer=[ANN.phone])
        self.assertEqual("offline", self.calls(self.ann, TV)["reason"])
        self.assertEqual({}, self.called(self.tv, self.ann, ANN))
        self.set_(TV.phone, quiet=None)
        self.assertEqual({"auto_answer": True}, self.called(self.ann, self.tv, TV))

    def test_quiet_in_a_call(self) -> None:
        """A call that is rung or talked in when the quiet hours begin goes on."""
        self.set_(TV.phone, quiet=QuietHours(1, 120, "UTC"))
        self.calls(self.ann, TV)
        room = self.tv.hears()["room_id"]
        self.world.advance(40)
        self.world.advance(20)
        self.assertEqual([], self.tv.heard()[1:])
        self.assertEqual("no_answer", self.ann.hears()["reason"], room)

    def test_nothing_named(self) -> None:
        """Settings that are not named stay as they are."""
        self.set_(TV.phone, quiet=QuietHours(0, 0, "UTC"))
        self.set_(TV.phone, quiet=UNSET)
        self.assertEqual("offline", self.calls(self.ann, TV)["reason"])
