"""Calls that contradict each other, and the seats of rooms, when a node announces its state."""

from __future__ import annotations

from callnet.calls.records import (
    Active,
    CallRecord,
    Changes,
    DeviceRecord,
    Notice,
    Ringing,
    Seat,
    SeatNotice,
    SeatsRecord,
)
from callnet.calls.transaction import SEAT_KEPT
from callnet.model import DeviceAddress, Reason, RoomId
from tests.rules.announcing_case import (
    ANN,
    CAROL,
    FIRST,
    GUEST,
    NODE,
    NOW,
    PAD,
    SECOND,
    THERE,
    THIRD,
    TV,
    AnnouncingCase,
    active,
    device,
    ended,
    gone,
    over,
    ringing,
    seat,
)


class RoomsOfDevicesTests(AnnouncingCase):
    """The calls that a device was put in, as the store and the node know them."""

    def rooms(self, stored: DeviceRecord, mine: DeviceRecord, *calls: CallRecord) -> tuple[str | None, str | None]:
        """The rooms that its record names after the node has announced."""
        self.stored(stored, *calls)
        self.announce([mine])
        return self.device(ANN).room, self.device(ANN).previous_room

    def test_live_call_first(self) -> None:
        """A call that lives goes before newer ones that are over."""
        self.assertEqual(
            (FIRST, SECOND),
            self.rooms(
                device(ANN, room=SECOND, previous_room=THIRD),
                device(ANN, room=FIRST),
                active(FIRST, ANN, TV, placed_at=NOW - 100),
                over(SECOND, ANN, CAROL, ended_at=NOW - 1),
                over(THIRD, ANN, CAROL, ended_at=NOW - 2),
            ),
        )

    def test_newest(self) -> None:
        """The newest of the ended calls go first; calls that are not known any more go last."""
        calls = [over(FIRST, ANN, TV, ended_at=NOW - 3), over(SECOND, ANN, TV, ended_at=NOW - 1)]
        found = self.rooms(device(ANN, room=FIRST, previous_room=THIRD), device(ANN, room=SECOND), *calls)
        self.assertEqual((SECOND, FIRST), found)
        found = self.rooms(device(ANN, room=THIRD), device(ANN, room=FIRST))
        self.assertEqual((FIRST, THIRD), found)

    def test_none(self) -> None:
        """A device that was in no call names none."""
        self.assertEqual((None, None), self.rooms(device(ANN), device(ANN)))

    def test_came_back_elsewhere(self) -> None:
        """A device that came back on another node, which knew nothing of its call, is put in it again, and told."""
        self.stored(device(TV, node=THERE, generation=8000, previous_room=THIRD))
        changes = self.announce([device(ANN, room=FIRST), gone(TV, NOW - 5, room=FIRST)], [active(FIRST, ANN, TV)])
        expected = device(TV, node=THERE, generation=8000, room=FIRST, previous_room=THIRD, version=4)
        self.assertEqual(expected, self.device(TV))
        self.assert_told(changes, (TV, FIRST))

    def test_grace_is_over(self) -> None:
        """A device whose grace has ended before this loses its call; one that still rings goes on ringing."""
        self.stored(device(TV, node=THERE, generation=8000, room=FIRST))
        for call, reason in (
            (active(FIRST, ANN, TV), Reason.CONNECTION_LOST),
            (active(FIRST, TV, ANN), Reason.CONNECTION_LOST),
            (ringing(FIRST, ANN, TV), Reason.CANCELLED),
        ):
            changes = self.announce([gone(ANN, NOW - 30, room=FIRST)], [call])
            ended = self.tables.calls.pop(FIRST)
            self.assertEqual((reason, call.version + 1), (ended.end and ended.end.reason, ended.version))
            self.assertIn(Notice(TV, ended), changes.notices)
        self.announce([gone(ANN, NOW - 30, room=FIRST)], [ringing(FIRST, TV, ANN)])
        self.assertIsInstance(self.tables.calls[FIRST].state, Ringing)
        self.assertEqual(FIRST, self.device(ANN).room)

    def test_gone_elsewhere(self) -> None:
        """So is a page that was there and is gone again."""
        self.stored(gone(TV, NOW - 1, node=THERE, generation=8000))
        self.announce([device(ANN, room=FIRST)], [active(FIRST, ANN, TV)])
        self.assertEqual((FIRST, NOW + 29), (self.device(TV).room, self.device(TV).due))


