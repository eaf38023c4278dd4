"""The contract of every database for secrets, revoked tokens and changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from msgspec.structs import replace
from sqlalchemy import insert
from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.trial.unittest import TestCase

from callnet.errors import DeviceInvalid, PhoneInvalid, Unavailable
from callnet.model import EVERY_DEVICE, REVOCATIONS_MAX, REVOCATIONS_OF_DEVICE_MAX, DeviceAddress
from callnet.storage import devices
from callnet.storage.changes import KEPT, SqlChanges
from callnet.storage.database import Run
from callnet.storage.devices import SqlDevices
from callnet.storage.enrolling import OFFER_STANDS, Enrolled, SqlAccounts
from callnet.storage.revoking import Revocation, SqlRevocations
from callnet.storage.schema import change, revocation
from tests.contract.databases import OFFER, DatabaseCase, InFile, InMemory

P = ParamSpec("P")
T = TypeVar("T")

PHONE, FRIEND = "13651884967", "13651884968"
TV, PAD = DeviceAddress(PHONE, "tv"), DeviceAddress(PHONE, "pad")


class Slow:
    """Runs functions to their end, and may give up the wait for it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.is_too_late = False

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """See :class:`Run`."""
        done = self._run(function, *args, **kwargs)
        return done.addCallback(lambda _: fail(Unavailable("no answer in time"))) if self.is_too_late else done


def looked(changes: SqlChanges, **last: float) -> None:
    """Change what a reader remembers of its last read."""
    assert changes._seen is not None
    changes._seen = replace(changes._seen, **last)


