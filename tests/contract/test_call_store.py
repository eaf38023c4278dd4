"""The contract of every store of calls, run against each. Due records: ``test_due_records``."""

from __future__ import annotations

from msgspec.structs import replace
from twisted.trial.unittest import TestCase

from callnet.calls.events import Accept
from callnet.calls.preferences import ANYONE, NOBODY, Policy, QuietExceptions, QuietHours
from callnet.calls.records import NOTHING, Active, Changes, Displaced, Notice, SeatNotice, SeatsRecord, TurnedAway
from callnet.calls.switchboard import decide
from callnet.calls.transitions import TooLate
from callnet.config.schema import CallSettings
from callnet.model import Reason, RoomId
from tests.contract.records import ANN, PAD, TV, Receiver, Samples, room_number
from tests.contract.store_case import SOON, OfOneProcess, OfSeveralNodes, StoreCase, ThatAnswersLate
from tests.support.nodes import NodeBus

OTHERS = frozenset(f"139{number:08d}" for number in range(1000))
Told = Notice | SeatNotice | Displaced


class CallStoreContract(StoreCase):
    """Keeps versioned records, and decides nothing."""

    # Reading

    async def test_empty(self) -> None:
        """An empty store knows nobody."""
        store, _ = await self.start()
        self.assertEqual([], await self.read(store, [ANN.phone], [room_number(1)]))
        self.assertIsNone((await store.read([ANN.phone], [])).device(ANN))

    async def test_all_of_it(self) -> None:
        """A committed call is read back with every field."""
        store, of = await self.start()
        quiet = Policy(quiet=QuietHours(0, 0, "UTC"), exceptions=QuietExceptions(frozenset([TV.phone]), True))
        noted = replace(of.gone(PAD), policy=quiet, turned_away=(TurnedAway(ANN.phone, 1.5), TurnedAway("1", 2.5)))
        for record in (of.device(ANN), of.gone(TV), noted):
            await self.assert_commits(store, Changes(devices=[record]))
            self.assertEqual(record, (await store.read([record.address.phone], [])).device(record.address))
        for call in (of.ringing(1), of.over(2, version=1)):
            await self.assert_commits(store, Changes(calls=[call]))
            self.assertEqual([call], await self.read(store, rooms=[call.room]))
        for record_of_seats in (
            of.seats(3),
            of.seats(4, due=10.75, closed=True),
            SeatsRecord(RoomId("x"), 1, (None, None), None),
        ):
            await self.assert_commits(store, Changes(seats=[record_of_seats]))
            self.assertEqual([record_of_seats], await self.read(store, rooms=[record_of_seats.room]))
        self.assertIs(True, (await store.read([ANN.phone], [])).complete)

    async def test_rooms_of_any_name(self) -> None:
        """A room made up by hand may have any name of up to 64 characters."""
        store, of = await self.start()
        for name in ("our room", "{curly} 'quoted' \"twice\"", "房间", "a" * 64):
            record = SeatsRecord(RoomId(name), 1, (None, of.seats().seats[0]), None)
            await self.assert_commits(store, Changes(seats=[record]))
            self.assertEqual([record], await self.read(store, rooms=[RoomId(name)]))

    async def test_aliases(self) -> None:
        """A call is read by each of its aliases, as they now are, with its seats, for as long as it is there."""
        store, of = await self.start()
        first, second, third = (RoomId(letter * 32) for letter in "abc")
        ringing = replace(of.ringing(), aliases=((PAD, first), (TV, second)))
        await self.assert_commits(store, Changes(calls=[ringing]))
        for alias in (first, second):
            self.assertEqual(ringing, (await store.read((), [alias])).call(alias))
        self.assertIsNone((await store.read((), [third])).call(third))
        active = replace(ringing, version=2, aliases=(*ringing.aliases, (TV, third), (ANN, ringing.room)))
        await self.assert_commits(store, Changes(calls=[active], seats=[of.seats()]))
        for alias in (first, second, third, ringing.room):
            records = await store.read((), [alias], fresh=True)
            self.assertEqual((active, of.seats()), (records.call(alias), records.seats[ringing.room]))
        over = replace(of.over(version=3, due=SOON), aliases=active.aliases)
        await self.assert_commits(store, Changes(calls=[over], seats=[of.seats(version=2)]))
        self.assertEqual(over, (await store.read((), [third], fresh=True)).call(third))
        await self.pass_time(SOON + 1)
        list(await store.due(store.now()))
        self.assertIsNone((await store.read((), [third], fresh=True)).call(third))

    async def test_phone(self) -> None:
        """Reading a phone reads all its devices."""
        store, of = await self.start()
        await self.assert_commits(store, Changes(devices=[of.device(TV), of.device(ANN), of.device(PAD)]))
        records = await store.read([TV.phone], [])
        self.assertEqual({"pad": of.device(PAD), "tv": of.device(TV)}, dict(records.devices[TV.phone]))

    async def test_policies(self) -> None:
        """Data kept once for a phone is read with its devices, as last committed, and goes with the last device."""
        store, of = await self.start()
        for number, policy in enumerate((Policy(OTHERS, quiet=QuietHours(1, 2, "UTC")), Policy(only=OTHERS)), 1):
            devices = [of.device(one, number, policy=policy.in_record_of(one.device_id)) for one in (TV, PAD)]
            await self.assert_commits(store, Changes([*devices, of.device(ANN, number)], policies={TV.phone: policy}))
            records = await store.read([ANN.phone, TV.phone], [])
            self.assertEqual({TV.phone: policy}, dict(records.policies))
            self.assertEqual([policy] * 2, [*map(records.policy_of, records.devices[TV.phone].values())])
            self.assertEqual(ANYONE, records.policy_of(of.device(ANN, number)))
        await self.assert_commits(store, Changes(policies={TV.phone: Policy(OTHERS)}))
        self.assertEqual({TV.phone: Policy(OTHERS)}, dict((await store.read([TV.phone], [])).policies))
        for device in devices:
            self.assertEqual({TV.phone}, {*(await store.read([TV.phone], [])).policies})
            await self.assert_commits(store, Changes(forgotten=[device]))
        await self.assert_commits(store, Changes(policies={TV.phone: policy}))
        await self.assert_commits(store, Changes([of.device(TV, policy=policy.in_record_of(TV.device_id))]))
        records = await store.read([TV.phone], [])
        self.assertEqual(NOBODY, records.policy_of(records.devices[TV.phone][TV.device_id]))

    async def test_rooms_that_devices_name(self) -> None:
        """A phone is read with the calls and seats of every room that one of its devices names."""
        store, of = await self.start()
        calls = [of.ringing(1), of.ringing(2), of.ringing(3)]
        of_tv, of_pad = of.gone(TV), of.device(PAD, room=room_number(3))
        await self.assert_commits(store, Changes([of_tv, of_pad], calls, [of.seats(1), of.seats(3)]))
        records = await store.read([TV.phone], [])
        self.assertEqual(calls, [records.calls[call.room] for call in calls])
        self.assertEqual(of.seats(1), records.seats[room_number(1)])
        self.assertEqual(of.seats(3), records.seats[room_number(3)])
        self.assertNotIn(room_number(2), records.seats)

    async def test_room_that_is_not_there(self) -> None:
        """A device may name rooms whose call was forgotten."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.gone(TV)]))
        records = await store.read([TV.phone], [])
        self.assertNotIn(room_number(1), records.calls)
        self.assertNotIn(room_number(2), records.calls)

    # Committing

    async def test_next_version(self) -> None:
        """A record is followed by its next version."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.device(ANN)], [of.ringing(1)], [of.seats(1)]))
        new = Changes([of.gone(ANN, version=2)], [of.over(1)], [of.seats(1, version=2, closed=True)])
        await self.assert_commits(store, new)
        found = await self.read(store, [ANN.phone], [room_number(1)])
        self.assertEqual([*new.devices, *new.calls, *new.seats], found)

    async def test_nothing(self) -> None:
        """The decision that changes nothing can be committed."""
        store, _ = await self.start()
        await self.assert_commits(store, NOTHING)

    async def test_version_that_was_overtaken(self) -> None:
        """If somebody else was faster the commit does not happen, whichever record it was."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.device(ANN)], [of.ringing(1)], [of.seats(1)]))
        free = of.device(PAD)
        for wrong in (
            Changes([of.device(ANN)], notices=[Notice(ANN, of.ringing(1))]),
            Changes([free, of.device(ANN)], [of.ringing(2)]),
            Changes([free], [of.ringing(1)], notices=[Notice(ANN, of.ringing(1))]),
            Changes([free], [of.ringing(2), of.ringing(1)]),
            Changes([free], [of.ringing(2)], [of.seats(1)]),
            Changes([free], [of.over(1)], [of.seats(1)], notices=[Notice(ANN, of.over(1))]),
        ):
            await self.assert_refuses(store, wrong)

    async def test_version_out_of_nowhere(self) -> None:
        """A version that does not follow the present one is refused, also of a record that is not there."""
        store, of = await self.start()
        await self.assert_refuses(store, Changes(calls=[of.over(1, version=2)]))
        await self.assert_commits(store, Changes(calls=[of.ringing(1)]))
        await self.assert_refuses(store, Changes(calls=[of.over(1, version=3)]))

    async def test_two_at_once(self) -> None:
        """Exactly one of two transactions that are based on the same records commits."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.device(TV)]))
        both = [store.commit(Changes([of.device(TV, 2, room=room_number(n))], [of.ringing(n)])) for n in (1, 2)]
        results = [(await one).held for one in both]
        self.assertEqual([False, True], sorted(results))
        winner = results.index(True) + 1
        self.assertEqual([of.ringing(winner)], await self.read(store, rooms=[room_number(1), room_number(2)]))

    async def test_two_accept_at_once(self) -> None:
        """One of two devices that accept on the same records is put through, and the other learns that it is late."""
        store, of = await self.start()
        room, settings = room_number(1), CallSettings()
        rung = [of.device(device, room=room) for device in (ANN, TV, PAD)]
        await self.assert_commits(store, Changes(rung, [of.ringing(1)]))
        records = await store.read((), [room], fresh=True)
        both = {device: decide(records, Accept(room, device), store.now(), settings) for device in (TV, PAD)}
        under_way = {device: store.commit(decision.changes) for device, decision in both.items()}
        held = {device: (await one).held for device, one in under_way.items()}
        [winner], [loser] = ([device for device in held if held[device] is is_held] for is_held in (True, False))
        records = await store.read((), [room], fresh=True)
        self.assertIsInstance(records.calls[room].state, Active)
        self.assertEqual(winner, records.calls[room].callee)
        again = decide(records, Accept(room, loser), store.now(), settings)
        self.assertEqual((NOTHING, TooLate(Reason.ANSWERED_ELSEWHERE)), (again.changes, again.reply))

    async def test_what_was_relied_on(self) -> None:
        """A call that was relied on must be as it was read."""
        store, of = await self.start()
        await self.assert_commits(store, Changes(calls=[of.ringing(1)], seats=[of.seats(1)]))
        await self.assert_commits(store, Changes(seats=[of.seats(1, 2)], unchanged=[of.ringing(1)]))
        await self.assert_commits(store, Changes(calls=[of.over(1)], seats=[of.seats(1, 3)]))
        for relied_on in (of.ringing(1), of.over(1, version=3), of.ringing(2)):
            await self.assert_refuses(store, Changes([of.device(PAD)], seats=[of.seats(1, 4)], unchanged=[relied_on]))
        gone = [record for record in await self.read(store, rooms=[room_number(1)]) if isinstance(record, SeatsRecord)]
        await self.assert_refuses(store, Changes(forgotten=gone, unchanged=[of.ringing(1)]))
        await self.assert_commits(store, Changes(forgotten=gone, unchanged=[of.over(1)]))
        self.assertEqual([of.over(1)], await self.read(store, rooms=[room_number(1)]))

    async def test_rooms_are_whole(self) -> None:
        """A transaction that reads a call without its seats, or seats without their call, is consistent or refused."""
        store, of = await self.start()
        await self.assert_commits(store, Changes(calls=[of.ringing(1)]))
        await self.assert_refuses(store, Changes([of.device(PAD)], seats=[of.seats(1)]))
        await self.assert_commits(store, Changes(seats=[of.seats(1)], unchanged=[of.ringing(1)]))
        await self.assert_refuses(store, Changes([of.device(PAD)], calls=[of.over(1)]))
        await self.assert_commits(store, Changes(calls=[of.over(1)], forgotten=[of.seats(1)]))
        await self.assert_commits(store, Changes(seats=[of.seats(2)]))
        await self.assert_refuses(store, Changes([of.device(PAD)], calls=[of.ringing(2)]))
        await self.assert_commits(store, Changes(calls=[of.ringing(2)], seats=[of.seats(2, 2)]))

    # Telling

    async def test_notices(self) -> None:
        """The notices of a commit are published, in order, after those of the commit before."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.device(ANN), of.device(TV), of.device(PAD)], seats=[of.seats(1)]))
        first: list[Told] = [Notice(PAD, of.ringing(1)), Notice(TV, of.ringing(1))]
        second: list[Told] = [
            Notice(ANN, of.over(1)),
            Displaced(TV, store.node, 2),
            SeatNotice("red", of.seats(1, 3), of.over(1)),
        ]
        await self.assert_commits(store, Changes(calls=[of.ringing(1)], seats=[of.seats(1, 2)], notices=first))
        await self.assert_commits(store, Changes(calls=[of.over(1)], seats=[of.seats(1, 3)], notices=second))
        self.assertEqual(first + second, await self.receiver.first(5))

    async def test_everyone_is_reached(self) -> None:
        """Those who are not connected need not be reached: they are told when they are back."""
        store, of = await self.start()
        notices = [Notice(ANN, of.ringing(1)), Notice(TV, of.ringing(1)), Notice(PAD, of.ringing(1))]
        await self.assert_commits(store, Changes([of.device(ANN), of.gone(TV)], [of.ringing(1)], notices=notices))

    async def test_record_before_the_notice(self) -> None:
        """A notified node can read the record that the notice is about."""
        store, of = await self.start()
        await self.assert_commits(store, Changes([of.device(TV)]))
        await self.assert_commits(store, Changes(calls=[of.ringing(1)], notices=[Notice(TV, of.ringing(1))]))
        await self.receiver.first(1)
        self.assertEqual([of.ringing(1)], await self.read(store, rooms=[room_number(1)]))


class MemoryCallStoreTests(OfOneProcess, CallStoreContract, TestCase):
    """The store of a single process."""


class LateCallStoreTests(ThatAnswersLate, CallStoreContract, TestCase):
    """The tests' own store that answers late."""


class NodeStoreTests(OfSeveralNodes, CallStoreContract, TestCase):
    """The tests' own store of several nodes."""

    async def test_node_that_cannot_be_told(self) -> None:
        """Connected devices that could not be told, since nobody listens for their node, are named."""
        store, of = await self.start()
        there = Samples("there", of.start)
        devices = [of.device(ANN), there.device(TV), there.gone(PAD)]
        notices = [Notice(to, of.ringing(1)) for to in (ANN, PAD, TV)]
        commit = await store.commit(Changes(devices, [of.ringing(1)], notices=notices))
        self.assertEqual((True, (TV,)), (commit.held, commit.unreached))
        heard = Receiver()
        NodeBus(self.cluster, "there").subscribe(heard)
        again = [Notice(TV, of.ringing(1, 2))]
        await self.assert_commits(store, Changes(calls=[of.ringing(1, 2)], notices=again))
        self.assertEqual(again, await heard.first(1))
