"""The contract of every database for events that are to be sent."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace
from sqlalchemy import select
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from callnet.model import DeviceAddress, RoomId
from callnet.storage import contacts, devices
from callnet.storage import outbox as storage
from callnet.storage.enrolling import UNUSED_FOR, Newcomers, SqlAccounts
from callnet.storage.history import PastCall
from callnet.storage.outbox import DueEvent, OutboxEvent, SqlOutbox, Tried, chosen, drop, letters, retry
from callnet.storage.schema import outbox
from tests.contract.databases import OFFER, DatabaseCase, InFile, InMemory

ANN = DeviceAddress("13651884961", "phone")
TV = DeviceAddress("13651884967", "tv")
MINUTE = 60.0


def event(number: int = 1, **fields: Any) -> OutboxEvent:
    """An event."""
    body = json.dumps({"number": number, "phone": TV.phone}).encode()
    return replace(OutboxEvent(f"{number:032x}", "call_ended", 1000.0 + number, body, ANN.phone, TV.phone), **fields)


def missed(number: int = 1, peer: DeviceAddress = ANN, device: DeviceAddress = TV) -> OutboxEvent:
    """The event of a missed call that reached nobody."""
    room = RoomId(f"{number:032x}")
    call = PastCall(device.phone, 1000.0, room, True, device.device_id, peer, None, 1000.0, "missed", False, rang=False)
    return event(number, event="call_missed", unreached=call)


def numbers(due: Any) -> list[int]:
    """Which events these are."""
    return [int(one.id, 16) for one in due]


class OutboxContract(DatabaseCase):
    """Events."""

    contacts_only = False

    def setUp(self) -> None:
        """There are none."""
        super().setUp()
        self.outbox = SqlOutbox(self.database, self.run_there, self.contacts_only)

    async def take(self, now: float, most: int = 10) -> list[DueEvent]:
        """Those that are due, for a minute."""
        return list(await self.outbox.take(most, now, now + MINUTE))

    def rows(self) -> list[Any]:
        """All rows, by id."""
        with self.database.read() as connection:
            return list(connection.execute(select(outbox).order_by(outbox.c.id)))

    def test_taken(self) -> Deferred[None]:
        """An event is handed out as it was written, to one who asks; if it does not come back, to the next."""

        async def test() -> None:
            await self.outbox.write([event()], 5.0)
            self.assertEqual([], await self.take(4.9))
            self.assertEqual([DueEvent(event().id, event().body, 1)], await self.take(5.0))
            self.assertEqual([], await self.take(5.0 + MINUTE - 0.1))
            self.assertEqual([DueEvent(event().id, event().body, 2)], await self.take(5.0 + MINUTE))

        return self.check(test)

    def test_order(self) -> Deferred[None]:
        """Those that have been due for longest come first, at most the requested number."""

        async def test() -> None:
            for now, some in ((3.0, [5, 4]), (2.0, [3]), (1.0, [1, 2])):
                await self.outbox.write([event(number) for number in some], now)
            self.assertEqual([[1, 2, 3], [4, 5]], [numbers(await self.take(9.0, 3)) for _ in range(2)])

        return self.check(test)

    def test_again(self) -> Deferred[None]:
        """Writing an event again changes nothing, in whatever state it is: it is not sent again."""

        async def test() -> None:
            await self.outbox.write([event(1), event(1), event(2)], 1.0)
            await self.outbox.settle([Tried(one) for one in await self.take(1.0)], 2.0)
            await self.outbox.write([event(2), event(3)], 3.0)
            self.assertEqual([3], numbers(await self.take(9.0)))

        return self.check(test)

    def test_done(self) -> Deferred[None]:
        """Of a delivered event only its id is kept, for some time."""

        async def test() -> None:
            await self.outbox.write([event(1), event(2)], 1.0)
            one, other = await self.take(1.0)
            await self.outbox.settle([Tried(one)], 5.0)
            await self.outbox.settle([Tried(other)], 6.0)
            self.assertEqual({("", None, None, None)}, {(r.body, r.phone, r.peer_phone, r.due_at) for r in self.rows()})
            self.assertEqual((0, 0), await self.outbox.count(10))
            await self.outbox.forget(6.0, 6.0)
            self.assertEqual([2], numbers(self.rows()))

        return self.check(test)

    def test_put_off(self) -> Deferred[None]:
        """A postponed event is handed out again when it is due."""

        async def test() -> None:
            await self.outbox.write([event()], 1.0)
            [one] = await self.take(1.0)
            await self.outbox.settle([Tried(one, "status 500", 7.0)], 2.0)
            self.assertEqual([], await self.take(6.9))
            self.assertEqual([2], [again.tries for again in await self.take(7.0)])
            self.assertEqual(["status 500"], [row.failure for row in self.rows()])

        return self.check(test)

    def test_dead(self) -> Deferred[None]:
        """A dead letter is not handed out any more; it is counted, and removed when it is old."""

        async def test() -> None:
            await self.outbox.write([event(number) for number in range(5)], 1.0)
            some = await self.take(1.0, 2)
            await self.outbox.settle([Tried(one, "x" * 500) for one in some], 2.0)
            self.assertEqual([], [one for one in await self.take(9e9) if one in some])
            self.assertEqual([(3, 2), (1, 1)], [await self.outbox.count(10), await self.outbox.count(1)])
            await self.outbox.forget(0.0, 2.0)
            self.assertEqual(5, len(self.rows()))
            await self.outbox.forget(0.0, 2.1)
            self.assertEqual(3, len(self.rows()))

        return self.check(test)

    def test_late(self) -> Deferred[None]:
        """A late result, when another sender has taken the event, counts only if the receiver took it."""

        async def test() -> None:
            await self.outbox.write([event()], 1.0)
            [late] = await self.take(1.0)
            [now] = await self.take(1.0 + MINUTE)
            await self.outbox.settle([Tried(late, "status 500")], 70.0)
            await self.outbox.settle([Tried(late, "status 500", 71.0)], 70.0)
            self.assertEqual([], await self.take(80.0))
            await self.outbox.settle([Tried(late)], 80.0)
            await self.outbox.settle([Tried(now, "status 500", 81.0)], 81.0)
            self.assertEqual([80.0], [row.done_at for row in self.rows()])
            self.assertEqual([], await self.take(9e9))

        return self.check(test)

    def test_many_who_take(self) -> Deferred[None]:
        """No two of many concurrent senders are handed the same event, and all are handed out."""

        async def test() -> None:
            await self.outbox.write([event(number) for number in range(60)], 1.0)
            taken = await gatherResults([self.outbox.take(10, 2.0, 9.0) for _ in range(12)])
            handed_out = [number for some in taken for number in numbers(some)]
            while rest := numbers(await self.outbox.take(10, 2.0, 9.0)):
                handed_out += rest
            self.assertEqual(list(range(60)), sorted(handed_out))

        return self.check(test)

    def test_many_who_write(self) -> Deferred[None]:
        """Several nodes may write the same at once."""

        async def test() -> None:
            many = [event(number) for number in range(50)]
            await gatherResults(
                [self.outbox.write(many[n : n + 30][:: 1 - 2 * (n % 20 > 0)], 1.0) for n in range(0, 50, 10)]
            )
            self.assertEqual(50, len(self.rows()))

        return self.check(test)

    def test_nothing_is_due(self) -> Deferred[None]:
        """Looking when nothing is due costs one statement, which only reads."""

        async def test() -> None:
            await self.outbox.write([event()], 100.0)
            self.statements.clear()
            await self.take(1.0)
            self.assertEqual(1, len(self.statements))
            self.assertEqual([], self.writes())

        return self.check(test)

    def test_forget_many(self) -> Deferred[None]:
        """Old events are removed, whatever their number."""

        async def test() -> None:
            self.patch(storage, "_FORGOTTEN_AT_ONCE", 3)
            await self.outbox.write([event(number) for number in range(10)], 1.0)
            await self.outbox.settle([Tried(one) for one in await self.take(1.0)], 2.0)
            await self.outbox.forget(3.0, 0.0)
            self.assertEqual([], self.rows())

        return self.check(test)

    def test_unreached(self) -> Deferred[None]:
        """A missed call that reached nobody is reported if the history of the phone has it."""

        async def test() -> None:
            await self.outbox.write([missed(1)], 1.0)
            self.assertEqual([], self.rows())
            await self.enrolled(TV, ANN)
            if self.contacts_only:
                contacts.add(self.database, [contacts.Pair(TV.phone, ANN.phone)], 1.0)
            await self.outbox.write([missed(2), missed(3, device=TV._replace(device_id="pad")), event(4)], 1.0)
            self.assertEqual([2, 4], numbers(self.rows()))
            contacts.block(self.database, TV.phone, ANN.phone, 1.0)
            await self.outbox.write([missed(5), event(6)], 1.0)
            self.assertEqual([2, 4, 6], numbers(self.rows()))

        return self.check(test)

    def test_enrolled(self) -> Deferred[None]:
        """A new device is reported in the transaction that makes it, once, whoever makes it."""

        async def test() -> None:
            accounts = SqlAccounts(
                self.database, self.run_there, self.clock, Newcomers(lambda: 5.0, lambda: 0, UNUSED_FOR, is_told=True)
            )
            await self.enrolled(ANN)
            await gatherResults([accounts.enrol(TV, OFFER) for _ in range(3)])
            await accounts.enrol(ANN, OFFER)
            devices.provision(self.database, TV.phone, ["tv", "pad"], 6.0, is_told=True)
            devices.provision(self.database, TV.phone, ["box"], 7.0)
            told = [json.loads(one.body) for one in await self.take(9.0)]
            self.assertEqual(2, len({one.pop("id") for one in told}))
            common = {"event": "device_enrolled", "phone": TV.phone}
            self.assertEqual(
                [{**common, "at": 5.0, "device_id": "tv"}, {**common, "at": 6.0, "device_id": "pad"}], told
            )

        return self.check(test)

    def test_letters(self) -> Deferred[None]:
        """The operator can list dead letters, and on request waiting events; can have them sent again, or never."""

        async def test() -> None:
            await self.outbox.write([event(number) for number in range(4)], 1.0)
            due = await self.take(1.0)
            await self.outbox.settle(
                [Tried(due[0], "status 404"), Tried(due[1], "status 500", 99.0), Tried(due[2])], 2.0
            )
            self.assertEqual([(0, "status 404", True)], self.shown(with_waiting=False))
            self.assertEqual(
                [(0, "status 404", True), (1, "status 500", False), (3, "", False)], self.shown(with_waiting=True)
            )
            with self.database.write() as connection:
                self.assertEqual(2, retry(connection, chosen([]), 3.0))
            self.assertEqual([(0, 1), (1, 1)], [(int(one.id, 16), one.tries) for one in await self.take(3.0)])
            with self.database.write() as connection:
                self.assertEqual(1, drop(connection, chosen([event(3).id]), 4.0))
                self.assertEqual(0, drop(connection, chosen([event(2).id]), 4.0))
            await self.outbox.write([event(3)], 5.0)
            self.assertEqual([0, 1], [number for number, _, _ in self.shown(with_waiting=True)])

        return self.check(test)

    def shown(self, with_waiting: bool) -> list[tuple[int, str, bool]]:
        """Which letters are listed."""
        found = letters(self.database, with_waiting)
        return [(int(letter.id, 16), letter.failure, letter.is_dead) for letter in found]

    def test_deleted(self) -> Deferred[None]:
        """A phone whose data is removed is in no event any more; an event that was not delivered is not sent."""

        async def test() -> None:
            await self.outbox.write(
                [event(1), event(2, phone=TV.phone, peer_phone=None), event(3, peer_phone=None)], 1.0
            )
            found = devices.export(self.database, TV.phone)
            assert found is not None
            self.assertEqual([1, 2], [one["number"] for one in found.untold])
            self.assertTrue(devices.delete(self.database, TV.phone, lambda: 2.0))
            self.assertIsNone(devices.export(self.database, TV.phone))
            self.assertEqual([3], numbers(await self.take(9.0)))
            self.assertEqual(2, [TV.phone in row.body for row in self.rows()].count(False))

        return self.check(test)


class OutboxInMemory(InMemory, OutboxContract, TestCase):
    """SQLite in memory."""


class ContactsOnlyOutbox(InMemory, OutboxContract, TestCase):
    """The same where only contacts may call."""

    contacts_only = True


class OutboxInFile(InFile, OutboxContract, TestCase):
    """SQLite in a file."""
