"""Links that ring, and guests, who call by them and have no account (protocol §1)."""

from __future__ import annotations

import binascii
import hmac
import secrets
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Any, Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import UNSET, Struct, UnsetType
from twisted.internet.defer import Deferred

from callnet.accounts.signing_keys import Key
from callnet.accounts.tokens import TOKEN_MAX, Tokens, base64url
from callnet.accounts.validation import is_device_id, require_name, secret_hash
from callnet.calls.preferences import QuietHours, time_zone
from callnet.errors import DataInvalid, DeviceInvalid, RateLimited, TokenInvalid
from callnet.model import (
    DEVICE_ID_MAX,
    LINK_ID_LENGTH,
    LINK_NAME_MAX,
    LINKS_MAX,
    DeviceAddress,
    guest_phone,
    hides_text,
    is_seen,
    link_of,
)
from callnet.storage.links import SqlLinks, StoredLink, columns_of
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.schema_hints import NOT_NEGATIVE

_SECRET_BYTES: Final = 16
"""The size of a link's secret, in random bytes: 22 characters."""
GOOD_FOR: Final = 86_400
"""Seconds for which a guest may connect: for longer than a call lasts."""
_PURPOSE: Final = b"callnet guest"
_NONCE: Final = 12
"""Bytes, as GCM has them (NIST SP 800-38D §8.2.2)."""

log = Logger()
_not_counted = logged_unless_unavailable(log, "failed to count an answered call of a guest")


class LinkChanges(Struct, frozen=True):
    """Changes of a link; values that are ``UNSET`` stay."""

    name: str | UnsetType = UNSET
    is_on: bool | UnsetType = UNSET
    hours: QuietHours | UnsetType | None = UNSET
    expires_at: float | UnsetType | None = UNSET
    calls_left: int | UnsetType | None = UNSET


class Links:
    """The links of phones, for their claimed devices.

    All methods raise :class:`Unavailable` if the database cannot be reached.

    :param look: makes this node read what has changed now; fires when that is done.
    """

    def __init__(self, links: SqlLinks, tokens: Tokens, look: Callable[[], Deferred[None]]) -> None:
        self._links = links
        self._tokens = tokens
        self._look = look

    async def of(self, token: str) -> list[StoredLink]:
        """The links of the token's phone, by name.

        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        """
        return list(await self.of_phone(self._owner(token)))

    async def make(self, token: str, wanted: LinkChanges) -> StoredLink:
        """Make a link of the token's phone.

        :raises DataInvalid: a value is not acceptable, or the phone has the maximum number of links.
        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        """
        phone = self._owner(token)
        values = _values(wanted)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        now = self._tokens.now()
        new = StoredLink(
            link_id_of(secret_hash(secret)),
            phone,
            secret,
            values["name"],
            values.get("is_on", True),
            None if isinstance(wanted.hours, UnsetType) else wanted.hours,
            values.get("expires_at"),
            values.get("calls_left"),
            now,
        )
        if not await self._links.make(new, LINKS_MAX, now):
            raise DataInvalid(f"a phone has at most {LINKS_MAX} links; remove one first")
        await self._look()
        return new

    async def change(self, token: str, link_id: str, wanted: LinkChanges) -> StoredLink:
        """Change a link of the token's phone.

        :raises DataInvalid: a value is not acceptable, or there is no such link.
        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        """
        phone = self._owner(token)
        changed = await self._links.change(phone, link_id, _values(wanted), self._tokens.now())
        if changed is None:
            raise DataInvalid("there is no such link")
        await self._look()
        return changed

    async def remove(self, token: str, link_id: str) -> None:
        """Remove a link of the token's phone, if there is one.

        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        """
        await self.discard(self._owner(token), link_id)

    async def of_phone(self, phone: str) -> Sequence[StoredLink]:
        """The links of a phone, by name."""
        return await self._links.of(phone)

    async def discard(self, phone: str, link_id: str) -> bool:
        """Remove a link of a phone, and return whether there was one."""
        is_removed = await self._links.remove(phone, link_id, self._tokens.now())
        await self._look()
        return is_removed

    def _owner(self, token: str) -> str:
        found = self._tokens.verify(token)
        if not found.claimed:
            raise DeviceInvalid("only a device that has logged in with its secret may see and change links")
        return found.device.phone


def _values(wanted: LinkChanges) -> dict[str, Any]:
    """The columns of what is to change.

    :raises DataInvalid: a value is not acceptable.
    """
    if isinstance(wanted.hours, QuietHours) and time_zone(wanted.hours.time_zone) is None:
        raise DataInvalid("hours.time_zone is no known time zone")
    values = {
        name: value
        for name in ("name", "is_on", "expires_at", "calls_left")
        if (value := getattr(wanted, name)) is not UNSET
    }
    if not isinstance(wanted.name, UnsetType):
        values["name"] = require_name(wanted.name, LINK_NAME_MAX, "name")
    return values if isinstance(wanted.hours, UnsetType) else {**values, **columns_of(wanted.hours)}


class EnteredGuest(Struct, frozen=True):
    """A guest, as it is told itself."""

    guest_token: str
    """With this it connects. It says nothing about the link."""
    expires_in: Annotated[int, NOT_NEGATIVE]
    """Seconds."""


