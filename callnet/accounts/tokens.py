"""The tokens that a login answers with: JWT, HS256 and nothing else (RFC 7519, protocol §1)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Final

import jwt
import msgspec
from msgspec import Struct

from callnet.accounts.enrolment import is_cn_mobile, is_device_id, is_well_formed_phone
from callnet.errors import TokenInvalid
from callnet.model import DeviceAddress

TOKEN_MAX: Final = 2048
"""The longest token that is looked at, in characters; ours have about 300."""

_CLOCK_SKEW = 3600.0
"""How far the clock of the node that issued a token may be ahead of ours, in seconds."""

_CN_MOBILE_LENGTH = 11

_ALGORITHM = "HS256"

_SEED_HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
"""``{"alg":"HS256","typ":"JWT"}``, with which every token of the seed begins."""


class Key(Struct, frozen=True):
    """A secret that tokens are signed with, and the id that tells it from others in their header."""

    kid: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key(kid={self.kid!r})"

    @classmethod
    def of(cls, secret: bytes) -> Key:
        """The key with this secret. Its id follows from the secret, so that a new secret has a new id."""
        return cls(hmac.digest(secret, b"callnet kid", hashlib.sha256).hex()[:8], secret)


class _Claims(Struct):
    """The claims that matter, of the types that they must have."""

    exp: float
    iat: float | None = None
    nbf: float | None = None
    jti: str | None = None
    phone: str | None = None
    deviceid: str | None = None
    userName: str | None = None  # noqa: N815  the seed's name


class Tokens:
    """Issues and verifies tokens.

    :param keys: the first one signs, and is what a token without a ``kid`` is checked against; the
        others are still accepted.
    :param lifetime: how long a token is valid, in seconds.
    :param now: the time, in seconds since 1970.
    :param split_user_name: accept ``userName`` alone and split it after 11 characters, which only
        the phone rule ``cn-mobile`` allows.
    """

    def __init__(
        self, keys: Sequence[Key], lifetime: int, now: Callable[[], float], split_user_name: bool = False
    ) -> None:
        self.lifetime = lifetime
        self._now = now
        self._split_user_name = split_user_name
        self._signing = keys[0]
        self._keys = {key.kid: key for key in keys}
        self._jws = jwt.PyJWS(algorithms=[_ALGORITHM])
        self._decode_claims = msgspec.json.Decoder(_Claims).decode
        # The header of our own tokens, and of the seed's, is always the same text: no need to parse it.
        self._headers = {self._sign(key, b"{}").partition(".")[0]: key for key in keys}
        self._headers[_SEED_HEADER] = self._signing

    def issue(self, address: DeviceAddress) -> str:
        """Make a new token for a device."""
        now = int(self._now())
        claims = {
            "userName": address.phone + address.device_id,
            "ip": "",
            "phone": address.phone,
            "deviceid": address.device_id,
            "exp": now + self.lifetime,
            "iat": now,
            "jti": secrets.token_hex(16),
        }
        return self._sign(self._signing, msgspec.json.encode(claims))

    def verify(self, token: str) -> DeviceAddress:
        """Tell whose token this is.

        :raises TokenInvalid: it is malformed, forged, expired, or says nothing of a device.
        """
        if len(token) > TOKEN_MAX or not token.isascii() or "=" in token:  # PyJWT would take padding
            raise TokenInvalid("the token is malformed")
        try:
            key = self._key_of(token)
            verified = self._jws.decode_complete(token, key.secret, [_ALGORITHM])
            claims = self._decode_claims(verified["payload"])
        except (jwt.InvalidTokenError, msgspec.MsgspecError, UnicodeError, RecursionError):
            raise TokenInvalid("the token is malformed or was not issued here") from None
        self._check_times(claims)
        return self._identity(claims)

    def _sign(self, key: Key, payload: bytes) -> str:
        return self._jws.encode(payload, key.secret, _ALGORITHM, {"kid": key.kid})

    def _key_of(self, token: str) -> Key:
        known = self._headers.get(token.partition(".")[0])
        if known is not None:
            return known
        header = self._jws.get_unverified_header(token)
        if "kid" not in header:
            return self._signing
        key = self._keys.get(header["kid"])
        if key is None:
            raise TokenInvalid("the token was signed with an unknown key")
        return key

    def _check_times(self, claims: _Claims) -> None:
        now = self._now()
        if claims.exp <= now:
            raise TokenInvalid("the token has expired")
        for begin in (claims.iat, claims.nbf):
            if begin is not None and begin > now + _CLOCK_SKEW:
                raise TokenInvalid("the token is not valid yet")

    def _identity(self, claims: _Claims) -> DeviceAddress:
        phone, device_id = claims.phone, claims.deviceid
        if phone is None and device_id is None and self._split_user_name and claims.userName is not None:
            phone, device_id = claims.userName[:_CN_MOBILE_LENGTH], claims.userName[_CN_MOBILE_LENGTH:]
            if not is_cn_mobile(phone):
                raise TokenInvalid("the token names no device")
        if phone is None or device_id is None or not is_well_formed_phone(phone) or not is_device_id(device_id):
            raise TokenInvalid("the token names no device")
        return DeviceAddress(phone, device_id)
