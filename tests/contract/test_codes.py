"""The contract of every database for one-time codes."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from callnet.storage.codes import SqlCodes
from callnet.storage.schema import one_time_code
from tests.contract.databases import DatabaseCase, InFile, InMemory

PHONE, FRIEND = "13651884967", "13651884968"
NOW = 1_600_000_000.5
FIRST, SECOND = b"1" * 32, b"2" * 32


class CodesContract(DatabaseCase):
    """Two nodes on one database."""

    def setUp(self) -> None:
        """Both."""
        super().setUp()
        self.codes, self.other = (SqlCodes(self.database, self.run_there) for _ in range(2))

    def put(self, digest: bytes = FIRST, phone: str = PHONE, most: int = 5, valid_for: float = 60.0) -> Deferred[bool]:
        """Keep a code for a minute."""
        return self.codes.put(phone, digest, NOW, valid_for, most)

    def test_newest(self) -> Deferred[None]:
        """The newest code of a phone is known on every node, until it is too old."""

        async def test() -> None:
            self.assertIsNone(await self.codes.try_(PHONE, NOW, 9))
            for digest in (FIRST, SECOND):
                self.assertTrue(await self.put(digest))
            await self.put(FIRST, phone=FRIEND)
            self.assertEqual(SECOND, await self.other.try_(PHONE, NOW, 9))
            await self.put(FIRST, valid_for=0.0)
            self.assertIsNone(await self.other.try_(PHONE, NOW, 9))

        return self.check(test)

    def test_tries(self) -> Deferred[None]:
        """Each attempt counts, on whichever node; a new code resets the count."""

        async def test() -> None:
            await self.put()
            looks = await gatherResults([node.try_(PHONE, NOW, 5) for node in (self.codes, self.other) * 5])
            self.assertEqual(5, looks.count(FIRST))
            await self.put(SECOND)
            self.assertEqual(SECOND, await self.codes.try_(PHONE, NOW, 5))

        return self.check(test)

    def test_spend(self) -> Deferred[None]:
        """Only one of many devices that show the same code at once gets in."""

        async def test() -> None:
            await self.put()
            spent = await gatherResults([node.spend(PHONE, FIRST) for node in (self.codes, self.other) * 5])
            self.assertEqual(1, spent.count(True))
            self.assertIsNone(await self.codes.try_(PHONE, NOW, 9))
            await self.put(SECOND)
            self.assertFalse(await self.codes.spend(PHONE, FIRST))

        return self.check(test)

    def pass_time(self, seconds: float) -> None:
        """Let everything that is kept be so much older."""
        row = one_time_code.c
        with self.database.write() as connection:
            connection.execute(
                one_time_code.update().values(since=row.since - seconds, expires_at=row.expires_at - seconds)
            )

    def test_at_once(self) -> Deferred[None]:
        """Many concurrent first requests get no more codes than as many sequential ones."""

        async def test() -> None:
            for phone in map(str, range(20)):
                puts = [node.put(phone, FIRST, NOW, 60.0, 2) for node in (self.codes, self.other) * 3]
                self.assertEqual(2, (await gatherResults(puts)).count(True))

        return self.check(test)

    def test_clock(self) -> Deferred[None]:
        """On PostgreSQL its clock counts, whatever that of the node says; SQLite goes by the machine's."""

        async def test() -> None:
            await self.put()
            kept = await self.other.try_(PHONE, NOW + 3600, 9)
            self.assertEqual(FIRST if self.database.threads > 1 else None, kept)

        return self.check(test)

    def test_an_hour(self) -> Deferred[None]:
        """The number of codes in an hour is limited, spent or not; each phone has an hour of its own."""

        async def test() -> None:
            self.assertEqual([True, True, False], [await self.put(most=2) for _ in range(3)])
            await self.codes.spend(PHONE, FIRST)
            self.pass_time(3590.0)
            self.assertFalse(await self.put(most=2))
            self.assertTrue(await self.put(phone=FRIEND, most=2))
            self.pass_time(11.0)
            self.assertTrue(await self.put(most=2))
            with self.database.read() as connection:
                kept = connection.exec_driver_sql("SELECT phone FROM one_time_code ORDER BY phone").all()
            self.assertEqual([PHONE, FRIEND], [phone for (phone,) in kept])
            self.pass_time(3601.0)
            self.assertTrue(await self.put())
            with self.database.read() as connection:
                kept = connection.exec_driver_sql("SELECT phone FROM one_time_code").all()
            self.assertEqual([PHONE], [phone for (phone,) in kept])

        return self.check(test)


class CodesInMemory(InMemory, CodesContract, TestCase):
    """SQLite in memory."""


class CodesInFile(InFile, CodesContract, TestCase):
    """SQLite in a file."""