class Guest(Struct, frozen=True):
    """A guest that has shown its token."""

    address: DeviceAddress
    link: bytes
    """SHA-256 of the secret that it has, of a link or not."""


class _Content(Struct, frozen=True, array_like=True):
    guest: Guest
    expires_at: int


def link_id_of(hashed: bytes) -> str:
    """The id of the link whose secret has this SHA-256, if there is one."""
    return hashed.hex()[:LINK_ID_LENGTH]


class GuestTokens:
    """Issues and reads the tokens of guests.

    A token is encrypted, by a key that is derived from the signing key and does nothing else: no guest can read from it
    what its link is worth, and none is the token of a device.

    :param tokens: has the signing keys.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def enter(self, secret: str, name: str) -> EnteredGuest:
        """Issue a token, whether or not the secret is that of a link: nothing is looked up.

        :param name: what the guest calls itself.
        :raises DataInvalid: the name is not acceptable. Characters that are not seen are not, either: they could change
            how the name is read.
        """
        name = name.strip()
        if not is_device_id(name) or not is_seen(name) or hides_text(name):
            raise DataInvalid(f"name is empty, *, longer than {DEVICE_ID_MAX} characters, or has characters that hide")
        hashed = secret_hash(secret)
        guest = Guest(DeviceAddress(guest_phone(link_id_of(hashed)), name), hashed)
        content = msgspec.msgpack.encode(_Content(guest, int(self._tokens.now()) + GOOD_FOR))
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + _cipher(self._tokens.signing_key).encrypt(nonce, content, None)
        return EnteredGuest(base64url(sealed), GOOD_FOR)

    def verify(self, token: str) -> Guest:
        """Return the guest of a token, which may be of any key whose tokens are accepted.

        :raises TokenInvalid: it is malformed, forged or expired.
        """
        try:
            sealed = urlsafe_b64decode(token[:TOKEN_MAX] + "==")
        except (binascii.Error, ValueError):
            raise TokenInvalid("the token is malformed") from None
        for key in self._tokens.keys:
            try:
                content = _cipher(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
            except (InvalidTag, ValueError):
                continue
            found = msgspec.msgpack.decode(content, type=_Content)
            if found.expires_at <= self._tokens.now():
                raise TokenInvalid("the token has expired")
            return found.guest
        raise TokenInvalid("the token was not issued here")


class GuestCallLimits(Protocol):
    """Counts calls of guests."""

    async def call(self, host: str) -> None:
        """Count a call from an address.

        :raises RateLimited: it is one too many.
        """

    async def may_ring(self, link_id: str, phone: str | None) -> bool:
        """Count a call by the link with an id, to a phone if there is such a link; return whether it is within the
        limits.
        """


class Guests:
    """Lets guests in, and counts their calls.

    :param now: the time, in seconds since 1970.
    """

    def __init__(
        self,
        links: SqlLinks,
        tokens: GuestTokens,
        now: Callable[[], float],
        limits: GuestCallLimits,
    ) -> None:
        self._links = links
        self.tokens: Final = tokens
        self._now = now
        self._limits = limits
        self.not_rung: Final = Counter({"link": 0, "limit": 0, "address": 0})
        """Calls that were to ring nobody: their link does not ring, or there were too many by it or to its phone; or
        they, or their guests, were refused, since there were too many from their address or network.
        """

    def link(self, token: str, host: str) -> UsedLink:
        """The link that the guest of a token uses.

        :param host: the address that it comes from, for rate limits.
        :raises TokenInvalid: the token is not valid.
        """
        return UsedLink(self, self.tokens.verify(token), host)

    async def owner(self, guest: Guest, host: str) -> str | None:
        """See :meth:`callnet.calls.ports.GuestLink.owner`."""
        try:
            await self._limits.call(host)
        except RateLimited:
            self.not_rung["address"] += 1
            raise
        link_id = link_id_of(guest.link)
        found = await self._links.find(link_id)
        is_shown = found is not None and hmac.compare_digest(secret_hash(found.secret), guest.link)
        owner = found.phone if found is not None and is_shown and found.rings(self._now()) else None
        is_within = await self._limits.may_ring(link_id, owner)
        if owner is None or not is_within:
            self.not_rung["limit" if owner else "link"] += 1
            return None
        return owner

    def answered(self, phone: str) -> None:
        """Count the accept of a call by the link of a guest with a phone."""
        self._links.answered(link_of(phone), self._now()).addErrback(_not_counted)


class UsedLink:
    """The link that a guest uses (:class:`callnet.calls.ports.GuestLink`)."""

    def __init__(self, guests: Guests, guest: Guest, host: str) -> None:
        self._guests = guests
        self._guest = guest
        self._host = host
        self.address: Final = guest.address

    async def owner(self) -> str | None:
        """See :meth:`callnet.calls.ports.GuestLink.owner`."""
        return await self._guests.owner(self._guest, self._host)


def _cipher(key: Key) -> AESGCM:
    return AESGCM(hmac.digest(key.secret, _PURPOSE, sha256))
