"""What every database must do: one contract, run against SQLite and against a real PostgreSQL."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, StatementError
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from callnet.errors import StartError, Unavailable
from callnet.interfaces import Contact
from callnet.model import DeviceAddress
from callnet.storage import contacts, schema
from callnet.storage.contacts import Account, Pair
from callnet.storage.database import Database
from callnet.storage.sql import Run, SqlAccounts, SqlContacts
from callnet.storage.tables import contact, schema_info
from callnet.storage.threads import Threads
from tests import postgres
from tests.immediate import run_at_once

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object

PHONE = "13651884967"
TV = DeviceAddress(PHONE, "tv888")


class DatabaseContract(_Base):
    """Where accounts and contacts are kept."""

    database: Database
    run_: Run

    def setUp(self) -> None:
        """A new database with an up-to-date schema, whose statements are noted."""
        self.database = Database(self.make_url())
        self.addCleanup(self.database.close)
        self.database.upgrade()
        self.run_ = self.make_run()
        self.accounts = SqlAccounts(self.database, self.run_)
        self.contacts = SqlContacts(self.database, self.run_)
        self.statements: list[str] = []
        event.listen(self.database._engine, "before_cursor_execute", self._note)

    def make_url(self) -> str:
        """The URL of a new, empty database."""
        raise NotImplementedError

    def make_run(self) -> Run:
        """What runs the database's functions."""
        return run_at_once

    def _note(self, *args: object) -> None:
        self.statements.append(str(args[2]))

    def writes(self) -> list[str]:
        """The statements so far that were no reading."""
        return [statement for statement in self.statements if not statement.startswith("SELECT")]

    async def enrolled(self, *addresses: DeviceAddress) -> None:
        """Let devices log in, one after the other."""
        for address in addresses:
            await self.accounts.enrol(address)

    def check(self, test: Callable[[], object]) -> Deferred[None]:
        """Run a test that may have to wait."""
        return Deferred.fromCoroutine(test())  # type: ignore[arg-type]

    def test_first_login_makes_account_and_device(self) -> Deferred[None]:
        """A first login makes the account and the device, a second device joins the account."""

        async def test() -> None:
            await self.enrolled(TV, DeviceAddress(PHONE, "phone"), DeviceAddress("13651884968", "tv"))
            self.assertEqual(contacts.accounts(self.database), [Account(PHONE, 2), Account("13651884968", 1)])

        return self.check(test)

    def test_known_device_does_not_write(self) -> Deferred[None]:
        """A login of a known device writes nothing and opens no transaction."""

        async def test() -> None:
            await self.enrolled(TV)
            self.statements.clear()
            await self.enrolled(TV)
            self.assertEqual(self.writes(), [])
            self.assertEqual(len(self.statements), 1)

        return self.check(test)

    def test_same_device_at_once(self) -> Deferred[None]:
        """The same new device may log in many times at once."""

        async def test() -> None:
            await gatherResults([self.accounts.enrol(TV) for _ in range(20)])
            self.assertEqual(contacts.accounts(self.database), [Account(PHONE, 1)])

        return self.check(test)

    def test_one_row_for_each_device(self) -> Deferred[None]:
        """A contact list has one entry for each device of each contact, and none for a contact without a device."""

        async def test() -> None:
            contacts.add(self.database, [Pair("1", PHONE, "电视"), Pair("1", "13651884968"), Pair("2", "1")])
            await self.enrolled(TV, DeviceAddress(PHONE, "a"), DeviceAddress("1", "x"))
            found = await self.contacts.contacts_of("1")
            self.assertEqual(found, [Contact(PHONE, "a", "电视"), Contact(PHONE, "tv888", "电视")])
            self.assertEqual(await self.contacts.contacts_of("3"), [])

        return self.check(test)

    def test_order_is_that_of_unicode(self) -> Deferred[None]:
        """Entries come by phone, then by device id, in the order of code points, whatever the database's locale."""

        async def test() -> None:
            ids = ["a", "B", "é", "z", "_", "-", " ", "中", "Z", "\U0001f4fa", "\uffff", "0", "a b", "ab"]
            contacts.add(self.database, [Pair("1", PHONE), Pair("1", "+86"), Pair("1", "08")])
            await self.enrolled(*(DeviceAddress(PHONE, name) for name in ids))
            await self.enrolled(DeviceAddress("+86", "z"), DeviceAddress("08", "z"))
            found = await self.contacts.contacts_of("1")
            keys = [(entry.phone, entry.device_id) for entry in found]
            self.assertEqual(keys, [("+86", "z"), ("08", "z"), *((PHONE, name) for name in sorted(ids))])

        return self.check(test)

    def test_pages(self) -> Deferred[None]:
        """A list read in pages of any size is the list, and a page begins right after an entry that is gone."""

        async def test() -> None:
            contacts.add(self.database, [Pair("1", str(phone)) for phone in range(5)])
            await self.enrolled(*(DeviceAddress(str(n), name) for n in range(5) for name in ("a", "b", "C")))
            everything = list(await self.contacts.contacts_of("1"))
            for size in (1, 2, 3, 14, 15, 16):
                pages: list[Contact] = []
                after = None
                while page := await self.contacts.contacts_of("1", after, size):
                    self.assertLessEqual(len(page), size)
                    pages.extend(page)
                    after = DeviceAddress(page[-1].phone, page[-1].device_id)
                self.assertEqual(pages, everything)
            self.assertEqual(list(await self.contacts.contacts_of("1", DeviceAddress("3", "aa"))), everything[11:])

        return self.check(test)

    def test_unicode_device_ids(self) -> Deferred[None]:
        """Device ids of 50 characters of any plane of Unicode are kept as they are."""

        async def test() -> None:
            name = "\U0001f4fa" * 50
            contacts.add(self.database, [Pair("1", PHONE, "名" * 64)])
            await self.enrolled(DeviceAddress(PHONE, name))
            self.assertEqual(list(await self.contacts.contacts_of("1")), [Contact(PHONE, name, "名" * 64)])

        return self.check(test)

    def test_adding_a_pair_again(self) -> None:
        """A pair that is put in again has the new name; one that is only put in where it is missing keeps its own."""
        contacts.add(self.database, [Pair("1", "2", "old"), Pair("1", "3", "three"), Pair("1", "2", "new")])
        contacts.add(self.database, [], [Pair("1", "3", "x"), Pair("3", "1", "y")])
        self.assertEqual(
            contacts.pairs_of(self.database, None),
            [Pair("1", "2", "new"), Pair("1", "3", "three"), Pair("3", "1", "y")],
        )

    def test_all_pairs_or_none(self) -> None:
        """If one pair cannot be put in, none is."""
        bad = [Pair("1", "2"), Pair("1", None)]  # type: ignore[arg-type]
        self.assertRaises(IntegrityError, contacts.add, self.database, bad)
        self.assertEqual(contacts.pairs_of(self.database, None), [])

    def test_removing_a_pair(self) -> None:
        """A pair can be taken out once; that of the other direction stays."""
        contacts.add(self.database, [Pair("1", "2"), Pair("2", "1")])
        self.assertTrue(contacts.remove(self.database, "1", "2"))
        self.assertFalse(contacts.remove(self.database, "1", "2"))
        self.assertEqual(contacts.pairs_of(self.database, "1"), [])
        self.assertEqual(contacts.pairs_of(self.database, "2"), [Pair("2", "1")])

    def test_device_needs_its_account(self) -> None:
        """The database itself keeps devices without an account out."""
        with self.assertRaises(IntegrityError), self.database.write() as connection:
            connection.exec_driver_sql("INSERT INTO account_device (phone, device_id) VALUES ('9', 'x')")
        self.assertEqual(contacts.accounts(self.database), [])

    def test_errors_show_no_phones(self) -> None:
        """What the log says of a failed statement does not hold its parameters."""
        with self.assertRaises(StatementError) as caught, self.database.write() as connection:
            connection.execute(contact.insert(), {"owner": PHONE, "contact": PHONE, "name": 1j})
        self.assertNotIn(PHONE, str(caught.exception))

    def test_upgrading_twice_changes_nothing(self) -> None:
        """A database that is up to date is left as it is."""
        self.statements.clear()
        self.database.upgrade()
        self.database.check()
        self.assertEqual([s for s in self.writes() if s.startswith(("CREATE", "INSERT", "UPDATE", "ALTER"))], [])

    def test_empty_database_is_told_apart(self) -> None:
        """A check of a new database says what to run, and does not do it."""
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
            self.assertIn("database.url: the database needs newer code", str(error))
            self.assertEqual(len(str(error).splitlines()), 1)

    def test_foreign_database(self) -> None:
        """A database that belongs to another program is not touched."""
        with self.database.write() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'ae1027a6acf'")
        self.assertIn("not those of callnet", str(self.assertRaises(StartError, self.database.upgrade)))

    def make_newer(self, oldest_code: int) -> None:
        """Make the schema look as one of newer code."""
        with self.database.write() as connection:
            newer = f"{schema.code_level() + 1:04}"
            connection.execute(text("UPDATE alembic_version SET version_num = :newer"), {"newer": newer})
            connection.execute(schema_info.update().values(oldest_code=oldest_code))

    def test_schema_is_that_of_the_tables(self) -> None:
        """The migrations make exactly the tables that the code is written for."""
        from alembic.autogenerate import compare_metadata
        from alembic.runtime.migration import MigrationContext

        from callnet.storage.tables import metadata

        with self.database.read() as connection:
            migration = MigrationContext.configure(connection)
            self.assertEqual(compare_metadata(migration, metadata), [])


