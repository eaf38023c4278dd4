"""The contract of every database for the history of calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import select
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from callnet.model import DeviceAddress, RoomId, Topic
from callnet.storage import contacts
from callnet.storage import history as storage
from callnet.storage.changes import SqlChanges
from callnet.storage.contacts import Pair
from callnet.storage.devices import delete
from callnet.storage.history import CallCursor, PastCall, Sides, SqlHistory, SqlRoster, missed_calls, past_calls
from callnet.storage.schema import past_call
from tests.contract.databases import DatabaseCase, InFile, InMemory

ANN = DeviceAddress("13651884961", "phone")
TV = DeviceAddress("13651884967", "tv")
CAROL = DeviceAddress("13651884968", "pad")
DAY = 86400.0
ROWS = 300
"""Calls of a phone that are kept."""


def room_number(number: int) -> RoomId:
    """A room id."""
    return RoomId(f"{number:032x}")


def call(number: int = 1, started_at: float = 1000.25, **fields: Any) -> PastCall:
    """A call of Ann's to the television, as that sees it."""
    past = PastCall(*TV[:1], started_at, room_number(number), True, TV.device_id, ANN, 1001.5, 1002.0, "answered", True)
    return replace(past, **fields)


def whole(side: PastCall, **other: Any) -> Sides:
    """A call with this as one side; ``other``: the fields of the other side that differ."""
    back = replace(
        side,
        phone=side.peer.phone,
        device_id=side.peer.device_id,
        peer=DeviceAddress(side.phone, side.device_id),
        incoming=not side.incoming,
        rang=True,
    )
    back = replace(back, **other)
    return (back, side) if side.incoming else (side, back)


