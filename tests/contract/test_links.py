"""The contract of every database for links that ring."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from callnet.calls.preferences import QuietHours
from callnet.model import GUEST, Topic
from callnet.storage import devices
from callnet.storage.changes import SqlChanges
from callnet.storage.links import SqlLinks, StoredLink
from callnet.storage.preferences import SqlPreferences
from tests.contract.databases import DatabaseCase, InFile, InMemory

PHONE, FRIEND = "13651884967", "13651884968"
NOW = 1_600_000_000.5
MOST = 3
DAY = QuietHours(8 * 60, 18 * 60, "Europe/Berlin")


def new(number: int, phone: str = PHONE, **changed: Any) -> StoredLink:
    """A link."""
    link = StoredLink(f"{number:012x}", phone, f"{number:022}", f"Link {number}", True, None, None, None, NOW)
    return replace(link, **changed)


class LinksContract(DatabaseCase):
    """Two nodes on one database."""

    def setUp(self) -> None:
        """Both."""
        super().setUp()
        self.links, self.other = (SqlLinks(self.database, self.run_there) for _ in range(2))

    def make(self, link: StoredLink) -> Deferred[bool]:
        """Add a link."""
        return self.links.make(link, MOST, NOW)

    def test_kept(self) -> Deferred[None]:
        """A link is kept as it was made, for its phone alone."""

        async def test() -> None:
            link = new(1, name="王芳", hours=DAY, expires_at=NOW + 0.25, calls_left=2, is_on=False)
            self.assertTrue(await self.make(link))
            self.assertTrue(await self.make(new(2, name="A", phone=FRIEND)))
            self.assertEqual([link], await self.other.of(PHONE))
            self.assertEqual(link, await self.other.find(link.id))
            self.assertIsNone(await self.other.find(new(3).id))

        return self.check(test)

    def test_most(self) -> Deferred[None]:
        """A phone has a limited number of links, however many nodes make some at once."""

        async def test() -> None:
            made = await gatherResults([self.make(new(number)) for number in range(MOST + 3)])
            self.assertEqual(MOST, sum(made))
            self.assertTrue(await self.make(new(99, phone=FRIEND)))
            self.assertEqual(MOST, len(await self.links.of(PHONE)))

        return self.check(test)

    def test_changed(self) -> Deferred[None]:
        """The named values change, and the rest stays; a link of another phone is none."""

        async def test() -> None:
            await self.make(new(1, hours=DAY, calls_left=2))
            changed = await self.other.change(PHONE, new(1).id, {"name": "Door", "calls_left": None}, NOW)
            self.assertEqual(new(1, hours=DAY, name="Door"), changed)
            self.assertIsNone(await self.other.change(FRIEND, new(1).id, {"name": "x"}, NOW))
            self.assertEqual(changed, await self.links.change(PHONE, new(1).id, {}, NOW))

        return self.check(test)

    def test_removed(self) -> Deferred[None]:
        """A link is removed by its phone alone."""

        async def test() -> None:
            await self.make(new(1))
            self.assertFalse(await self.other.remove(FRIEND, new(1).id, NOW))
            self.assertTrue(await self.other.remove(PHONE, new(1).id, NOW))
            self.assertFalse(await self.links.remove(PHONE, new(1).id, NOW))
            self.assertEqual([], await self.links.of(PHONE))

        return self.check(test)

    def test_answered(self) -> Deferred[None]:
        """Each answered call is counted, down to none; without a number, only its time is kept."""

        async def test() -> None:
            await self.make(new(1, calls_left=2))
            await self.make(new(2))
            for _ in range(3):
                await gatherResults([self.other.answered(new(number).id, NOW + 5) for number in (1, 2, 3)])
            used = [(link.calls_left, link.last_used_at) for link in await self.links.of(PHONE)]
            self.assertEqual([(0, NOW + 5), (None, NOW + 5)], used)

        return self.check(test)

    def test_news(self) -> Deferred[None]:
        """Every node hears of changes."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await self.make(new(1))
            for change in (
                lambda: self.make(new(2)),
                lambda: self.links.change(PHONE, new(1).id, {"is_on": False}, NOW),
                lambda: self.links.answered(new(1).id, NOW),
                lambda: self.links.remove(PHONE, new(1).id, NOW),
            ):
                await changes.new()
                await change()
                self.assertEqual({PHONE: {Topic.LINKS}}, (await changes.new()).phones)

        return self.check(test)

    def test_names(self) -> Deferred[None]:
        """The names of links are among those that the owner has for others."""

        async def test() -> None:
            await self.make(new(1, name="Door"))
            await self.make(new(2, name=""))
            preferences = SqlPreferences(self.database, self.run_there, contacts_only=False)
            self.assertEqual([PHONE], list(await preferences.announced(9) or ()))
            found = (await preferences.read([PHONE, FRIEND]))[PHONE]
            self.assertEqual("Door", found.name_of(GUEST + new(1).id))
            self.assertEqual("", found.name_of(GUEST + new(2).id))

        return self.check(test)

    def test_deleted(self) -> Deferred[None]:
        """With its phone a link is exported, and deleted."""

        async def test() -> None:
            await self.make(new(1, hours=DAY))
            found = await self.run_there(devices.export, self.database, PHONE)
            assert found is not None
            [link] = found.links
            self.assertEqual((new(1).id, DAY.fields()), (link["id"], link["hours"]))
            self.assertTrue(await self.run_there(devices.delete, self.database, PHONE, lambda: NOW))
            self.assertEqual([], await self.links.of(PHONE))

        return self.check(test)


class InMemoryTests(InMemory, LinksContract, TestCase):
    """SQLite in memory."""


class InFileTests(InFile, LinksContract, TestCase):
    """SQLite in a file."""
