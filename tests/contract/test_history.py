"""What every database must do for the history of calls."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from callnet.history_interfaces import CallCursor, PastCall
from callnet.model import DeviceAddress, RoomId
from callnet.storage import contacts
from callnet.storage import history as storage
from callnet.storage.contacts import Pair
from callnet.storage.history import SqlHistory
from tests.contract.databases import DatabaseCase, InFile, InMemory

ANN = DeviceAddress("13651884961", "phone")
TV = DeviceAddress("13651884967", "tv")
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

    def test_written(self) -> Deferred[None]:
        """What was written is read again, every field of it, by the phone that it belongs to."""

        async def test() -> None:
            one = call()
            other = call(2, 2000.0, incoming=False, answered_at=None, outcome="no_answer", auto_answered=False)
            await self.history.write([one, other, call(phone=ANN.phone)])
            self.assertEqual([other, one], await self.calls())

        return self.check(test)

    def test_again(self) -> Deferred[None]:
        """What is written again, or as another node saw it, changes nothing."""

        async def test() -> None:
            await self.history.write([call(1), call(2)])
            await self.history.write([call(2, outcome="missed"), call(3), call(3, outcome="missed")])
            self.assertEqual(
                [(room_number(n), "answered") for n in (3, 2, 1)], [(c.room, c.outcome) for c in await self.calls()]
            )

        return self.check(test)

    def test_too_many(self) -> Deferred[None]:
        """Of each phone the newest are kept: once in a while, by the room of a call, the others are removed."""

        async def test() -> None:
            numbers = range(1, 2 * ROWS)
            for phone in (TV.phone, ANN.phone):
                await self.history.write([call(n, float(n), phone=phone) for n in numbers if n % 256])
            self.assertEqual(ROWS * 2 - 3, len(await self.calls(limit=1000)))
            late = 3 * 256
            await self.history.write([call(late, float(late))])
            kept = [late, *(n for n in reversed(numbers) if n % 256)][:ROWS]
            self.assertEqual([room_number(n) for n in kept], [one.room for one in await self.calls(limit=1000)])
            self.assertEqual(ROWS * 2 - 3, len(await self.history.past_calls(ANN.phone, None, 1000)))

        return self.check(test)

    def test_both_sides_of_one_phone(self) -> Deferred[None]:
        """A call between two devices of a phone has two rows there."""

        async def test() -> None:
            await self.history.write([call(peer=TV), call(peer=TV, incoming=False)])
            self.assertEqual([True, False], [one.incoming for one in await self.calls()])

        return self.check(test)

    def test_pages(self) -> Deferred[None]:
        """The newest come first; a page begins after the last call of the one before, whatever came meanwhile."""

        async def test() -> None:
            many = [call(number, 1000.0 + number // 3, incoming=bool(number % 2)) for number in range(10)]
            await self.history.write(many)
            everything = await self.calls()
            self.assertEqual(sorted(many, key=lambda c: (c.started_at, c.room, c.incoming), reverse=True), everything)
            pages, after = [], None
            while page := await self.calls(after, 3):
                pages += page
                after = page[-1]
                await self.history.write([call(100 + len(pages), 5000.0)])
            self.assertEqual(everything, pages)

        return self.check(test)

    def test_forget(self) -> Deferred[None]:
        """What began before a time is removed, however much it is."""

        async def test() -> None:
            self.patch(storage, "_FORGOTTEN_AT_ONCE", 4)
            await self.history.write([call(number, 1000.0 + number) for number in range(10)])
            await self.history.forget(1009.0)
            self.assertEqual([1009.0], [one.started_at for one in await self.calls()])
            await self.history.forget(1e9)
            self.assertEqual([], await self.calls())

        return self.check(test)

    def missed(self, device_id: str = "tv", number: int = 1, **fields: Any) -> PastCall:
        """A call that reached nobody."""
        return call(number, device_id=device_id, outcome="missed", rang=False, **fields)

    def test_unreached(self) -> Deferred[None]:
        """A call that reached nobody is written down for a device that there is, or with ``*`` for an account."""

        async def test() -> None:
            await self.history.write([self.missed(), self.missed("*", 2)])
            self.assertEqual([], await self.calls())
            await self.enrolled(TV)
            self.let_ann_call()
            await self.history.write([self.missed(), self.missed("*", 2), self.missed("pad", 3)])
            self.assertEqual({"tv", "*"}, {one.device_id for one in await self.calls()})
            self.assertEqual({True}, {one.rang for one in await self.calls()})

        return self.check(test)

    def let_ann_call(self) -> None:
        """Have the television's owner list her where only contacts may call."""
        if self.contacts_only:
            contacts.add(self.database, [Pair(TV.phone, ANN.phone)], 1.0)

    def test_unwanted(self) -> Deferred[None]:
        """The calls of whoever may not call are not written down for the phone; those of its own devices are."""

        async def test() -> None:
            await self.enrolled(TV, ANN)
            self.let_ann_call()
            contacts.block(self.database, TV.phone, ANN.phone, 1.0)
            own = self.missed(number=2, peer=TV._replace(device_id="pad"))
            await self.history.write([self.missed(), own, call(3)])
            self.assertEqual({room_number(2), room_number(3)}, {one.room for one in await self.calls()})

        return self.check(test)

    def test_at_once(self) -> Deferred[None]:
        """Several nodes may write the same at once."""

        async def test() -> None:
            many = [call(number) for number in range(50)]
            written = await DeferredList([self.history.write(many[n : n + 30]) for n in range(0, 50, 10)])
            self.assertEqual([True] * 5, [is_written for is_written, _ in written])
            self.assertEqual(50, len(await self.calls()))

        return self.check(test)


class ContactsOnlyContract(HistoryContract):
    """The same where only contacts may call."""

    contacts_only = True

    def test_no_contact(self) -> Deferred[None]:
        """Whom the phone does not list has not called it, for all that it is told."""

        async def test() -> None:
            await self.enrolled(TV, ANN)
            await self.history.write([self.missed()])
            self.assertEqual([], await self.calls())

        return self.check(test)


class HistoryInMemory(InMemory, HistoryContract, TestCase):
    """SQLite in memory."""


class HistoryInFile(InFile, ContactsOnlyContract, TestCase):
    """SQLite in a file."""
