"""The account service (protocol §1) for one device: login, contacts, profiles, history and settings.

An invalid token is replaced by a new login with the stored credentials, once for each request.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from callnet_client.address import DeviceAddress
from callnet_client.errors import AccountError, ClientError
from callnet_client.event_queue import log
from callnet_client.server import Server
from callnet_client.waiting import Shared

RENEW_BEFORE: Final = 24 * 3600.0
"""Seconds before the expiry of a token at which it is renewed."""

T = TypeVar("T")


class ErrorCode(IntEnum):
    """``errorCode`` of an answer (protocol §1): the codes distinguished by a client."""

    INTERNAL = 1
    DATA = 2
    PHONE = 3
    TOKEN = 4
    DEVICE = 5
    RATE_LIMITED = 6
    CODE = 7
    PHOTOS_FULL = 8


class Credentials(Struct, frozen=True):
    """The credentials of a device, to be stored in private. Without ``secret`` the device cannot log in again."""

    token: str | None = None
    expires_at: float = 0.0
    """Seconds since 1970."""
    secret: str | None = None


class ContactRow(Struct, frozen=True):
    """One device of a contact. ``name`` and ``online`` are callnet's own and may be missing."""

    phone: str
    device_id: str
    name: str = ""
    online: bool | None = None


class Person(Struct, frozen=True):
    """A contact, with devices or without."""

    phone: str
    name: str = ""
    """The name in the contact list."""
    profile_name: str = ""
    """The name in the contact's own profile, if it may be seen."""
    photo: str | None = None
    """The version of the contact's photo: :meth:`Account.photo` has the same until this changes."""
    photo_given: bool = False
    """True if it is the photo that was given to it in the contact list, and not its own."""
    favourite: bool = False
    joined: bool = False
    """True if it has a device that may be seen."""
    online: bool = False
    blocked: bool = False


class Adder(Struct, frozen=True):
    """A phone that has this one in its contact list."""

    phone: str
    profile_name: str = ""
    photo: str | None = None


class Profile(Struct, frozen=True):
    """The profile of the phone. ``photo`` is its version; ``None``: there is none."""

    name: str
    photo: str | None = None


class Photo(Struct, frozen=True):
    """A photo."""

    type: str
    """``image/jpeg``, ``image/png`` or ``image/webp``."""
    version: str
    data: bytes


class OwnDevice(Struct, frozen=True):
    """A device of the phone."""

    device_id: str
    label: str = ""
    last_used_at: float | None = None
    """Seconds since 1970, to the day; ``None``: not known."""
    online: bool = False
    this: bool = False
    """True if it is the requesting device."""
    kiosk: bool = False
    """True if it shows its contacts, and calls them, and nothing else, until somebody enters its PIN."""
    auto_answers: bool = False
    """True if it answers the callers in ``Settings.auto_answer`` automatically."""


class WaitingDevice(Struct, frozen=True):
    """A device that waits to be let in."""

    pairing_id: str
    name: str = ""
    """The name that it gives itself. It may be untrue."""
    age: int = 0
    """Seconds since it began to wait."""


class PastCall(Struct, frozen=True):
    """A past call. Times are seconds since 1970."""

    room_id: str
    direction: str
    """``incoming`` or ``outgoing``."""
    peer_phone: str
    peer_device_id: str
    started_at: float
    ended_at: float
    outcome: str
    """``answered``, ``refused`` or ``missed``; for an outgoing call the reason why it failed."""
    answered_at: float | None = None
    auto_answer: bool = False
    """Nobody touched the device that answered."""
    guest: bool = False
    """True if the caller came by a link; ``peer_device_id`` is the name that it gave."""


class PastCalls(Struct, frozen=True):
    """A page of past calls, newest first. ``next`` is the cursor of the next page; ``None``: there is none."""

    calls: Sequence[PastCall]
    next: str | None = None


