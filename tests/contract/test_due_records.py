"""The contract of every store of calls for time: due records, forgotten records, present connections."""

from __future__ import annotations

from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from callnet.calls.ports import ICallStore, IPresence
from callnet.calls.records import Changes
from tests.contract.records import ANN, PAD, TV, Samples, room_number
from tests.contract.store_case import NOBODY, SOON, OfOneProcess, OfSeveralNodes, StoreCase, ThatAnswersLate


class DueContract(StoreCase):
    """Names due records, and forgets those that are to be forgotten."""

    # Forgetting

    async def test_calls_that_are_over(self) -> None:
        """A call that is over is forgotten when it is due, with the seats of its room, and never named before."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.device(ANN)], [of.over(1, 1, due=SOON)], [of.seats(1)]))
        await self.assert_commits(store, Changes(calls=[of.over(2, 1, due=900.5), of.over(3, 1, due=SOON)]))
        self.assertEqual([], list(await store.due(store.now())))
        self.assertEqual(3, len(await self.read(store, rooms=[room_number(1), room_number(2)])))
        await self.pass_time(SOON + 1)
        self.assertEqual([], list(await store.due(store.now())))
        found = await self.read(store, [ANN.phone], [room_number(1), room_number(2), room_number(3)])
        self.assertEqual([of.device(ANN), of.over(2, 1, due=900.5)], found)
        await self.assert_commits(store, Changes([of.device(ANN, 2)], [of.ringing(1)], [of.seats(1)]))

    async def test_forget(self) -> None:
        """A record that is forgotten is not there any more, and a new one begins with version 1."""
        store, of = await self.start()
        new = Changes([of.device(ANN)], [of.ringing(1)], [of.seats(1, due=5.0)])
        await self.assert_commits(store, new)
        found = await self.read(store, [ANN.phone], [room_number(1)])
        self.assertEqual(3, len(found))
        await self.assert_commits(store, Changes(forgotten=found))
        self.assertEqual([], await self.read(store, [ANN.phone], [room_number(1)]))
        await self.assert_refuses(store, Changes([of.device(ANN, version=2)]))
        await self.assert_commits(store, new)

    async def test_forget_one_of_a_phone(self) -> None:
        """Forgetting one device of a phone leaves the others."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.device(TV), of.device(PAD)]))
        old = (await store.read([TV.phone], [])).device(TV)
        assert old is not None
        await self.assert_commits(store, Changes(forgotten=[old]))
        self.assertEqual([of.device(PAD)], await self.read(store, [TV.phone]))

    async def test_forget_what_has_changed(self) -> None:
        """Forgetting a record that has changed since it was read, or that is gone already, is refused."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.device(ANN)], [of.ringing(1)], [of.seats(1)]))
        old = await self.read(store, [ANN.phone], [room_number(1)])
        await self.assert_commits(store, Changes([of.device(ANN, 2)], [of.over(1)], [of.seats(1, 2)]))
        for one in old:
            await self.assert_refuses(store, Changes([of.device(PAD)], forgotten=[one]))
        now = await self.read(store, [ANN.phone], [room_number(1)])
        await self.assert_commits(store, Changes(forgotten=now))
        await self.assert_refuses(store, Changes(forgotten=now[:1]))

    # Due records

    async def due(self, store: ICallStore, now: float) -> set[object]:
        """The records due at this number of seconds after the start, each once."""
        found = list(await store.due(self.of.start + now))
        self.assertEqual(len(found), len(set(found)))
        return set(found)

    async def test_due(self) -> None:
        """Records whose `due` is not after now, and no others."""
        store, of = await self.start()
        early = Changes([of.gone(ANN, due=30.5)], [of.ringing(1, due=30.25)], [of.seats(1, due=30.0)])
        late = Changes(
            [of.gone(TV, due=30.75), of.device(PAD)],
            [of.ringing(2, due=31.5)],
            [of.seats(2, due=4000.0), of.seats(3)],
        )
        await self.assert_commits(store, early)
        await self.assert_commits(store, late)
        self.assertEqual(set(), await self.due(store, 29.75))
        self.assertEqual({*early.seats}, await self.due(store, 30.0))
        self.assertEqual({*early.devices, *early.calls, *early.seats}, await self.due(store, 30.5))
        self.assertEqual(
            {*early.devices, *early.calls, *early.seats, late.devices[0], *late.calls}, await self.due(store, 31.5)
        )

    async def test_due_until_it_changes(self) -> None:
        """They are named again by a later call until a newer version of them is committed."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.device(ANN)], [of.ringing(1, due=45.0)]))
        for now in (45.0, 45.0, 45.5, 46.0, 8000.0):
            self.assertEqual({of.ringing(1)}, await self.due(store, now))
        await self.assert_commits(store, Changes(calls=[of.ringing(1, version=2, due=8120.0)]))
        self.assertEqual(set(), await self.due(store, 8000.0))
        self.assertEqual(set(), await self.due(store, 8119.5))
        self.assertEqual({of.ringing(1, version=2, due=8120.0)}, await self.due(store, 8120.0))

    async def test_due_earlier_than_before(self) -> None:
        """A newer version may be due earlier, or at a time that is past already."""
        store, of = await self.start()
        await self.assert_commits(store, Changes(calls=[of.ringing(1, due=4000.0)], devices=[of.gone(due=4000.0)]))
        self.assertEqual(set(), await self.due(store, 50.0))
        ringing, gone = of.ringing(1, version=2, due=60.0), of.gone(version=2, due=0.0)
        await self.assert_commits(store, Changes(calls=[ringing], devices=[gone]))
        self.assertEqual({gone}, await self.due(store, 50.0))
        self.assertEqual({gone, ringing}, await self.due(store, 60.0))

    async def test_never_due(self) -> None:
        """A newer version may not be due at all, and a forgotten record never is."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.gone(ANN), of.gone(TV)], [of.ringing(1)], [of.seats(1, due=0.0)]))
        self.assertEqual(4, len(await self.due(store, 1000.0)))
        await self.assert_commits(
            store, Changes([of.device(ANN, 2)], seats=[of.seats(1, 2)], unchanged=[of.ringing(1)])
        )
        self.assertEqual({of.gone(TV), of.ringing(1)}, await self.due(store, 1000.0))
        left = await self.read(store, [TV.phone], [room_number(1)])
        await self.assert_commits(store, Changes(forgotten=left))
        self.assertEqual(set(), await self.due(store, 8000.0))


class PresenceContract(StoreCase):
    """Knows the devices that are connected now."""

    async def make_presence(self) -> tuple[IPresence, ICallStore]:
        """Make presence, and the store of the devices that it speaks of."""
        raise NotImplementedError

    async def test_online(self) -> None:
        """Those that hold a live socket, of those that were asked for."""
        presence, store = await self.make_presence()
        verifyObject(IPresence, presence)
        self.assertEqual(frozenset(), await presence.online([ANN]))
        of = Samples(store.node, float(int(store.now())))
        await store.commit(Changes([of.device(ANN), of.gone(TV), of.device(PAD)]))
        self.assertEqual(frozenset([ANN, PAD]), await presence.online([ANN, TV, PAD, NOBODY]))
        self.assertEqual(frozenset([PAD]), await presence.online([PAD]))
        self.assertEqual(frozenset(), await presence.online([]))

    async def test_comes_and_goes(self) -> None:
        """It follows the newest record."""
        presence, store = await self.make_presence()
        of = Samples(store.node, float(int(store.now())))
        await store.commit(Changes([of.device(ANN)]))
        await store.commit(Changes([of.gone(ANN, 2)]))
        self.assertEqual(frozenset(), await presence.online([ANN]))
        await store.commit(Changes([of.device(ANN, 3)]))
        self.assertEqual(frozenset([ANN]), await presence.online([ANN]))


class MemoryCallStoreTests(OfOneProcess, DueContract, PresenceContract, TestCase):
    """The store of a single process."""


class LateCallStoreTests(ThatAnswersLate, DueContract, TestCase):
    """The tests' own store that answers late."""


class NodeStoreTests(OfSeveralNodes, DueContract, TestCase):
    """The tests' own store of several nodes."""
