"""Guests, who call by a link and have no account, and their tokens (protocol §1, ``/links/enter``)."""

from __future__ import annotations

import binascii
import hmac
import secrets
import unicodedata
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from callnet.accounts.enrolment import is_device_id, secret_hash
from callnet.accounts.signing_keys import Key
from callnet.accounts.tokens import TOKEN_MAX, Tokens, base64url
from callnet.errors import DataInvalid, RateLimited, TokenInvalid
from callnet.model import DEVICE_ID_MAX, LINK_ID_LENGTH, DeviceAddress, guest_phone, link_of
from callnet.storage.links import SqlLinks
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.schema_hints import NOT_NEGATIVE

GOOD_FOR: Final = 86_400
"""Seconds for which a guest may connect: for longer than a call lasts."""

_PURPOSE: Final = b"callnet guest"
_NONCE: Final = 12
"""Bytes, as GCM has them (NIST SP 800-38D §8.2.2)."""
_JOINERS: Final = "\u200c\u200d"
"""Format characters that names have in some languages, and emoji."""
_BLANK: Final = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and a symbol that are not seen."""

log = Logger()
_not_counted = logged_unless_unavailable(log, "failed to count an answered call of a guest")


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
        if not is_device_id(name) or not _is_seen(name):
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


def _is_seen(name: str) -> bool:
    """Return whether a name has something that is seen, and nothing that hides, breaks lines or has no meaning."""
    kinds = [unicodedata.category(each) for each in name if each not in _JOINERS]
    hides = any(kind[0] == "C" or kind in ("Zl", "Zp") for kind in kinds) or not set(_BLANK).isdisjoint(name)
    return not hides and any(kind[0] in "LNPS" for kind in kinds)


def _cipher(key: Key) -> AESGCM:
    return AESGCM(hmac.digest(key.secret, _PURPOSE, sha256))
