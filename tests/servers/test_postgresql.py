"""The contracts of databases on a real PostgreSQL, and properties of PostgreSQL alone."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event as ThreadEvent
from typing import Any

import psycopg
from sqlalchemy import Connection, event, make_url, text
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from callnet.errors import StartError, Unavailable
from callnet.model import DeviceAddress
from callnet.storage import contacts, schema
from callnet.storage.contacts import Account
from callnet.storage.database import Database
from callnet.storage.enrolling import UNUSED_FOR, SqlAccounts
from callnet.storage.postgresql import SILENCE_MAX
from callnet.storage.schema import account_device, contact, covered_by
from harness import postgres
from tests.contract.databases import OFFER
from tests.contract.test_accounts import PHONE, TV, SharedAccountsContract
from tests.contract.test_codes import CodesContract
from tests.contract.test_contacts import ContactsContract
from tests.contract.test_history import ContactsOnlyContract, HistoryContract
from tests.contract.test_links import LinksContract
from tests.contract.test_moving import MovingContract
from tests.contract.test_outbox import OutboxContract
from tests.contract.test_own_devices import OwnDevicesContract
from tests.contract.test_pairing import PairingContract
from tests.contract.test_preferences import PreferencesContract
from tests.contract.test_profiles import ProfilesContract
from tests.contract.test_push import PushContract
from tests.contract.test_revoking import RevocationsContract, SecretsContract
from tests.contract.test_roster import RosterContract
from tests.contract.test_schema import SharedSchemaContract
from tests.contract.test_settings import SettingsContract
from tests.servers.databases import OnPostgresql
from tests.support.immediate import run_at_once

reactor: Any = installed


class AccountsOnPostgresql(OnPostgresql, SharedAccountsContract, TestCase):
    """Accounts and contacts."""

    def test_locked_database_is_unavailable(self) -> None:
        """A transaction that cannot get at the database in time fails as unavailable, to be tried again."""
        other = Database(self.database._url.render_as_string(hide_password=False))
        self.addCleanup(other.close)
        with other.write() as locking:
            locking.exec_driver_sql("LOCK TABLE contact")
            with self.assertRaises(Unavailable), self.database.write() as connection:
                connection.exec_driver_sql("SET LOCAL statement_timeout = 50")
                connection.execute(contact.delete())

    def test_other_machines_can_use_it(self) -> None:
        """Other machines can use it."""
        self.database.refuse_many_machines()

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
        self.failureResultOf(SqlAccounts(database, run_at_once, Clock()).enrol(TV, OFFER), Unavailable)
        error = self.assertRaises(StartError, database.upgrade)
        self.assertTrue(str(error).startswith("database.url: "), str(error))
        self.assertEqual(len(str(error).splitlines()), 1)

    def test_forgotten_and_removed(self) -> Deferred[None]:
        """A login that makes a device, and forgets an unused one, beside a device that removes the same one: both do
        so.
        """

        async def test() -> None:
            old = DeviceAddress(PHONE, "old")
            await self.enrolled(old)
            self.clock.advance(UNUSED_FOR + 1.0)
            other = Database(self.database._url.render_as_string(hide_password=False))
            self.addCleanup(other.close)
            fresh = SqlAccounts(self.database, self.run_there, self.clock)
            waits = ThreadEvent()
            event.listen(
                self.database._engine,
                "before_cursor_execute",
                lambda *args: waits.set() if "advisory" in args[2] else None,
            )
            with other.write() as connection:
                other.take_turns(connection, PHONE)
                made = fresh.enrol(TV, OFFER)
                self.assertTrue(waits.wait(30.0))
                connection.execute(account_device.delete().where(covered_by(old, account_device)))
            self.assertEqual(OFFER, (await made).offered)
            self.assertEqual(1, fresh.forgotten)

        return self.check(test)

    def test_no_encoding(self) -> None:
        """A database whose text has no encoding is refused, and the error says what is needed."""
        url = postgres.new_database_url()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
            )
        database = Database(make_url(url).set(database="ascii").render_as_string())
        self.addCleanup(database.close)
        for use in (database.upgrade, database.check, database.levels):
            error = self.assertRaises(StartError, use)
            self.assertEqual(
                "database.url: the database has the encoding SQL_ASCII; create one with ENCODING 'UTF8'", str(error)
            )

    def test_password_is_not_shown(self) -> None:
        """The error of a start does not show the password of the URL."""
        database = Database("postgresql://user:s3cret-word@/nothing?host=/nowhere")
        self.addCleanup(database.close)
        self.assertNotIn("s3cret-word", str(self.assertRaises(StartError, database.check)))


class CodesOnPostgresql(OnPostgresql, CodesContract, TestCase):
    """One-time codes."""


class CompanyOnPostgresql(OnPostgresql, RosterContract, TestCase):
    """The roster of a phone."""


class ContactsOnPostgresql(OnPostgresql, ContactsContract, TestCase):
    """Changes of contacts."""


class HistoryOnPostgresql(OnPostgresql, ContactsOnlyContract, TestCase):
    """The history of calls, where contacts alone may call."""


class OpenHistoryOnPostgresql(OnPostgresql, HistoryContract, TestCase):
    """The history of calls, where anyone may call."""


class MovingOnPostgresql(OnPostgresql, MovingContract, TestCase):
    """Rows that come by the thousand."""


class OutboxOnPostgresql(OnPostgresql, OutboxContract, TestCase):
    """Events for a program of the operator."""


class OwnDevicesOnPostgresql(OnPostgresql, OwnDevicesContract, TestCase):
    """Devices that those of the same phone see and change."""


class LinksOnPostgresql(OnPostgresql, LinksContract, TestCase):
    """Links that ring."""


class PairingOnPostgresql(OnPostgresql, PairingContract, TestCase):
    """Devices that wait to be let in."""


class ProfilesOnPostgresql(OnPostgresql, ProfilesContract, TestCase):
    """Profiles, and what a phone sees of others."""


class PreferencesOnPostgresql(OnPostgresql, PreferencesContract, TestCase):
    """The preferences of phones' owners."""