class Link(Struct, frozen=True):
    """A link that rings the phone. Times are seconds since 1970."""

    link_id: str
    name: str
    secret: str
    """Whoever opens ``/guest#`` and this at the server's site calls the phone without an account."""
    is_on: bool
    made_at: float
    hours: Mapping[str, str] | None = None
    """The part of each day in which it rings: ``from`` and ``to`` (``HH:MM``) and ``time_zone``; ``None``: always."""
    expires_at: float | None = None
    """The time from which it rings no more; ``None``: never."""
    calls_left: int | None = None
    """The number of calls by it that may still be answered; ``None``: any."""
    last_used_at: float | None = None
    """The time at which a call by it was last answered."""


class Settings(Struct, frozen=True):
    """The settings of a phone for calls to it."""

    do_not_disturb: Mapping[str, str] | None
    """Quiet hours: ``from`` and ``to`` (``HH:MM``) and ``time_zone``; ``None``: none."""
    auto_answer: Sequence[str]
    """Phones whose calls are answered automatically."""
    who_may_call: str = "anyone"
    """``anyone``, or ``contacts``: only phones in the contact list may call."""
    do_not_disturb_until: float | None = None
    """Seconds since 1970 until when nobody can call, whatever the quiet hours; ``None``: there is no such time."""
    rings_through: Sequence[str] = []
    """Phones that may call in quiet hours and before that time, too."""
    second_call_rings: bool = False
    """Then a second call within three minutes rings, of any phone that may call."""


