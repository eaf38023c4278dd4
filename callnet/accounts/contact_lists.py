"""Contact lists, without HTTP (protocol §1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import UNSET, Struct, UnsetType
from twisted.internet.defer import Deferred

from callnet.accounts.profiles import read_photo
from callnet.accounts.tokens import Tokens
from callnet.accounts.validation import (
    NOT_A_CURSOR,
    PhoneRule,
    decode_cursor,
    encode_cursor,
    is_well_formed_phone,
    require_name,
)
from callnet.calls.ports import IPresence
from callnet.errors import DataInvalid, PhoneInvalid, TokenInvalid
from callnet.model import CONTACT_NAME_MAX, DEVICE_ID_MAX, DeviceAddress, is_plain_text
from callnet.storage.contacts import Contact, Photo, SqlContacts
from callnet.util.deferreds import as_deferred
from callnet.util.schema_hints import DEVICE_ID, NAME, PHONE


class ContactRow(Struct, frozen=True):
    """One device of a contact, as its owner sees it."""

    phone: Annotated[str, PHONE]
    device_id: Annotated[str, DEVICE_ID]
    name: Annotated[str, NAME]
    online: bool


class ContactPage(Struct, frozen=True, omit_defaults=True):
    """A page of a contact list, in its order, and the cursor of the next one if there is more."""

    contacts: list[ContactRow]
    next: str | None = None
    """The ``after`` of the request for the next rows, if there are any."""


class PersonRow(Struct, frozen=True):
    """A contact, as its owner sees it."""

    phone: Annotated[str, PHONE]
    name: Annotated[str, NAME]
    profile_name: Annotated[str, NAME]
    """The name in its own profile; empty: it has none, or it may not be seen."""
    photo: str | None
    """The version of its photo, for `/contacts/photo`: keep a photo until this changes."""
    photo_given: bool
    """True if it is the photo that was given to it in this list, and not its own."""
    favourite: bool
    """True if it is one of the favourites."""
    joined: bool
    """It has a device that may be seen. Otherwise it may need an invitation."""
    online: bool
    blocked: bool
    """True if the requesting phone blocks it."""


class PeoplePage(Struct, frozen=True, omit_defaults=True):
    """A page of a contact list, one row for each phone, and the cursor of the next one if there is more."""

    contacts: list[PersonRow]
    next: str | None = None
    """The ``after`` of the request for the next rows, if there are any."""


class AdderRow(Struct, frozen=True):
    """A phone that has the requesting one in its list."""

    phone: Annotated[str, PHONE]
    profile_name: Annotated[str, NAME]
    """The name in its profile, or the empty string."""
    photo: str | None
    """The version of its photo, for `/contacts/photo`."""


class AdderList(Struct, frozen=True):
    """Phones that have the requesting one in their lists."""

    added: list[AdderRow]
    """One row for each phone, at most 100."""


class PhoneList(Struct, frozen=True):
    """Phones, in order."""

    phones: list[Annotated[str, PHONE]]
    """The phones."""


class ContactLists:
    """Shows devices the contacts of their phone, and changes its lists for them.

    A phone is told who lists it. No answer reveals more of whether a phone has an account than its devices do.

    All methods raise :class:`TokenInvalid` if the token is not valid, and :class:`Unavailable` if the database
    cannot be reached.

    :param look: makes this node read the blocked phones now; fires when that is done.
    """

    def __init__(
        self,
        contacts: SqlContacts,
        presence: IPresence,
        tokens: Tokens,
        phone_rule: PhoneRule,
        look: Callable[[], Deferred[None]],
    ) -> None:
        self._contacts = contacts
        self._presence = presence
        self._tokens = tokens
        self._phones = phone_rule
        self._look = look
        self.photos = 0
        """The number of photos that were stored."""

    @as_deferred
    async def contacts(self, phone: str, token: str, limit: int | None = None, after: str | None = None) -> ContactPage:
        """The devices of the contacts of ``phone``, by phone, then by device id.

        :param limit: the maximum number of rows; ``None``: all.
        :param after: the ``next`` of an earlier page.
        :raises TokenInvalid: the token is not valid, or is another phone's.
        :raises DataInvalid: ``after`` is not such a cursor.
        """
        owner = self._tokens.verify(token).device.phone
        if self._phones.read(phone) != owner:
            raise TokenInvalid("the token was issued for another phone")
        begin = None if after is None else _decode_cursor(after)
        more = None if limit is None else limit + 1
        found = await self._contacts.contacts_of(owner, begin, more)
        page = found[:limit]
        online = await self._presence.online([_address(contact) for contact in page], owner) if page else frozenset()
        rows = [
            ContactRow(contact.phone, contact.device_id, contact.name, _address(contact) in online) for contact in page
        ]
        return ContactPage(rows, encode_cursor(_address(page[-1])) if len(found) > len(page) else None)

    @as_deferred
    async def people(self, token: str, limit: int | None = None, after: str | None = None) -> PeoplePage:
        """The contacts of the token's phone, by phone, whether they have devices or not.

        :param limit: the maximum number of rows; ``None``: all.
        :param after: the ``next`` of an earlier page.
        :raises DataInvalid: ``after`` is not such a cursor.
        """
        owner = self._tokens.verify(token).device.phone
        begin = None if after is None else decode_cursor(after, str)
        if begin is not None and not is_well_formed_phone(begin):
            raise DataInvalid(NOT_A_CURSOR)
        found = await self._contacts.people(owner, begin, None if limit is None else limit + 1)
        page = found[:limit]
        devices = [DeviceAddress(person.phone, device_id) for person in page for device_id in person.devices]
        online = await self._presence.online(devices, owner) if devices else frozenset()
        phones = {device.phone for device in online}
        rows = [
            PersonRow(
                person.phone,
                person.name,
                person.profile.name,
                person.given_photo or person.profile.photo,
                person.given_photo is not None,
                person.is_favourite,
                bool(person.devices),
                person.phone in phones,
                person.is_blocked,
            )
            for person in page
        ]
        return PeoplePage(rows, encode_cursor(page[-1].phone) if len(found) > len(page) else None)

    @as_deferred
    async def added(self, token: str) -> AdderList:
        """Phones that list the token's phone, and that it neither lists, nor blocks, nor has dismissed."""
        found = await self._contacts.added(self._tokens.verify(token).device.phone)
        return AdderList([AdderRow(one.phone, one.profile.name, one.profile.photo) for one in found])

    @as_deferred
    async def dismiss(self, token: str, phone: str) -> None:
        """Leave a phone out of :meth:`added`, until it removes and adds the token's phone again.

        :raises PhoneInvalid: the phone number is not acceptable.
        """
        await self._contacts.dismiss(*self._both(token, phone), self._tokens.now())

    @as_deferred
    async def blocked(self, token: str) -> PhoneList:
        """The phones that the token's phone blocks, contacts or not."""
        return PhoneList(sorted(await self._contacts.blocked_by(self._tokens.verify(token).device.phone)))

    @as_deferred
    async def add(
        self,
        token: str,
        phone: str,
        name: str | None = None,
        favourite: bool | None = None,
        photo: str | UnsetType | None = UNSET,
    ) -> None:
        """Add a phone to the list of the token's phone.

        :param name: the new name of the contact; ``None``: unchanged.
        :param favourite: whether it is a favourite; ``None``: unchanged.
        :param photo: its photo for this list, a square picture in base64; ``None``: none but its own.
        :raises PhoneInvalid: the phone number is not acceptable, or is the caller's own.
        :raises DataInvalid: the name or the photo is not acceptable, or the list is full.
        :raises PhotosFull: no further contact may have a photo.
        """
        owner, phone = self._both(token, phone)
        _require_another(owner, phone)
        if name is not None:
            name = require_name(name, CONTACT_NAME_MAX, "name")
        taken = read_photo(photo) if isinstance(photo, str) else photo
        await self._contacts.add(owner, phone, name, self._tokens.now(), favourite, taken)
        self.photos += isinstance(taken, Photo)

    @as_deferred
    async def remove(self, token: str, phone: str) -> None:
        """Remove a phone from the list of the token's phone, if it is there. A blocked phone stays blocked.

        :raises PhoneInvalid: the phone number is not acceptable.
        """
        await self._contacts.remove(*self._both(token, phone), self._tokens.now())

    @as_deferred
    async def block(self, token: str, phone: str) -> None:
        """Block a phone for the token's phone. A contact stays in the list.

        :raises PhoneInvalid: the phone number is not acceptable, or is the caller's own.
        :raises DataInvalid: the maximum number of phones is blocked.
        """
        owner, phone = self._both(token, phone)
        _require_another(owner, phone)
        await self._contacts.block(owner, phone, self._tokens.now())
        await self._look()

    @as_deferred
    async def unblock(self, token: str, phone: str) -> None:
        """Unblock a phone for the token's phone, if it is blocked.

        :raises PhoneInvalid: the phone number is not acceptable.
        """
        await self._contacts.unblock(*self._both(token, phone), self._tokens.now())
        await self._look()

    def _both(self, token: str, phone: str) -> tuple[str, str]:
        """Return the phone of a token, the owner of the lists, and the other phone."""
        return self._tokens.verify(token).device.phone, self._phones.require(phone, "contact_phone")


def _require_another(owner: str, phone: str) -> None:
    if phone == owner:
        raise PhoneInvalid("contact_phone is the caller's own number")


def _address(contact: Contact) -> DeviceAddress:
    return DeviceAddress(contact.phone, contact.device_id)


def _decode_cursor(cursor: str) -> DeviceAddress:
    last = decode_cursor(cursor, DeviceAddress)
    if not is_well_formed_phone(last.phone) or not is_plain_text(last.device_id, DEVICE_ID_MAX):
        raise DataInvalid(NOT_A_CURSOR)
    return last
