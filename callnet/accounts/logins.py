"""Logins of devices, with one-time codes (enrolment ``otp``) or without, logouts and revocations (protocol §1)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from math import inf, nextafter
from typing import Annotated, Final, Literal

from msgspec import Struct
from twisted.internet.defer import Deferred

from callnet.accounts.tokens import Tokens
from callnet.accounts.validation import PhoneRule, new_secret, require_device_id, secret_hash
from callnet.calls.ports import IPreferences
from callnet.errors import CodeInvalid, DataInvalid, DeviceInvalid, PhoneInvalid
from callnet.model import DeviceAddress
from callnet.storage.codes import SqlCodes
from callnet.storage.enrolling import Enrolled, SqlAccounts
from callnet.storage.revoking import Revocation, SqlRevocations
from callnet.util.deferreds import as_deferred
from callnet.util.schema_hints import NOT_NEGATIVE

SKEW: Final = 3600.0
"""The maximum difference of the nodes' clocks, in seconds: ended sessions are remembered for longer by this."""

_NEEDS_CODE: Final = "a code is required; request one with /account/code"

CODE_VALID_FOR: Final = 300.0
"""Seconds for which a code is valid."""
CODE_TRIES: Final = 5
"""The number of guesses for a code."""
CODES_AN_HOUR: Final = 5
"""The number of codes sent to a phone in an hour: more would be a nuisance, and allow more guesses."""

_CODE: Final = re.compile(r"[0-9]{6}")