class ContradictionTests(AnnouncingCase):
    """A device is in two calls: the node and the store did not know each other's."""

    def clash(self, stored: CallRecord, mine: CallRecord) -> Changes:
        """The television is in a stored call, and in one with Ann, who is on this node."""
        self.stored(
            device(TV, node=THERE, room=SECOND, generation=8000), device(CAROL, node=THERE, room=SECOND), stored
        )
        changes = self.announce([device(ANN, room=FIRST)], [mine])
        for address in (ANN, TV, CAROL):
            record = self.device(address)
            live = [call.room for call in self.tables.calls.values() if call.end is None]
            self.assertIn(record.room, live if address == TV else (FIRST, SECOND))
        return changes

    def assert_ended(self, room: RoomId, reason: Reason, version: int) -> None:
        """This call is over."""
        call = self.tables.calls[room]
        assert call.end is not None
        self.assertEqual((reason, NOW, None, version), (call.end.reason, call.end.at, call.end.by, call.version))

    def test_answered_beats_ringing(self) -> None:
        """The answered call stays, though the other one is newer; the ringing one ends as `busy`."""
        changes = self.clash(active(SECOND, CAROL, TV), ringing(FIRST, ANN, TV, placed_at=NOW - 1))
        self.assert_ended(FIRST, Reason.BUSY, version=2)
        self.assert_told(changes, (ANN, FIRST), (TV, FIRST))

    def test_ringing_is_beaten(self) -> None:
        """The same the other way about."""
        changes = self.clash(ringing(SECOND, CAROL, TV, placed_at=NOW - 1), active(FIRST, ANN, TV))
        self.assert_ended(SECOND, Reason.BUSY, version=2)
        self.assert_told(changes, (CAROL, SECOND), (TV, SECOND), (TV, FIRST))

    def test_left_by_calling(self) -> None:
        """A device that placed a call after the other one was answered has left that: it ends as `replaced`."""
        self.stored(device(TV, node=THERE, room=SECOND), device(CAROL, node=THERE, room=SECOND))
        self.stored(active(SECOND, CAROL, TV, placed_at=NOW - 9, answered_at=NOW - 5))
        mine = [device(TV, generation=8000, room=FIRST), device(ANN, room=FIRST)]
        changes = self.announce(mine, [ringing(FIRST, TV, ANN, placed_at=NOW - 4)])
        self.assert_ended(SECOND, Reason.REPLACED, version=3)
        self.assertIsInstance(self.tables.calls[FIRST].state, Ringing)
        self.assertIn(Notice(CAROL, self.tables.calls[SECOND]), changes.notices)

    def left_by_calling(self, reason: Reason, by: DeviceAddress | None = None) -> CallRecord:
        """The call that a device was in, when another node says that it was answered, and the device has called since.

        :param reason: why that newer call ended.
        :param by: the device that ended it.
        """
        self.setUp()
        rang = ringing(SECOND, TV, CAROL, placed_at=NOW - 4, due=NOW + 119)
        newer = ended(rang, reason, NOW - 1, by, version=2)
        self.stored(device(TV, node=THERE, room=SECOND), newer)
        self.announce([device(ANN, room=FIRST)], [active(FIRST, ANN, TV, placed_at=NOW - 9, answered_at=NOW - 5)])
        return self.tables.calls[FIRST]

    def test_left_by_calling_somebody_who_refused(self) -> None:
        """The same holds if the newer call is over: the older one stays left whatever follows."""
        left = self.left_by_calling(Reason.REFUSED, CAROL).end
        self.assertIs(Reason.REPLACED, left and left.reason)

    def test_called_while_nobody_could_be_reached(self) -> None:
        """It has not if that call could not be placed."""
        self.assertIsInstance(self.left_by_calling(Reason.UNAVAILABLE).state, Active)
        self.assertEqual((FIRST, SECOND), (self.device(TV).room, self.device(TV).previous_room))

    def test_called_unknown_to_its_own_node(self) -> None:
        """Nor has it if its own node does not have that call: the device was told that it could not be placed."""
        self.stored(device(TV, node=THERE, room=FIRST), device(ANN, node=THERE, room=FIRST))
        self.stored(active(FIRST, ANN, TV, placed_at=NOW - 9, answered_at=NOW - 5))
        rang = ringing(SECOND, TV, CAROL, placed_at=NOW - 4, version=2, due=NOW + 119)
        self.announce([device(CAROL, room=SECOND)], [ended(rang, Reason.REFUSED, NOW - 1, CAROL)])
        self.assertIsInstance(self.tables.calls[FIRST].state, Active)

    def test_rung_before_the_answer(self) -> None:
        """... but not by a call that it placed before it."""
        self.stored(device(TV, node=THERE, room=SECOND), device(CAROL, node=THERE, room=SECOND))
        self.stored(active(SECOND, CAROL, TV, placed_at=NOW - 9, answered_at=NOW - 5))
        mine = [device(TV, generation=8000, room=FIRST), device(ANN, room=FIRST)]
        self.announce(mine, [ringing(FIRST, TV, ANN, placed_at=NOW - 6)])
        self.assert_ended(FIRST, Reason.BUSY, version=2)

    def test_newer_beats_older(self) -> None:
        """The later placed of two answered calls stays; the other ends as `replaced`."""
        self.clash(active(SECOND, CAROL, TV, placed_at=NOW - 20), active(FIRST, ANN, TV))
        self.assert_ended(SECOND, Reason.REPLACED, version=3)
        self.setUp()
        self.clash(active(SECOND, CAROL, TV), active(FIRST, ANN, TV, placed_at=NOW - 20))
        self.assert_ended(FIRST, Reason.REPLACED, version=3)

    def test_same_moment(self) -> None:
        """Whichever node speaks first: the same one stays."""
        self.clash(ringing(SECOND, CAROL, TV), ringing(FIRST, ANN, TV))
        self.assert_ended(FIRST, Reason.BUSY, version=2)

    def test_fork(self) -> None:
        """A fork ends with one device of it; the others are told too."""
        fork = ringing(FIRST, ANN, TV, PAD, target=DeviceAddress(TV.phone, "*"))
        changes = self.clash(active(SECOND, CAROL, TV), fork)
        self.assert_ended(FIRST, Reason.BUSY, version=2)
        self.assert_told(changes, (ANN, FIRST), (TV, FIRST), (PAD, FIRST))

    def test_guest(self) -> None:
        """A guest's ringing call loses the device to an older one, and rings on; of that the guest hears nothing."""
        guest = ringing(FIRST, GUEST, TV, PAD, target=DeviceAddress(TV.phone, "*"), placed_at=NOW - 1)
        family = ringing(SECOND, CAROL, TV)
        for stored, mine in ((guest, family), (family, guest)):
            self.setUp()
            self.stored(device(TV, node=THERE, room=stored.room, generation=8000), stored)
            self.announce([device(mine.caller, room=mine.room)], [mine])
            self.assertEqual(Ringing((TV,)), self.tables.calls[SECOND].state)
            self.assertEqual(Ringing((PAD,)), self.tables.calls[FIRST].state)
            self.assertEqual(2, self.tables.calls[FIRST].version)

    def test_guest_in_two(self) -> None:
        """A guest that is in two calls itself keeps the newer."""
        self.stored(device(GUEST, node=THERE, room=SECOND), ringing(SECOND, GUEST, TV))
        self.announce([device(GUEST, generation=8000, room=FIRST)], [ringing(FIRST, GUEST, PAD, placed_at=NOW - 1)])
        self.assert_ended(SECOND, Reason.BUSY, version=2)

    def test_newer_version_of_mine(self) -> None:
        """A call that is ended by this has a version that nobody has acted on."""
        self.stored(ringing(FIRST, ANN, TV, version=4))
        self.clash(active(SECOND, CAROL, TV), ringing(FIRST, ANN, TV, version=7))
        self.assert_ended(FIRST, Reason.BUSY, version=8)


