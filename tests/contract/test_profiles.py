"""The contract of every database for profiles, and for what a phone sees of others."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from callnet.errors import PhotosFull
from callnet.model import CONTACT_PHOTOS_MAX, PHOTO_MAX, PROFILE_NAME_MAX, DeviceAddress, Topic
from callnet.storage import contacts
from callnet.storage.changes import SqlChanges
from callnet.storage.contacts import ADDED_MAX, Adder, Pair, Person, Photo, Profile, SqlContacts, SqlProfiles
from tests.contract.databases import DatabaseCase, InFile, InMemory

PHONE, FRIEND, OTHER = "13651884967", "13651884968", "13651884969"
PHOTO = Photo("jpeg", b"\xff\xd8 a photo")
PROFILE = Profile("王芳", PHOTO.version)


class ProfilesContract(DatabaseCase):
    """Profiles, and the phones that see them."""

    def setUp(self) -> None:
        """The services, where lists need not be mutual, and where they must be."""
        super().setUp()
        self.profiles = SqlProfiles(self.database, self.run_there)
        self.strict = SqlProfiles(self.database, self.run_there, mutual=True)

    def pairs(self, *pairs: tuple[str, str]) -> None:
        """Let owners have contacts in their lists."""
        contacts.add(self.database, [Pair(*pair) for pair in pairs], 1.0)

    async def has_photo(self, phone: str) -> None:
        """Let a phone have a profile."""
        await self.profiles.change(phone, PROFILE.name, PHOTO, 1.0)

    async def topics(self, changes: SqlChanges) -> dict[str, set[Topic]]:
        """The subjects of changes that nodes are told, by phone."""
        return {phone: set(topics) for phone, topics in (await changes.new()).phones.items()}

    def test_nothing_set(self) -> Deferred[None]:
        """A phone that nobody knows has an empty profile; to look changes nothing."""

        async def test() -> None:
            self.assertEqual(Profile(), await self.profiles.change(PHONE, UNSET, UNSET, 1.0))
            self.assertIsNone(await self.profiles.photo(PHONE, PHONE))
            self.assertEqual([], self.writes())

        return self.check(test)

    def test_set(self) -> Deferred[None]:
        """Named fields are set, for one phone, and the rest stays; each photo has a version of its own."""

        async def test() -> None:
            another = Photo("webp", b"RIFF another")
            self.assertNotEqual(PHOTO.version, another.version)
            await self.profiles.change(FRIEND, "Ann", another, 1.0)
            for name, photo, now in (
                ("a", UNSET, Profile("a")),
                (UNSET, PHOTO, Profile("a", PHOTO.version)),
                (UNSET, another, Profile("a", another.version)),
                ("", UNSET, Profile("", another.version)),
                ("b", None, Profile("b")),
            ):
                self.assertEqual(now, await self.profiles.change(PHONE, name, photo, 1.0))
                self.assertEqual(now, await self.profiles.change(PHONE, UNSET, UNSET, 1.0))
            self.assertEqual(another, await self.profiles.photo(FRIEND, FRIEND))

        return self.check(test)

    def test_largest(self) -> Deferred[None]:
        """The longest name and the largest photo are kept as they are."""

        async def test() -> None:
            name, photo = "\U0001f4fa" * PROFILE_NAME_MAX, Photo("jpeg", bytes(range(256)) * (PHOTO_MAX // 256))
            self.assertEqual(Profile(name, photo.version), await self.profiles.change(PHONE, name, photo, 1.0))
            self.assertEqual(photo, await self.profiles.photo(PHONE, PHONE))

        return self.check(test)

    def test_news(self) -> Deferred[None]:
        """Every node hears of a change."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            await self.has_photo(PHONE)
            self.assertEqual({PHONE: {Topic.PROFILE}}, await self.topics(changes))

        return self.check(test)

    def test_who_sees_a_photo(self) -> Deferred[None]:
        """A phone sees it that is listed, or lists it; with mutual lists, or if only contacts may call, only one that
        is listed; and never one that is blocked.
        """

        async def test() -> None:
            await self.has_photo(PHONE)
            await self.assert_seen(PHONE, anyhow=True, mutually=True)
            await self.assert_seen(FRIEND, anyhow=False, mutually=False)
            self.pairs((FRIEND, PHONE))
            await self.assert_seen(FRIEND, anyhow=True, mutually=False)
            await self.set_(PHONE, who_may_call="contacts")
            await self.assert_seen(FRIEND, anyhow=False, mutually=False)
            self.pairs((PHONE, FRIEND))
            await self.assert_seen(FRIEND, anyhow=True, mutually=True)
            contacts.remove(self.database, FRIEND, PHONE, 1.0)
            await self.assert_seen(FRIEND, anyhow=True, mutually=True)
            contacts.block(self.database, FRIEND, PHONE, 1.0)
            await self.assert_seen(FRIEND, anyhow=True, mutually=True)
            contacts.block(self.database, PHONE, FRIEND, 1.0)
            await self.assert_seen(FRIEND, anyhow=False, mutually=False)
            await self.assert_seen(OTHER, anyhow=False, mutually=False)

        return self.check(test)

    async def assert_seen(self, asker: str, anyhow: bool, mutually: bool) -> None:
        """Assert whether a phone sees the photo, in both kinds of servers."""
        found = [await profiles.photo(PHONE, asker) for profiles in (self.profiles, self.strict)]
        self.assertEqual([PHOTO if anyhow else None, PHOTO if mutually else None], found)

    def test_people(self) -> Deferred[None]:
        """A list has one row for each phone, with devices or without, and of a profile what may be seen."""

        async def test() -> None:
            self.pairs((PHONE, FRIEND), (PHONE, OTHER), (FRIEND, OTHER))
            await self.has_photo(FRIEND)
            await self.enrolled(DeviceAddress(FRIEND, "tv"), DeviceAddress(FRIEND, "pad"), DeviceAddress(PHONE, "x"))
            await self.contacts.add(PHONE, OTHER, "the other", 1.0, favourite=True)
            contacts.block(self.database, PHONE, OTHER, 1.0)
            friend = Person(FRIEND, "", PROFILE, False, False, ["pad", "tv"])
            other = Person(OTHER, "the other", Profile(), True, True, ())
            self.assertEqual([friend, other], await self.contacts.people(PHONE))
            self.assertEqual([], await self.contacts.people("1"))
            contacts.block(self.database, FRIEND, PHONE, 1.0)
            hidden = Person(FRIEND, "", Profile(), False, False, ["pad", "tv"])
            self.assertEqual([hidden, other], await self.contacts.people(PHONE))

        return self.check(test)

    def test_given_photo(self) -> Deferred[None]:
        """A phone sees the photo that it has given its contact, and nobody else does; without one the contact's own."""

        async def test() -> None:
            self.pairs((PHONE, FRIEND), (OTHER, FRIEND))
            await self.has_photo(FRIEND)
            given = Photo("png", b"a given photo")
            await self.contacts.add(PHONE, FRIEND, None, 1.0, photo=given)
            (person,) = await self.contacts.people(PHONE)
            self.assertEqual((given.version, PROFILE), (person.given_photo, person.profile))
            self.assertEqual(given, await self.profiles.photo(FRIEND, PHONE))
            for another in (OTHER, FRIEND):
                self.assertEqual(PHOTO, await self.profiles.photo(FRIEND, another))
            await self.contacts.add(PHONE, FRIEND, "a friend", 1.0)
            self.assertEqual(given, await self.profiles.photo(FRIEND, PHONE))
            contacts.block(self.database, FRIEND, PHONE, 1.0)
            self.assertEqual(given, await self.profiles.photo(FRIEND, PHONE))
            await self.contacts.add(PHONE, FRIEND, None, 1.0, photo=None)
            self.assertIsNone(await self.profiles.photo(FRIEND, PHONE))
            await self.contacts.add(PHONE, FRIEND, None, 1.0, photo=given)
            await self.contacts.remove(PHONE, FRIEND, 1.0)
            await self.contacts.add(PHONE, FRIEND, None, 1.0)
            self.assertIsNone(await self.profiles.photo(FRIEND, PHONE))

        return self.check(test)

    def test_given_photos(self) -> Deferred[None]:
        """The number of photos that a phone has given is limited; one may take the place of another."""

        async def test() -> None:
            given, another = Photo("png", b"a"), Photo("png", b"b")
            phones = [str(number) for number in range(CONTACT_PHOTOS_MAX)]
            for phone in phones:
                await self.contacts.add(PHONE, phone, None, 1.0, photo=given)
            with self.assertRaises(PhotosFull):
                await self.contacts.add(PHONE, FRIEND, "Friend", 1.0, photo=given)
            self.assertIsNone(await self.profiles.photo(FRIEND, PHONE))
            self.assertEqual(len(phones), len(await self.contacts.people(PHONE)))
            await self.contacts.add(PHONE, phones[0], None, 1.0, photo=another)
            await self.contacts.add(FRIEND, PHONE, None, 1.0, photo=given)
            await self.contacts.add(PHONE, phones[0], None, 1.0, photo=None)
            await self.contacts.add(PHONE, FRIEND, "Friend", 1.0, photo=given)

        return self.check(test)

    def test_mutual_people(self) -> Deferred[None]:
        """Where lists must be mutual, a contact that does not list the owner looks as one that has not joined."""

        async def test() -> None:
            mutual = SqlContacts(self.database, self.run_there, mutual=True)
            self.pairs((PHONE, FRIEND))
            await self.has_photo(FRIEND)
            await self.enrolled(DeviceAddress(FRIEND, "tv"))
            self.assertEqual([Person(FRIEND, "", Profile(), False, False, ())], await mutual.people(PHONE))
            self.pairs((FRIEND, PHONE))
            self.assertEqual([Person(FRIEND, "", PROFILE, False, False, ["tv"])], await mutual.people(PHONE))

        return self.check(test)

    def test_pages_of_people(self) -> Deferred[None]:
        """A list read in pages of any size is the list."""

        async def test() -> None:
            phones = ["+86", "08", "13", "B", "a", "é", "中"]
            self.pairs(*((PHONE, phone) for phone in phones))
            await self.enrolled(*(DeviceAddress(phone, "tv") for phone in phones[::2]))
            everybody = list(await self.contacts.people(PHONE))
            self.assertEqual(phones, [person.phone for person in everybody])
            for size in (1, 2, 6, 7, 8):
                pages: list[Person] = []
                after = None
                while page := await self.contacts.people(PHONE, after, size):
                    self.assertLessEqual(len(page), size)
                    pages.extend(page)
                    after = page[-1].phone
                self.assertEqual(everybody, pages)

        return self.check(test)

    def test_favourites(self) -> Deferred[None]:
        """A contact is a favourite until that is changed; names, the command line and repetitions do not change it."""

        async def test() -> None:
            for name, given, is_then in (
                ("a", None, False),
                (None, True, True),
                ("b", None, True),
                (None, None, True),
                (None, True, True),
                ("", False, False),
                ("c", True, True),
            ):
                await self.contacts.add(PHONE, FRIEND, name, 1.0, given)
                self.pairs((OTHER, FRIEND))
                self.assertEqual([is_then], [person.is_favourite for person in await self.contacts.people(PHONE)])
            self.pairs((PHONE, FRIEND))
            self.assertEqual([True], [person.is_favourite for person in await self.contacts.people(PHONE)])
            await self.contacts.remove(PHONE, FRIEND, 1.0)
            await self.contacts.add(PHONE, FRIEND, None, 1.0)
            self.assertEqual([False], [person.is_favourite for person in await self.contacts.people(PHONE)])

        return self.check(test)

    def test_news_of_favourites(self) -> Deferred[None]:
        """Of a favourite, or of a new name, only the owner's devices are told; of nothing new nobody is."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            for given, told in (
                (None, {PHONE: {Topic.CONTACTS}, FRIEND: {Topic.ADDED}}),
                (True, {PHONE: {Topic.CONTACTS}}),
                (True, {}),
                (False, {PHONE: {Topic.CONTACTS}}),
                (False, {}),
            ):
                await self.contacts.add(PHONE, FRIEND, None, 1.0, given)
                self.assertEqual(told, await self.topics(changes))

        return self.check(test)

    def test_added(self) -> Deferred[None]:
        """A phone is told who lists it, unless it lists or blocks that one, or is blocked by it."""

        async def test() -> None:
            self.assertEqual([], await self.contacts.added(PHONE))
            self.pairs((OTHER, PHONE), (FRIEND, PHONE), (FRIEND, OTHER))
            await self.has_photo(OTHER)
            self.assertEqual([Adder(FRIEND, Profile()), Adder(OTHER, PROFILE)], await self.contacts.added(PHONE))
            self.pairs((PHONE, FRIEND))
            self.assertEqual([Adder(OTHER, PROFILE)], await self.contacts.added(PHONE))
            contacts.block(self.database, PHONE, OTHER, 1.0)
            self.assertEqual([], await self.contacts.added(PHONE))
            contacts.unblock(self.database, PHONE, OTHER, 1.0)
            contacts.block(self.database, OTHER, PHONE, 1.0)
            self.assertEqual([], await self.contacts.added(PHONE))

        return self.check(test)

    def test_many_added(self) -> Deferred[None]:
        """However many list a phone, it is shown some."""

        async def test() -> None:
            self.pairs(*((f"{number:04}", PHONE) for number in range(ADDED_MAX + 5)))
            found: Sequence[Adder] = await self.contacts.added(PHONE)
            self.assertEqual([f"{number:04}" for number in range(ADDED_MAX)], [one.phone for one in found])

        return self.check(test)

    def test_dismissed(self) -> Deferred[None]:
        """A dismissed phone is not shown, under whatever name it lists the other, until it adds it again."""

        async def test() -> None:
            changes = SqlChanges(self.database, self.run_there, self.clock.seconds)
            self.pairs((FRIEND, PHONE), (FRIEND, OTHER))
            await changes.new()
            for told in ({PHONE: {Topic.ADDED}}, {}):
                await self.contacts.dismiss(PHONE, FRIEND, 1.0)
                await self.contacts.dismiss(PHONE, OTHER, 1.0)
                self.assertEqual([], await self.contacts.added(PHONE))
                self.assertEqual(told, await self.topics(changes))
            self.assertEqual([Adder(FRIEND, Profile())], await self.contacts.added(OTHER))
            await self.contacts.add(FRIEND, PHONE, "x", 1.0)
            self.pairs((FRIEND, PHONE))
            self.assertEqual([], await self.contacts.added(PHONE))
            await self.contacts.remove(FRIEND, PHONE, 1.0)
            await self.contacts.add(FRIEND, PHONE, None, 1.0)
            self.assertEqual([Adder(FRIEND, Profile())], await self.contacts.added(PHONE))

        return self.check(test)


class ProfilesInMemory(InMemory, ProfilesContract, TestCase):
    """SQLite in memory."""


class ProfilesInFile(InFile, ProfilesContract, TestCase):
    """SQLite in a file."""
