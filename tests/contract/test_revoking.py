"""What every database must do for secrets, revoked tokens and changes: SQLite, and a real PostgreSQL."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from callnet.errors import PhoneInvalid
from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.storage import devices
from callnet.storage.changes import KEPT, SqlChanges
from callnet.storage.enrolling import SqlAccounts
from callnet.storage.revoking import SqlRevocations
from callnet.storage_interfaces import Enrolled, Revocation
from tests.contract.databases import OFFER, DatabaseCase, InFile, InMemory, OnPostgresql

PHONE, FRIEND = "13651884967", "13651884968"
TV, PAD = DeviceAddress(PHONE, "tv"), DeviceAddress(PHONE, "pad")


class SecretsContract(DatabaseCase):
    """The secrets of devices."""

    def test_offer(self) -> Deferred[None]:
        """Of many that enrol one device at once, on two nodes, all learn of the one offer that counts."""

        async def test() -> None:
            other = SqlAccounts(self.database, self.run_there, self.clock)
            offers = [bytes([number]) * 32 for number in range(20)]
            asked = [node.enrol(TV, offer) for offer in offers for node in (self.accounts, other)]
            (device,) = set(await gatherResults(asked))
            self.assertIsNone(device.secret)
            self.assertIn(device.offered, offers)

        return self.check(test)

    def test_find(self) -> Deferred[None]:
        """A device is found, or its phone at least, or neither; nothing is made."""

        async def test() -> None:
            await self.accounts.enrol(TV, OFFER)
            self.assertEqual(Enrolled(None, OFFER), await self.accounts.find(TV))
            self.assertIsNone(await self.accounts.find(PAD))
            with self.assertRaises(PhoneInvalid):
                await self.accounts.find(DeviceAddress(FRIEND, "tv"))
            self.assertIsNone(await self.accounts.find(PAD))

        return self.check(test)

    def test_claim(self) -> Deferred[None]:
        """What was offered can be bound once, and nothing else can."""

        async def test() -> None:
            await self.accounts.enrol(TV, OFFER)
            self.assertFalse(await self.accounts.claim(TV, b"x" * 32, 1.0))
            self.assertTrue(await self.accounts.claim(TV, OFFER, 1.0))
            self.assertFalse(await self.accounts.claim(TV, OFFER, 1.0))
            self.assertEqual(Enrolled(OFFER, None), await self.accounts.find(TV))

        return self.check(test)

    def test_provisioned(self) -> Deferred[None]:
        """What the operator makes is there, and its secret is what the operator says."""

        async def test() -> None:
            devices.provision(self.database, PHONE, ["tv"], 1.0)
            self.assertEqual(Enrolled(), await self.accounts.find(TV))
            self.assertTrue(devices.set_secret(self.database, TV, OFFER, 1.0))
            self.accounts.forget([PHONE])
            self.assertEqual(Enrolled(OFFER), await self.accounts.find(TV))
            devices.provision(self.database, PHONE, ["tv", "pad"], 1.0)
            self.accounts.forget([PHONE])
            self.assertEqual(Enrolled(OFFER), await self.accounts.find(TV))
            self.assertFalse(devices.set_secret(self.database, DeviceAddress(PHONE, "x"), OFFER, 1.0))

        return self.check(test)


class RevocationsContract(DatabaseCase):
    """Revoked tokens, and how nodes learn of them."""

    def test_revoke(self) -> Deferred[None]:
        """What was revoked is found by phone, exactly as it was, until it has expired."""

        async def test() -> None:
            store = SqlRevocations(self.database, self.run_there)
            every = DeviceAddress(PHONE, EVERY_DEVICE)
            one, two = Revocation(TV, 1e9 + 0.25, jti="a" * 255), Revocation(every, 1e9, before=1e9 - 0.125)
            friend = Revocation(DeviceAddress(FRIEND, "\U0001f4fa"), 50.0, jti="b")
            for revoked in (one, two, friend):
                await store.revoke(revoked, 10.0)
            self.assertEqual({PHONE: [one, two], FRIEND: [friend]}, await store.revoked(50.0))
            self.assertEqual({PHONE: [one, two]}, await store.revoked(50.5))
            self.assertEqual({FRIEND: [friend], "x": []}, await store.revoked(11.0, [FRIEND, "x"]))
            await store.revoke(one, 60.0)
            self.assertEqual([one, two, one], (await store.revoked(11.0))[PHONE])
            self.assertNotIn(FRIEND, await store.revoked(11.0))

        return self.check(test)

    def test_very_many_phones(self) -> Deferred[None]:
        """What is revoked can be asked about as many phones as an import of contacts changes at once."""

        async def test() -> None:
            store = SqlRevocations(self.database, self.run_there)
            revoked = Revocation(TV, 100.0, jti="a")
            await store.revoke(revoked, 1.0)
            await store.revoke(Revocation(DeviceAddress("other", "tv"), 100.0, jti="b"), 1.0)
            phones = [PHONE, *map(str, range(300_000))]
            found = await store.revoked(1.0, phones)
            self.assertEqual((len(phones), [revoked], []), (len(found), found[PHONE], found["7"]))

        return self.check(test)

    def test_changes(self) -> Deferred[None]:
        """Every node sees each change once, whoever made it, and a new one those of the last minutes."""

        async def test() -> None:
            first, second = SqlChanges(self.database, self.run_there), SqlChanges(self.database, self.run_there)
            self.assertEqual([], list(await first.new()))
            devices.provision(self.database, PHONE, ["tv"], 100.0)
            self.assertEqual([PHONE], list(await first.new()))
            devices.provision(self.database, FRIEND, ["tv"], 90.0)
            self.assertEqual([FRIEND], list(await first.new()))
            self.assertEqual([], list(await first.new()))
            self.assertEqual({PHONE, FRIEND}, set(await second.new()))

        return self.check(test)

    def test_old_changes(self) -> Deferred[None]:
        """They are forgotten after a while, and a change that comes then is seen all the same."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there)
            for number in range(5):
                devices.provision(self.database, PHONE, [], number * (KEPT + 1))
                self.assertEqual([PHONE], list(await changes.new()))
                self.assertEqual(1, len(await SqlChanges(self.database, self.run_there).new()))

        return self.check(test)


class SecretsInMemory(InMemory, SecretsContract, TestCase):
    """SQLite in memory."""


class SecretsInFile(InFile, SecretsContract, TestCase):
    """SQLite in a file."""


class SecretsOnPostgresql(OnPostgresql, SecretsContract, TestCase):
    """PostgreSQL."""


class RevocationsInMemory(InMemory, RevocationsContract, TestCase):
    """SQLite in memory."""


class RevocationsInFile(InFile, RevocationsContract, TestCase):
    """SQLite in a file."""


class RevocationsOnPostgresql(OnPostgresql, RevocationsContract, TestCase):
    """PostgreSQL."""
