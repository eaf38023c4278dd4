"""What every database must do for one-time codes: SQLite, and a real PostgreSQL."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from callnet.storage.codes import SqlCodes
from tests.contract.databases import DatabaseCase, InFile, InMemory, OnPostgresql

PHONE, FRIEND = "13651884967", "13651884968"
NOW = 1_600_000_000.5
FIRST, SECOND = b"1" * 32, b"2" * 32


class CodesContract(DatabaseCase):
    """Two nodes on one database."""

    def setUp(self) -> None:
        """Both."""
        super().setUp()
        self.codes, self.other = (SqlCodes(self.database, self.run_there) for _ in range(2))

    def put(self, digest: bytes = FIRST, now: float = NOW, phone: str = PHONE, most: int = 5) -> Deferred[bool]:
        """Keep a code for a minute."""
        return self.codes.put(phone, digest, now, 60.0, most)

    def test_newest(self) -> Deferred[None]:
        """The newest code of a phone is known on every node, until it is too old."""

        async def test() -> None:
            self.assertIsNone(await self.codes.try_(PHONE, NOW, 9))
            for digest in (FIRST, SECOND):
                self.assertTrue(await self.put(digest))
            await self.put(FIRST, phone=FRIEND)
            self.assertEqual(SECOND, await self.other.try_(PHONE, NOW + 59.9, 9))
            self.assertIsNone(await self.other.try_(PHONE, NOW + 60, 9))

        return self.check(test)

    def test_tries(self) -> Deferred[None]:
        """Each look counts, on whichever node; with a new code they begin anew."""

        async def test() -> None:
            await self.put()
            looks = await gatherResults([node.try_(PHONE, NOW, 5) for node in (self.codes, self.other) * 5])
            self.assertEqual(5, looks.count(FIRST))
            await self.put(SECOND)
            self.assertEqual(SECOND, await self.codes.try_(PHONE, NOW, 5))

        return self.check(test)

    def test_spend(self) -> Deferred[None]:
        """Of many who show the same code at once one gets in."""

        async def test() -> None:
            await self.put()
            spent = await gatherResults([node.spend(PHONE, FIRST) for node in (self.codes, self.other) * 5])
            self.assertEqual(1, spent.count(True))
            self.assertIsNone(await self.codes.try_(PHONE, NOW, 9))
            await self.put(SECOND)
            self.assertFalse(await self.codes.spend(PHONE, FIRST))

        return self.check(test)

    def test_an_hour(self) -> Deferred[None]:
        """So many codes are kept in an hour, spent or not; each phone has an hour of its own."""

        async def test() -> None:
            self.assertEqual([True, True, False], [await self.put(most=2) for _ in range(3)])
            await self.codes.spend(PHONE, FIRST)
            self.assertFalse(await self.put(now=NOW + 3600, most=2))
            self.assertTrue(await self.put(phone=FRIEND, most=2))
            self.assertTrue(await self.put(now=NOW + 3600.5, most=2))
            with self.database.read() as connection:
                kept = connection.exec_driver_sql("SELECT phone FROM one_time_code").all()
            self.assertEqual([PHONE], [phone for (phone,) in kept])

        return self.check(test)


class CodesInMemory(InMemory, CodesContract, TestCase):
    """SQLite in memory."""


class CodesInFile(InFile, CodesContract, TestCase):
    """SQLite in a file."""


class CodesOnPostgresql(OnPostgresql, CodesContract, TestCase):
    """PostgreSQL."""
