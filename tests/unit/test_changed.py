"""``changed``: extended devices are told that data of their phones have changed (protocol §2.5)."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from callnet.accounts.preferences import KnownPreferences
from callnet.calls import extensions
from callnet.calls.extensions import NOTICES_EVERY
from callnet.model import DeviceAddress
from callnet.storage import contacts, devices
from callnet.storage.contacts import Pair
from callnet.storage.history import SqlRoster
from callnet.storage.preferences import SettingsChange, SqlPreferences
from tests.support import migrated
from tests.support.extended_case import Lists
from tests.support.immediate import run_at_once
from tests.support.people_case import ANN, CAROL, PAD, TV, PeopleCase
from tests.support.wires import ANSWERED, Device, World


def changed(*what: str) -> list[dict[str, Any]]:
    """One notice."""
    return [{"type": "changed", "what": list(what)}]


class ChangedTests(PeopleCase):
    """The television is extended, the pad is not."""

    def make_world(self) -> World:
        """A server with a database, where the lists are those of the test."""
        self.database = migrated.in_memory()
        self.addCleanup(self.database.close)
        clock, self.lists = Clock(), Lists()
        self.preferences = KnownPreferences(SqlPreferences(self.database, run_at_once, self.contacts_only), clock)
        return World(preferences=self.preferences, clock=clock, roster=self.lists)

    def setUp(self) -> None:
        """The extended ones are welcomed."""
        super().setUp()
        self.tv = self.extended(TV)
        self.token = self.world.tokens.issue(TV)

    def extended(self, address: DeviceAddress) -> Device:
        """Connect a device with the extended protocol."""
        device = self.world.extended(*address)
        self.world.advance(NOTICES_EVERY)
        device.heard()
        return device

    def tells(self, device: Device) -> list[dict[str, Any]]:
        """The messages of a device until now; presence apart."""
        self.world.advance(1.25)
        return [message for message in device.heard() if message["type"] != "presence"]

    def test_every_topic(self) -> None:
        """Whatever is changed, by whichever device, or by the operator, is named."""
        fixture, date = self.fixture, self.world.clock.seconds()
        for change, topic in (
            (lambda: fixture.lists.add(self.token, CAROL.phone), "contacts"),
            (lambda: fixture.lists.block(self.token, ANN.phone), "contacts"),
            (lambda: contacts.add(self.database, [Pair(CAROL.phone, TV.phone)], date), "added"),
            (lambda: fixture.lists.remove(self.world.tokens.issue(CAROL), TV.phone), "added"),
            (lambda: fixture.profiles.change(self.token, "Ann"), "profile"),
            (lambda: fixture.settings.change(self.token, SettingsChange(None)), "settings"),
            (lambda: fixture.devices.rename(self.token, TV.device_id, "TV"), "devices"),
            (lambda: devices.provision(self.database, TV.phone, ["new"], date), "devices"),
        ):
            self.world.advance(NOTICES_EVERY)
            change()
            self.assertEqual(changed(topic), self.tells(self.tv))
        self.assertEqual([], self.pad.heard())
        self.assertEqual([], self.ann.heard())

    def test_blocked_at_once(self) -> None:
        """Once a phone was blocked its calls do not ring, and once it was unblocked they do."""
        for change, rings in ((self.fixture.lists.block, False), (self.fixture.lists.unblock, True)):
            change(self.token, ANN.phone)
            self.ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
            self.assertEqual(rings, any(frame["type"] == "called" for frame in self.tv.heard()))

    def test_history(self) -> None:
        """So are ended calls of other devices, and deleted calls, if there were any."""
        self.fixture.historian.start()
        self.addCleanup(self.fixture.historian.stop)
        self.successResultOf(SqlRoster(self.database, run_at_once).met({TV: self.world.clock.seconds()}))
        self.calls(self.ann, PAD)
        self.ann.say("calling_hangup", notified_phone=PAD.phone, notified_device_id=PAD.device_id, room_id="")
        self.world.advance(2 * NOTICES_EVERY)
        self.assertEqual(changed("history"), self.tv.heard())
        self.world.advance(NOTICES_EVERY)
        for told in (changed("history"), []):
            self.fixture.past_calls.delete(self.token, "*")
            self.assertEqual(told, self.tells(self.tv))

    def test_together(self) -> None:
        """A device is told once in a while, of all that has changed since; others of what is theirs."""
        pad = self.extended(PAD)
        carol = self.extended(CAROL)
        self.fixture.profiles.change(self.token, "Ann")
        self.assertEqual(changed("profile"), self.tells(self.tv))
        self.assertEqual(changed("profile"), pad.heard())
        self.fixture.profiles.change(self.token, "Bert")
        self.fixture.lists.add(self.token, CAROL.phone, "x")
        self.fixture.profiles.change(self.token, "Bob")
        self.world.advance(NOTICES_EVERY)
        self.assertEqual(changed("contacts", "profile"), self.tv.heard())
        self.assertEqual(changed("added"), carol.heard())
        self.world.advance(NOTICES_EVERY)
        self.assertEqual([], self.tv.heard())

    def test_not_met_yet(self) -> None:
        """A device is told from its `welcome` on, though its contacts have yet to be read: it reads its data then."""
        self.lists.is_unanswered = True
        pad = self.extended(PAD)
        self.fixture.profiles.change(self.token, "Ann")
        self.assertEqual(changed("profile"), self.tells(pad))

    def test_profile_of_a_contact(self) -> None:
        """Those who list a phone are told when its profile changes, unless it blocks them, or takes contacts only."""
        self.lists.lists[TV.phone] = frozenset([ANN.phone])
        self.fixture.lists.add(self.token, ANN.phone)
        self.tv = self.extended(TV)
        token = self.world.tokens.issue(ANN)

        def change() -> list[dict[str, Any]]:
            self.world.advance(NOTICES_EVERY)
            self.tv.heard()
            self.fixture.profiles.change(token, "王芳")
            return self.tells(self.tv)

        self.assertEqual(changed("contacts"), change())
        self.fixture.lists.block(token, TV.phone)
        self.assertEqual([], change())
        self.fixture.lists.unblock(token, TV.phone)
        self.assertEqual(changed("contacts"), change())
        self.fixture.settings.change(token, SettingsChange(who_may_call="contacts"))
        self.assertEqual([], change())

    def test_gone(self) -> None:
        """Nobody is told who has gone, or has connected again since."""
        self.fixture.profiles.change(self.token, "Ann")
        self.tells(self.tv)
        self.fixture.profiles.change(self.token, "Bert")
        self.world.advance(1.1)
        self.tv = Device(self.world, self.world.ask(f"/socket.io?token={self.token}"), ANSWERED)
        self.world.advance(NOTICES_EVERY)
        self.assertEqual([], self.tv.heard())

    def test_many(self) -> None:
        """Many are told in several turns."""
        self.patch(extensions, "_TOLD_AT_ONCE", 1)
        pad = self.extended(PAD)
        self.fixture.profiles.change(self.token, "Ann")
        self.world.advance(1.25)

        self.assertEqual([changed("profile")] * 2, [self.tv.heard(), pad.heard()])