class SeatsTests(AnnouncingCase):
    """The store and the node both know a room."""

    def believed(self, stored: tuple[Seat | None, Seat | None], mine: tuple[Seat | None, Seat | None]) -> SeatsRecord:
        """The seats in the store after the node has announced."""
        self.stored(SeatsRecord(FIRST, 5, stored, None))
        self.announce(seats=[SeatsRecord(FIRST, 7, mine, None)])
        return self.tables.seats[FIRST]

    def assert_seats(self, record: SeatsRecord, *seats: Seat | None) -> None:
        """These are in the room."""
        self.assertEqual(seats, record.seats)

    def test_same_socket(self) -> None:
        """A seat that the store shows as empty since the node was taken for dead is still taken."""
        record = self.believed((seat("red", empty_since=NOW - 5), None), (seat("red"), None))
        self.assert_seats(record, seat("red", NODE), None)
        self.assertEqual(8, record.version)

    def test_left_meanwhile(self) -> None:
        """A page that went away while the store was away is gone since then."""
        record = self.believed((seat("red", NODE), None), (seat("red", empty_since=0.0), None))
        self.assert_seats(record, seat("red", NODE, empty_since=0.0), None)

    def test_newer_there(self) -> None:
        """The newer of two sockets of one seat has it: the store's."""
        stored = seat("red", THERE, generation=7001)
        record = self.believed((stored, None), (seat("red"), None))
        self.assertEqual(SeatsRecord(FIRST, 8, (stored, None), None), record)

    def test_newer_here(self) -> None:
        """... or this node's, or one that this node has heard of."""
        record = self.believed(
            (seat("red", THERE, generation=6999), seat("blue", THERE)),
            (seat("red"), seat("blue", THERE, generation=7001)),
        )
        self.assert_seats(record, seat("red", NODE), seat("blue", THERE, generation=7001))

    def test_others_know_better(self) -> None:
        """This node's memory of others' seats does not count, but the next message to pages must be newer."""
        stored = (seat("red", THERE, empty_since=NOW - 1), None)
        record = self.believed(stored, (seat("red", THERE), seat("blue", THERE)))
        self.assertEqual(SeatsRecord(FIRST, 8, stored, NOW - 1 + SEAT_KEPT), record)

    def test_seat_of_its_own(self) -> None:
        """A page that the store knows nothing of sits down where nobody is: best where nobody was."""
        self.assert_seats(
            self.believed((seat("blue", THERE), None), (seat("red"), None)), seat("blue", THERE), seat("red", NODE)
        )
        left = seat("blue", THERE, empty_since=0.0)
        self.assert_seats(self.believed((left, None), (seat("red"), None)), left, seat("red", NODE))
        self.assert_seats(
            self.believed((left, seat("green", THERE)), (seat("red"), None)), seat("red", NODE), seat("green", THERE)
        )

    def test_no_seat(self) -> None:
        """If the room is full by now its seat is lost, and so is one that is empty."""
        full = (seat("blue", THERE), seat("green", THERE))
        self.assertEqual(SeatsRecord(FIRST, 8, full, None), self.believed(full, (seat("red"), None)))
        half = (seat("blue", THERE), None)
        record = self.believed(half, (seat("red", empty_since=NOW - 1), None))
        self.assertEqual(SeatsRecord(FIRST, 8, half, None), record)

    def test_closed(self) -> None:
        """A room that either has closed is closed."""
        self.stored(SeatsRecord(FIRST, 5, (seat("red", NODE), None), None))
        self.announce(seats=[SeatsRecord(FIRST, 5, (seat("red"), None), None, closed=True)])
        self.assertTrue(self.tables.seats[FIRST].closed)

    def test_call_has_changed(self) -> None:
        """Pages are told of a call that is not as their node knows it, even where their seats are as they were."""
        mine = SeatsRecord(FIRST, 7, (seat("red", NODE), None), None)
        for stored in ([], [mine]):
            self.stored(over(FIRST, ANN, TV), *stored)
            changes = self.announce(calls=[active(FIRST, ANN, TV)], seats=[mine])
            self.assertEqual([8], [record.version for record in changes.seats])
            self.assertEqual([SeatNotice("red", changes.seats[0], over(FIRST, ANN, TV))], changes.notices)
            again = self.announce(calls=[over(FIRST, ANN, TV)], seats=changes.seats)
            self.assertEqual((), tuple(again.seats))

    def test_room_of_a_call(self) -> None:
        """The seats of a call's room are looked at when the call is to be."""
        self.stored(active(FIRST, ANN, TV), SeatsRecord(FIRST, 5, (seat("red", empty_since=NOW - 5), None), NOW))
        changes = self.announce(seats=[SeatsRecord(FIRST, 5, (seat("red", empty_since=NOW - 4), None), None)])
        self.assertEqual(NOW + 26, self.tables.seats[FIRST].due)
        self.assertEqual([active(FIRST, ANN, TV)], list(changes.unchanged))
