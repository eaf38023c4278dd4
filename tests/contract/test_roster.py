"""The contract of every database for telling extended devices of others."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from callnet.calls.ports import Roster
from callnet.frames.v2 import MissedCall
from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.devices import delete
from callnet.storage.history import MISSED_MAX, SqlHistory, SqlRoster
from tests.contract.databases import DatabaseCase, InFile, InMemory
from tests.contract.test_history import ANN, TV, call, room_number, whole

NOTHING = Roster(frozenset(), [])


class RosterContract(DatabaseCase):
    """The television comes and goes."""

    def setUp(self) -> None:
        """Nobody has come yet."""
        super().setUp()
        self.history = SqlHistory(self.database, self.run_there, False, 0)
        self.roster = SqlRoster(self.database, self.run_there)

    async def comes(self, now: float, device: DeviceAddress = TV) -> list[int]:
        """Let a device come and take its messages; returns the numbers of the calls."""
        found = await self.roster.met({device: now})
        if found[device].missed:
            await self.roster.heard({device: found[device].missed_until})
        return [int(missed.room_id, 16) for missed in found[device].missed]

    async def miss(self, number: int, ended_at: float) -> None:
        """Let a call be missed."""
        missed = call(number, ended_at - 1, ended_at=ended_at, answered_at=None, outcome="missed")
        await self.history.write([whole(missed)], 1.0)

    def test_contacts(self) -> Deferred[None]:
        """The contacts of the phone."""

        async def test() -> None:
            contacts.add(self.database, [Pair(TV.phone, ANN.phone), Pair(TV.phone, "1"), Pair(ANN.phone, "2")], 1.0)
            self.assertEqual({TV: Roster(frozenset([ANN.phone, "1"]), [])}, await self.roster.met({TV: 5.0}))
            self.assertEqual(frozenset(["2"]), await self.roster.contacts_of(ANN.phone))

        return self.check(test)

    def test_mutual(self) -> Deferred[None]:
        """Where only mutual contacts are shown, those of them that list the phone, too."""

        async def test() -> None:
            roster = SqlRoster(self.database, self.run_there, mutual=True)
            contacts.add(self.database, [Pair(TV.phone, ANN.phone), Pair(TV.phone, "1"), Pair(ANN.phone, "2")], 1.0)
            self.assertEqual({TV: Roster(frozenset(), [])}, await roster.met({TV: 5.0}))
            contacts.add(self.database, [Pair("1", TV.phone), Pair("1", "2")], 1.0)
            self.assertEqual({TV: Roster(frozenset(["1"]), [])}, await roster.met({TV: 5.0}))
            self.assertEqual(frozenset(["1"]), await roster.contacts_of(TV.phone))

        return self.check(test)

    def test_missed(self) -> Deferred[None]:
        """Calls that the phone missed since the device was there last, the latest first, each once."""

        async def test() -> None:
            await self.miss(1, 900.0)
            self.assertEqual([], await self.comes(1000.0))
            await self.roster.heard({TV: 1010.0})
            await self.miss(2, 1005.0)
            await self.miss(3, 1020.0)
            await self.miss(4, 1030.0)
            placed = call(6, ended_at=1040.0, incoming=False, outcome="missed")
            await self.history.write([whole(call(5, 1031.0, ended_at=1040.0)), whole(placed)], 1.0)
            self.assertEqual([4, 3], await self.comes(1050.0))
            self.assertEqual([], await self.comes(1060.0))

        return self.check(test)

    def test_whole(self) -> Deferred[None]:
        """It is told who called which of its phone's devices, and when."""

        async def test() -> None:
            await self.comes(1000.0)
            await self.miss(7, 1020.0)
            found = await self.roster.met({TV: 1050.0})
            self.assertEqual([MissedCall(room_number(7), *ANN, TV.device_id, 1019.0)], found[TV].missed)

        return self.check(test)

    def test_written_late(self) -> Deferred[None]:
        """A call that is not recorded yet when the device comes is reported when it comes the next time."""

        async def test() -> None:
            await self.comes(1000.0)
            self.assertEqual([], await self.comes(1010.0))
            await self.miss(1, 1008.0)
            self.assertEqual([1], await self.comes(1020.0))

        return self.check(test)

    def test_not_told(self) -> Deferred[None]:
        """A device that was not told is told the next time, and nothing that it was told is forgotten."""

        async def test() -> None:
            await self.comes(1000.0)
            await self.miss(1, 1010.0)
            found = await self.roster.met({TV: 1020.0})
            self.assertEqual((1, 1010.0), (len(found[TV].missed), found[TV].missed_until))
            self.assertEqual([1], await self.comes(1030.0))
            await self.roster.heard({TV: 1005.0})
            self.assertEqual([], await self.comes(1040.0))

        return self.check(test)

    def test_clock(self) -> Deferred[None]:
        """Where the clock was set back, calls from then on are told of."""

        async def test() -> None:
            await self.comes(9000.0)
            self.assertEqual([], await self.comes(1000.0))
            await self.miss(1, 1010.0)
            self.assertEqual([1], await self.comes(1020.0))

        return self.check(test)

    def test_each_device(self) -> Deferred[None]:
        """Each device of the phone has its own state."""

        async def test() -> None:
            pad = DeviceAddress(TV.phone, "pad")
            await self.comes(1000.0, pad)
            await self.comes(1000.0)
            await self.miss(1, 1010.0)
            self.assertEqual([1], await self.comes(1020.0))
            self.assertEqual([1], await self.comes(1030.0, pad))

        return self.check(test)

    def test_many(self) -> Deferred[None]:
        """If there are very many it is told the latest."""

        async def test() -> None:
            await self.comes(1000.0)
            for number in range(MISSED_MAX + 2):
                await self.miss(number, 1010.0 + number)
            self.assertEqual(list(range(MISSED_MAX + 1, 1, -1)), await self.comes(2000.0))

        return self.check(test)

    def test_together(self) -> Deferred[None]:
        """Many devices are looked up, and recorded, at once."""

        async def test() -> None:
            self.assertEqual({TV: NOTHING, ANN: NOTHING}, await self.roster.met({TV: 1000.0, ANN: 1000.0}))
            await self.roster.heard({TV: 1010.0, ANN: 1020.0})
            await self.miss(1, 1015.0)
            self.assertEqual([1], await self.comes(1030.0))

        return self.check(test)

    def test_deleted(self) -> Deferred[None]:
        """Nothing is kept of a phone that was deleted."""

        async def test() -> None:
            await self.enrolled(TV)
            await self.comes(1000.0)
            await self.roster.heard({TV: 1000.0})
            delete(self.database, TV.phone, lambda: 1005.0)
            await self.miss(1, 1010.0)
            self.assertEqual([], await self.comes(1020.0))

        return self.check(test)


class InMemoryTests(InMemory, RosterContract, TestCase):
    """SQLite in memory."""


class InFileTests(InFile, RosterContract, TestCase):
    """SQLite in a file."""
