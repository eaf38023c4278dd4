"""A blocked caller is told that the phone is offline, and sees that it is (protocol §1, §2.1)."""

from __future__ import annotations

from sqlalchemy import event

from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.preferences import SettingsChange, WhoMayCall, change
from tests.support.people_case import ANN, CAROL, PAD, TV, PeopleCase
from tests.support.wires import ANSWERED, Device, World


class BlockedTests(PeopleCase):
    """A whole server, where anyone may call."""

    def test_blocked(self) -> None:
        """A blocked caller is told the same as of a device that does not exist, by whichever name it calls."""
        gone = self.calls(self.ann, TV._replace(device_id="nowhere"))
        self.block(TV.phone, ANN.phone)
        for device_id in ("tv", "pad", "*"):
            refused = self.calls(self.ann, TV._replace(device_id=device_id))
            self.assertEqual({**gone, "to_device_id": device_id}, refused)
        self.assertEqual(([], []), (self.tv.heard(), self.pad.heard()))
        self.assertEqual(set(), self.sees(ANN.phone))

    def test_the_other_way(self) -> None:
        """A phone may call the numbers that it has blocked."""
        self.block(TV.phone, ANN.phone)
        self.assertEqual({}, self.calls(self.tv, ANN))
        self.assertEqual("called", self.ann.hears()["type"])

    def test_own_devices(self) -> None:
        """The devices of a phone may always call each other."""
        self.block(TV.phone, ANN.phone)
        self.assertEqual({}, self.calls(self.tv, PAD))
        self.assertEqual({"tv", "pad"}, self.sees(TV.phone))

    def test_unblocked(self) -> None:
        """A caller that is unblocked may call again."""
        self.block(TV.phone, ANN.phone)
        contacts.unblock(self.database, TV.phone, ANN.phone, self.world.clock.seconds())
        self.world.advance(1.5)
        self.assertEqual({}, self.calls(self.ann, TV))

    def test_in_a_call(self) -> None:
        """A call goes on whose caller is blocked meanwhile; glare and a second tap are answered as ever."""
        self.calls(self.ann, TV)
        room = self.tv.hears()["room_id"]
        self.block(TV.phone, ANN.phone)
        self.assertEqual("call_success", self.calls(self.tv, ANN)["type"])
        self.assertEqual(room, self.ann.hears()["room_id"])
        self.assertEqual("call_success", self.calls(self.ann, TV)["type"])

    def test_a_new_connection(self) -> None:
        """A change made while nobody was connected holds for the next connection."""
        for device in (self.tv, self.pad):
            device.leave()
        self.world.advance(61)
        self.block(TV.phone, ANN.phone)
        self.tv = self.connected(TV)
        self.assertEqual("offline", self.calls(self.ann, TV)["reason"])

    def test_no_statement(self) -> None:
        """A call asks the database nothing, however it comes out."""
        self.block(PAD.phone, "13651884960")
        statements: list[str] = []
        event.listen(self.database._engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        for number in range(1000):
            self.calls(self.ann, TV)
            room = self.tv.hears()["room_id"]
            names = {"from_phone": ANN.phone, "from_device_id": ANN.device_id, "room_id": room}
            self.tv.say("called_refuse" if number % 2 else "called_success", **names)
            self.ann.hears()
            self.ann.say("calling_hangup", notified_phone=TV.phone, notified_device_id=TV.device_id, room_id=room)
            self.tv.heard()
        self.assertEqual([], statements)

    def test_busy(self) -> None:
        """A device that is in a call is offline, too, for a blocked caller."""
        carol = self.connected(CAROL)
        self.assertEqual({}, self.calls(carol, TV))
        self.block(TV.phone, ANN.phone)
        self.assertEqual("offline", self.calls(self.ann, TV)["reason"])


class ContactsOnlyTests(BlockedTests):
    """The same where only contacts may call, and these are."""

    contacts_only = True

    def setUp(self) -> None:
        """Let everybody list everybody."""
        super().setUp()
        phones = (TV.phone, ANN.phone, "13651884969")
        pairs = [Pair(owner, phone) for owner in phones for phone in phones if owner != phone]
        contacts.add(self.database, pairs, self.world.clock.seconds())
        self.world.advance(1.5)

    def test_no_contact(self) -> None:
        """A caller that is not listed is told that the device is offline, and sees that."""
        contacts.remove(self.database, TV.phone, ANN.phone, self.world.clock.seconds())
        self.world.advance(1.5)
        self.assertEqual("offline", self.calls(self.ann, TV)["reason"])
        self.assertEqual(set(), self.sees(ANN.phone))
        self.assertEqual({}, self.calls(self.tv, ANN))


class AwayTests(BlockedTests):
    """The database is away."""

    def make_world(self) -> World:
        """A server that has not yet read the numbers that Carol blocks."""
        world = super().make_world()
        contacts.block(self.database, CAROL.phone, "13651884960", 0.0)
        return world

    def test_known(self) -> None:
        """The policy that was last read holds."""
        self.block(TV.phone, ANN.phone)
        self.take_away()
        self.tv.leave()
        self.tv = Device(self.world, self.world.ask(f"/socket.io?token={self.world.tokens.issue(TV)}"), ANSWERED)
        self.assertEqual("offline", self.calls(self.ann, TV)["reason"])
        self.assertEqual({}, self.calls(self.tv, ANN))

    def test_never_read(self) -> None:
        """A phone with blocked numbers, whose policy was never read, cannot be called until the database is back."""
        self.take_away()
        device = Device(self.world, self.world.ask(f"/socket.io?token={self.world.tokens.issue(CAROL)}"), ANSWERED)
        self.assertEqual("offline", self.calls(self.ann, CAROL)["reason"])
        self.assertEqual({}, self.calls(device, TV))
        self.assertEqual("called", self.tv.hears()["type"])

    def take_away(self) -> None:
        """Let nothing be read any more."""
        with self.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE blocked RENAME TO elsewhere")


class StrictPhoneTests(PeopleCase):
    """A phone that wants calls of its contacts only, where anyone may call the others."""

    def test_strict_phone(self) -> None:
        """Of a phone that only its contacts may call, another caller is told that it is offline, until that changes."""
        contacts.add(self.database, [Pair(TV.phone, CAROL.phone)], 1.0)
        carol = self.connected(CAROL)
        steps: tuple[tuple[WhoMayCall, str | None, set[str]], ...] = (
            ("contacts", "offline", set()),
            ("anyone", None, {"tv", "pad"}),
        )
        for who, answer, seen in steps:
            change(self.database, TV.phone, SettingsChange(who_may_call=who), 1.0)
            self.world.advance(1.5)
            self.assertEqual(answer, self.calls(self.ann, TV).get("reason"))
            self.assertEqual(seen, self.sees(ANN.phone))
            self.assertEqual({"tv", "pad"}, self.sees(CAROL.phone))
        self.assertEqual("busy", self.calls(carol, TV)["reason"])
