"""OVER is the end: no event changes a call that is over, and every event bears a call that is not known."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.records import Active, Over
from callnet.calls.seats import NoSeat, RoomOver
from callnet.calls.transitions import NoSuchCall, TooLate
from callnet.config.schema import CallSettings
from callnet.model import Reason, RoomId
from tests.rules.world import RulesTestCase

UNKNOWN = RoomId("f" * 32)


class OverTests(RulesTestCase):
    """Every event meets a call that is over."""

    settings = CallSettings(adhoc_rooms=False)

    def events_about(self, room: RoomId) -> Iterator[tuple[events.Event, object]]:
        """Every event that may name this room, or come from a party of its call, with the reply to it."""
        late = TooLate(Reason.HANGUP if room in self.world.calls else Reason.EXPIRED)
        seat = RoomOver(Reason.HANGUP) if room in self.world.calls else NoSeat("unknown_room")
        for device in (self.ann.address, self.tv.address):
            yield events.Accept(room, device), late
            yield events.Refuse(room, device), None
            yield events.HangUp(room, device), None if room in self.world.calls else NoSuchCall()
            has_called = room in self.world.calls and device == self.ann.address
            yield (
                events.Cancel(device, self.tv.address.phone, self.tv.generation),
                None if has_called else NoSuchCall(),
            )
            yield events.GaveUp(room, device), None
            yield events.GaveUp(room, device, has_left_first=True), None
            yield events.Signalled(room, device), None
            yield events.Revoked(device, self.tv.generation), None
            yield events.Revoked(device, None), None
            yield events.DeviceDue(device), None
        yield events.Stopped(room), None
        for version in (1, 2, 3):
            for is_last in (False, True):
                yield events.RangInVain(room, version, is_last), None
        yield events.CallDue(room), None
        yield events.SeatsDue(room), None
        yield events.SeatTaken(room, "a", "s", "here"), seat
        yield events.SeatEmptied(room, "a", 1), None
        yield events.PageHungUp(room, "a"), None

    def assert_nothing_changes(self, room: RoomId) -> None:
        """Every event is answered, changes nothing and tells nobody."""
        for event, reply in self.events_about(room):
            before = (dict(self.world.calls), dict(self.world.seats), [d.record for d in self.world.people.values()])
            self.assertEqual(reply, self.world.happen(event), event)
            after = (self.world.calls, self.world.seats, [d.record for d in self.world.people.values()])
            self.assertEqual(before, after, event)
            self.assert_silence()

    def test_call_is_over(self) -> None:
        """OVER answers every event with no change."""
        self.assert_nothing_changes(self.over(self.ann, self.tv))

    def test_call_is_not_known(self) -> None:
        """A room that is not known answers every event with no change."""
        self.assert_nothing_changes(UNKNOWN)

    def test_devices_come_and_go(self) -> None:
        """A party of a call that is over may go for good: the call ends once."""
        room = self.over(self.ann, self.tv)
        before = self.world.calls[room]
        self.ann.loses_socket()
        self.tv.connects(displaces=True)
        self.world.wait(60)
        self.assertIs(before, self.world.calls[room])
        self.assert_silence()

    def test_party_calls(self) -> None:
        """A party of a call that is over begins a new call without touching the old one."""
        room = self.over(self.ann, self.tv)
        before = self.world.calls[room]
        self.assertIsNotNone(self.ann.calls(self.tv))
        self.assertIs(before, self.world.calls[room])


class DeviceGoneTests(RulesTestCase):
    """Events about a device that the store knows nothing of."""

    def test_no_record(self) -> None:
        """They change nothing."""
        self.ann.loses_socket()
        self.world.wait(61)
        self.assertNotIn("phone", self.world.devices[self.ann.address.phone])
        for event in (
            events.Cancel(self.ann.address, self.tv.address.phone, self.ann.generation),
            events.Revoked(self.ann.address, None),
            events.DeviceDue(self.ann.address),
            events.Disconnected(self.ann.address, 1),
        ):
            self.assertIsNone(self.world.happen(event))
            self.assertNotIn("phone", self.world.devices[self.ann.address.phone])


class EarlyTests(RulesTestCase):
    """A look at a record that is not due yet."""

    def test_ringing(self) -> None:
        """Looking too early at a call, its parties or its seats changes nothing: another node may have been faster."""
        room = self.ringing(self.ann, self.tv)
        self.ann.loses_socket()
        before = (dict(self.world.calls), [d.record for d in self.world.people.values()])
        self.world.now += 29.9
        for event in (events.CallDue(room), events.DeviceDue(self.ann.address), events.SeatsDue(room)):
            self.world.happen(event)
        self.assertEqual(before, (self.world.calls, [d.record for d in self.world.people.values()]))

    def test_node_that_died(self) -> None:
        """A device that is found to be gone since its node died loses its call when its grace is over, not before."""
        room = self.active(self.ann, self.tv)
        found = replace(self.ann.record, connected=False, lost_at=self.world.now - 4, due=self.world.now)
        self.world.devices[self.ann.address.phone][self.ann.address.device_id] = found
        self.world.happen(events.DeviceDue(self.ann.address))
        self.assertEqual(replace(found, version=found.version + 1, due=self.world.now + 26), self.ann.record)
        self.assert_silence()
        self.world.wait(25.9)
        self.assert_call(room, Active)
        self.world.wait(0.1)
        self.assert_call(room, Over, Reason.CONNECTION_LOST)
