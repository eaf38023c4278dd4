"""Which schema a database has, and how it is brought up to date."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.schema import CreateIndex, CreateTable
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from callnet.errors import StartError, Unavailable
from callnet.storage import schema
from callnet.storage.database import Database
from callnet.storage.schema import call_history, metadata, schema_info
from tests.contract.databases import DatabaseCase, InFile, InMemory

reactor: Any = installed


class SchemaContract(DatabaseCase):
    """The schema of any database."""

    def make_database(self) -> Database:
        """A database that was made, not copied."""
        database = Database(self.make_url())
        database.upgrade()
        return database

    def test_upgrading_twice_changes_nothing(self) -> None:
        """A database that is up to date is left as it is."""
        self.statements.clear()
        self.database.upgrade()
        self.database.check()
        self.assertEqual([s for s in self.writes() if s.startswith(("CREATE", "INSERT", "UPDATE", "ALTER"))], [])

    def test_empty_database_is_told_apart(self) -> None:
        """A check of a new database names the command to run, and does not run it."""
        database = Database(self.make_url())
        self.addCleanup(database.close)
        for _ in range(2):
            error = self.assertRaises(StartError, database.check)
            self.assertIn("callnet database upgrade", str(error))

    def test_newer_database_that_allows_this_code(self) -> None:
        """A database with a newer schema is used, if that allows code as old as this."""
        self.make_newer(oldest_code=schema.code_level())
        self.database.check()
        self.database.upgrade()
        with self.database.read() as connection:
            self.assertEqual(schema.database_level(connection), schema.code_level() + 1)

    def test_newer_database_that_does_not(self) -> None:
        """A database that needs newer code stops the start with a line that names the setting."""
        self.make_newer(oldest_code=schema.code_level() + 1)
        for method in (self.database.check, self.database.upgrade):
            error = self.assertRaises(StartError, method)
            self.assertIn(f"database.url: the database needs schema level {schema.code_level() + 1}", str(error))
            self.assertEqual(len(str(error).splitlines()), 1)

    def test_foreign_database(self) -> None:
        """A database that belongs to another program is not touched."""
        with self.database.write() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'ae1027a6acf'")
        self.assertIn("belongs to another program", str(self.assertRaises(StartError, self.database.upgrade)))

    def test_database_of_before_the_first_release(self) -> None:
        """A database that is older than any release is left as it is; the error names the version that upgrades it."""
        with self.database.write() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0014'")
        for method in (self.database.check, self.database.upgrade):
            error = self.assertRaises(StartError, method)
            self.assertIn("run `callnet database upgrade` of callnet 1.0.0rc1", str(error))
        with self.database.read() as connection:
            self.assertEqual(connection.exec_driver_sql("SELECT * FROM alembic_version").all(), [("0014",)])

    def make_newer(self, oldest_code: int) -> None:
        """Make the schema look as one of newer code."""
        with self.database.write() as connection:
            newer = f"{schema.code_level() + 1:04}"
            connection.execute(text("UPDATE alembic_version SET version_num = :newer"), {"newer": newer})
            connection.execute(schema_info.update().values(oldest_code=oldest_code))

    def test_schema_is_that_of_the_tables(self) -> None:
        """The migrations make exactly the tables that the code is written for."""
        with self.migrated().read() as connection:
            migration = MigrationContext.configure(connection)
            self.assertEqual(compare_metadata(migration, metadata), [])

    def test_new_database_is_as_a_migrated_one(self) -> None:
        """A new database, which is not migrated, has the tables that the migrations leave, and the same rows."""
        with self.database.read() as made, self.migrated().read() as migrated:
            self.assertEqual(self.described(made), self.described(migrated))

    def test_calls_of_before_the_first_release(self) -> None:
        """Calls that were written before the first release are removed: nothing would show or remove them later."""
        call = {"started_at": 1.0, "room_id": "r", "incoming": True, "ended_at": 2.0, "outcome": "missed"}
        people = {"phone": "1", "device_id": "a", "peer_phone": "2", "peer_device_id": "b", "auto_answered": False}
        with self.migrated([call | people]).read() as connection:
            self.assertEqual([], connection.execute(call_history.select()).all())

    def migrated(self, calls: Sequence[Mapping[str, object]] = ()) -> Database:
        """A database of the first release that is upgraded.

        :param calls: rows of calls from before it.
        """
        database = Database(self.make_url())
        self.addCleanup(database.close)
        with database.write() as connection:
            schema.migrate(connection, "0015")
            for call in calls:
                connection.execute(call_history.insert().values(call))
        database.upgrade()
        return database

    def described(self, connection: Connection) -> list[object]:
        """The statements that would make each table and its indexes, and its rows."""
        found = MetaData()
        found.reflect(connection)
        return [
            (
                str(CreateTable(table).compile(connection)),
                sorted(str(CreateIndex(index).compile(connection)) for index in table.indexes),
                connection.execute(table.select()).all(),
            )
            for table in found.sorted_tables
        ]


class SharedSchemaContract(SchemaContract):
    """The schema of a database that several processes use."""

    program = "import sys; from callnet.storage.database import Database; Database(sys.argv[1]).upgrade()"
    timeout = 600
    """Seconds in which all processes are done. They have what other tests leave of the machine."""

    def other_database(self, url: str) -> Database:
        """The same database, as another process sees it."""
        database = Database(url)
        self.addCleanup(database.close)
        return database

    def test_two_processes_start_at_once(self) -> Deferred[None]:
        """Processes that start at once upgrade a new database once, and all of them go on."""

        async def test() -> None:
            url = self.make_url()
            outcomes = await gatherResults(
                [getProcessOutputAndValue(sys.executable, ["-c", self.program, url], os.environ) for _ in range(3)]
            )
            for output, errors, status in outcomes:
                self.assertEqual((output, errors, status), (b"", b"", 0))
            database = Database(url)
            self.addCleanup(database.close)
            database.check()
            with database.read() as connection:
                self.assertEqual(connection.exec_driver_sql("SELECT oldest_code FROM schema_info").all(), [(1,)])

        return self.check(test)

    def test_upgrade_is_all_or_nothing(self) -> None:
        """An upgrade that is cut off leaves the database as it was."""
        database = Database(self.make_url())
        self.addCleanup(database.close)
        try:
            with database.write() as connection:
                schema.upgrade(connection)
                self.assertEqual(schema.database_level(connection), schema.code_level())
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        with database.read() as connection:
            self.assertEqual(schema.database_level(connection), 0)
            self.assertFalse(connection.dialect.has_table(connection, "account"))

    def test_lock_is_held_until_the_end(self) -> None:
        """While one process upgrades, another cannot begin to."""
        url = self.make_url()
        other = self.other_database(url)
        with self.other_database(url).write() as connection:
            schema.upgrade(connection)
            with self.assertRaises(Unavailable), other.read() as second:
                self.upgrade_impatiently(second)

    def upgrade_impatiently(self, connection: Connection) -> None:
        """Take the lock of an upgrade, or fail at once."""
        raise NotImplementedError


class SchemaInMemory(InMemory, SchemaContract, TestCase):
    """On SQLite in memory."""


class SchemaInFile(InFile, SharedSchemaContract, TestCase):
    """On SQLite in a file."""

    def upgrade_impatiently(self, connection: Connection) -> None:
        """See the contract."""
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
