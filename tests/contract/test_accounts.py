"""The contract of every database for accounts and contacts."""

from __future__ import annotations

import os
import sys

from sqlalchemy.exc import IntegrityError, StatementError
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from callnet.errors import StartError, Unavailable
from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.contacts import Account, Contact, Pair
from callnet.storage.database import Database
from callnet.storage.schema import contact
from harness import ROOT
from tests.contract import writer
from tests.contract.databases import OFFER, DatabaseCase, InFile, InMemory

PHONE = "13651884967"
TV = DeviceAddress(PHONE, "tv888")


class AccountsContract(DatabaseCase):
    """Where accounts and contacts are kept."""

    def test_first_login_makes_account_and_device(self) -> Deferred[None]:
        """A first login makes the account and the device, a second device joins the account."""

        async def test() -> None:
            await self.enrolled(TV, DeviceAddress(PHONE, "phone"), DeviceAddress("13651884968", "tv"))
            self.assertEqual(contacts.accounts(self.database), [Account(PHONE, 2), Account("13651884968", 1)])

        return self.check(test)

    def test_known_device_does_not_write(self) -> Deferred[None]:
        """A login of a known device reads nothing, or after some time the present state, and never writes."""

        async def test() -> None:
            await self.enrolled(TV)
            self.statements.clear()
            await self.enrolled(TV)
            self.assertEqual(self.statements, [])
            self.clock.advance(300)
            await self.enrolled(TV)
            self.assertEqual(self.writes(), [])
            self.assertEqual(len(self.statements), 1)

        return self.check(test)

    def test_same_device_at_once(self) -> Deferred[None]:
        """The same new device may log in many times at once."""

        async def test() -> None:
            await gatherResults([self.accounts.enrol(TV, OFFER) for _ in range(20)])
            self.assertEqual(contacts.accounts(self.database), [Account(PHONE, 1)])

        return self.check(test)

    def test_one_row_for_each_device(self) -> Deferred[None]:
        """A contact list has one entry for each device of each contact, and none for a contact without a device."""

        async def test() -> None:
            contacts.add(self.database, [Pair("1", PHONE, "电视"), Pair("1", "13651884968"), Pair("2", "1")], 0.0)
            await self.enrolled(TV, DeviceAddress(PHONE, "a"), DeviceAddress("1", "x"))
            found = await self.contacts.contacts_of("1")
            self.assertEqual(found, [Contact(PHONE, "a", "电视"), Contact(PHONE, "tv888", "电视")])
            self.assertEqual(await self.contacts.contacts_of("3"), [])

        return self.check(test)

    def test_order_is_that_of_unicode(self) -> Deferred[None]:
        """Entries come by phone, then by device id, in the order of code points, whatever the database's locale."""

        async def test() -> None:
            ids = ["a", "B", "é", "z", "_", "-", " ", "中", "Z", "\U0001f4fa", "\uffff", "0", "a b", "ab"]
            contacts.add(self.database, [Pair("1", PHONE), Pair("1", "+86"), Pair("1", "08")], 0.0)
            await self.enrolled(*(DeviceAddress(PHONE, name) for name in ids))
            await self.enrolled(DeviceAddress("+86", "z"), DeviceAddress("08", "z"))
            found = await self.contacts.contacts_of("1")
            keys = [(entry.phone, entry.device_id) for entry in found]
            self.assertEqual(keys, [("+86", "z"), ("08", "z"), *((PHONE, name) for name in sorted(ids))])

        return self.check(test)

    def test_pages(self) -> Deferred[None]:
        """A list read in pages of any size is the list, and a page begins right after an entry that is gone."""

        async def test() -> None:
            contacts.add(self.database, [Pair("1", str(phone)) for phone in range(5)], 0.0)
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
            contacts.add(self.database, [Pair("1", PHONE, "名" * 64)], 0.0)
            await self.enrolled(DeviceAddress(PHONE, name))
            self.assertEqual(list(await self.contacts.contacts_of("1")), [Contact(PHONE, name, "名" * 64)])

        return self.check(test)

    def test_adding_a_pair_again(self) -> None:
        """A pair that is put in again has the new name; one that is only put in where it is missing keeps its own."""
        contacts.add(self.database, [Pair("1", "2", "old"), Pair("1", "3", "three"), Pair("1", "2", "new")], 0.0)
        contacts.add(self.database, [], 0.0, [Pair("1", "3", "x"), Pair("3", "1", "y")])
        self.assertEqual(
            contacts.pairs_of(self.database, None),
            [Pair("1", "2", "new"), Pair("1", "3", "three"), Pair("3", "1", "y")],
        )

    def test_all_pairs_or_none(self) -> None:
        """If one pair cannot be put in, none is."""
        bad = [Pair("1", "2"), Pair("1", None)]  # type: ignore[arg-type]
        self.assertRaises(IntegrityError, contacts.add, self.database, bad, 0.0)
        self.assertEqual(contacts.pairs_of(self.database, None), [])

    def test_removing_a_pair(self) -> None:
        """A pair can be taken out once; that of the other direction stays."""
        contacts.add(self.database, [Pair("1", "2"), Pair("2", "1")], 0.0)
        self.assertTrue(contacts.remove(self.database, "1", "2", 0.0))
        self.assertFalse(contacts.remove(self.database, "1", "2", 0.0))
        self.assertEqual(contacts.pairs_of(self.database, "1"), [])
        self.assertEqual(contacts.pairs_of(self.database, "2"), [Pair("2", "1")])

    def test_device_needs_its_account(self) -> None:
        """The database itself keeps devices without an account out."""
        with self.assertRaises(IntegrityError), self.database.write() as connection:
            connection.exec_driver_sql("INSERT INTO account_device (phone, device_id) VALUES ('9', 'x')")
        self.assertEqual(contacts.accounts(self.database), [])

    def test_errors_show_no_phones(self) -> None:
        """Logged errors of failed statements do not contain parameters."""
        with self.assertRaises(StatementError) as caught, self.database.write() as connection:
            connection.execute(contact.insert(), {"owner": PHONE, "contact": PHONE, "name": 1j})
        self.assertNotIn(PHONE, str(caught.exception))