class HistoryContract(DatabaseCase):
    """Past calls."""

    contacts_only = False

    def setUp(self) -> None:
        """Nobody has called yet."""
        super().setUp()
        self.history = SqlHistory(self.database, self.run_there, self.contacts_only, ROWS)

    async def calls(self, after: PastCall | None = None, limit: int = 100) -> list[PastCall]:
        """The television's calls."""
        cursor = None if after is None else CallCursor(after.started_at, after.room, after.incoming)
        return list(await self.history.past_calls(TV.phone, cursor, limit))

    async def write(self, *sides: PastCall) -> None:
        """Record calls that have these as one side."""
        await self.history.write([whole(side) for side in sides], 1.0)

    def test_written(self) -> Deferred[None]:
        """An entry is read back with every field, by the phone that it belongs to."""

        async def test() -> None:
            one = call()
            other = call(2, 2000.0, incoming=False, answered_at=None, outcome="no_answer", auto_answered=False)
            await self.write(one, other, call(3, phone=CAROL.phone))
            self.assertEqual([other, one], await self.calls())

        return self.check(test)

    def test_again(self) -> Deferred[None]:
        """Writing an entry again, or as another node saw it, changes nothing."""

        async def test() -> None:
            await self.write(call(1), call(2))
            await self.write(call(2, outcome="missed"), call(3), call(3, outcome="missed"))
            self.assertEqual(
                [(room_number(n), "answered") for n in (3, 2, 1)], [(c.room, c.outcome) for c in await self.calls()]
            )

        return self.check(test)

    def test_too_many(self) -> Deferred[None]:
        """The newest calls of each phone are kept: now and then, by the room of a call, the others are removed."""

        async def test() -> None:
            numbers = range(1, 2 * ROWS)
            await self.write(*[call(n, float(n)) for n in numbers if n % 256])
            for late, looked_at, other, left in ((3 * 256, TV, ANN, 2 * ROWS - 3), (4 * 256, ANN, TV, ROWS)):
                self.assertEqual(2 * ROWS - 3, len(await self.history.past_calls(looked_at.phone, None, 1000)))
                await self.write(call(late, float(late), phone=looked_at.phone, peer=CAROL))
                kept = [late, *(n for n in reversed(numbers) if n % 256)][:ROWS]
                found = await self.history.past_calls(looked_at.phone, None, 1000)
                self.assertEqual([room_number(n) for n in kept], [one.room for one in found])
                self.assertEqual(left, len(await self.history.past_calls(other.phone, None, 1000)))

        return self.check(test)

    def test_both_sides_of_one_phone(self) -> Deferred[None]:
        """A call between two devices of a phone is there twice."""

        async def test() -> None:
            await self.write(call(peer=TV))
            self.assertEqual([True, False], [one.incoming for one in await self.calls()])
            self.assertEqual([False], [one.incoming for one in await self.calls(call(peer=TV))])

        return self.check(test)

    def test_pages(self) -> Deferred[None]:
        """The newest come first; a page begins after the last call of the one before, whatever came meanwhile."""

        async def test() -> None:
            many = [call(number, 1000.0 + number // 3, incoming=bool(number % 2)) for number in range(10)]
            await self.write(*many)
            everything = await self.calls()
            self.assertEqual(sorted(many, key=lambda c: (c.started_at, c.room, c.incoming), reverse=True), everything)
            pages, after = [], None
            while page := await self.calls(after, 3):
                pages += page
                after = page[-1]
                await self.write(call(100 + len(pages), 5000.0))
            self.assertEqual(everything, pages)

        return self.check(test)

    def test_forget(self) -> Deferred[None]:
        """All entries from before a time are removed, whatever their number."""

        async def test() -> None:
            self.patch(storage, "_FORGOTTEN_AT_ONCE", 4)
            await self.write(*[call(number, 1000.0 + number) for number in range(10)])
            await self.history.forget(1009.0)
            self.assertEqual([1009.0], [one.started_at for one in await self.calls()])
            await self.history.forget(1e9)
            self.assertEqual([], await self.calls())

        return self.check(test)

    def test_one_row(self) -> Deferred[None]:
        """A call is one row, and each of its phones sees its own side."""

        async def test() -> None:
            called = call(device_id="pad", outcome="refused", answered_at=None)
            sides = whole(called, room=room_number(2), peer=TV._replace(device_id="*"), outcome="busy")
            await self.history.write([sides], 1.0)
            self.assertEqual([called], await self.calls())
            self.assertEqual([sides[0]], await self.history.past_calls(ANN.phone, None, 10))
            self.assertEqual(1, self.rows())

        return self.check(test)

    def rows(self) -> int:
        """The number of rows."""
        with self.database.read() as connection:
            return len(connection.execute(select(past_call)).all())

    def test_deleted(self) -> Deferred[None]:
        """When a phone is deleted its own history goes, and nobody else's; the row goes with the last of them."""

        async def test() -> None:
            for first, second in ((TV, ANN), (ANN, TV)):
                await self.write(call(), call(2, 2000.0, incoming=False), call(3, 3000.0, peer=TV))
                own = await self.history.past_calls(second.phone, None, 10)
                self.assertEqual(4 if second == TV else 2, len(own))
                self.assertTrue(delete(self.database, first.phone, lambda: 5.0))
                self.assertEqual([], await self.history.past_calls(first.phone, None, 10))
                self.assertEqual(own, await self.history.past_calls(second.phone, None, 10))
                delete(self.database, second.phone, lambda: 5.0)
                self.assertEqual(0, self.rows())

        return self.check(test)

    def test_one_deleted(self) -> Deferred[None]:
        """One call is removed from the history of a phone, by the room that the phone knows, or all are; the other
        phone keeps its own. Nodes are told if there was any.
        """

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await changes.new()
            own, theirs = room_number(1), room_number(11)
            one = call(room=own)
            await self.history.write([whole(one, room=theirs)], 1.0)
            await self.write(call(2, 2000.0, incoming=False), *(call(n, n * 1e3) for n in (3, 4, 5)))
            for room, left in (
                (theirs, [5, 4, 3, 2, 1]),
                (own, [5, 4, 3, 2]),
                (own, [5, 4, 3, 2]),
                (room_number(4), [5, 3, 2]),
                (room_number(2), [5, 3]),
                (None, []),
                (None, []),
            ):
                before = len(await self.calls())
                await self.history.delete(TV.phone, room, 1.0)
                self.assertEqual([room_number(number) for number in left], [past.room for past in await self.calls()])
                told = {} if before == len(left) else {TV.phone: {Topic.HISTORY}}
                self.assertEqual(told, (await changes.new()).phones)
            kept = await self.history.past_calls(ANN.phone, None, 10)
            self.assertEqual([*map(room_number, (5, 4, 3, 2)), theirs], [past.room for past in kept])

        return self.check(test)

    def test_news(self) -> Deferred[None]:
        """Nodes are told of new calls of a phone that has an extended device, and another one."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            roster = SqlRoster(self.database, self.run_there)
            await self.enrolled(TV, TV._replace(device_id="pad"), ANN, CAROL)
            for number, extended, told in ((1, CAROL, {}), (2, TV, {TV.phone}), (3, ANN, {TV.phone})):
                await roster.met({extended: 1.0})
                await changes.new()
                await self.write(call(number), call(number + 10, peer=CAROL))
                found = (await changes.new()).phones
                self.assertEqual({phone: {Topic.HISTORY} for phone in told}, found)

        return self.check(test)

    def test_sides(self) -> Deferred[None]:
        """Each phone sees its own sides: of a call whose room it knows by another id, and of calls within a phone."""

        async def test() -> None:
            fork = whole(call(1, room=room_number(101), peer=ANN), room=room_number(1), outcome="busy")
            own = whole(call(2, 2000.0, peer=TV._replace(device_id="pad")))
            missed = whole(call(3, 3000.0, answered_at=None, outcome="missed"))
            back, last = whole(call(4, 4000.0, incoming=False)), whole(call(5, 5000.0, outcome="missed"))
            calls = [fork, own, missed, back, last]
            await self.history.write(calls, 1.0)
            self.assert_seen([side for sides in calls for side in sides])

        return self.check(test)

    def assert_seen(self, sides: Sequence[PastCall]) -> None:
        """Each phone sees these of its sides, whole and page by page."""
        newest_first = sorted(sides, key=lambda one: (one.started_at, one.room, one.incoming), reverse=True)
        with self.database.read() as connection:
            for phone in (TV.phone, ANN.phone):
                own = [one for one in newest_first if one.phone == phone]
                self.assertEqual(own, past_calls(connection, phone))
                missed = [one for one in own if one.incoming and one.outcome == "missed"]
                self.assertEqual(missed, missed_calls(connection, phone, 0.0, 9))
                for number, one in enumerate(own, 1):
                    cursor = CallCursor(one.started_at, one.room, one.incoming)
                    self.assertEqual(own[number:][:2], past_calls(connection, phone, cursor, 2))

    def missed(self, device_id: str = "tv", number: int = 1, **fields: Any) -> PastCall:
        """A call that reached nobody."""
        return call(number, device_id=device_id, outcome="missed", rang=False, **fields)

    def test_unreached(self) -> Deferred[None]:
        """A call that reached nobody is recorded for an existing device, or with ``*`` for an account."""

        async def test() -> None:
            await self.write(self.missed(), self.missed("*", 2))
            self.assertEqual([], await self.calls())
            await self.enrolled(TV)
            self.let_ann_call()
            await self.write(self.missed(number=3), self.missed("*", 4), self.missed("pad", 5))
            self.assertEqual({"tv", "*"}, {one.device_id for one in await self.calls()})
            self.assertEqual({True}, {one.rang for one in await self.calls()})
            placed = await self.history.past_calls(ANN.phone, None, 10)
            self.assertEqual([(room_number(n), False) for n in (5, 4, 3, 2, 1)], [(c.room, c.incoming) for c in placed])

        return self.check(test)

    def let_ann_call(self) -> None:
        """Have the television's owner list her where only contacts may call."""
        if self.contacts_only:
            contacts.add(self.database, [Pair(TV.phone, ANN.phone)], 1.0)

    def test_unwanted(self) -> Deferred[None]:
        """Calls of a rejected caller are not recorded for the phone; those of its own devices are."""

        async def test() -> None:
            await self.enrolled(TV, ANN)
            self.let_ann_call()
            contacts.block(self.database, TV.phone, ANN.phone, 1.0)
            own = self.missed(number=2, peer=TV._replace(device_id="pad"))
            await self.write(self.missed(), own, call(3))
            self.assertEqual({room_number(2), room_number(3)}, {one.room for one in await self.calls()})

        return self.check(test)

    def test_unwanted_by_a_strict_phone(self) -> Deferred[None]:
        """Nor are those of a phone that is not a contact of one that only contacts may call."""

        async def test() -> None:
            await self.enrolled(TV, ANN)
            self.let_ann_call()
            await self.set_(TV.phone, who_may_call="contacts")
            carol = self.missed(number=2, peer=CAROL)
            await self.write(self.missed(), carol, self.missed(number=3, peer=TV._replace(device_id="pad")))
            told = {room_number(1), room_number(3)} if self.contacts_only else {room_number(3)}
            self.assertEqual(told, {one.room for one in await self.calls()})
            contacts.add(self.database, [Pair(TV.phone, CAROL.phone)], 1.0)
            await self.write(self.missed(number=4, peer=CAROL))
            self.assertIn(room_number(4), {one.room for one in await self.calls()})

        return self.check(test)

    def test_at_once(self) -> Deferred[None]:
        """Several nodes may write the same at once."""

        async def test() -> None:
            many = [call(number) for number in range(50)]
            some = [[whole(one) for one in many[n : n + 30]] for n in range(0, 50, 10)]
            written = await DeferredList([self.history.write(calls, 1.0) for calls in some])
            self.assertEqual([True] * 5, [is_written for is_written, _ in written])
            self.assertEqual(50, len(await self.calls()))

        return self.check(test)


class ContactsOnlyContract(HistoryContract):
    """The same where only contacts may call."""

    contacts_only = True

    def test_no_contact(self) -> Deferred[None]:
        """A missed call from a phone that is not a contact is not in the callee's history."""

        async def test() -> None:
            await self.enrolled(TV, ANN)
            await self.write(self.missed())
            self.assertEqual([], await self.calls())

        return self.check(test)


class HistoryInMemory(InMemory, HistoryContract, TestCase):
    """SQLite in memory."""


class HistoryInFile(InFile, ContactsOnlyContract, TestCase):
    """SQLite in a file."""
