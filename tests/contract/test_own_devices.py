"""The contract of every database for devices that those of the same phone see and change."""

from __future__ import annotations

from msgspec import UNSET
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from callnet.model import DEVICE_LABEL_MAX, EVERY_DEVICE, DeviceAddress, Topic
from callnet.storage.changes import SqlChanges
from callnet.storage.devices import Device, SqlDevices, Unlocking, provision
from callnet.storage.enrolling import Enrolled
from callnet.storage.push import PushKind, PushRegistration, SqlPushRegistrations
from callnet.storage.revoking import SqlRevocations
from tests.contract.databases import OFFER, DatabaseCase, InFile, InMemory
from tests.support.immediate import run_at_once

PHONE, FRIEND = "13651884967", "13651884968"
TV, PAD = DeviceAddress(PHONE, "tv"), DeviceAddress(PHONE, "pad")
DAY = 86400.0
NOBODY_KNOWS = b"n" * 32
RIGHT, WRONG = b"r" * 48, b"w" * 48


def right() -> bytes:
    """The hash of the right PIN."""
    return RIGHT


def wrong() -> bytes:
    """The hash of another one."""
    return WRONG


class OwnDevicesContract(DatabaseCase):
    """Labels, the last use, logging out and removing."""

    def setUp(self) -> None:
        """The devices of a phone, and one of another."""
        super().setUp()
        self.devices = SqlDevices(self.database, self.run_there, self.clock.seconds)
        self.from_the_thread = SqlDevices(self.database, run_at_once, self.clock.seconds)
        self.revocations = SqlRevocations(self.database, self.run_there, self.clock.seconds)

    async def some(self) -> None:
        """Let there be some."""
        await self.enrolled(TV, PAD, DeviceAddress(FRIEND, "tv"))

    async def revoked(self) -> list[str]:
        """The devices with revoked tokens."""
        found = await self.revocations.revoked()
        return sorted(one.device.device_id for one in found.get(PHONE, ()))

    def test_list(self) -> Deferred[None]:
        """All devices of one phone are listed, by their ids."""

        async def test() -> None:
            self.assertEqual([], await self.devices.of(PHONE))
            await self.some()
            self.assertEqual(
                [Device("pad", False, "", None), Device("tv", False, "", None)], await self.devices.of(PHONE)
            )

        return self.check(test)

    def test_rename(self) -> Deferred[None]:
        """A label is kept as it is, of one device; every node hears of it."""

        async def test() -> None:
            await self.some()
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await changes.new()
            for label in ("Mum's 电视", "\U0001f4fa" * DEVICE_LABEL_MAX, ""):
                self.assertTrue(await self.devices.rename(TV, label))
                self.assertEqual(["", label], [device.label for device in await self.devices.of(PHONE)])
                self.assertEqual({PHONE: {Topic.DEVICES}}, (await changes.new()).phones)
            self.assertFalse(await self.devices.rename(DeviceAddress(PHONE, "none"), "x"))
            self.assertEqual({}, (await changes.new()).phones)

        return self.check(test)

    def test_configure(self) -> Deferred[None]:
        """The settings of one device are kept, and what is not named stays as it is; every node hears of it."""

        async def test() -> None:
            await self.some()
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await changes.new()
            for pin, answers, kept in (
                (right, UNSET, (True, False)),
                (UNSET, True, (True, True)),
                (None, UNSET, (False, True)),
                (UNSET, False, (False, False)),
            ):
                self.assertTrue(await self.devices.configure(TV, pin, answers))
                self.assertEqual({PHONE: {Topic.DEVICES}}, (await changes.new()).phones)
                pad, tv = await self.devices.of(PHONE)
                self.assertEqual(((False, False), kept), ((pad.kiosk, pad.auto_answers), (tv.kiosk, tv.auto_answers)))
            self.assertTrue(await self.devices.configure(TV, UNSET, UNSET))
            self.assertFalse(await self.devices.configure(DeviceAddress(PHONE, "none"), UNSET, True))
            self.assertEqual({}, (await changes.new()).phones)

        return self.check(test)

    def test_hash_of_a_pin(self) -> Deferred[None]:
        """A PIN is hashed outside any transaction, and only if the device is there and may have another one."""

        async def test() -> None:
            await self.some()
            hashed = []

            def after_a_change() -> bytes:
                self.successResultOf(self.from_the_thread.rename(TV, "Living room"))
                hashed.append(RIGHT)
                return RIGHT

            self.assertFalse(await self.devices.configure(DeviceAddress(PHONE, "none"), after_a_change, UNSET))
            self.assertEqual([], hashed)
            self.assertTrue(await self.devices.configure(TV, after_a_change, UNSET, by_itself=True))
            self.assertEqual([RIGHT], hashed)
            self.assertFalse(await self.devices.configure(TV, after_a_change, UNSET, by_itself=True))
            self.assertEqual([RIGHT], hashed)

            def after_the_end() -> bytes:
                self.successResultOf(self.from_the_thread.remove(TV))
                return WRONG

            self.assertFalse(await self.devices.configure(TV, after_the_end, UNSET))

        return self.check(test)

    def test_unlock(self) -> Deferred[None]:
        """The right PIN ends the kiosk of one device, and every node hears of it; a kiosk that is over needs none."""

        async def test() -> None:
            await self.some()
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            for device in (TV, PAD):
                await self.devices.configure(device, right, True)
            await changes.new()
            self.assertEqual(Unlocking(False), await self.devices.unlock(TV, WRONG.__eq__))
            self.assertEqual({}, (await changes.new()).phones)
            self.assertEqual(Unlocking(True), await self.devices.unlock(TV, RIGHT.__eq__))
            self.assertEqual({PHONE: {Topic.DEVICES}}, (await changes.new()).phones)
            self.assertEqual([True, False], [device.kiosk for device in await self.devices.of(PHONE)])
            self.assertEqual([True, True], [device.auto_answers for device in await self.devices.of(PHONE)])
            self.assertEqual(Unlocking(True), await self.devices.unlock(TV, WRONG.__eq__))
            self.assertEqual(Unlocking(True), await self.devices.unlock(DeviceAddress(PHONE, "none"), WRONG.__eq__))
            self.assertEqual({}, (await changes.new()).phones)

        return self.check(test)

    def test_wrong_pins(self) -> Deferred[None]:
        """After five wrong PINs each needs a wait, twice as long each time, up to an hour; a new PIN needs none."""

        async def test() -> None:
            await self.some()
            await self.devices.configure(TV, right, UNSET)
            for _ in range(5):
                self.assertEqual(Unlocking(False), await self.devices.unlock(TV, WRONG.__eq__))
            for wait in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
                self.assertEqual(Unlocking(False, wait), await self.devices.unlock(TV, RIGHT.__eq__))
                self.clock.advance(wait - 0.5)
                self.assertEqual(Unlocking(False, 1), await self.devices.unlock(TV, RIGHT.__eq__))
                self.clock.advance(0.5)
                self.assertEqual(Unlocking(False), await self.devices.unlock(TV, WRONG.__eq__))
            await self.devices.configure(TV, UNSET, True)
            self.assertEqual(Unlocking(False, 3600), await self.devices.unlock(TV, RIGHT.__eq__))
            await self.devices.configure(TV, right, UNSET)
            self.assertEqual(Unlocking(True), await self.devices.unlock(TV, RIGHT.__eq__))

        return self.check(test)

    def test_pins_at_once(self) -> Deferred[None]:
        """Of PINs that are tried at the same time five are looked at. A right one ends the kiosk beside wrong ones."""

        async def test() -> None:
            await self.some()
            await self.devices.configure(TV, right, UNSET)
            outcomes: list[Unlocking] = []

            def beside_others(kept: bytes) -> bool:
                outcomes.append(self.successResultOf(self.from_the_thread.unlock(TV, beside_others)))
                return kept == WRONG

            self.assertEqual(Unlocking(False), await self.devices.unlock(TV, beside_others))
            self.assertEqual([Unlocking(False, 30), *[Unlocking(False)] * 4], outcomes)
            self.clock.advance(30)
            outcomes.clear()

            def beside_wrong_one(kept: bytes) -> bool:
                outcomes.append(self.successResultOf(self.from_the_thread.unlock(TV, WRONG.__eq__)))
                return kept == RIGHT

            self.assertEqual(Unlocking(True), await self.devices.unlock(TV, beside_wrong_one))
            self.assertEqual([Unlocking(False, 60)], outcomes)
            self.assertEqual([False, False], [device.kiosk for device in await self.devices.of(PHONE)])

        return self.check(test)

    def test_pins_in_all_threads(self) -> Deferred[None]:
        """Of eight that are tried as soon as there is a thread, five are looked at."""

        async def test() -> None:
            await self.some()
            await self.devices.configure(TV, right, UNSET)
            found = await gatherResults([self.devices.unlock(TV, WRONG.__eq__) for _ in range(8)])
            self.assertEqual([0] * 5 + [30] * 3, sorted(one.retry_after for one in found))

        return self.check(test)

    def test_changed_meanwhile(self) -> Deferred[None]:
        """The PIN that was right before does not end a kiosk that has another one by then; ended twice, it is over."""

        async def test() -> None:
            await self.some()
            await self.devices.configure(TV, right, UNSET)

            def before_another(kept: bytes) -> bool:
                self.successResultOf(self.from_the_thread.configure(TV, wrong, UNSET))
                return kept == RIGHT

            self.assertEqual(Unlocking(False), await self.devices.unlock(TV, before_another))
            self.assertEqual([False, True], [device.kiosk for device in await self.devices.of(PHONE)])

            def twice(kept: bytes) -> bool:
                self.assertEqual(Unlocking(True), self.successResultOf(self.from_the_thread.unlock(TV, WRONG.__eq__)))
                return kept == WRONG

            self.assertEqual(Unlocking(True), await self.devices.unlock(TV, twice))
            self.assertEqual([False, False], [device.kiosk for device in await self.devices.of(PHONE)])

        return self.check(test)

    def test_last_use(self) -> Deferred[None]:
        """The last use is recorded once a day, whoever made the device."""

        async def test() -> None:
            await self.some()
            provision(self.database, PHONE, ["box"], 0.0)
            box = DeviceAddress(PHONE, "box")
            for at, known in ((5.0, 5.0), (DAY, 5.0), (DAY + 5, DAY + 5), (2 * DAY, DAY + 5)):
                self.clock.advance(at - self.clock.seconds())
                self.statements.clear()
                noted = await self.run_there(self.accounts._use, [TV, box])
                self.assertEqual(({PHONE}, False) if known == at else (set(), True), (set(noted), self.writes() == []))
                used = {device.device_id: device.last_used_at for device in await self.devices.of(PHONE)}
                self.assertEqual({"box": known, "pad": None, "tv": known}, used)

        return self.check(test)

    def test_log_out(self) -> Deferred[None]:
        """A device that is logged out has no valid token, and its secret is of no use; one without has none."""

        async def test() -> None:
            await self.some()
            await self.accounts.claim(TV, OFFER, 1.0)
            provision(self.database, PHONE, ["box"], 0.0)
            for device_id in ("tv", "pad", "box"):
                self.assertTrue(await self.devices.log_out(DeviceAddress(PHONE, device_id), NOBODY_KNOWS))
            self.accounts.forget(None)
            self.assertEqual(["box", "pad", "tv"], await self.revoked())
            for device in (TV, PAD):
                found = await self.accounts.find(device)
                assert found is not None
                self.assertEqual((NOBODY_KNOWS, None), (found.secret, found.offered))
            self.assertEqual(Enrolled(), await self.accounts.find(DeviceAddress(PHONE, "box")))
            self.assertFalse(await self.devices.log_out(DeviceAddress(FRIEND, "pad"), NOBODY_KNOWS))

        return self.check(test)

    def test_remove(self) -> Deferred[None]:
        """A removed device is gone, with its tokens and the way to wake it; the others stay."""

        async def test() -> None:
            await self.some()
            registrations = SqlPushRegistrations(self.database, self.run_there)
            for device in (TV, PAD):
                await registrations.put(PushRegistration(device, PushKind.WEBHOOK, "box", 1.0), lambda _: False)
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await changes.new()
            self.assertTrue(await self.devices.remove(TV))
            self.assertFalse(await self.devices.remove(TV))
            self.assertEqual({PHONE: {Topic.DEVICES}}, (await changes.new()).phones)
            self.assertEqual(["pad"], [device.device_id for device in await self.devices.of(PHONE)])
            self.assertEqual(["tv"], await self.revoked())
            left = await registrations.of(DeviceAddress(PHONE, EVERY_DEVICE))
            self.assertEqual([PAD], [one.device for one in left])

        return self.check(test)


class OwnDevicesInMemory(InMemory, OwnDevicesContract, TestCase):
    """SQLite in memory."""


class OwnDevicesInFile(InFile, OwnDevicesContract, TestCase):
    """SQLite in a file."""
