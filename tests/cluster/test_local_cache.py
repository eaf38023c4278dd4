"""A node keeps its own facts when nodes that had lost sight of it announce others."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.preferences import Policy
from callnet.calls.records import (
    Active,
    CallRecord,
    Changes,
    DeviceRecord,
    Displaced,
    Notice,
    Over,
    Records,
    Ringing,
    Seat,
    SeatNotice,
    SeatsRecord,
)
from callnet.model import Reason, RoomId
from callnet.redis.local_cache import LocalCache
from tests.cluster.case import ANN, PAD, TV

ROOM: Final = RoomId("blue-house")
HERE: Final = Seat("red", "page of red", "here.1", 7000, None)
THERE: Final = Seat("blue", "page of blue", "there.1", 7001, None)
SEATS: Final = SeatsRecord(ROOM, 3, (HERE, THERE), None)
DEVICE: Final = DeviceRecord(ANN, 3, "here.1", 7000, True, None, None, None, None, None)


class SocketsTests(SynchronousTestCase):
    """Nobody knows better than a node which sockets it holds."""

    def setUp(self) -> None:
        """A device and a page are here, and the other page is elsewhere."""
        self.cache = LocalCache("here")
        self.cache.apply(Changes(devices=[DEVICE], seats=[SEATS]))

    def read(self, *devices: DeviceRecord, seats: SeatsRecord) -> None:
        """Take over the records of the store."""
        found = {device.address.phone: {device.address.device_id: device} for device in devices}
        self.cache.see(Records(found, {}, {seats.room: seats}), list(found), [])

    def seats(self) -> tuple[Seat | None, Seat | None]:
        """The seats as they are known."""
        return self.cache.records.seats[ROOM].seats

    def test_pages(self) -> None:
        """A page that others took for gone is there; of pages elsewhere the store is believed."""
        gone = (replace(HERE, empty_since=5.0), replace(THERE, empty_since=5.0))
        self.read(seats=replace(SEATS, version=4, seats=gone))
        self.assertEqual((HERE, gone[1]), self.seats())
        self.cache.hear(SeatNotice("red", replace(SEATS, version=5, seats=gone), None))
        self.assertEqual((HERE, gone[1]), self.seats())
        self.assertEqual(5, self.cache.records.seats[ROOM].version)

    def test_page_that_went(self) -> None:
        """A page that left is gone, and so is one whose seat somebody has taken over."""
        newer = replace(HERE, generation=7002, empty_since=6.0)
        self.read(seats=replace(SEATS, version=4, seats=(newer, THERE)))
        self.assertEqual((newer, THERE), self.seats())
        left = replace(HERE, empty_since=7.0)
        self.cache.apply(Changes(seats=[replace(SEATS, version=5, seats=(left, THERE))]))
        self.read(seats=replace(SEATS, version=6, seats=(left, None)))
        self.assertEqual((left, None), self.seats())

    def test_devices(self) -> None:
        """The same holds for devices."""
        self.read(replace(DEVICE, version=4, connected=False, lost_at=5.0), seats=SEATS)
        self.assertEqual(replace(DEVICE, version=4), self.cache.records.device(ANN))
        self.read(replace(DEVICE, version=5, generation=7001, connected=False, lost_at=5.0), seats=SEATS)
        self.assertEqual(
            replace(DEVICE, version=5, generation=7001, connected=False, lost_at=5.0), self.cache.records.device(ANN)
        )


class AliasTests(SynchronousTestCase):
    """An alias leads to a call for as long as a node knows the call by it, and no longer."""

    def setUp(self) -> None:
        """Ann is here, and her call rings two devices elsewhere."""
        self.cache = LocalCache("here")
        self.first, self.second, self.third = (RoomId(letter * 32) for letter in "abc")
        aliases = ((TV, self.first), (PAD, self.second))
        self.call = CallRecord(
            ROOM, 1, Ringing((TV, PAD)), ANN, TV, (TV, PAD), 1.0, 46.0, extended=(ANN,), aliases=aliases
        )
        self.ann = replace(DEVICE, room=ROOM)
        self.cache.apply(Changes(devices=[self.ann], calls=[self.call]))
        self.assertEqual({self.first: ROOM, self.second: ROOM}, self.cache.records.aliases)

    def test_moved(self) -> None:
        """It goes when another takes its place."""
        moved = replace(self.call, version=2, aliases=((TV, self.first), (PAD, self.third)))
        self.cache.hear(Notice(ANN, moved))
        self.assertEqual({self.first: ROOM, self.third: ROOM}, self.cache.records.aliases)

    def test_call_is_forgotten(self) -> None:
        """It goes when the call is dropped: it is over for long, is not in the store, or is no affair of this node."""
        over = replace(self.call, version=2, state=Over(Ringing(()), Reason.NO_ANSWER, 5.0), due=125.0)
        gone = Displaced(ANN, "here.1", 7001)
        for drop in (
            lambda cache: (cache.hear(Notice(ANN, over)), list(cache.due(125.0))),
            lambda cache: cache.see(Records({}, {}, {}), [], [ROOM]),
            lambda cache: cache.hear(gone),
            lambda cache: cache.apply(Changes(forgotten=[self.ann])),
        ):
            self.setUp()
            drop(self.cache)
            self.assertEqual(({}, {}), (self.cache.records.calls, self.cache.records.aliases))


class NewsTests(SynchronousTestCase):
    """Notices for the devices and pages of this node."""

    def setUp(self) -> None:
        """A page here, and one elsewhere, are in the room of a call of others."""
        self.cache = LocalCache("here")
        self.call = CallRecord(ROOM, 2, Active(TV, 2.0), ANN, TV, (TV,), 1.0)
        self.over = replace(self.call, version=3, state=Over(Active(TV, 2.0), Reason.HANGUP, 3.0))
        self.cache.apply(Changes(calls=[self.call], seats=[SEATS]))

    def test_last_page_left(self) -> None:
        """The call no longer concerns this node when its last page has left, whichever node recorded that."""
        left = replace(SEATS, version=4, seats=(None, THERE))
        self.cache.apply(Changes(seats=[left], unchanged=[self.call]))
        self.assertEqual(({}, {}), (self.cache.records.calls, self.cache.records.seats))
        self.setUp()
        self.cache.see(Records({}, {ROOM: self.call}, {ROOM: left}), [], [ROOM])
        self.assertEqual(({}, {}), (self.cache.records.calls, self.cache.records.seats))

    def test_call_that_was_answered_elsewhere(self) -> None:
        """A device that rang for a call is told that somebody else answered, and nothing more when that is over."""
        ann = replace(DEVICE, room=ROOM)
        rings = replace(self.call, state=Ringing((ANN, TV)), caller=PAD, targets=(ANN, TV))
        answered = replace(rings, state=Active(TV, 2.0), version=3)
        over = replace(answered, state=Over(Active(TV, 2.0), Reason.HANGUP, 3.0), version=4)
        for known, told in ((rings, [Notice(ANN, over)]), (answered, [])):
            cache = LocalCache("here")
            cache.apply(Changes(devices=[ann], calls=[known]))
            self.assertEqual(told, cache.see(Records({}, {ROOM: over}, {}), [], []))

    def test_call_of_pages(self) -> None:
        """However a node learns that a call has changed: its pages are to look at it, once."""
        expected = [SeatNotice("red", SEATS, self.over)]
        self.assertEqual(expected, self.cache.see(Records({}, {ROOM: self.over}, {ROOM: SEATS}), [], []))
        self.assertEqual([], list(self.cache.messages_of_pages()))
        for heard in (True, False):
            self.setUp()
            if heard:
                self.cache.hear(Notice(ANN, self.over))
            else:
                self.cache.apply(Changes(calls=[self.over]))
            self.assertEqual(expected, self.cache.messages_of_pages())
            self.assertEqual([], list(self.cache.messages_of_pages()))

    def test_nothing_new(self) -> None:
        """They are not if it has not, or if their room is gone meanwhile."""
        self.cache.hear(Notice(ANN, self.call))
        self.assertEqual([], list(self.cache.messages_of_pages()))
        self.cache.hear(Notice(ANN, self.over))
        self.cache.drop_room(ROOM)
        self.assertEqual([], list(self.cache.messages_of_pages()))


class MessagesTests(SynchronousTestCase):
    """A message may have been under way for long."""

    def test_late(self) -> None:
        """A message older than the known state is ignored."""
        cache = LocalCache("here")
        call = CallRecord(RoomId("1" * 32), 2, Active(TV, 2.0), ANN, TV, (TV,), 1.0)
        cache.apply(Changes(devices=[replace(DEVICE, room=call.room)], calls=[call]))
        for late in (replace(call, version=1), replace(call, state=Ringing((TV,)), version=7)):
            self.assertTrue(cache.know_better(Notice(ANN, late)))
        for news in (call, replace(call, state=Over(call.state, Reason.HANGUP, 3.0)), replace(call, version=3)):
            self.assertFalse(cache.know_better(Notice(ANN, news)))
        self.assertFalse(cache.know_better(Notice(ANN, replace(call, room=RoomId("2" * 32)))))
        self.assertFalse(cache.know_better(Displaced(ANN, "here.1", 7001)))


class OldTests(SynchronousTestCase):
    """Rooms about which other nodes turned out to know more than this one."""

    def test_for_as_long_as_they_are_known(self) -> None:
        """Nothing is kept of one that this node does not know, or not any more."""
        cache = LocalCache("here")
        over = CallRecord(ROOM, 2, Over(Active(TV, 2.0), Reason.HANGUP, 3.0), ANN, TV, (TV,), 1.0, 5.0)
        cache.distrust(Changes(calls=[over]))
        cache.apply(Changes(devices=[replace(DEVICE, room=ROOM)], calls=[over]))
        self.assertTrue(cache.knows([ROOM]))
        cache.distrust(Changes(calls=[over]))
        self.assertFalse(cache.knows([ROOM]))
        self.assertEqual([], list(cache.due(6.0)))
        self.assertEqual(set(), cache._old)


class CallsTests(SynchronousTestCase):
    """A node keeps the calls that concern its devices, and no others."""

    def setUp(self) -> None:
        """A device of this node is one of two that are rung by one elsewhere."""
        self.cache = LocalCache("here")
        self.cache.apply(Changes(devices=[replace(DEVICE, address=PAD, room=ROOM)]))
        self.rings = CallRecord(ROOM, 1, Ringing((TV, PAD)), ANN, TV, (TV, PAD), 100.0, 145.0)
        self.cache.hear(Notice(PAD, self.rings))

    def test_policies(self) -> None:
        """The policies of the requested phones are taken over, and of no others."""
        found, other = Policy(frozenset("12")), Policy(frozenset("34"))
        of_phone = {PAD.phone: dict(self.cache.records.devices[PAD.phone])}
        for phones, policies in (([], {}), ([PAD.phone], {PAD.phone: found})):
            self.cache.see(Records(of_phone, {}, {}, policies={PAD.phone: found, ANN.phone: other}), phones, [])
            self.assertEqual(policies, self.cache.records.policies)

    def test_rings(self) -> None:
        """A call that rings a device of its."""
        self.assertEqual({ROOM: self.rings}, self.cache.records.calls)

    def test_answered_elsewhere(self) -> None:
        """One that somebody else has answered goes on without it: nobody will say here when it is over."""
        answered = replace(self.rings, version=2, state=Active(TV, 101.0))
        self.cache.hear(Notice(PAD, answered))
        self.assertEqual({}, self.cache.records.calls)

    def test_answered_here(self) -> None:
        """One that its device has answered."""
        answered = replace(self.rings, version=2, state=Active(PAD, 101.0))
        self.cache.hear(Notice(PAD, answered))
        self.assertEqual({ROOM: answered}, self.cache.records.calls)

    def test_device_is_forgotten(self) -> None:
        """When a device is forgotten its calls are, too."""
        device = self.cache.records.device(PAD)
        assert device is not None
        self.cache.apply(Changes(forgotten=[device]))
        self.assertEqual({}, self.cache.records.calls)
