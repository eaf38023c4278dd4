"""Contact lists, without HTTP (protocol §1)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct
from twisted.internet.defer import Deferred

from callnet.accounts import cursors
from callnet.accounts.enrolment import PhoneRule, is_well_formed_phone
from callnet.accounts.tokens import Tokens
from callnet.calls.ports import IPresence
from callnet.errors import DataInvalid, PhoneInvalid, TokenInvalid
from callnet.model import CONTACT_NAME_MAX, DEVICE_ID_MAX, DeviceAddress, is_plain_text
from callnet.storage.listing import Contact, SqlContacts
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


class ContactLists:
    """Shows devices the contacts of their phone, and changes its lists for them.

    The other phone is not told, and no answer reveals whether it has an account.
    """

    def __init__(self, contacts: SqlContacts, presence: IPresence, tokens: Tokens, phone_rule: PhoneRule) -> None:
        self._contacts = contacts
        self._presence = presence
        self._tokens = tokens
        self._phones = phone_rule

    def contacts(
        self, phone: str, token: str, limit: int | None = None, after: str | None = None
    ) -> Deferred[ContactPage]:
        """The devices of the contacts of ``phone``, by phone, then by device id.

        :param limit: the maximum number of rows; ``None``: all.
        :param after: the ``next`` of an earlier page.
        :raises TokenInvalid: the token is not valid, or is another phone's.
        :raises DataInvalid: ``after`` is not such a cursor.
        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._page(phone, token, limit, after))

    async def _page(self, phone: str, token: str, limit: int | None, after: str | None) -> ContactPage:
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
        return ContactPage(rows, cursors.encode(_address(page[-1])) if len(found) > len(page) else None)

    def add(self, token: str, phone: str, name: str | None = None) -> Deferred[None]:
        """Add a phone to the list of the token's phone.

        :param name: the new name of the contact; ``None``: unchanged.
        :raises TokenInvalid: the token is not valid.
        :raises PhoneInvalid: the phone number is not acceptable, or is the caller's own.
        :raises DataInvalid: the name is not acceptable, or the list is full.
        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._add(token, phone, name))

    async def _add(self, token: str, phone: str, name: str | None) -> None:
        owner, phone = self._both(token, phone)
        _require_another(owner, phone)
        if name is not None and not is_plain_text(name, CONTACT_NAME_MAX):
            raise DataInvalid(f"name has more than {CONTACT_NAME_MAX} characters or control characters")
        await self._contacts.add(owner, phone, name, self._tokens.now())

    def remove(self, token: str, phone: str) -> Deferred[None]:
        """Remove a phone from the list of the token's phone, if it is there. A blocked phone stays blocked.

        :raises TokenInvalid: the token is not valid.
        :raises PhoneInvalid: the phone number is not acceptable.
        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._remove(token, phone))

    async def _remove(self, token: str, phone: str) -> None:
        await self._contacts.remove(*self._both(token, phone), self._tokens.now())

    def block(self, token: str, phone: str) -> Deferred[None]:
        """Block a phone for the token's phone. A contact stays in the list.

        :raises TokenInvalid: the token is not valid.
        :raises PhoneInvalid: the phone number is not acceptable, or is the caller's own.
        :raises DataInvalid: the maximum number of phones is blocked.
        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._block(token, phone))

    async def _block(self, token: str, phone: str) -> None:
        owner, phone = self._both(token, phone)
        _require_another(owner, phone)
        await self._contacts.block(owner, phone, self._tokens.now())

    def unblock(self, token: str, phone: str) -> Deferred[None]:
        """Unblock a phone for the token's phone, if it is blocked.

        :raises TokenInvalid: the token is not valid.
        :raises PhoneInvalid: the phone number is not acceptable.
        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._unblock(token, phone))

    async def _unblock(self, token: str, phone: str) -> None:
        await self._contacts.unblock(*self._both(token, phone), self._tokens.now())

    def _both(self, token: str, phone: str) -> tuple[str, str]:
        """Return the phone of a token, the owner of the lists, and the other phone."""
        return self._tokens.verify(token).device.phone, self._phones.require(phone, "contact_phone")


def _require_another(owner: str, phone: str) -> None:
    if phone == owner:
        raise PhoneInvalid("contact_phone is the caller's own number")


def _address(contact: Contact) -> DeviceAddress:
    return DeviceAddress(contact.phone, contact.device_id)


def _decode_cursor(cursor: str) -> DeviceAddress:
    last = cursors.decode(cursor, DeviceAddress)
    if not is_well_formed_phone(last.phone) or not is_plain_text(last.device_id, DEVICE_ID_MAX):
        raise DataInvalid(cursors.WRONG)
    return last
