"""What every store of calls must do: one contract, run against each."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from twisted.internet import reactor as global_reactor
from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from callnet.cluster.memory import MemoryBus, MemoryCallStore
from callnet.interfaces import IBus, ICallStore, IPresence
from callnet.model import DeviceAddress, RoomId
from callnet.records import (
    NOTHING,
    CallRecord,
    Changes,
    DeviceRecord,
    Displaced,
    Notice,
    Records,
    SeatNotice,
    SeatsRecord,
)
from tests.contract.records import ANN, PAD, TV, Receiver, device, gone, over, ringing, room_number, seats
from tests.late_store import LateCallStore

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object

Told = Notice | SeatNotice | Displaced
NOBODY = DeviceAddress("13600000009", "phone")


class CallStoreContract(_Base):
    """Keeps versioned records, and decides nothing. Subclasses say which store; nothing need fire at once."""

    async def make_store(self) -> tuple[ICallStore, IBus]:
        """Make an empty store, and the bus that it publishes on."""
        raise NotImplementedError

    async def start(self) -> ICallStore:
        """Begin with an empty store, and a receiver on its bus."""
        store, bus = await self.make_store()
        verifyObject(ICallStore, store)
        self.receiver = Receiver()
        bus.subscribe(self.receiver)
        return store

    async def read(
        self, store: ICallStore, phones: Collection[str] = (), rooms: Collection[RoomId] = ()
    ) -> list[DeviceRecord | CallRecord | SeatsRecord]:
        """All records of these phones and rooms, and only those, however much the answer holds."""
        records: Records = await store.read(phones, rooms)
        devices = [record for phone in phones for record in records.devices.get(phone, {}).values()]
        calls = [records.calls[room] for room in rooms if room in records.calls]
        return [*devices, *calls, *(records.seats[room] for room in rooms if room in records.seats)]

    async def assert_commits(self, store: ICallStore, changes: Changes) -> None:
        """The store takes the changes."""
        self.assertIs(True, await store.commit(changes))

    async def assert_refuses(self, store: ICallStore, changes: Changes) -> None:
        """The store does not take the changes: not one of them, and nobody is told."""
        phones, rooms = (ANN.phone, TV.phone), tuple(map(room_number, range(4)))
        before = await self.read(store, phones, rooms)
        heard = len(await self.receiver.first(0))
        self.assertIs(False, await store.commit(changes))
        self.assertEqual(before, await self.read(store, phones, rooms))
        mark = Displaced(NOBODY, 1)
        await self.assert_commits(store, Changes([device(NOBODY)], notices=[mark]))
        self.assertEqual(mark, (await self.receiver.first(heard + 1))[heard])
        await self.assert_commits(store, Changes(forgotten=await self.read(store, [NOBODY.phone])))

    # Reading

    async def test_empty(self) -> None:
        """An empty store knows nobody."""
        store = await self.start()
        self.assertEqual([], await self.read(store, [ANN.phone], [room_number(1)]))
        self.assertIsNone((await store.read([ANN.phone], [])).device(ANN))

    async def test_all_of_it(self) -> None:
        """What was committed is read again, every field of it."""
        store = await self.start()
        for record in (device(ANN), gone(TV)):
            await self.assert_commits(store, Changes(devices=[record]))
            self.assertEqual(record, (await store.read([record.address.phone], [])).device(record.address))
        for call in (ringing(1), over(2, version=1)):
            await self.assert_commits(store, Changes(calls=[call]))
            self.assertEqual([call], await self.read(store, rooms=[call.room]))
        for record_of_seats in (
            seats(3),
            seats(4, due=1010.75, closed=True),
            SeatsRecord(RoomId("x"), 1, (None, None), None),
        ):
            await self.assert_commits(store, Changes(seats=[record_of_seats]))
            self.assertEqual([record_of_seats], await self.read(store, rooms=[record_of_seats.room]))

    async def test_rooms_of_any_name(self) -> None:
        """A room made up by hand may have any name of up to 64 characters."""
        store = await self.start()
        for name in ("our room", "{curly} 'quoted' \"twice\"", "房间", "a" * 64):
            record = SeatsRecord(RoomId(name), 1, (None, seats().seats[0]), 5.0)
            await self.assert_commits(store, Changes(seats=[record]))
            self.assertEqual([record], await self.read(store, rooms=[RoomId(name)]))

    async def test_phone(self) -> None:
        """To read a phone is to read all its devices."""
        store = await self.start()
        await self.assert_commits(store, Changes(devices=[device(TV), device(ANN), device(PAD)]))
        records = await store.read([TV.phone], [])
        self.assertEqual({"pad": device(PAD), "tv": device(TV)}, dict(records.devices[TV.phone]))

    async def test_rooms_that_devices_name(self) -> None:
        """With a phone come the calls and seats of every room that one of its devices names."""
        store = await self.start()
        calls = [ringing(1), ringing(2), ringing(3)]
        of_tv, of_pad = gone(TV), device(PAD, room=room_number(3))
        await self.assert_commits(store, Changes([of_tv, of_pad], calls, [seats(1), seats(3)]))
        records = await store.read([TV.phone], [])
        self.assertEqual(calls, [records.calls[call.room] for call in calls])
        self.assertEqual(seats(1), records.seats[room_number(1)])
        self.assertEqual(seats(3), records.seats[room_number(3)])
        self.assertNotIn(room_number(2), records.seats)

    async def test_room_that_is_not_there(self) -> None:
        """A device may name rooms whose call was forgotten."""
        store = await self.start()
        await self.assert_commits(store, Changes([gone(TV)]))
        records = await store.read([TV.phone], [])
        self.assertNotIn(room_number(1), records.calls)
        self.assertNotIn(room_number(2), records.calls)

    # Committing

    async def test_next_version(self) -> None:
        """A record is followed by its next version."""
        store = await self.start()
        await self.assert_commits(store, Changes([device(ANN)], [ringing(1)], [seats(1)]))
        new = Changes([gone(ANN, version=2)], [over(1)], [seats(1, version=2, closed=True)])
        await self.assert_commits(store, new)
        found = await self.read(store, [ANN.phone], [room_number(1)])
        self.assertEqual([*new.devices, *new.calls, *new.seats], found)

    async def test_nothing(self) -> None:
        """The decision that changes nothing can be committed."""
        store = await self.start()
        await self.assert_commits(store, NOTHING)

    async def test_version_that_was_overtaken(self) -> None:
        """If somebody else was faster the commit does not happen, whichever record it was."""
        store = await self.start()
        await self.assert_commits(store, Changes([device(ANN)], [ringing(1)], [seats(1)]))
        free = device(PAD)
        for wrong in (
            Changes([device(ANN)], notices=[Notice(ANN, ringing(1))]),
            Changes([free, device(ANN)], [ringing(2)]),
            Changes([free], [ringing(1)], notices=[Notice(ANN, ringing(1))]),
            Changes([free], [ringing(2), ringing(1)]),
            Changes([free], [ringing(2)], [seats(1)]),
            Changes([free], [over(1)], [seats(1)], notices=[Notice(ANN, over(1))]),
        ):
            await self.assert_refuses(store, wrong)

    async def test_version_out_of_nowhere(self) -> None:
        """A version that does not follow the present one is refused, also of a record that is not there."""
        store = await self.start()
        await self.assert_refuses(store, Changes(calls=[over(1, version=2)]))
        await self.assert_commits(store, Changes(calls=[ringing(1)]))
        await self.assert_refuses(store, Changes(calls=[over(1, version=3)]))

    async def test_two_at_once(self) -> None:
        """Of two who decided on the same records exactly one commits."""
        store = await self.start()
        await self.assert_commits(store, Changes([device(TV)]))
        both = [store.commit(Changes([device(TV, 2, room=room_number(n))], [ringing(n)])) for n in (1, 2)]
        results = [await one for one in both]
        self.assertEqual([False, True], sorted(results))
        winner = results.index(True) + 1
        self.assertEqual([ringing(winner)], await self.read(store, rooms=[room_number(1), room_number(2)]))

    # Forgetting

    async def test_forget(self) -> None:
        """A record that is forgotten is not there any more, and a new one begins with version 1."""
        store = await self.start()
        new = Changes([device(ANN)], [ringing(1)], [seats(1, due=5.0)])
        await self.assert_commits(store, new)
        found = await self.read(store, [ANN.phone], [room_number(1)])
        self.assertEqual(3, len(found))
        await self.assert_commits(store, Changes(forgotten=found))
        self.assertEqual([], await self.read(store, [ANN.phone], [room_number(1)]))
        await self.assert_refuses(store, Changes([device(ANN, version=2)]))
        await self.assert_commits(store, new)

    async def test_forget_one_of_a_phone(self) -> None:
        """To forget one device of a phone leaves the others."""
        store = await self.start()
        await self.assert_commits(store, Changes([device(TV), device(PAD)]))
        old = (await store.read([TV.phone], [])).device(TV)
        assert old is not None
        await self.assert_commits(store, Changes(forgotten=[old]))
        self.assertEqual([device(PAD)], await self.read(store, [TV.phone]))

    async def test_forget_what_has_changed(self) -> None:
        """A record that has changed since it was read is not forgotten, nor is one that is gone already."""
        store = await self.start()
        await self.assert_commits(store, Changes([device(ANN)], [ringing(1)], [seats(1)]))
        old = await self.read(store, [ANN.phone], [room_number(1)])
        await self.assert_commits(store, Changes([device(ANN, 2)], [over(1)], [seats(1, 2)]))
        for one in old:
            await self.assert_refuses(store, Changes([device(PAD)], forgotten=[one]))
        now = await self.read(store, [ANN.phone], [room_number(1)])
        await self.assert_commits(store, Changes(forgotten=now))
        await self.assert_refuses(store, Changes(forgotten=now[:1]))

    # Telling

    async def test_notices(self) -> None:
        """The notices of a commit are published, in order, after those of the commit before."""
        store = await self.start()
        await self.assert_commits(store, Changes([device(ANN), device(TV), device(PAD)], seats=[seats(1)]))
        first: list[Told] = [Notice(PAD, ringing(1)), Notice(TV, ringing(1))]
        second: list[Told] = [Notice(ANN, over(1)), Displaced(TV, 2), SeatNotice("red", seats(1, 2), over(1))]
        await self.assert_commits(store, Changes(calls=[ringing(1)], notices=first))
        await self.assert_commits(store, Changes(calls=[over(1)], seats=[seats(1, 2)], notices=second))
        self.assertEqual(first + second, await self.receiver.first(5))

    async def test_record_before_the_notice(self) -> None:
        """Who is told can read what it is told of."""
        store = await self.start()
        await self.assert_commits(store, Changes([device(TV)]))
        await self.assert_commits(store, Changes(calls=[ringing(1)], notices=[Notice(TV, ringing(1))]))
        await self.receiver.first(1)
        self.assertEqual([ringing(1)], await self.read(store, rooms=[room_number(1)]))

    # What is due

    async def due(self, store: ICallStore, now: float) -> set[object]:
        """What is due, each once."""
        found = list(await store.due(now))
        self.assertEqual(len(found), len(set(found)))
        return set(found)

    async def test_due(self) -> None:
        """Records whose `due` is not after now, and no others."""
        store = await self.start()
        early = Changes([gone(ANN, due=1030.5)], [ringing(1, due=1030.25)], [seats(1, due=1030.0)])
        late = Changes([gone(TV, due=1030.75), device(PAD)], [ringing(2, due=1031.5)], [seats(2, due=5000.0), seats(3)])
        await self.assert_commits(store, early)
        await self.assert_commits(store, late)
        self.assertEqual(set(), await self.due(store, 1029.75))
        self.assertEqual({*early.seats}, await self.due(store, 1030.0))
        self.assertEqual({*early.devices, *early.calls, *early.seats}, await self.due(store, 1030.5))
        self.assertEqual(
            {*early.devices, *early.calls, *early.seats, late.devices[0], *late.calls}, await self.due(store, 1031.5)
        )

    async def test_due_until_it_changes(self) -> None:
        """They are named again by a later call until a newer version of them is committed."""
        store = await self.start()
        await self.assert_commits(store, Changes(calls=[ringing(1, due=1045.0)]))
        for now in (1045.0, 1045.0, 1045.5, 1046.0, 9000.0):
            self.assertEqual({ringing(1)}, await self.due(store, now))
        await self.assert_commits(store, Changes(calls=[over(1, due=9120.0)]))
        self.assertEqual(set(), await self.due(store, 9000.0))
        self.assertEqual(set(), await self.due(store, 9119.5))
        self.assertEqual({over(1, due=9120.0)}, await self.due(store, 9120.0))

    async def test_due_earlier_than_before(self) -> None:
        """A newer version may be due earlier, or at a time that is past already."""
        store = await self.start()
        await self.assert_commits(store, Changes(calls=[ringing(1, due=5000.0)], devices=[gone(due=5000.0)]))
        self.assertEqual(set(), await self.due(store, 1050.0))
        await self.assert_commits(store, Changes(calls=[over(1, due=1060.0)], devices=[gone(version=2, due=1000.0)]))
        self.assertEqual({gone(version=2, due=1000.0)}, await self.due(store, 1050.0))
        self.assertEqual({gone(version=2, due=1000.0), over(1, due=1060.0)}, await self.due(store, 1060.0))

    async def test_never_due(self) -> None:
        """A newer version may not be due at all, and what is forgotten never is."""
        store = await self.start()
        await self.assert_commits(store, Changes([gone(ANN), gone(TV)], [ringing(1)], [seats(1, due=1000.0)]))
        self.assertEqual(4, len(await self.due(store, 2000.0)))
        await self.assert_commits(store, Changes([device(ANN, 2)], seats=[seats(1, 2)]))
        self.assertEqual({gone(TV), ringing(1)}, await self.due(store, 2000.0))
        left = await self.read(store, [TV.phone], [room_number(1)])
        await self.assert_commits(store, Changes(forgotten=left))
        self.assertEqual(set(), await self.due(store, 9000.0))


class PresenceContract(_Base):
    """Knows who is connected just now."""

    async def make_presence(self) -> tuple[IPresence, ICallStore]:
        """Make presence, and the store of the devices that it speaks of."""
        raise NotImplementedError

    async def test_online(self) -> None:
        """Those that hold a live socket, of those that were asked for."""
        presence, store = await self.make_presence()
        verifyObject(IPresence, presence)
        self.assertEqual(frozenset(), await presence.online([ANN]))
        await store.commit(Changes([device(ANN), gone(TV), device(PAD)]))
        self.assertEqual(frozenset([ANN, PAD]), await presence.online([ANN, TV, PAD, NOBODY]))
        self.assertEqual(frozenset([PAD]), await presence.online([PAD]))
        self.assertEqual(frozenset(), await presence.online([]))

    async def test_comes_and_goes(self) -> None:
        """It follows the newest record."""
        presence, store = await self.make_presence()
        await store.commit(Changes([device(ANN)]))
        await store.commit(Changes([gone(ANN, 2)]))
        self.assertEqual(frozenset(), await presence.online([ANN]))
        await store.commit(Changes([device(ANN, 3)]))
        self.assertEqual(frozenset([ANN]), await presence.online([ANN]))


class MemoryCallStoreTests(CallStoreContract, PresenceContract, TestCase):
    """The store of a single process."""

    async def make_store(self) -> tuple[ICallStore, IBus]:
        """Make one."""
        bus = MemoryBus()
        return MemoryCallStore(bus), bus

    async def make_presence(self) -> tuple[IPresence, ICallStore]:
        """It is its own presence."""
        store = MemoryCallStore(MemoryBus())
        return store, store


class LateCallStoreTests(CallStoreContract, TestCase):
    """The tests' own store that answers late: it must be a good one to show anything."""

    async def make_store(self) -> tuple[ICallStore, IBus]:
        """Make one."""
        bus = MemoryBus()
        clock = IReactorTime(global_reactor)
        return LateCallStore(MemoryCallStore(bus), lambda step: clock.callLater(0, step)), bus
