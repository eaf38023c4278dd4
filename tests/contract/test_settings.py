"""The contract of every database for the settings of phones."""

from __future__ import annotations

from msgspec import UNSET
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from callnet.calls.preferences import QuietHours
from callnet.model import Topic
from callnet.storage.changes import SqlChanges
from callnet.storage.preferences import PhoneSettings, SettingsChange
from tests.contract.databases import DatabaseCase, InFile, InMemory

PHONE, FRIEND, OTHER = "13651884967", "13651884968", "13651884969"
NIGHT = QuietHours(22 * 60 + 30, 7 * 60, "Europe/Berlin")
ALWAYS = QuietHours(0, 0, "Asia/Shanghai")


class SettingsContract(DatabaseCase):
    """Quiet hours, and the callers that are answered automatically."""

    def test_nothing_set(self) -> Deferred[None]:
        """A phone that nobody knows has nothing set; to look changes nothing."""

        async def test() -> None:
            self.assertEqual(PhoneSettings(None, []), await self.set_(PHONE))
            self.assertEqual([], self.writes())

        return self.check(test)

    def test_set(self) -> Deferred[None]:
        """The named settings are set, for one phone, and the rest stays."""

        async def test() -> None:
            await self.set_(FRIEND, quiet=ALWAYS, auto_answer=[PHONE])
            for quiet, answered, now in (
                (NIGHT, UNSET, PhoneSettings(NIGHT, [])),
                (UNSET, [OTHER, FRIEND], PhoneSettings(NIGHT, [FRIEND, OTHER])),
                (ALWAYS, [OTHER], PhoneSettings(ALWAYS, [OTHER])),
                (None, UNSET, PhoneSettings(None, [OTHER])),
                (None, [], PhoneSettings(None, [])),
            ):
                self.assertEqual(now, await self.set_(PHONE, quiet=quiet, auto_answer=answered))
                self.assertEqual(now, await self.set_(PHONE))
            self.assertEqual(PhoneSettings(ALWAYS, [PHONE]), await self.set_(FRIEND))

        return self.check(test)

    def test_news(self) -> Deferred[None]:
        """Every node hears of a change."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await changes.new()
            await self.set_(PHONE, quiet=NIGHT)
            self.assertEqual([PHONE], list((await changes.new()).phones))
            await self.set_(PHONE, auto_answer=[FRIEND])
            self.assertEqual([PHONE], list((await changes.new()).phones))

        return self.check(test)

    def test_who_may_call(self) -> Deferred[None]:
        """That only contacts may call is set until it is changed, of one phone; every node hears of it."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await self.set_(FRIEND, who_may_call="contacts")
            await changes.new()
            for given, now in (
                ("contacts", "contacts"),
                (UNSET, "contacts"),
                ("contacts", "contacts"),
                ("anyone", "anyone"),
            ):
                wanted = PhoneSettings(None, [], now)  # type: ignore[arg-type]
                self.assertEqual(wanted, await self.set_(PHONE, who_may_call=given))
                heard = (await changes.new()).phones
                self.assertEqual({} if given is UNSET else {PHONE: {Topic.SETTINGS}}, heard)
            found = await self.set_(FRIEND)
            self.assertEqual("contacts", found.who_may_call)

        return self.check(test)

    def test_exceptions(self) -> Deferred[None]:
        """The exceptions from quiet hours are set until they are changed, of one phone; every node
        hears of it.
        """

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await self.set_(FRIEND, auto_answer=[PHONE], rings_through=[PHONE], second_call_rings=True)
            await changes.new()
            for through, again, now in (
                ([OTHER, FRIEND], UNSET, ([FRIEND, OTHER], False)),
                (UNSET, True, ([FRIEND, OTHER], True)),
                (UNSET, True, ([FRIEND, OTHER], True)),
                ([OTHER], UNSET, ([OTHER], True)),
                (UNSET, False, ([OTHER], False)),
                ([], UNSET, ([], False)),
            ):
                changed = await self.set_(PHONE, rings_through=through, second_call_rings=again)
                self.assertEqual(PhoneSettings(None, [], "anyone", None, *now), changed)
                self.assertEqual(changed, await self.set_(PHONE))
                self.assertEqual({PHONE: {Topic.SETTINGS}}, (await changes.new()).phones)
            found = await self.set_(FRIEND)
            self.assertEqual(
                ([PHONE], [PHONE], True), (found.auto_answer, found.rings_through, found.second_call_rings)
            )

        return self.check(test)

    def test_at_once(self) -> Deferred[None]:
        """If two devices set something at once one is the last, as a whole."""

        async def test() -> None:
            both = [(NIGHT, [FRIEND]), (ALWAYS, [FRIEND, OTHER])]
            done = await DeferredList([self.settings.change(PHONE, SettingsChange(*one), 1.0) for one in both * 5])
            self.assertEqual([True] * 10, [is_done for is_done, _ in done])
            found = await self.set_(PHONE)
            self.assertIn((found.quiet, list(found.auto_answer)), both)

        return self.check(test)


class SettingsInMemory(InMemory, SettingsContract, TestCase):
    """SQLite in memory."""


class SettingsInFile(InFile, SettingsContract, TestCase):
    """SQLite in a file."""
