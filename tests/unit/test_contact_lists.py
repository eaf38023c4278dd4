"""Changes by devices to the lists of their phone, without HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import DataInvalid, PhoneInvalid, TokenInvalid, Unavailable
from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.changes import SqlChanges
from callnet.storage.contacts import Pair
from tests.support.account_fixture import FRIEND, PHONE, TV, ServiceFixture
from tests.support.immediate import run_at_once

Change: TypeAlias = Callable[[str, str], Deferred[None]]
NAME_MAX = 64


class ContactListsTests(SynchronousTestCase):
    """Changing the lists of the phone of one's token."""

    def setUp(self) -> None:
        """A device with a token, whose phone has empty lists."""
        self.fixture = ServiceFixture()
        self.addCleanup(self.fixture.database.close)
        self.lists = self.fixture.lists
        self.token = self.fixture.tokens.issue(TV)

    def all_calls(self) -> Sequence[Change]:
        """All of them."""
        return (self.lists.add, self.lists.remove, self.lists.block, self.lists.unblock)

    def pairs(self) -> Sequence[Pair]:
        """All contact lists."""
        return contacts.pairs_of(self.fixture.database, None)

    def blocked(self) -> frozenset[str]:
        """The numbers that the phone blocks."""
        return self.successResultOf(self.fixture.contacts.blocked_by(PHONE))

    def do(self, *changes: Deferred[None]) -> None:
        """All of these succeed, and answer nothing."""
        for change in changes:
            self.assertIsNone(self.successResultOf(change))

    def assert_untouched(self) -> None:
        """Assert that no list has changed, and that no node is told anything."""
        self.assertEqual((self.pairs(), self.blocked()), ([], frozenset()))
        self.assertEqual(self.changed(), [])

    def changed(self) -> Sequence[str]:
        """The phones about which something has changed."""
        phones = self.successResultOf(SqlChanges(self.fixture.database, run_at_once, self.fixture.clock.seconds).new())
        return list(phones.phones)

    def test_add_and_remove(self) -> None:
        """A contact is put in the list of the token's phone and in no other, and taken out again."""
        self.do(self.lists.add(self.token, FRIEND, "朋友"))
        self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, "朋友")])
        self.do(self.lists.add(self.token, FRIEND))
        self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, "朋友")])
        self.do(self.lists.remove(self.token, FRIEND), self.lists.remove(self.token, FRIEND))
        self.assertEqual(self.pairs(), [])

    def test_contact_is_listed(self) -> None:
        """An added contact is in the list that its owner reads, with its devices."""
        self.successResultOf(self.fixture.logins.login(FRIEND, "tv"))
        self.do(self.lists.add(self.token, FRIEND, "x"))
        (row,) = self.successResultOf(self.lists.contacts(PHONE, self.token)).contacts
        self.assertEqual((row.phone, row.device_id, row.name), (FRIEND, "tv", "x"))
        self.do(self.lists.block(self.token, FRIEND))
        self.assertEqual(self.successResultOf(self.lists.contacts(PHONE, self.token)).contacts, [row])

    def test_block_and_unblock(self) -> None:
        """A phone is blocked until it is unblocked, whatever the contact list says."""
        self.do(self.lists.block(self.token, FRIEND), self.lists.block(self.token, FRIEND))
        self.assertEqual((self.blocked(), self.pairs()), ({FRIEND}, []))
        self.do(self.lists.unblock(self.token, FRIEND), self.lists.unblock(self.token, FRIEND))
        self.assertEqual(self.blocked(), frozenset())

    def test_any_device_of_the_phone(self) -> None:
        """The lists are the phone's: any of its devices changes them for all."""
        self.do(self.lists.add(self.fixture.tokens.issue(DeviceAddress(PHONE, "pad")), FRIEND))
        self.do(self.lists.remove(self.token, FRIEND))
        self.assertEqual(self.pairs(), [])

    def test_nodes_are_told(self) -> None:
        """Each change is told to every node, with the time of the service's clock."""
        self.fixture.clock.advance(1000)
        for call in self.all_calls():
            self.do(call(self.fixture.tokens.issue(TV), FRIEND))
        with self.fixture.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT phone, at FROM change").all()
        both = [(PHONE, 1000.0), (FRIEND, 1000.0)]  # a listed phone may be shown more of those that list it
        self.assertEqual([tuple(row) for row in rows], [*both, *both, both[0], both[0]])

    def test_oneself(self) -> None:
        """Nobody adds or blocks oneself; an entry that an operator has made all the same can be removed."""
        for call in (self.lists.add, self.lists.block):
            failure = self.failureResultOf(call(self.token, PHONE), PhoneInvalid)
            self.assertIn("own number", str(failure.value))
        self.assert_untouched()
        contacts.add(self.fixture.database, [Pair(PHONE, PHONE)], 0.0)
        self.do(self.lists.remove(self.token, PHONE), self.lists.unblock(self.token, PHONE))
        self.assertEqual(self.pairs(), [])

    def test_bad_phone(self) -> None:
        """A phone that is no acceptable number is refused, also where it could only be absent."""
        for call in self.all_calls():
            for phone in ("", "1", "*", "+86" + FRIEND, FRIEND + "\n", "1365188496\0", "\ud800", "1" * 10_000_000):
                self.failureResultOf(call(self.token, phone), PhoneInvalid)
        self.assert_untouched()

    def test_bad_name(self) -> None:
        """A name that could not be shown is refused, also for a contact that is there."""
        for name in ("x" * (NAME_MAX + 1), "a\nb", "a\0", "\x1b[31m", "\x85", "\ud800", "x" * 10_000_000):
            failure = self.failureResultOf(self.lists.add(self.token, FRIEND, name), DataInvalid)
            self.assertTrue(str(failure.value).startswith("name has more than 64 characters"), failure.value)
        self.assert_untouched()
        self.do(self.lists.add(self.token, FRIEND, "名" * NAME_MAX))
        self.failureResultOf(self.lists.add(self.token, FRIEND, "a\nb"), DataInvalid)
        self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, "名" * NAME_MAX)])

    def test_blank_name(self) -> None:
        """A name of which nothing is seen is none."""
        for name in (" ", "\u3000", "\ufeff", "\u200b", "\u0301", "\u2800\u3164"):
            self.do(self.lists.add(self.token, FRIEND, "Ann"))
            self.do(self.lists.add(self.token, FRIEND, name))
            self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, "")])

    def test_bad_token(self) -> None:
        """Without a valid token nothing changes, and nothing else is looked at."""
        expired = self.token
        self.fixture.clock.advance(3600)
        for call in self.all_calls():
            for token in ("", "x", self.fixture.tokens.issue(TV) + "x", expired):
                for phone in (FRIEND, PHONE, "", "1" * 10_000_000):
                    self.failureResultOf(call(token, phone), TokenInvalid)
        self.assert_untouched()

    def test_revoked_token(self) -> None:
        """A token that was logged out changes nothing any more."""
        self.successResultOf(self.fixture.logins.logout(self.token))
        for call in self.all_calls():
            self.failureResultOf(call(self.token, FRIEND), TokenInvalid)
        self.assertEqual(self.pairs(), [])

    def test_no_hint_of_accounts(self) -> None:
        """For a phone with an account and one without, the same is asked of the database, and the same answered."""
        self.successResultOf(self.fixture.logins.login(FRIEND, "tv"))
        with self.fixture.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE account_device RENAME TO no_device")
            connection.exec_driver_sql("ALTER TABLE account RENAME TO no_account")
        for phone in (FRIEND, "13651884960"):
            for call in self.all_calls():
                self.do(call(self.token, phone))

    def test_database_is_away(self) -> None:
        """While the database cannot be used, a change fails with an error that says that it is worth trying again."""
        with self.fixture.database.write() as connection:
            for table in ("contact", "blocked"):
                connection.exec_driver_sql(f"DROP TABLE {table}")
        for call in self.all_calls():
            self.failureResultOf(call(self.token, FRIEND), Unavailable)

    def test_all_or_nothing(self) -> None:
        """A change that no node could be told of is not made."""
        with self.fixture.database.write() as connection:
            connection.exec_driver_sql("DROP TABLE change")
        for call in (self.lists.add, self.lists.block):
            self.failureResultOf(call(self.token, FRIEND), Unavailable)
        self.assertEqual((self.pairs(), self.blocked()), ([], frozenset()))
