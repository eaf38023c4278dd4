"""The contract of every database for devices that wait to be let in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from callnet.errors import CodeInvalid, DeviceInvalid, RateLimited, TokenInvalid
from callnet.model import DeviceAddress, Topic
from callnet.storage.changes import SqlChanges
from callnet.storage.codes import NewPairing, PairingState, SqlPairings
from callnet.storage.enrolling import UNUSED_FOR, Enrolled, Newcomers, SqlAccounts
from callnet.storage.outbox import SqlOutbox
from callnet.storage.revoking import Revocation
from callnet.storage.schema import account_device, pairing
from tests.contract.databases import DatabaseCase, InFile, InMemory

PHONE, FRIEND = "13651884967", "13651884968"
TV, PAD, FRIENDS = DeviceAddress(PHONE, "tv"), DeviceAddress(PHONE, "pad"), DeviceAddress(FRIEND, "tv")
NOW = 1_600_000_000.5
MOST = 3


def new(number: int, code: int | None = None) -> NewPairing:
    """A device that begins to wait."""
    return NewPairing(
        f"{number:032x}", bytes([number]) * 32, bytes([number if code is None else code]) * 32, f"TV {number}"
    )


def valid(_: Sequence[Revocation]) -> bool:
    """Say that the token of the request is not revoked."""
    return False


class PairingContract(DatabaseCase):
    """Two nodes on one database."""

    def setUp(self) -> None:
        """Both."""
        super().setUp()
        self.pairings, self.other = (SqlPairings(self.database, self.run_there, MOST) for _ in range(2))
        self.clock.advance(NOW)
        newcomers = Newcomers(lambda: NOW, lambda: 2, UNUSED_FOR, is_told=True)
        self.enrolling = SqlAccounts(self.database, self.run_there, self.clock, newcomers)

    def begin(self, pairing: NewPairing, valid_for: float = 600.0) -> Deferred[bool]:
        """Let a device wait."""
        return self.pairings.begin(pairing, NOW, valid_for)

    def accept(self, number: int, address: DeviceAddress = TV) -> Deferred[bool]:
        """Let one in."""
        return self.enrolling.pair(new(number).id, address, "label", valid)

    async def refused(self, answer: Deferred[Any], error: type[Exception]) -> None:
        """Assert that it is refused."""
        await answer.addCallbacks(lambda _: self.fail("not refused"), lambda failure: failure.trap(error))

    async def state(self, number: int) -> PairingState | None:
        """The state that another node knows of it."""
        return await self.other.state(new(number).secret, NOW)

    def test_begin(self) -> Deferred[None]:
        """A device that waits is known on every node, by its code and by its secret, until it is too old."""

        async def test() -> None:
            self.assertTrue(await self.begin(new(1)))
            self.assertTrue(await self.begin(new(2), valid_for=0.0))
            found = await self.other.look(new(1).code, NOW)
            assert found is not None
            self.assertEqual((new(1).id, "TV 1"), (found.id, found.name))
            self.assertTrue(0 <= found.age < 60, found.age)
            self.assertEqual(PairingState(False, None), await self.state(1))
            for number in (2, 3):
                self.assertIsNone(await self.other.look(new(number).code, NOW))
                self.assertIsNone(await self.state(number))
                await self.refused(self.accept(number), CodeInvalid)
                self.assertIsNone(await self.pairings.refuse(new(number).id, NOW))

        return self.check(test)

    def test_taken(self) -> Deferred[None]:
        """Of two devices that draw the same code the second has to draw again; one that has given up frees it."""

        async def test() -> None:
            self.assertTrue(await self.begin(new(1), valid_for=0.0))
            self.assertEqual([True, False], [await self.begin(new(number, code=1)) for number in (2, 3)])
            self.assertIsNone(await self.state(3))

        return self.check(test)

    def test_bound(self) -> Deferred[None]:
        """A limited number is remembered, accepted and refused ones among them; those that are too old make room."""

        async def test() -> None:
            for number in range(MOST):
                await self.begin(new(number))
            await self.pairings.refuse(new(0).id, NOW)

            async def begin(number: int) -> None:
                await self.begin(new(number))

            await self.refused(Deferred.fromCoroutine(begin(9)), RateLimited)
            with self.database.write() as connection:
                connection.execute(pairing.update().values(expires_at=0.0))
            self.assertTrue(await self.begin(new(9)))
            with self.database.read() as connection:
                self.assertEqual(
                    [new(9).id], connection.scalars(pairing.select().with_only_columns(pairing.c.id)).all()
                )

        return self.check(test)

    def test_accept(self) -> Deferred[None]:
        """A device that is let in is a device of the phone at once, with its secret; all are told."""

        async def test() -> None:
            await self.begin(new(1))
            changes = SqlChanges(self.database, self.run_there, lambda: NOW)
            await changes.new()
            self.assertEqual([True, False], [await self.accept(1) for _ in range(2)])
            self.assertEqual({PHONE: {Topic.DEVICES}}, (await changes.new()).phones)
            self.assertEqual(PairingState(False, TV), await self.state(1))
            self.assertEqual(Enrolled(new(1).secret, None, NOW), await self.enrolling.find(TV))
            with self.database.read() as connection:
                row = connection.execute(account_device.select()).one()
            self.assertEqual((True, "label"), (row.by_login, row.label))
            outbox = SqlOutbox(self.database, self.run_there, contacts_only=False)
            self.assertEqual((1, 0), await outbox.count(9))
            await self.refused(self.accept(1, PAD), CodeInvalid)
            self.assertIsNone(await self.pairings.refuse(new(1).id, NOW))
            self.assertIsNone(await self.other.look(new(1).code, NOW))

        return self.check(test)

    def test_removed(self) -> Deferred[None]:
        """A device that was removed, or replaced by another one with its id, is not accepted again."""

        async def test() -> None:
            await self.begin(new(1))
            await self.accept(1)
            with self.database.write() as connection:
                connection.execute(account_device.delete())
            await self.refused(self.accept(1), CodeInvalid)
            await self.enrolled(TV)
            await self.refused(self.accept(1), CodeInvalid)

        return self.check(test)

    def test_at_once(self) -> Deferred[None]:
        """Of many who let the same device in at once one has it."""

        async def test() -> None:
            await self.begin(new(1))
            phones = [f"1365188{number:04}" for number in range(6)]
            accepted: list[object] = await gatherResults(
                [
                    self.enrolling.pair(new(1).id, DeviceAddress(phone, "tv"), "", valid).addErrback(lambda f: f.type)
                    for phone in phones
                ]
            )
            self.assertEqual(5, accepted.count(CodeInvalid))
            winner = phones[accepted.index(True)]
            self.assertEqual(PairingState(False, DeviceAddress(winner, "tv")), await self.state(1))
            with self.database.read() as connection:
                self.assertEqual([winner], [row.phone for row in connection.execute(account_device.select())])

        return self.check(test)

    def test_all_or_nothing(self) -> Deferred[None]:
        """If the device cannot be made the other one waits on, and nothing else has changed."""

        async def test() -> None:
            await self.begin(new(1))
            await self.enrolled(TV)
            await self.refused(self.accept(1), DeviceInvalid)
            await self.refused(self.enrolling.pair(new(1).id, PAD, "", lambda _: True), TokenInvalid)
            await self.enrolled(DeviceAddress(PHONE, "3"), DeviceAddress(PHONE, "4"))
            await self.refused(self.accept(1, PAD), DeviceInvalid)
            self.assertEqual(1, self.enrolling.refused)
            self.assertEqual(PairingState(False, None), await self.state(1))
            self.assertIsNotNone(await self.other.look(new(1).code, NOW))
            await self.accept(1, FRIENDS)
            self.assertEqual(PairingState(False, FRIENDS), await self.state(1))

        return self.check(test)

    def test_refuse(self) -> Deferred[None]:
        """A device that was refused is so for good."""

        async def test() -> None:
            await self.begin(new(1))
            self.assertEqual([True, False], [await self.pairings.refuse(new(1).id, NOW) for _ in range(2)])
            self.assertEqual(PairingState(True, None), await self.state(1))
            self.assertIsNone(await self.other.look(new(1).code, NOW))
            await self.refused(self.accept(1), CodeInvalid)

        return self.check(test)

    def test_late_answer(self) -> Deferred[None]:
        """An answer in the last moment is remembered for two minutes."""

        async def test() -> None:
            for number, answer in ((1, self.accept), (2, lambda number: self.pairings.refuse(new(number).id, NOW))):
                await self.begin(new(number), valid_for=30.0)
                await answer(number)
            with self.database.read() as connection:
                for row in connection.execute(pairing.select()):
                    self.assertTrue(120 <= row.expires_at - row.begun_at < 180, row)

        return self.check(test)


class PairingInMemory(InMemory, PairingContract, TestCase):
    """SQLite in memory."""


class PairingInFile(InFile, PairingContract, TestCase):
    """SQLite in a file."""