class Codes:
    """Sends one-time codes to the owners of phones, and accepts each of them once, to admit a device.

    All methods raise :class:`Unavailable` if the database cannot be reached.

    :param send: passes an event to the sender of codes; it does not wait, and does not raise.
    :param text: the text for the phone; ``{code}`` stands for the code.
    :param secret: the key of the stored digests, without which a reader of the database cannot use them.
    :param now: the time, in seconds since 1970.
    """

    def __init__(
        self,
        store: SqlCodes,
        send: Callable[[str, Mapping[str, str | int]], object],
        text: str,
        secret: bytes,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._send = send
        self._text = text
        self._secret = secret
        self._now = now

    @as_deferred
    async def request(self, phone: str) -> None:
        """Send a new code to a phone. Over the limit, nothing is sent."""
        code = f"{secrets.randbelow(1_000_000):06}"
        if await self._store.put(phone, self._digest(phone, code), self._now(), CODE_VALID_FOR, CODES_AN_HOUR):
            text = self._text.replace("{code}", code)
            self._send("code", {"phone": phone, "code": code, "text": text, "valid_for": int(CODE_VALID_FOR)})

    @as_deferred
    async def take(self, phone: str, code: str) -> bool:
        """Return whether this is the code that the phone was sent last. It is spent then; otherwise one try is."""
        if _CODE.fullmatch(code) is None:
            return False
        kept = await self._store.try_(phone, self._now(), CODE_TRIES)
        if kept is None or not hmac.compare_digest(kept, self._digest(phone, code)):
            return False
        return await self._store.spend(phone, kept)

    def _digest(self, phone: str, code: str) -> bytes:
        return hmac.digest(self._secret, f"{code} {phone}".encode(), hashlib.sha256)


class Login(Struct, frozen=True, omit_defaults=True):
    """A successful login."""

    token: str
    expires_in: Annotated[int, NOT_NEGATIVE]
    """Seconds."""
    device_secret: str | None = None
    """Offered by a login that creates the device, or finds it unused; logging in with it claims the device."""


class Logins(Struct, frozen=True):
    """Logs devices in and out.

    :param enrolment: ``open``: a first login without a secret creates the account and the device; ``known``: only
        provisioned devices may log in; ``otp``: a login with the code sent to the phone creates both.
    :param codes: for ``otp``.
    :param code_without_secret: true to require a code from a known device without a secret, where there are codes.
    :param look: makes this node read the revocations now; fires when that is done.
    """

    _accounts: SqlAccounts
    _revocations: SqlRevocations
    _preferences: IPreferences
    _tokens: Tokens
    phones: PhoneRule
    _enrolment: Literal["open", "known", "otp"]
    _codes: Codes | None
    _code_without_secret: bool
    _look: Callable[[], Deferred[None]]

    @as_deferred
    async def login(self, phone: str, device_id: str, secret: str | None = None, code: str | None = None) -> Login:
        """Log a device in and issue a token.

        :raises PhoneInvalid: the phone number is not acceptable, or has no account and may not get one.
        :raises DeviceInvalid: the device id is not acceptable, or is not the phone's and may not become so, or
            its secret is missing or wrong, or the phone has the maximum number of devices.
        :raises CodeInvalid: the device needs a code, and this one is invalid.
        :raises Unavailable: the database cannot be reached.
        """
        if not self._tokens.is_ready:
            await self._look()
        self._tokens.require_ready()  # otherwise a secret could be offered that the device never receives
        phone = self.phones.require(phone, "phone")
        require_device_id(device_id)
        address = DeviceAddress(phone, device_id)
        if self._codes is not None and code is not None:
            return await self._login_by_code(self._codes, address, code)
        # Who shows a secret was here before: if the device is gone, its owner has removed it.
        offer = new_secret() if self._enrolment == "open" and secret is None else None
        device = await self._device(address, offer)
        if offer is not None:
            hashed = secret_hash(offer)
            if device.offered == hashed or await self._accounts.offer_again(address, device, hashed):
                return self._logged_in(address, secret=offer)
        claimed = await self._let_in(address, device, secret)
        if device.unused_since is not None and offer is None:
            self._accounts.used(address)
        return self._logged_in(address, claimed=claimed)

    async def _login_by_code(self, codes: Codes, address: DeviceAddress, code: str) -> Login:
        """Log in with the code sent to the phone, and offer a secret to the new or known device."""
        if not await codes.take(address.phone, code):
            raise CodeInvalid("the code is wrong or already used")
        offer = new_secret()
        device = await self._accounts.enrol(address, secret_hash(offer))
        if device.offered != secret_hash(offer):
            await self._accounts.offer(address, secret_hash(offer), self._tokens.now())
        return self._logged_in(address, secret=offer)

    def _logged_in(self, address: DeviceAddress, claimed: bool = False, secret: str | None = None) -> Login:
        return self._answer(address, self._tokens.issue(address, claimed), secret)

    def _answer(self, address: DeviceAddress, token: str, secret: str | None = None) -> Login:
        self._preferences.of(address.phone)  # so that they are known when the device connects
        return Login(token, self._tokens.lifetime, secret)

    async def _device(self, address: DeviceAddress, offer: str | None) -> Enrolled:
        if offer is not None:
            return await self._accounts.enrol(address, secret_hash(offer))
        try:
            device = await self._accounts.find(address)
        except PhoneInvalid:
            if self._enrolment == "known":
                raise
            device = None
        if device is not None:
            return device
        if self._enrolment == "otp":
            raise CodeInvalid(_NEEDS_CODE)
        raise DeviceInvalid("the device does not belong to the phone")

    async def _let_in(self, address: DeviceAddress, device: Enrolled, secret: str | None) -> bool:
        """Check that the device has shown its secret, or needs none. The first use of an offered secret claims the
        device.

        Returns whether it has one.
        """
        shown = None if secret is None else secret_hash(secret)
        if shown is not None and device.offered is not None and hmac.compare_digest(shown, device.offered):
            if await self._accounts.claim(address, device.offered, self._tokens.now()):
                return True
            device = await self._accounts.find(address) or device  # another login was faster
        if device.secret is not None and (shown is None or not hmac.compare_digest(shown, device.secret)):
            raise DeviceInvalid("the device secret is missing or wrong")
        if device.secret is None and self._codes is not None and self._code_without_secret:
            raise CodeInvalid(_NEEDS_CODE)
        return device.secret is not None

    @as_deferred
    async def send_code(self, phone: str) -> None:
        """Send a one-time code to a phone. The result does not reveal whether it has an account.

        :raises PhoneInvalid: the phone number is not acceptable.
        :raises DataInvalid: codes are not in use.
        :raises Unavailable: the database cannot be reached.
        """
        phone = self.phones.require(phone, "phone")
        if self._codes is None:
            raise DataInvalid("this server sends no codes: accounts.enrolment is not otp")
        await self._codes.request(phone)

    def device(self, token: str) -> DeviceAddress:
        """Return the device of a token.

        :raises TokenInvalid: the token is not valid.
        :raises Unavailable: it is not known yet which tokens are revoked.
        """
        return self._tokens.verify(token).device

    def refresh(self, token: str) -> Login:
        """Issue another token of the same login session. The old one stays valid.

        :raises TokenInvalid: the token is not valid, or a new login is needed.
        :raises Unavailable: it is not known yet which tokens are revoked.
        """
        known = self._tokens.verify(token)
        return self._answer(known.device, self._tokens.renew(known))

    @as_deferred
    async def logout(self, text: str) -> None:
        """End the login session of a token: the device's socket is closed, and it leaves its call.

        :raises TokenInvalid: the token is not valid.
        :raises Unavailable: the database cannot be reached.
        """
        token = self._tokens.verify(text)
        # Until all nodes know of it, tokens of the session may be renewed that live as long as any token.
        expires_at = max(token.expires_at, self._tokens.now() + self._tokens.lifetime) + SKEW
        before = nextafter(token.auth_time, inf) if token.sid is None else None
        await self._revocations.revoke(Revocation(token.device, expires_at, before, token.sid))
        await self._look()

    async def revoke(self, address: DeviceAddress) -> bool:
        """Revoke all present tokens of a device, or with ``*`` of all devices of a phone; tell whether it is known.

        :raises Unavailable: the database cannot be reached.
        """
        is_known = await self._revocations.revoke_all(address)
        await self._look()
        return is_known