class Account:
    """One device at a server. Requests return a Deferred, which may fail with a :class:`ClientError`: with
    :class:`AccountError` if the server refused, otherwise with :class:`Unreachable`.

    :param kept: the credentials that ``keep`` last received for this device.
    :param keep: called with the credentials whenever they change. The first login claims the device with the secret
        that it is offered: later logins need it, so it must not get lost. Without ``keep``, or if that fails, the
        device is not claimed.
    """

    def __init__(
        self,
        server: Server,
        phone: str,
        device_id: str,
        *,
        kept: Credentials | None = None,
        keep: Callable[[Credentials], object] | None = None,
    ) -> None:
        self.server: Final = server
        self.address: Final = DeviceAddress(phone, device_id)
        self.credentials = kept or Credentials()
        self._keep = keep
        self._refusal: AccountError | None = None
        """The reason why it does not log in by itself until the next :meth:`login`: its secret was refused, or it has
        logged out."""
        self._login: Shared[str] | None = None
        """The last login: while it is in progress, everyone who needs one waits for it."""
        self._logouts = 0
        """The number of logouts: a token that was requested before the last of them is dropped."""

    @property
    def token(self) -> str | None:
        """The token, if there is one."""
        return self.credentials.token

    @property
    def is_logged_in(self) -> bool:
        """True if there is an unexpired token."""
        if self.token is None or self._refusal is not None:
            return False
        return self.server.reactor.seconds() < self.credentials.expires_at

    def login(self, code: str = "") -> Deferred[str]:
        """Log in. A secret that is offered is shown at once if ``keep`` is given, which claims the device.

        A refused secret is no longer kept, because the device was removed or logged out: the next login is that of a
        new device.

        :param code: the one-time code that the phone was sent, if one is required.
        :return: a Deferred with the token.
        """
        if self._login is None or self._login.is_done or code:
            self._refusal = None
            self._login = Shared(Deferred.fromCoroutine(self._log_in(code)))
        return self._login.wait()

    def login_again(self) -> Deferred[str]:
        """Log in as :meth:`ask` and a Device do by themselves: a device that was removed, or has logged out, comes back
        only by :meth:`login`.
        """
        return self.login() if self._refusal is None else fail(self._refusal)

    async def _log_in(self, code: str) -> str:
        secret = self.credentials.secret
        token = await self._ask_for_token(code)
        return token if self.credentials.secret == secret else await self._ask_for_token()

    async def _ask_for_token(self, code: str = "") -> str:
        secret = self.credentials.secret
        fields = {"phone": self.address.phone, "device_id": self.address.device_id}
        if secret is not None:
            fields["secret"] = secret
        if code:
            fields["code"] = code
        try:
            return await self._take(self.server.post("/account/login", fields))
        except AccountError as error:
            if error.code == ErrorCode.DEVICE and secret is not None and secret == self.credentials.secret:
                self._refusal = error
                self._keep_now(replace(self.credentials, secret=None))
            raise

    def request_code(self) -> Deferred[None]:
        """Request a one-time code for the phone."""
        return self.server.post("/account/code", {"phone": self.address.phone}).addCallback(_nothing)

    def renew(self) -> Deferred[None]:
        """Renew the token if it expires within a day. Call it regularly, as a Device does."""
        return Deferred.fromCoroutine(self._renew())

    def logout(self) -> Deferred[None]:
        """Revoke the token. This ends the device's call and connection. The secret is kept for the next login."""
        return Deferred.fromCoroutine(self._logout())

    def forget(self) -> None:
        """Forget the token. Only :meth:`login` gets another one."""
        self._refusal = _logged_out()
        self._logouts += 1
        self._login = None
        self._keep_now(Credentials(secret=self.credentials.secret))

    def contacts(self) -> Deferred[Sequence[ContactRow]]:
        """The devices of the phone's contacts, by phone, then by device id."""
        asked = self.ask("/getContactPersons", phone=self.address.phone)
        return asked.addCallback(read_field, "contacts", list[ContactRow])

    def people(self) -> Deferred[Sequence[Person]]:
        """The contacts, by phone, each once."""
        return self.ask("/contacts/list").addCallback(read_field, "contacts", list[Person])

    def added(self) -> Deferred[Sequence[Adder]]:
        """Phones that have added this one, and that it has neither added nor blocked nor dismissed."""
        return self.ask("/contacts/added").addCallback(read_field, "added", list[Adder])

    def dismiss(self, phone: str) -> Deferred[None]:
        """Leave a phone out of :meth:`added`."""
        return self.ask("/contacts/dismiss", contact_phone=phone).addCallback(_nothing)

    def add_contact(
        self, phone: str, name: str | None = None, favourite: bool | None = None, photo: bytes | None = None
    ) -> Deferred[None]:
        """Add a phone to the contact list, or change it there.

        :param name: its name there; empty: none; ``None``: unchanged.
        :param favourite: whether it is one of the favourites; ``None``: unchanged.
        :param photo: its photo there, shown in place of its own, as of :meth:`profile`; empty: none; ``None``:
            unchanged.
        :return: a Deferred that fails with ``ErrorCode.PHOTOS_FULL`` if no further contact may have a photo.
        """
        changes = {"name": name, "favourite": favourite}
        given: dict[str, Any] = {field: value for field, value in changes.items() if value is not None}
        if photo is not None:
            given["photo"] = _in_base64(photo)
        return self.ask("/contacts/add", contact_phone=phone, **given).addCallback(_nothing)

    def remove_contact(self, phone: str) -> Deferred[None]:
        """Remove a phone from the contact list."""
        return self.ask("/contacts/remove", contact_phone=phone).addCallback(_nothing)

    def block(self, phone: str) -> Deferred[None]:
        """Block a phone."""
        return self.ask("/contacts/block", contact_phone=phone).addCallback(_nothing)

    def unblock(self, phone: str) -> Deferred[None]:
        """Unblock a phone."""
        return self.ask("/contacts/unblock", contact_phone=phone).addCallback(_nothing)

    def blocked(self) -> Deferred[Sequence[str]]:
        """The blocked phones."""
        return self.ask("/contacts/blocked").addCallback(read_field, "phones", list[str])

    def profile(self, *, name: str | None = None, photo: bytes | None = None) -> Deferred[Profile]:
        """Return the profile of the phone after applying changes.

        :param name: its new name; ``None``: unchanged.
        :param photo: its new photo, a square JPEG, PNG or WebP without metadata, of at most 32 KiB and 512 pixels a
            side; empty: no photo; ``None``: unchanged.
        """
        changes: dict[str, Any] = {} if name is None else {"name": name}
        if photo is not None:
            changes["photo"] = _in_base64(photo)
        return self.ask("/account/profile", **changes).addCallback(_read, Profile)

    def photo(self, phone: str) -> Deferred[Photo | None]:
        """The photo of a phone; ``None``: there is none, or it may not be seen."""
        return self.ask("/contacts/photo", contact_phone=phone).addCallback(read_field, "photo", Photo | None)

    def devices(self) -> Deferred[Sequence[OwnDevice]]:
        """The devices of the phone, by device id."""
        return self.ask("/devices/list").addCallback(read_field, "devices", list[OwnDevice])

    def rename_device(self, device_id: str, label: str) -> Deferred[None]:
        """Give a device of the phone a label. Only a claimed device may change others."""
        return self.ask("/devices/rename", device_id=device_id, label=label).addCallback(_nothing)

    def configure_device(self, device_id: str, **changes: Any) -> Deferred[None]:
        """Change settings of a device of the phone. Only a claimed device may change others.

        :param changes: ``kiosk_pin``: it is a kiosk, which ends by these 4 to 8 digits; ``None``: it is none.
            ``auto_answers``: whether it answers the callers in ``Settings.auto_answer`` automatically.
        """
        return self.ask("/devices/configure", device_id=device_id, **changes).addCallback(_nothing)

    def unlock(self, pin: str) -> Deferred[None]:
        """End the kiosk of this device.

        :return: a Deferred that fails with ``ErrorCode.CODE`` if the PIN is wrong, and with ``ErrorCode.RATE_LIMITED``
            after five wrong ones.
        """
        return self.ask("/devices/unlock", pin=pin).addCallback(_nothing)

    def log_out_device(self, device_id: str) -> Deferred[None]:
        """Log a device of the phone out. Its secret is revoked: it does not come back by itself."""
        return self.ask("/devices/logout", device_id=device_id).addCallback(_nothing)

    def remove_device(self, device_id: str) -> Deferred[None]:
        """Remove a device of the phone."""
        return self.ask("/devices/remove", device_id=device_id).addCallback(_nothing)

    def waiting_device(self, user_code: str) -> Deferred[WaitingDevice]:
        """The device that shows a code (:class:`Pairing`). Only a claimed device may let others in.

        :param user_code: the letters, as somebody has typed them.
        :return: a Deferred with the device. It fails with ``ErrorCode.CODE`` if none shows this code, and with
            ``ErrorCode.RATE_LIMITED`` after five codes in ten minutes.
        """
        return self.ask("/pairing/look", user_code=user_code).addCallback(_read, WaitingDevice)

    def accept_pairing(self, pairing_id: str, device_id: str, label: str = "") -> Deferred[None]:
        """Let a device that waits in as this device of the phone. The person should have seen the code on it."""
        asked = self.ask("/pairing/accept", pairing_id=pairing_id, device_id=device_id, label=label)
        return asked.addCallback(_nothing)

    def refuse_pairing(self, pairing_id: str) -> Deferred[None]:
        """Refuse a device that waits."""
        return self.ask("/pairing/refuse", pairing_id=pairing_id).addCallback(_nothing)

    def links(self) -> Deferred[Sequence[Link]]:
        """The links that ring the phone, by name. Only a claimed device may see and change them."""
        return self.ask("/links/list").addCallback(read_field, "links", list[Link])

    def make_link(self, name: str, **fields: Any) -> Deferred[Link]:
        """Make a link that rings the phone.

        :param fields: values for the attributes ``is_on``, ``hours``, ``expires_at`` and ``calls_left`` of
            :class:`Link`.
        :return: a Deferred with the link. It fails with ``ErrorCode.DATA`` if the phone has as many as it may have.
        """
        return self.ask("/links/make", name=name, **fields).addCallback(read_field, "link", Link)

    def change_link(self, link_id: str, **changes: Any) -> Deferred[Link]:
        """Return a link after applying ``changes``.

        :param changes: new values for attributes of :class:`Link`, as above, and ``name``.
        """
        return self.ask("/links/change", link_id=link_id, **changes).addCallback(read_field, "link", Link)

    def remove_link(self, link_id: str) -> Deferred[None]:
        """Remove a link: it rings no more."""
        return self.ask("/links/remove", link_id=link_id).addCallback(_nothing)

    def delete_call(self, room_id: str) -> Deferred[None]:
        """Delete a call from the phone's history."""
        return self.ask("/calls/delete", room_id=room_id).addCallback(_nothing)

    def delete_calls(self) -> Deferred[None]:
        """Delete all calls from the phone's history."""
        return self.ask("/calls/delete", room_id="*").addCallback(_nothing)

    def history(self, limit: int | None = None, after: str | None = None) -> Deferred[PastCalls]:
        """The phone's past calls, newest first.

        :param limit: the maximum number, from 1 to 500.
        :param after: the ``next`` of an earlier page.
        """
        page = {name: value for name, value in (("limit", limit), ("after", after)) if value is not None}
        return self.ask("/calls/history", **page).addCallback(_read, PastCalls)

    def settings(self, **changes: Any) -> Deferred[Settings]:
        """Return the settings of the phone after applying ``changes``.

        :param changes: new values for attributes of :class:`Settings`.
        """
        return self.ask("/account/settings", **changes).addCallback(_read, Settings)

    def ask(self, path: str, **fields: Any) -> Deferred[Mapping[str, Any]]:
        """Send any other request of the account service with the token (docs/openapi.json).

        :return: a Deferred with the whole answer.
        """
        return Deferred.fromCoroutine(self._ask(path, fields))

    async def _ask(self, path: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.token is None:
            await self.login_again()
        token = self.token
        try:
            return await self.server.post(path, {**fields, "token": token})
        except AccountError as error:
            if error.code != ErrorCode.TOKEN:
                raise
        if self.token in (token, None):  # otherwise another request has got a new one meanwhile
            await self.login_again()
        return await self.server.post(path, {**fields, "token": self.token})

    async def _renew(self) -> None:
        if self.token is None or self.credentials.expires_at - self.server.reactor.seconds() > RENEW_BEFORE:
            return
        await self._take(self.ask("/account/refresh"))

    async def _logout(self) -> None:
        token = self.token
        self.forget()
        if token is not None:
            await self._revoke(token)

    async def _revoke(self, token: str) -> None:
        try:
            await self.server.post("/account/logout", {"token": token})
        except AccountError as error:
            if error.code != ErrorCode.TOKEN:  # otherwise it is invalid already
                raise

    async def _take(self, asked: Deferred[Mapping[str, Any]]) -> str:
        """Take a requested token, unless the device has logged out meanwhile: then it is revoked."""
        logouts = self._logouts
        answer = await asked
        token: str = read_field(answer, "token", str)
        if logouts != self._logouts:
            Deferred.fromCoroutine(self._revoke(token)).addErrback(_not_revoked)
            raise _logged_out()
        # A server that knows only the seed sends neither.
        expires_in = read_field(answer, "expires_in", float | None)
        secret = None if self._keep is None else read_field(answer, "device_secret", str | None)
        until = self.server.reactor.seconds() + (RENEW_BEFORE * 7 if expires_in is None else expires_in)
        known = self.credentials.secret
        if not self._keep_now(Credentials(token, until, secret or known)):
            # To show a new secret claims the device, for which nobody could log in again without it.
            self.credentials = replace(self.credentials, secret=known)
        return token

    def _keep_now(self, credentials: Credentials) -> bool:
        """Go on with these, and return whether they could be kept: the disk may be full."""
        self.credentials = credentials
        try:
            if self._keep is not None:
                self._keep(credentials)
        except Exception:  # noqa: BLE001  whatever it is, the device goes on
            log.failure("the credentials of a device could not be kept")
            return False
        return True


def _in_base64(photo: bytes) -> str | None:
    """A photo on the wire; ``None``: no photo."""
    return base64.b64encode(photo).decode("ascii") or None


def _nothing(_answer: object) -> None:
    """Ignore an answer without content."""


def _logged_out() -> AccountError:
    """The error of a request after a logout."""
    return AccountError(200, ErrorCode.TOKEN, "ERROR_CODE_TOKEN_INVALID", "logged out")


def _not_revoked(failure: Failure) -> None:
    """Ignore that a token could not be revoked, which nobody has."""
    failure.trap(ClientError)


def read_field(answer: Mapping[str, Any], name: str, kind: Any) -> Any:
    """Return a field of an answer.

    :raises AccountError: it has none of this type.
    """
    try:
        return msgspec.convert(answer.get(name), kind)
    except msgspec.ValidationError:
        raise AccountError(200, None, "", f"the answer has no valid {name!r}") from None


def _read(answer: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError:
        raise AccountError(200, None, "", "the answer is incomplete") from None