class SharedDatabaseContract(DatabaseContract):
    """A database that several processes use."""

    def test_two_processes_start_at_once(self) -> Deferred[None]:
        """Processes that start at once upgrade a new database once, and all of them go on."""

        async def test() -> None:
            url = self.make_url()
            program = "import sys; from callnet.storage.database import Database; Database(sys.argv[1]).upgrade()"
            outcomes = await gatherResults(
                [getProcessOutputAndValue(sys.executable, ["-c", program, url], os.environ) for _ in range(3)]
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

    def test_locked_database_is_unavailable(self) -> None:
        """Whoever cannot get at the database in time is told that it is worth trying again."""
        raise NotImplementedError


class SqliteInMemory(DatabaseContract, SynchronousTestCase):
    """SQLite in memory, at once, in this thread."""

    def make_url(self) -> str:
        """See the contract."""
        return "sqlite://"

    def check(self, test: Callable[[], object]) -> None:  # type: ignore[override]
        """See the contract."""
        self.successResultOf(Deferred.fromCoroutine(test()))  # type: ignore[arg-type]


class _InThreads(SharedDatabaseContract):
    """A database reached from real threads."""

    def make_run(self) -> Run:
        """See the contract."""
        threads = Threads(IReactorFromThreads(global_reactor), self.database.threads)
        threads.start()
        self.addCleanup(threads.stop)
        return threads.run


class SqliteInFile(_InThreads, TestCase):
    """SQLite in a file, with one thread."""

    def make_url(self) -> str:
        """See the contract."""
        return f"sqlite:///{self.mktemp()}"

    def test_locked_database_is_unavailable(self) -> None:
        """Whoever cannot get at the database in time is told that it is worth trying again."""
        other = Database(str(self.database._url))
        self.addCleanup(other.close)
        with other.write() as writing, self.database.read() as reading:
            writing.exec_driver_sql("INSERT INTO account VALUES ('9')")
            self.assertEqual(reading.exec_driver_sql("SELECT * FROM account").all(), [])
            reading.exec_driver_sql("PRAGMA busy_timeout = 1")
            with self.assertRaises(Unavailable), self.database.write():
                self.fail("two transactions wrote at once")

    def test_write_ahead_log(self) -> None:
        """Readers do not wait for a writer, and the other settings of a connection hold."""
        with self.database.read() as connection:
            for pragma, value in (("journal_mode", "wal"), ("foreign_keys", 1), ("busy_timeout", 10000)):
                self.assertEqual(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar(), value)


class Postgresql(_InThreads, TestCase):
    """PostgreSQL, with several threads."""

    def make_url(self) -> str:
        """See the contract."""
        return postgres.new_database_url()

    def test_locked_database_is_unavailable(self) -> None:
        """Whoever cannot get at the database in time is told that it is worth trying again."""
        other = Database(self.database._url.render_as_string(hide_password=False))
        self.addCleanup(other.close)
        with other.write() as locking:
            locking.exec_driver_sql("LOCK TABLE contact")
            with self.assertRaises(Unavailable), self.database.write() as connection:
                connection.exec_driver_sql("SET LOCAL statement_timeout = 50")
                connection.execute(contact.delete())

    def test_server_restarts(self) -> Deferred[None]:
        """A connection that the server has cut costs no request: it is replaced before it is used."""

        async def test() -> None:
            await self.enrolled(TV)
            postgres.terminate_connections()
            await self.enrolled(TV, DeviceAddress(PHONE, "b"))
            self.assertEqual(contacts.accounts(self.database), [Account(PHONE, 2)])

        return self.check(test)

    def test_server_is_gone(self) -> None:
        """Without a server every request is told that it is worth trying again; a start names the setting."""
        database = Database("postgresql://nobody@/nothing?host=/nowhere")
        self.addCleanup(database.close)
        self.failureResultOf(SqlAccounts(database, run_at_once).enrol(TV), Unavailable)
        error = self.assertRaises(StartError, database.upgrade)
        self.assertTrue(str(error).startswith("database.url: "), str(error))
        self.assertEqual(len(str(error).splitlines()), 1)

    def test_password_is_not_shown(self) -> None:
        """The error of a start does not show the password of the URL."""
        database = Database("postgresql://user:s3cret-word@/nothing?host=/nowhere")
        self.addCleanup(database.close)
        self.assertNotIn("s3cret-word", str(self.assertRaises(StartError, database.check)))
