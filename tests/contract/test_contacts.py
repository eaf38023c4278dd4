"""The contract of every database for lists that devices change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from callnet.errors import DataInvalid
from callnet.model import BLOCKED_MAX, CONTACT_NAME_MAX, CONTACTS_MAX, PHONE_MAX
from callnet.storage import contacts
from callnet.storage.changes import SqlChanges
from callnet.storage.contacts import Block, Pair
from callnet.storage.schema import blocked
from tests.contract.databases import DatabaseCase, InFile, InMemory

PHONE, FRIEND, OTHER = "13651884967", "13651884968", "13651884969"
Change: TypeAlias = Callable[[], Deferred[None]]


class ContactsContract(DatabaseCase):
    """Contact lists and block lists."""

    def pairs(self) -> list[Pair]:
        """All contact lists."""
        return list(contacts.pairs_of(self.database, None))

    def test_add(self) -> Deferred[None]:
        """A contact is put in one list, with a name or without, whether there is such an account or not."""

        async def test() -> None:
            await self.contacts.add(PHONE, FRIEND, "朋友", 1.0)
            await self.contacts.add(PHONE, OTHER, None, 1.0)
            self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, "朋友"), Pair(PHONE, OTHER)])
            self.assertEqual(contacts.accounts(self.database), [])

        return self.check(test)

    def test_add_again(self) -> Deferred[None]:
        """A given name replaces the old one, even if empty; without one the old name stays."""

        async def test() -> None:
            for given, is_then in (("old", "old"), (None, "old"), ("new", "new"), ("", ""), (None, "")):
                await self.contacts.add(PHONE, FRIEND, given, 1.0)
                self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, is_then)])

        return self.check(test)

    def test_take_out(self) -> None:
        """The operator puts pairs in and takes others out in one step; those that are not there are no error."""
        contacts.add(self.database, [Pair(PHONE, FRIEND), Pair(FRIEND, PHONE)], 1.0)
        gone = [Pair(PHONE, FRIEND, "another name"), Pair(OTHER, PHONE)]
        contacts.add(self.database, [Pair(PHONE, OTHER)], 2.0, gone=gone)
        self.assertEqual(self.pairs(), [Pair(PHONE, OTHER), Pair(FRIEND, PHONE)])

    def test_remove(self) -> Deferred[None]:
        """A contact is removed from one list; removing a missing one is no error."""

        async def test() -> None:
            contacts.add(self.database, [Pair(PHONE, FRIEND), Pair(PHONE, OTHER), Pair(FRIEND, PHONE)], 1.0)
            for _ in range(2):
                await self.contacts.remove(PHONE, FRIEND, 1.0)
                self.assertEqual(self.pairs(), [Pair(PHONE, OTHER), Pair(FRIEND, PHONE)])

        return self.check(test)

    def test_block(self) -> Deferred[None]:
        """Each phone has a set of phones that it blocks; to do so again, or to unblock another, is no error."""

        async def test() -> None:
            self.assertEqual(await self.contacts.blocked_by(PHONE), frozenset())
            for phone in (FRIEND, OTHER, FRIEND):
                await self.contacts.block(PHONE, phone, 1.0)
            await self.contacts.block(FRIEND, OTHER, 1.0)
            self.assertEqual(await self.contacts.blocked_by(PHONE), {FRIEND, OTHER})
            for _ in range(2):
                await self.contacts.unblock(PHONE, OTHER, 1.0)
                self.assertEqual(await self.contacts.blocked_by(PHONE), {FRIEND})
            self.assertEqual(await self.contacts.blocked_by(FRIEND), {OTHER})
            self.assertEqual(await self.contacts.blocked_by(OTHER), frozenset())

        return self.check(test)

    def test_blocked_contact(self) -> Deferred[None]:
        """A contact that is blocked stays in the list, and one that is taken out stays blocked."""

        async def test() -> None:
            await self.contacts.add(PHONE, FRIEND, "x", 1.0)
            await self.contacts.block(PHONE, FRIEND, 1.0)
            self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, "x")])
            await self.contacts.remove(PHONE, FRIEND, 1.0)
            self.assertEqual(await self.contacts.blocked_by(PHONE), {FRIEND})
            await self.contacts.add(PHONE, FRIEND, None, 1.0)
            await self.contacts.unblock(PHONE, FRIEND, 1.0)
            self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND)])

        return self.check(test)

    def test_longest_of_everything(self) -> Deferred[None]:
        """Phones and names of any plane of Unicode are kept as they are, up to their longest."""

        async def test() -> None:
            owner, phone, name = "\U0001f4fa" * PHONE_MAX, "中" * PHONE_MAX, "\U0001f4fa" * CONTACT_NAME_MAX
            await self.contacts.add(owner, phone, name, 1.0)
            await self.contacts.block(owner, phone, 1.0)
            self.assertEqual(self.pairs(), [Pair(owner, phone, name)])
            self.assertEqual(await self.contacts.blocked_by(owner), {phone})

        return self.check(test)

    def test_order(self) -> None:
        """Blocked numbers are shown by owner, then by phone, in the order of code points."""
        for owner, phone in (("b", "a"), ("B", "é"), ("a", "z"), ("B", "z")):
            contacts.block(self.database, owner, phone, 1.0)
        blocks = [Block("B", "z"), Block("B", "é"), Block("a", "z"), Block("b", "a")]
        self.assertEqual(contacts.blocks_of(self.database, None), blocks)
        self.assertEqual(contacts.blocks_of(self.database, "B"), blocks[:2])

    def test_changes(self) -> Deferred[None]:
        """Nodes learn the owner of a changed list, and a contact that is put in or taken out; a change without effect
        writes nothing.
        """

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            lists = self.contacts
            steps: Sequence[tuple[Change, Sequence[str]]] = (
                (lambda: lists.add(PHONE, FRIEND, None, 1.0), [PHONE, FRIEND]),
                (lambda: lists.add(PHONE, FRIEND, None, 1.0), []),
                (lambda: lists.add(PHONE, FRIEND, "", 1.0), []),
                (lambda: lists.add(PHONE, FRIEND, "x", 1.0), [PHONE]),
                (lambda: lists.add(PHONE, FRIEND, None, 1.0), []),
                (lambda: lists.remove(PHONE, OTHER, 1.0), []),
                (lambda: lists.remove(PHONE, FRIEND, 1.0), [PHONE, FRIEND]),
                (lambda: lists.unblock(PHONE, FRIEND, 1.0), []),
                (lambda: lists.block(PHONE, FRIEND, 1.0), [PHONE]),
                (lambda: lists.block(PHONE, FRIEND, 1.0), []),
                (lambda: lists.unblock(PHONE, FRIEND, 1.0), [PHONE]),
            )
            for change, noted in steps:
                await change()
                self.assertEqual(list((await changes.new()).phones), noted)

        return self.check(test)

    def test_changes_by_the_operator(self) -> Deferred[None]:
        """Nodes learn of changes by the command line, too: each owner of a changed list, and the contacts."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            contacts.add(self.database, [Pair(PHONE, OTHER), Pair(PHONE, FRIEND)], 1.0, [Pair(FRIEND, PHONE)])
            self.assertEqual(set((await changes.new()).phones), {PHONE, FRIEND, OTHER})
            self.assertTrue(contacts.remove(self.database, PHONE, OTHER, 1.0))
            self.assertEqual(list((await changes.new()).phones), [PHONE, OTHER])
            self.assertFalse(contacts.remove(self.database, PHONE, OTHER, 1.0))
            self.assertFalse(contacts.unblock(self.database, PHONE, OTHER, 1.0))
            contacts.add(self.database, [], 1.0)
            self.assertEqual(list((await changes.new()).phones), [])

        return self.check(test)

    def test_full_list_of_contacts(self) -> Deferred[None]:
        """A full list takes new names only; with room again it takes contacts, and other lists do anyway."""

        async def test() -> None:
            contacts.add(self.database, [Pair(PHONE, str(number)) for number in range(CONTACTS_MAX - 1)], 1.0)
            await self.contacts.add(PHONE, "last", None, 1.0)
            with self.assertRaises(DataInvalid) as caught:
                await self.contacts.add(PHONE, FRIEND, "x", 1.0)
            self.assertIn("1000", str(caught.exception))
            self.assertEqual(len(self.pairs()), CONTACTS_MAX)
            await self.contacts.add(PHONE, "last", "new", 1.0)
            await self.contacts.add(FRIEND, PHONE, None, 1.0)
            await self.contacts.block(PHONE, FRIEND, 1.0)
            await self.contacts.remove(PHONE, "0", 1.0)
            await self.contacts.add(PHONE, FRIEND, "x", 1.0)
            self.assertIn(Pair(PHONE, "last", "new"), self.pairs())

        return self.check(test)

    def test_operator_may_make_longer_lists(self) -> Deferred[None]:
        """A list that the operator has made longer stays so, and its owner may shorten it."""

        async def test() -> None:
            contacts.add(self.database, [Pair(PHONE, str(number)) for number in range(CONTACTS_MAX + 2)], 1.0)
            await self.contacts.remove(PHONE, "0", 1.0)
            with self.assertRaises(DataInvalid):
                await self.contacts.add(PHONE, "0", None, 1.0)
            self.assertEqual(len(self.pairs()), CONTACTS_MAX + 1)

        return self.check(test)

    def test_full_block_list(self) -> Deferred[None]:
        """The block list has a maximum length, for the command line too; with room again it takes more."""

        async def test() -> None:
            self.fill_block_list(BLOCKED_MAX - 1)
            await self.contacts.block(PHONE, "last", 1.0)
            for phone in (FRIEND, OTHER):
                with self.assertRaises(DataInvalid) as caught:
                    await self.contacts.block(PHONE, phone, 1.0)
                self.assertIn("1000", str(caught.exception))
            self.assertRaises(DataInvalid, contacts.block, self.database, PHONE, FRIEND, 1.0)
            self.assertEqual(len(await self.contacts.blocked_by(PHONE)), BLOCKED_MAX)
            await self.contacts.block(PHONE, "last", 1.0)
            await self.contacts.add(PHONE, FRIEND, None, 1.0)
            await self.contacts.unblock(PHONE, "0", 1.0)
            await self.contacts.block(PHONE, FRIEND, 1.0)

        return self.check(test)

    def test_last_place(self) -> Deferred[None]:
        """One of many concurrent additions gets the last place of a list."""

        async def test() -> None:
            contacts.add(self.database, [Pair(PHONE, str(number)) for number in range(CONTACTS_MAX - 1)], 1.0)
            self.fill_block_list(BLOCKED_MAX - 1)
            await self.one_succeeds(lambda phone: self.contacts.add(PHONE, phone, None, 1.0))
            await self.one_succeeds(lambda phone: self.contacts.block(PHONE, phone, 1.0))
            self.assertEqual(len(self.pairs()), CONTACTS_MAX)
            self.assertEqual(len(await self.contacts.blocked_by(PHONE)), BLOCKED_MAX)

        return self.check(test)

    def test_same_phone_at_once(self) -> Deferred[None]:
        """The same phone may be added, blocked and taken out many times at once."""

        async def test() -> None:
            lists = self.contacts
            all_changes: Sequence[Change] = (
                lambda: lists.add(PHONE, FRIEND, None, 1.0),
                lambda: lists.add(PHONE, FRIEND, "x", 1.0),
                lambda: lists.block(PHONE, FRIEND, 1.0),
                lambda: lists.remove(PHONE, FRIEND, 1.0),
                lambda: lists.unblock(PHONE, FRIEND, 1.0),
            )
            for change in all_changes:
                outcomes = await DeferredList([change() for _ in range(10)], consumeErrors=True)
                self.assertEqual(outcomes, [(True, None)] * 10)
            self.assertEqual(self.pairs(), [])

        return self.check(test)

    def fill_block_list(self, length: int) -> None:
        """Fill the phone's block list to this length."""
        with self.database.write() as connection:
            connection.execute(blocked.insert(), [{"owner": PHONE, "phone": str(number)} for number in range(length)])

    async def one_succeeds(self, change: Callable[[str], Deferred[None]]) -> None:
        """One of many such concurrent changes succeeds, and the list is full for the others."""
        outcomes = await DeferredList([change(f"new {number}") for number in range(12)], consumeErrors=True)
        failures = [outcome for is_done, outcome in outcomes if not is_done]
        self.assertEqual(len(failures), 11)
        for failure in failures:
            assert isinstance(failure, Failure)
            failure.trap(DataInvalid)


class ContactsInMemory(InMemory, ContactsContract, TestCase):
    """On SQLite in memory."""


class ContactsInFile(InFile, ContactsContract, TestCase):
    """On SQLite in a file."""