class SharedAccountsContract(AccountsContract):
    """A database that several processes use."""

    processes = 4
    rounds = 15
    root = str(ROOT)
    timeout = 600
    """Seconds in which all processes are done. They have what other tests leave of the machine."""

    def test_several_processes_at_once(self) -> Deferred[None]:
        """Processes that start, write and end again and again, all at once, all succeed, and nothing is lost."""

        async def test() -> None:
            url = self.make_url()
            outcomes = await gatherResults(
                [
                    getProcessOutputAndValue(
                        sys.executable, ["-m", writer.__name__, url, name, str(self.rounds)], os.environ, self.root
                    )
                    for name in "abcd"[: self.processes]
                ]
            )
            self.assertEqual(outcomes, [(b"", b"", 0)] * self.processes)
            database = Database(url)
            self.addCleanup(database.close)
            devices = {each.phone: each.devices for each in contacts.accounts(database)}
            self.assertEqual(devices.pop(writer.SHARED), self.processes * self.rounds + 1)
            self.assertEqual(list(devices.values()), [1] * (self.processes * self.rounds))

        return self.check(test)


class AccountsInMemory(InMemory, AccountsContract, TestCase):
    """On SQLite in memory."""


class AccountsInFile(InFile, SharedAccountsContract, TestCase):
    """On SQLite in a file."""

    def test_locked_database_is_unavailable(self) -> None:
        """A transaction that cannot get at the database in time fails as unavailable, to be tried again."""
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

    def test_other_machines_cannot_use_it(self) -> None:
        """Other machines cannot use it, and a start that needs that names the alternative."""
        error = self.assertRaises(StartError, self.database.refuse_many_machines)
        self.assertEqual(
            str(error), "database.url: SQLite works on one machine only, but redis.url names another; use PostgreSQL"
        )