class PushOnPostgresql(OnPostgresql, PushContract, TestCase):
    """Registrations of devices that can be woken."""


class SecretsOnPostgresql(OnPostgresql, SecretsContract, TestCase):
    """Secrets of devices."""


class RevocationsOnPostgresql(OnPostgresql, RevocationsContract, TestCase):
    """Revocations of tokens."""


class SchemaOnPostgresql(OnPostgresql, SharedSchemaContract, TestCase):
    """The schema, and how it is brought up to date."""

    def upgrade_impatiently(self, connection: Connection) -> None:
        """See the contract."""
        connection.exec_driver_sql("SET lock_timeout = 50")
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": schema.ADVISORY_LOCK})

    def test_others_may_take_their_time(self) -> Deferred[None]:
        """An upgrade waits for another one, for longer than the server may be silent otherwise."""

        async def test() -> None:
            url = self.make_url()
            waiting, other = self.other_database(url), self.other_database(url)
            locked: Deferred[None] = Deferred()
            busy = deferToThread(self.hold_lock, other, lambda: reactor.callFromThread(locked.callback, None))
            await locked
            begin = reactor.seconds()
            await deferToThread(waiting.upgrade)
            self.assertGreater(reactor.seconds() - begin, SILENCE_MAX)
            await busy
            waiting.check()

        return self.check(test)

    def hold_lock(self, database: Database, locked: Callable[[], object]) -> None:
        """Hold the lock of an upgrade for some time."""
        with database.write() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": schema.ADVISORY_LOCK})
            locked()
            for _ in range(3):
                connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": (SILENCE_MAX + 1) / 3})


class SettingsOnPostgresql(OnPostgresql, SettingsContract, TestCase):
    """Settings of phones."""
