"""The contract of every database for waking devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from callnet.model import PUSH_TARGET_MAX, DeviceAddress
from callnet.storage import devices
from callnet.storage.changes import SqlChanges
from callnet.storage.push import PushKind, PushRegistration, SqlPushRegistrations
from callnet.storage.revoking import Revocation, SqlRevocations
from tests.contract.databases import DatabaseCase, InFile, InMemory

PHONE, FRIEND = "13651884967", "13651884968"
TV, PAD, OTHER = DeviceAddress(PHONE, "tv"), DeviceAddress(PHONE, "Pad"), DeviceAddress(FRIEND, "tv")
ALL = DeviceAddress(PHONE, "*")


def registration(device: DeviceAddress, target: str = "box 7", at: float = 1.0) -> PushRegistration:
    """One for the gateway."""
    return PushRegistration(device, PushKind.WEBHOOK, target, at)


def nothing_revoked(_revoked: Sequence[Revocation]) -> bool:
    """The token is good, whatever else is revoked."""
    return False


def anything_revoked(revoked: Sequence[Revocation]) -> bool:
    """The token is one of all that are revoked."""
    return bool(revoked)


class PushContract(DatabaseCase):
    """At most one registration for each device."""

    def setUp(self) -> None:
        """A database with nothing in it."""
        super().setUp()
        self.registrations = SqlPushRegistrations(self.database, self.run_there)
        self.revocations = SqlRevocations(self.database, self.run_there, self.clock.seconds)
        self.changes = SqlChanges(self.database, self.run_there, self.clock.seconds)

    async def put(self, *new: PushRegistration) -> None:
        """Let devices register."""
        for each in new:
            self.assertTrue(await self.registrations.put(each, nothing_revoked))

    async def revoke(self, device: DeviceAddress) -> None:
        """Revoke everything that was issued for a device."""
        await self.revocations.revoke_all(device)

    def test_kept(self) -> Deferred[None]:
        """A registration is found by its device, and by its phone, in the order of device ids."""

        async def test() -> None:
            web = PushRegistration(PAD, PushKind.WEBPUSH, "码" * PUSH_TARGET_MAX, 1.5)
            self.assertEqual([], await self.registrations.of(TV))
            await self.put(registration(TV), web, registration(OTHER))
            self.assertEqual([registration(TV)], await self.registrations.of(TV))
            self.assertEqual([web, registration(TV)], await self.registrations.of(ALL))
            self.assertEqual([], await self.registrations.of(DeviceAddress(PHONE, "pad")))

        return self.check(test)

    def test_renewed(self) -> Deferred[None]:
        """A target for Web Push takes the place of the one that is named, and of no other."""

        async def test() -> None:
            web = PushRegistration(PAD, PushKind.WEBPUSH, "old", 1.5)
            await self.put(web, registration(TV, "old"), PushRegistration(OTHER, PushKind.WEBPUSH, "another", 1.5))
            for device, old in ((TV, "old"), (PAD, "Old"), (DeviceAddress(PHONE, "pad"), "old"), (OTHER, "old")):
                self.assertFalse(await self.registrations.renew(device, old, "new", 2.0))
            self.assertTrue(await self.registrations.renew(PAD, "old", "new", 2.0))
            self.assertEqual(["new", "old"], [one.target for one in await self.registrations.of(ALL)])
            self.assertEqual(["another"], [one.target for one in await self.registrations.of(OTHER)])
            self.assertTrue(await self.registrations.renew(PAD, "new", "another", 2.0))
            self.assertEqual([], await self.registrations.of(OTHER))

        return self.check(test)

    def test_newest(self) -> Deferred[None]:
        """A device has one registration, the newest."""

        async def test() -> None:
            newer = PushRegistration(TV, PushKind.WEBPUSH, "y", 2.0)
            await self.put(registration(TV), registration(PAD), newer)
            self.assertEqual([registration(PAD), newer], await self.registrations.of(ALL))

        return self.check(test)

    def test_one_browser(self) -> Deferred[None]:
        """A subscription wakes one device, of whatever phone: the one that was registered last. A gateway's name of a
        device, which anybody might guess, takes it from nobody.
        """

        async def test() -> None:
            await self.changes.new()
            web = [PushRegistration(device, PushKind.WEBPUSH, "x", 1.0) for device in (TV, PAD, OTHER, PAD)]
            for newest in web:
                await self.put(newest)
                found = [*await self.registrations.of(ALL), *await self.registrations.of(OTHER)]
                self.assertEqual([newest], found)
            self.assertEqual({PHONE, FRIEND}, set((await self.changes.new()).phones))
            await self.put(PushRegistration(PAD, PushKind.WEBPUSH, "y", 1.0), *web[:1], registration(OTHER, "x"))
            self.assertEqual(["y", "x"], [one.target for one in await self.registrations.of(ALL)])
            self.assertEqual({PHONE, FRIEND}, set((await self.changes.new()).phones))
            await self.put(web[2])
            self.assertEqual({PHONE, FRIEND}, set((await self.changes.new()).phones))

        return self.check(test)

    def test_one_browser_at_once(self) -> Deferred[None]:
        """The same if several register at once."""

        async def test() -> None:
            both = [PushRegistration(device, PushKind.WEBPUSH, "x", 1.0) for device in (TV, PAD, OTHER)]
            for _ in range(10):
                putting = [self.registrations.put(each, nothing_revoked) for each in both]
                self.assertEqual([(True, True)] * 3, await DeferredList(putting))
                found = [*await self.registrations.of(ALL), *await self.registrations.of(OTHER)]
                self.assertEqual(1, len(found))

        return self.check(test)

    def test_renewed_at_once(self) -> Deferred[None]:
        """The same if a device registers, and has its target renewed, at once."""

        async def test() -> None:
            for _ in range(20):
                await self.put(PushRegistration(PAD, PushKind.WEBPUSH, "old", 1.0))
                at_once = [
                    self.registrations.renew(PAD, "old", "new", 2.0),
                    *(
                        self.registrations.put(PushRegistration(each, PushKind.WEBPUSH, "new", 1.0), nothing_revoked)
                        for each in (PAD, OTHER)
                    ),
                ]
                self.assertEqual([True] * 3, [is_done for is_done, _ in await DeferredList(at_once)])
                found = [*await self.registrations.of(ALL), *await self.registrations.of(OTHER)]
                self.assertEqual(["new"], [one.target for one in found])
                await self.registrations.forget(OTHER, 3.0)

        return self.check(test)

    def test_forget(self) -> Deferred[None]:
        """A device is forgotten, and no other; one that is not there, too."""

        async def test() -> None:
            await self.put(registration(TV), registration(PAD), registration(OTHER))
            for _ in range(2):
                await self.registrations.forget(TV, 1.0)
                self.assertEqual([registration(PAD)], await self.registrations.of(ALL))
            self.assertEqual([registration(OTHER)], await self.registrations.of(OTHER))

        return self.check(test)

    def test_drop(self) -> Deferred[None]:
        """A registration is dropped only as long as the device has made no other one."""

        async def test() -> None:
            old = registration(TV)
            for newer in (
                registration(TV, target="box 8"),
                registration(TV, at=1.25),
                PushRegistration(TV, PushKind.WEBPUSH, old.target, old.created_at),
            ):
                await self.put(newer)
                await self.registrations.drop(old, 1.0)
                self.assertEqual([newer], await self.registrations.of(TV))
                await self.registrations.drop(newer, 1.0)
                self.assertEqual([], await self.registrations.of(TV))

        return self.check(test)

    def test_revoked(self) -> Deferred[None]:
        """A device with a revoked token is not woken any more; nor is any of a phone, if that is revoked."""

        async def test() -> None:
            everybody = [registration(PAD), registration(TV), registration(OTHER)]
            await self.put(*everybody)
            await self.revoke(TV)
            self.assertEqual([registration(PAD)], await self.registrations.of(ALL))
            await self.put(registration(TV))
            await self.revoke(ALL)
            self.assertEqual([], await self.registrations.of(ALL))
            self.assertEqual([registration(OTHER)], await self.registrations.of(OTHER))

        return self.check(test)

    def test_with_a_revoked_token(self) -> Deferred[None]:
        """A registration with a revoked token is refused, and the existing one stays."""

        async def test() -> None:
            await self.revoke(OTHER)
            await self.put(registration(TV))
            self.assertTrue(await self.registrations.put(registration(TV), anything_revoked))
            self.assertFalse(await self.registrations.put(registration(OTHER), anything_revoked))
            self.assertEqual([], await self.registrations.of(OTHER))
            with self.database.write() as connection:
                connection.exec_driver_sql("UPDATE revocation SET expires_at = 0.5")
            late = registration(OTHER, at=101.0)
            self.assertTrue(await self.registrations.put(late, anything_revoked))  # all that was revoked has expired

        return self.check(test)

    def test_revoked_at_once(self) -> Deferred[None]:
        """A device that registers while its tokens are revoked has no registration left."""

        async def test() -> None:
            for _ in range(10):
                both: list[Deferred[Any]] = [
                    self.registrations.put(registration(TV), anything_revoked),
                    self.revocations.revoke_all(TV),
                    self.registrations.put(registration(TV), anything_revoked),
                ]
                self.assertEqual([True] * 3, [is_done for is_done, _ in await DeferredList(both)])
                self.assertEqual([], await self.registrations.of(TV))
                with self.database.write() as connection:
                    connection.exec_driver_sql("DELETE FROM revocation")

        return self.check(test)

    def test_deleted_at_once(self) -> Deferred[None]:
        """A device that registers while its account is deleted has no registration left, and blocks nobody."""

        async def test() -> None:
            for _ in range(10):
                await self.put(registration(TV))
                both: list[Deferred[Any]] = [
                    self.registrations.put(registration(TV), anything_revoked),
                    self.run_there(devices.delete, self.database, PHONE, lambda: 2.0),
                    self.registrations.put(registration(TV), anything_revoked),
                ]
                self.assertEqual([True] * 3, [is_done for is_done, _ in await DeferredList(both)])
                self.assertEqual([], await self.registrations.of(TV))
                with self.database.write() as connection:
                    connection.exec_driver_sql("DELETE FROM revocation")

        return self.check(test)


class PushInMemory(InMemory, PushContract, TestCase):
    """SQLite in memory."""


class PushInFile(InFile, PushContract, TestCase):
    """SQLite in a file."""
