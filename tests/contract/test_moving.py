"""The contract of every database for bulk rows."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from callnet import migration
from callnet.migration import Kind
from callnet.storage import contacts
from callnet.storage.changes import SqlChanges
from callnet.storage.contacts import Account, Pair
from callnet.storage.schema import outbox
from tests.contract.databases import DatabaseCase, InFile, InMemory

A, B, C = "13651884967", "13651884968", "13651884969"


class MovingContract(DatabaseCase):
    """Accounts, devices and contacts."""

    def all_of(self, kind: Kind, size: int = 2) -> list[tuple[str, ...]]:
        """All rows, some at a time."""
        found = list(migration.pages(self.database, kind, size))
        self.assertTrue(all(0 < len(page) <= size for page in found))
        return [key for page in found for key in page]

    def test_added(self) -> Deferred[None]:
        """Added rows are there, in order; existing rows stay unchanged, and no program is notified."""

        async def test() -> None:
            contacts.add(self.database, [Pair(A, B, "朋友")], 1.0)
            migration.add(self.database, Kind.ACCOUNTS, [(C,), (A,)], 1.0)
            for _ in range(2):
                migration.add(self.database, Kind.DEVICES, [(A, "tv"), (A, "TV"), (B, "x y")], 1.0)
                migration.add(self.database, Kind.CONTACTS, [(A, B), (A, C), (C, A)], 1.0)
            self.assertEqual(contacts.accounts(self.database), [Account(A, 2), Account(B, 1), Account(C, 0)])
            self.assertEqual(contacts.pairs_of(self.database, None), [Pair(A, B, "朋友"), Pair(A, C), Pair(C, A)])
            self.assertEqual(self.all_of(Kind.ACCOUNTS), [(A,), (B,), (C,)])
            self.assertEqual(self.all_of(Kind.DEVICES), [(A, "TV"), (A, "tv"), (B, "x y")])
            self.assertEqual(self.all_of(Kind.CONTACTS), [(A, B), (A, C), (C, A)])
            with self.database.read() as connection:
                self.assertEqual(connection.execute(outbox.select()).all(), [])

        return self.check(test)

    def test_missing(self) -> Deferred[None]:
        """Missing rows are found, compared character by character, in the order of the request."""

        async def test() -> None:
            for kind, there, others in (
                (Kind.ACCOUNTS, [(A,)], [(C,), (B,)]),
                (Kind.DEVICES, [(A, "tv")], [(B, "tv"), (A, "TV"), (A, "tv ")]),
                (Kind.CONTACTS, [(A, B)], [(B, A), (A, C)]),
            ):
                self.assertEqual(migration.missing(self.database, kind, []), [])
                self.assertEqual(migration.missing(self.database, kind, [*others, *there]), [*others, *there])
                migration.add(self.database, kind, there, 1.0)
                self.assertEqual(migration.missing(self.database, kind, [*others, *there]), others)

        return self.check(test)

    def test_many(self) -> Deferred[None]:
        """As many at a time as the migration takes are no problem."""

        async def test() -> None:
            keys = [(A, f"tv{number:04}") for number in range(1000)]
            migration.add(self.database, Kind.DEVICES, keys, 1.0)
            self.assertEqual(migration.missing(self.database, Kind.DEVICES, [*keys, (A, "new")]), [(A, "new")])
            self.assertEqual(self.all_of(Kind.DEVICES, 300), keys)

        return self.check(test)

    def test_nodes_look_at_lists_again(self) -> Deferred[None]:
        """Nodes look again at owners of lists that have grown, and at added phones: each may see the other now."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            migration.add(self.database, Kind.CONTACTS, [(A, B), (A, C)], 1.0)
            self.assertEqual([A, B, C], sorted((await changes.new()).phones))

        return self.check(test)


class MemoryTests(InMemory, MovingContract, TestCase):
    """SQLite in memory."""


class FileTests(InFile, MovingContract, TestCase):
    """SQLite in a file."""