class SecretsContract(DatabaseCase):
    """The secrets of devices."""

    def test_offer(self) -> Deferred[None]:
        """Many concurrent enrolments of one device, on two nodes, all learn of the one offer that counts."""

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
            self.assertEqual(Enrolled(None, OFFER, self.clock.seconds()), await self.accounts.find(TV))
            self.assertIsNone(await self.accounts.find(PAD))
            with self.assertRaises(PhoneInvalid):
                await self.accounts.find(DeviceAddress(FRIEND, "tv"))
            self.assertIsNone(await self.accounts.find(PAD))

        return self.check(test)

    def test_claim(self) -> Deferred[None]:
        """An offered secret can be bound once, and nothing else can."""

        async def test() -> None:
            await self.accounts.enrol(TV, OFFER)
            self.assertFalse(await self.accounts.claim(TV, b"x" * 32, 1.0))
            self.assertTrue(await self.accounts.claim(TV, OFFER, 1.0))
            self.assertFalse(await self.accounts.claim(TV, OFFER, 1.0))
            self.assertEqual(Enrolled(OFFER, None), await self.accounts.find(TV))

        return self.check(test)

    def test_another_offer(self) -> Deferred[None]:
        """Of logins on two nodes that are both to be offered another secret one is, as long as nobody has claimed or
        used the device.
        """

        async def test() -> None:
            other = SqlAccounts(self.database, self.run_there, self.clock)
            device = await self.accounts.enrol(TV, OFFER)
            later = replace(device, unused_since=self.clock.seconds() - OFFER_STANDS)
            offers = {b"a" * 32: self.accounts, b"b" * 32: other}
            made = await gatherResults([node.offer_again(TV, later, offer) for offer, node in offers.items()])
            [offered] = [offer for offer, is_made in zip(offers, made, strict=True) if is_made]
            self.assertEqual(offered, (await self.accounts.find(TV) or Enrolled()).offered)
            self.assertFalse(await self.accounts.claim(TV, OFFER, 1.0))

            await self.run_there(self.accounts._use, [TV])
            again = replace(later, offered=offered)
            self.assertFalse(await self.accounts.offer_again(TV, again, OFFER))
            self.assertTrue(await self.accounts.claim(TV, offered, 1.0))
            self.assertFalse(await self.accounts.offer_again(TV, again, OFFER))

        return self.check(test)

    def test_provisioned(self) -> Deferred[None]:
        """A device provisioned by the operator exists and has the operator's secret."""

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

    def setUp(self) -> None:
        """Nothing is revoked."""
        super().setUp()
        self.store = SqlRevocations(self.database, self.run_there, self.clock.seconds)

    def session(self, device: DeviceAddress, sid: str, expires_at: float = 4e9) -> Revocation:
        """The revocation of a login session."""
        return Revocation(device, expires_at, sid=sid)

    def test_revoke(self) -> Deferred[None]:
        """A revocation is found by phone, unchanged, until it has expired."""

        async def test() -> None:
            self.clock.advance(10.0)
            every = DeviceAddress(PHONE, EVERY_DEVICE)
            one, two = self.session(TV, "a" * 255, 4e9 + 0.25), Revocation(every, 4e9, before=1e9 - 0.125)
            friend = self.session(DeviceAddress(FRIEND, "\U0001f4fa"), "b")
            expired = self.session(DeviceAddress(FRIEND, "tv"), "c", 9.5)
            for revoked in (one, expired, two, friend):
                await self.store.revoke(revoked)
            everything = await self.store.revoked()
            self.assertEqual(({one, two}, [friend]), (set(everything[PHONE]), everything[FRIEND]))
            self.assertEqual({FRIEND: [friend], "x": []}, await self.store.revoked([FRIEND, "x"]))
            self.assertNotIn("c", await self.sids())

        return self.check(test)

    async def sids(self) -> set[str]:
        """The login sessions in the table."""
        with self.database.read() as connection:
            return set(connection.exec_driver_sql("SELECT jti FROM revocation").scalars())

    def test_revoke_all(self) -> Deferred[None]:
        """One row revokes all tokens of a device until now; it can be revoked again, each time until a later moment."""

        async def test() -> None:
            await self.store.revoke(self.session(TV, "a"))
            await self.store.revoke(self.session(PAD, "b"))
            befores = []
            for _ in range(3):
                await self.store.revoke_all(TV)
                befores += [one.before for one in (await self.store.revoked())[PHONE] if one.before is not None]
            self.assertEqual(sorted(set(befores)), befores)
            self.assertEqual(2, len((await self.store.revoked())[PHONE]))
            await self.store.revoke_all(DeviceAddress(PHONE, EVERY_DEVICE))
            [left] = (await self.store.revoked())[PHONE]
            self.assertEqual(EVERY_DEVICE, left.device.device_id)

        return self.check(test)

    def test_too_many(self) -> Deferred[None]:
        """At most ten revocations of a device are kept: more become one."""

        async def test() -> None:
            await self.store.revoke(self.session(PAD, "b"))
            for number in range(REVOCATIONS_OF_DEVICE_MAX + 5):
                await self.store.revoke(self.session(TV, str(number)))
            found = (await self.store.revoked())[PHONE]
            before = [one for one in found if one.before is not None]
            self.assertEqual([TV], [one.device for one in before])
            self.assertIn(self.session(PAD, "b"), found)
            self.assertEqual(2 + 4, len(found))

        return self.check(test)

    def test_too_many_devices(self) -> Deferred[None]:
        """Devices that are made and removed again and again revoke nothing of others, and at a hundred revocations
        logins make no further one, until they have expired or the operator revokes all.
        """

        async def test() -> None:
            for sid in "abc":
                await self.store.revoke(self.session(PAD, sid))
            own = SqlDevices(self.database, self.run_there, self.clock.seconds, 60.0)
            made = 0
            with self.assertRaises(DeviceInvalid):
                for made in range(2 * REVOCATIONS_MAX):
                    stranger = DeviceAddress(PHONE, f"x{made}")
                    await self.accounts.enrol(stranger, OFFER)
                    await own.remove(stranger)
            found = (await self.store.revoked())[PHONE]
            self.assertEqual((REVOCATIONS_MAX, REVOCATIONS_MAX - 3), (len(found), made))
            of_pad = {one for one in found if one.device.covers(PAD)}
            self.assertEqual({self.session(PAD, sid) for sid in "abc"}, of_pad)
            await self.enrolled(DeviceAddress(FRIEND, "tv"))
            devices.revoke(self.database, DeviceAddress(PHONE, EVERY_DEVICE), self.clock.seconds)
            await self.enrolled(stranger)

        return self.check(test)

    def test_expiry(self) -> Deferred[None]:
        """A removed device stays revoked for as long as a token lasts, one that the operator has revoked for longer.
        Once expired, a revocation is gone and leaves room for further devices.
        """

        async def test() -> None:
            own = SqlDevices(self.database, self.run_there, self.clock.seconds, 60.0)
            await self.enrolled(TV)
            await own.remove(TV)
            [found] = (await self.store.revoked())[PHONE]
            assert found.before is not None
            self.assertEqual(60.0, found.expires_at - found.before)
            devices.revoke(self.database, TV, self.clock.seconds)
            [longer] = (await self.store.revoked())[PHONE]
            self.accounts.forget([PHONE])
            await self.enrolled(TV)
            await own.remove(TV)
            [found] = (await self.store.revoked())[PHONE]
            self.assertEqual(longer.expires_at, found.expires_at)
            with self.database.write() as connection:
                connection.execute(revocation.delete())
            self.fill({PHONE: REVOCATIONS_MAX}, expires_at=-1.0)
            self.accounts.forget([PHONE])
            await self.enrolled(TV, PAD)
            await own.remove(TV)
            self.assertEqual([(PHONE, "tv")], await self.rows())

        return self.check(test)

    def fill(self, counts: Mapping[str, int], expires_at: float) -> None:
        """Put revocations of many devices of these phones into the table."""
        rows = [
            {"phone": phone, "device_id": f"x{number}", "jti": "a", "expires_at": expires_at}
            for phone, count in counts.items()
            for number in range(count)
        ]
        with self.database.write() as connection:
            connection.execute(insert(revocation), rows)

    async def rows(self) -> list[tuple[str, str]]:
        """The phones and devices in the table."""
        with self.database.read() as connection:
            return [tuple(row) for row in connection.exec_driver_sql("SELECT phone, device_id FROM revocation")]

    def test_pages(self) -> Deferred[None]:
        """Any number of revocations can be read when a process starts: no statement reads more than ten thousand."""

        async def test() -> None:
            counts = {str(number): 100 for number in range(250)}
            self.fill(counts, expires_at=4e9)
            del self.statements[:]
            found = await self.store.revoked()
            self.assertEqual(counts, {phone: len(set(of_phone)) for phone, of_phone in found.items()})
            self.assertEqual(3, len(self.statements))

        return self.check(test)

    def test_very_many_phones(self) -> Deferred[None]:
        """Revocations can be read for as many phones as an import of contacts changes at once."""

        async def test() -> None:
            revoked = self.session(TV, "a")
            await self.store.revoke(revoked)
            await self.store.revoke(self.session(DeviceAddress("other", "tv"), "b"))
            phones = [PHONE, *map(str, range(300_000))]
            found = await self.store.revoked(phones)
            self.assertEqual((len(phones), [revoked], []), (len(found), found[PHONE], found["7"]))

        return self.check(test)

    def test_changes(self) -> Deferred[None]:
        """Every node sees each change once, of whatever origin, and a new one those of the last minutes."""

        async def test() -> None:
            first, second = (
                SqlChanges(self.database, self.run_there, self.clock.seconds),
                SqlChanges(self.database, self.run_there, self.clock.seconds),
            )
            self.assertEqual([], list((await first.new()).phones))
            devices.provision(self.database, PHONE, ["tv"], 100.0)
            self.assertEqual([PHONE], list((await first.new()).phones))
            devices.provision(self.database, FRIEND, ["tv"], 90.0)
            self.assertEqual([FRIEND], list((await first.new()).phones))
            self.assertEqual([], list((await first.new()).phones))
            self.assertEqual({PHONE, FRIEND}, set((await second.new()).phones))

        return self.check(test)

    def test_old_changes(self) -> Deferred[None]:
        """They are forgotten after some time, and a change that comes then is seen all the same."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            for number in range(5):
                devices.provision(self.database, PHONE, [], number * (KEPT + 1))
                self.assertEqual([PHONE], list((await changes.new()).phones))
                self.assertEqual(
                    1, len((await SqlChanges(self.database, self.run_there, self.clock.seconds).new()).phones)
                )

        return self.check(test)

    def write(self, rows: Mapping[int, str]) -> None:
        """Have changes of phones recorded, by their ids."""
        with self.database.write() as connection:
            connection.execute(insert(change), [{"id": one, "phone": phone, "at": 4e9} for one, phone in rows.items()])

    def test_read_too_late(self) -> Deferred[None]:
        """Changes found by a read that nobody waited for any more are found by the next one."""

        async def test() -> None:
            run = Slow(self.run_there)
            changes = SqlChanges(self.database, run, self.clock.seconds)
            await changes.new()
            devices.provision(self.database, PHONE, ["tv"], 0.0)
            run.is_too_late = True
            with self.assertRaises(Unavailable):
                await changes.new()
            run.is_too_late = False
            self.assertEqual([PHONE], list((await changes.new()).phones))

        return self.check(test)

    def test_too_long_ago(self) -> Deferred[None]:
        """A first reader is told that everything may have changed; one that has read lately is not; one that returns
        after changes may have been forgotten is told so, once.
        """

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            self.assertEqual([True, False], [(await changes.new()).is_all for _ in range(2)])
            if self.database.threads > 1:  # PostgreSQL goes by its own clock
                looked(changes, looked_at=time.time() - KEPT / 2)
            self.clock.advance(KEPT / 2)
            self.assertEqual([True, False], [(await changes.new()).is_all for _ in range(2)])

        return self.check(test)

    def test_forgotten_unseen(self) -> Deferred[None]:
        """So is a reader that finds that unseen changes are gone, or that the database is another one."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await changes.new()
            for _ in range(3):
                devices.provision(self.database, PHONE, [], 0.0)
            self.assertFalse((await changes.new()).is_all)
            for _ in range(3):
                devices.provision(self.database, PHONE, [], 0.0)
            for left in (6, 2):
                with self.database.write() as connection:
                    connection.execute(change.delete())
                self.write({left: PHONE})
                self.assertEqual([True, False], [(await changes.new()).is_all for _ in range(2)])

        return self.check(test)

    def test_seen_late(self) -> Deferred[None]:
        """A change whose transaction ends after thousands that were begun later is seen all the same."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await changes.new()
            self.write({1: PHONE} | {number: FRIEND for number in range(2, 5000) if number not in (7, 8)})
            self.assertEqual({PHONE, FRIEND}, set((await changes.new()).phones))
            for number in (8, 7):
                self.write({number: PHONE})
                self.assertEqual([PHONE], list((await changes.new()).phones))
                self.assertEqual([], list((await changes.new()).phones))

        return self.check(test)

    def test_too_many_gaps(self) -> Deferred[None]:
        """If there are too many such, everything is read again when their transactions must have ended."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await changes.new()
            self.write({1: PHONE} | dict.fromkeys(range(2, 1000, 2), FRIEND))
            self.assertEqual([False, False], [(await changes.new()).is_all for _ in range(2)])
            if self.database.threads > 1:
                looked(changes, gave_up_at=0.0)
            self.clock.advance(60)
            self.assertEqual([True, False], [(await changes.new()).is_all for _ in range(2)])

        return self.check(test)


class SecretsInMemory(InMemory, SecretsContract, TestCase):
    """SQLite in memory."""


class SecretsInFile(InFile, SecretsContract, TestCase):
    """SQLite in a file."""


class RevocationsInMemory(InMemory, RevocationsContract, TestCase):
    """SQLite in memory."""


class RevocationsInFile(InFile, RevocationsContract, TestCase):
    """SQLite in a file."""
