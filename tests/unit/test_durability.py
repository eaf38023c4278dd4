"""A power failure: acknowledged data is on the disk."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import Unavailable
from callnet.storage.database import Database

NORMAL, FULL = 1, 2
"""In the words of SQLite's ``PRAGMA synchronous``."""


class DurabilityTests(SynchronousTestCase):
    """Transactions of SQLite."""

    def setUp(self) -> None:
        """A database in a file."""
        self.database = Database(f"sqlite:///{os.path.abspath(self.mktemp())}")
        self.database.upgrade()
        self.addCleanup(self.database.close)

    def level(self, may_be_lost: bool = False) -> int:
        """The durability of a transaction when it is done."""
        with self.database.write(may_be_lost) as connection:
            return int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())

    def test_promised(self) -> None:
        """A transaction is on the disk when it is done."""
        self.assertEqual(FULL, self.level())

    def test_may_be_lost(self) -> None:
        """Unless it may be lost; that holds for no other."""
        self.assertEqual([NORMAL, FULL, NORMAL], [self.level(True), self.level(), self.level(True)])


class PingTests(SynchronousTestCase):
    """Checking that a database can be used."""

    def test_damaged(self) -> None:
        """A file that was damaged while it is used is detected, and requests of it are to be repeated."""
        path = os.path.abspath(self.mktemp())
        database = Database(f"sqlite:///{path}")
        self.addCleanup(database.close)
        database.upgrade()
        database.ping()
        database.close()
        with open(path, "r+b") as file:
            file.seek(100)
            file.write(b"x" * 200_000)
        self.assertRaises(Unavailable, database.ping)
