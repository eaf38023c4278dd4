"""The contract of every database for the preferences of phones' owners."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from callnet.calls.preferences import ANYONE, Policy, Preferences, QuietExceptions, QuietHours
from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.changes import SqlChanges
from callnet.storage.contacts import Pair, SqlContacts
from callnet.storage.preferences import SqlPreferences
from callnet.storage.push import PushKind, PushRegistration, SqlPushRegistrations
from tests.contract.databases import DatabaseCase, InFile, InMemory
from tests.contract.test_accounts import TV

ANN, BERT, CAROL = "13651884961", "13651884962", "13651884963"


NIGHT = QuietHours(22 * 60, 7 * 60, "Europe/Berlin")


def policies(read: Mapping[str, Preferences]) -> dict[str, Policy]:
    """The policy of each phone."""
    return {phone: wanted.policy for phone, wanted in read.items()}


class PreferencesContract(DatabaseCase):
    """Ann lists Bert and Carol, and blocks Carol and a stranger; Bert lists Ann."""

    def setUp(self) -> None:
        """Put that in."""
        super().setUp()
        contacts.add(self.database, [Pair(ANN, BERT), Pair(ANN, CAROL), Pair(BERT, ANN)], 1.0)
        for phone in (CAROL, TV.phone):
            contacts.block(self.database, ANN, phone, 1.0)

    def test_anyone(self) -> Deferred[None]:
        """Where anyone may call, only the block list counts."""

        async def test() -> None:
            read = await SqlPreferences(self.database, self.run_there, contacts_only=False).read([ANN, BERT])
            self.assertEqual({ANN: Policy(frozenset([CAROL, TV.phone])), BERT: ANYONE}, policies(read))

        return self.check(test)

    def test_contacts(self) -> Deferred[None]:
        """Where only contacts may, both lists do."""

        async def test() -> None:
            kept = SqlPreferences(self.database, self.run_there, contacts_only=True)
            read = policies(await kept.read([ANN, BERT, CAROL]))
            self.assertEqual(Policy(frozenset([CAROL, TV.phone]), frozenset([BERT, CAROL])), read[ANN])
            self.assertEqual(Policy(only=frozenset([ANN])), read[BERT])
            self.assertEqual(Policy(only=frozenset()), read[CAROL])

        return self.check(test)

    def test_strict_phone(self) -> Deferred[None]:
        """A phone that only contacts may call is one of those that not everybody may, and has a policy that says so."""

        async def test() -> None:
            anyone = SqlPreferences(self.database, self.run_there, contacts_only=False)
            await self.set_(BERT, who_may_call="contacts")
            await self.set_(CAROL, who_may_call="contacts")
            self.assertEqual({ANN, BERT, CAROL}, set(await anyone.restricted(3) or ()))
            read = policies(await anyone.read([ANN, BERT, CAROL]))
            self.assertEqual(Policy(frozenset([CAROL, TV.phone])), read[ANN])
            self.assertEqual(Policy(only=frozenset([ANN])), read[BERT])
            self.assertEqual(Policy(only=frozenset()), read[CAROL])
            await self.set_(BERT, who_may_call="anyone")
            self.assertEqual({BERT: ANYONE}, policies(await anyone.read([BERT])))

        return self.check(test)

    def test_restricted(self) -> Deferred[None]:
        """Where anyone may call it is known which phones not everybody may, unless they are too many."""

        async def test() -> None:
            contacts.block(self.database, BERT, CAROL, 1.0)
            anyone = SqlPreferences(self.database, self.run_there, contacts_only=False)
            self.assertEqual({ANN, BERT}, set(await anyone.restricted(2) or ()))
            self.assertIsNone(await anyone.restricted(1))
            self.assertIsNone(await SqlPreferences(self.database, self.run_there, contacts_only=True).restricted(9))
            await self.set_(CAROL, quiet=NIGHT)
            self.assertEqual({ANN, BERT, CAROL}, set(await anyone.restricted(3) or ()))
            await self.set_(CAROL, quiet=None, quiet_until=9.5)
            self.assertEqual({ANN, BERT, CAROL}, set(await anyone.restricted(3) or ()))
            await self.set_(CAROL, quiet_until=None)
            self.assertEqual({ANN, BERT}, set(await anyone.restricted(3) or ()))

        return self.check(test)

    def test_wakes(self) -> Deferred[None]:
        """It is known which devices can be woken in the ways that there are, and which phones have such."""

        async def test() -> None:
            registrations = SqlPushRegistrations(self.database, self.run_there)
            for device, kind in (("a", PushKind.WEBHOOK), ("b", PushKind.WEBPUSH), ("c", PushKind.WEBHOOK)):
                await registrations.put(PushRegistration(DeviceAddress(BERT, device), kind, "x", 1.0), lambda _: False)
            kept = SqlPreferences(self.database, self.run_there, False, [PushKind.WEBHOOK])
            read = policies(await kept.read([ANN, BERT]))
            self.assertEqual((frozenset(), frozenset("ac")), (read[ANN].wakes, read[BERT].wakes))
            self.assertEqual([BERT], list(await kept.wakeful("", 10)))
            self.assertEqual([], list(await kept.wakeful(BERT, 10)))
            self.assertEqual({ANN, BERT}, set(await kept.restricted(9) or ()))
            without = SqlPreferences(self.database, self.run_there, False)
            self.assertEqual(ANYONE, policies(await without.read([BERT]))[BERT])
            self.assertEqual([], list(await without.wakeful("", 10)))

        return self.check(test)

    def test_waking_is_news(self) -> Deferred[None]:
        """Nodes hear of it when a device registers, and when that is over; not if nothing has changed."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await changes.new()
            registrations = SqlPushRegistrations(self.database, self.run_there)
            mine = PushRegistration(TV, PushKind.WEBHOOK, "x", 5.0)
            await registrations.put(mine, lambda _: False)
            self.assertEqual([TV.phone], list((await changes.new()).phones))
            await registrations.drop(mine, 6.0)
            self.assertEqual([TV.phone], list((await changes.new()).phones))
            await registrations.forget(TV, 7.0)
            self.assertEqual([], list((await changes.new()).phones))

        return self.check(test)

    def test_announced(self) -> Deferred[None]:
        """It is known, too, which have names for others, or answer some by themselves."""

        async def test() -> None:
            anyone = SqlPreferences(self.database, self.run_there, contacts_only=False)
            self.assertEqual([], await anyone.announced(0))
            await self.contacts.add(ANN, BERT, "Bertie", 1.0)
            await self.set_(CAROL, auto_answer=[ANN])
            self.assertEqual({ANN, CAROL}, set(await anyone.announced(2) or ()))
            self.assertIsNone(await anyone.announced(1))

        return self.check(test)

    def test_all_of_it(self) -> Deferred[None]:
        """Names, quiet hours and those who are answered are read with the lists."""

        async def test() -> None:
            await self.contacts.add(ANN, BERT, "Bertie", 1.0)
            await self.set_(ANN, quiet=NIGHT, auto_answer=[CAROL, BERT], quiet_until=9.5)
            kept = SqlPreferences(self.database, self.run_there, contacts_only=False)
            read = (await kept.read([ANN, BERT]))[ANN]
            self.assertEqual(Policy(frozenset([CAROL, TV.phone]), quiet=NIGHT, quiet_until=9.5), read.policy)
            self.assertEqual(frozenset([BERT, CAROL]), read.auto_answer)
            self.assertEqual(["Bertie", "", ""], [read.name_of(phone) for phone in (BERT, CAROL, TV.phone)])

        return self.check(test)

    def test_exceptions(self) -> Deferred[None]:
        """Exceptions from the quiet hours are read with these; where it is never quiet there are none."""

        async def test() -> None:
            kept = SqlPreferences(self.database, self.run_there, contacts_only=False)
            for quiet, until in ((NIGHT, None), (None, 9.5)):
                await self.set_(ANN, quiet=quiet, quiet_until=until, rings_through=[CAROL], second_call_rings=True)
                await self.set_(BERT, quiet=quiet, quiet_until=until)
                await self.set_(CAROL, rings_through=[ANN], second_call_rings=True)
                read = policies(await kept.read([ANN, BERT, CAROL]))
                exceptions = QuietExceptions(frozenset([CAROL]), True)
                ann = Policy(read[ANN].blocked, None, quiet, frozenset(), until, exceptions)
                self.assertEqual(ann, read[ANN])
                self.assertIsNone(read[BERT].exceptions)
                self.assertEqual(Policy(), read[CAROL])

        return self.check(test)

    def test_many(self) -> Deferred[None]:
        """Very many phones may be read together."""

        async def test() -> None:
            phones = [str(number) for number in range(500)]
            read = await SqlPreferences(self.database, self.run_there, contacts_only=True).read(phones)
            self.assertEqual(dict.fromkeys(phones, Policy(only=frozenset())), policies(read))

        return self.check(test)

    def test_mutual(self) -> Deferred[None]:
        """Where only contacts may call, a list has devices only of phones that list its owner, too."""

        async def test() -> None:
            for phone in (BERT, CAROL):
                await self.enrolled(TV._replace(phone=phone))
            mutual = SqlContacts(self.database, self.run_there, mutual=True)
            self.assertEqual([BERT], [row.phone for row in await mutual.contacts_of(ANN)])
            self.assertEqual([BERT, CAROL], [row.phone for row in await self.contacts.contacts_of(ANN)])

        return self.check(test)


class PreferencesInMemory(InMemory, PreferencesContract, TestCase):
    """SQLite in memory."""


class PreferencesInFile(InFile, PreferencesContract, TestCase):
    """SQLite in a file."""
