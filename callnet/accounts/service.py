"""What the account service does, without HTTP (protocol §1)."""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred

from callnet.accounts.enrolment import PhoneRule, is_device_id, is_well_formed_phone
from callnet.accounts.tokens import Tokens
from callnet.errors import DataInvalid, DeviceInvalid, PhoneInvalid, TokenInvalid
from callnet.interfaces import Contact, IAccounts, IContacts, IPresence
from callnet.model import DEVICE_ID_MAX, DeviceAddress, is_plain_text

CURSOR_MAX: Final = 512
"""The longest cursor that is looked at, in characters."""


class Login(Struct, frozen=True):
    """A login that succeeded."""

    token: str
    expires_in: int
    """Seconds."""


class ContactRow(Struct, frozen=True):
    """One device of a contact, as its owner sees it."""

    phone: str
    device_id: str
    name: str
    online: bool


class ContactPage(Struct, frozen=True):
    """Some rows of a contact list, in its order, and where the next ones begin if there are more."""

    contacts: list[ContactRow]
    next: str | None = None


class AccountService:
    """Logs devices in and shows them their contacts. Enrolment is open: a first login makes the account."""

    def __init__(
        self, accounts: IAccounts, contacts: IContacts, presence: IPresence, tokens: Tokens, phone_rule: PhoneRule
    ) -> None:
        self._accounts = accounts
        self._contacts = contacts
        self._presence = presence
        self._tokens = tokens
        self._is_phone = phone_rule

    def login(self, phone: str, device_id: str) -> Deferred[Login]:
        """Let a device in and give it a token.

        :raises PhoneInvalid: the phone number is not acceptable.
        :raises DeviceInvalid: the device id is not acceptable.
        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._login(phone, device_id))

    async def _login(self, phone: str, device_id: str) -> Login:
        if not self._is_phone(phone):
            raise PhoneInvalid("phone is not an acceptable number")
        if not is_device_id(device_id):
            raise DeviceInvalid("device_id is empty, too long, or has characters that it must not have")
        address = DeviceAddress(phone, device_id)
        await self._accounts.enrol(address)
        return Login(self._tokens.issue(address), self._tokens.lifetime)

    def contacts(
        self, phone: str, token: str, limit: int | None = None, after: str | None = None
    ) -> Deferred[ContactPage]:
        """The devices of the contacts of ``phone``, by phone, then by device id.

        :param limit: at most so many rows; ``None``: all.
        :param after: the ``next`` of an earlier page; the rows that follow it.
        :raises TokenInvalid: the token is not valid, or is another phone's.
        :raises DataInvalid: ``after`` is no such cursor.
        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._page(phone, token, limit, after))

    async def _page(self, phone: str, token: str, limit: int | None, after: str | None) -> ContactPage:
        if self._tokens.verify(token).phone != phone:
            raise TokenInvalid("the token was issued for another phone")
        begin = None if after is None else _decode_cursor(after)
        more = None if limit is None else limit + 1
        found = await self._contacts.contacts_of(phone, begin, more)
        page = found[:limit]
        online = await self._presence.online([_address(contact) for contact in page]) if page else frozenset()
        rows = [
            ContactRow(contact.phone, contact.device_id, contact.name, _address(contact) in online) for contact in page
        ]
        return ContactPage(rows, _encode_cursor(_address(page[-1])) if len(found) > len(page) else None)


def _address(contact: Contact) -> DeviceAddress:
    return DeviceAddress(contact.phone, contact.device_id)


def _encode_cursor(last: DeviceAddress) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(last)).decode("ascii")


def _decode_cursor(cursor: str) -> DeviceAddress:
    try:
        if len(cursor) > CURSOR_MAX:
            raise ValueError
        last = msgspec.json.decode(base64.b64decode(cursor, b"-_", validate=True), type=DeviceAddress)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise DataInvalid("after is not a cursor of an earlier answer") from None
    if not is_well_formed_phone(last.phone) or not is_plain_text(last.device_id, DEVICE_ID_MAX):
        raise DataInvalid("after is not a cursor of an earlier answer")
    return last
