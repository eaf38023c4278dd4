"""The tokens of logins: JWT, HS256 and nothing else (RFC 7519, protocol §1); and this node's copy of those revoked."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Final, NamedTuple

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm
from msgspec import Struct

from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.validation import is_device_id, is_well_formed_phone, read_cn_mobile
from callnet.config.schema import SESSION_LIFETIME
from callnet.errors import TokenInvalid, Unavailable
from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.storage.revoking import Revocation


class Token(Struct, frozen=True, gc=False):
    """A verified token. All times are seconds since 1970."""

    device: DeviceAddress
    auth_time: float
    """The time of the login that began the session, by the clock of revocations (see ``SqlChanges``)."""
    expires_at: float
    sid: str | None
    """The id of the login session, if it has one."""
    claimed: bool = False
    """True if the login has shown the secret of the device."""
    is_renewable: bool = False
    """True if it names the current signing key."""


_SWEPT_AT_ONCE: Final = 50
"""The number of phones that are checked for expired revocations in one go."""


class Revocations:
    """All revocations, in memory: every presented token is checked here.

    :param as_of: see :attr:`as_of`.
    """

    def __init__(self, as_of: float | None = None) -> None:
        self.as_of = as_of
        """All revocations until this time are known; ``None``: none are yet. Seconds since 1970, by the clock of
        revocations (see ``SqlChanges``)."""
        self.count = 0
        """The number of revocations."""
        self._by_phone: OrderedDict[str, frozenset[Revocation]] = OrderedDict()
        self._sessions: set[tuple[DeviceAddress, str]] = set()
        self._before: dict[DeviceAddress, float] = {}

    @property
    def phones(self) -> Collection[str]:
        """The phones with revoked tokens."""
        return self._by_phone.keys()

    def known_at(self) -> float:
        """:attr:`as_of`.

        :raises Unavailable: nothing is known yet.
        """
        if self.as_of is None:
            raise Unavailable("revoked tokens are not loaded yet; try again")
        return self.as_of

    def know(self, revoked: Mapping[str, Collection[Revocation]]) -> Collection[Revocation]:
        """Replace the revocations of these phones; return the new ones."""
        new: list[Revocation] = []
        for phone, of_phone in revoked.items():
            new += self._replace(phone, frozenset(of_phone))
        return new

    def forget_expired(self, now: float) -> None:
        """Check some phones, different ones each time, and forget revocations of expired tokens."""
        for phone in list(islice(self._by_phone, _SWEPT_AT_ONCE)):
            known = self._by_phone[phone]
            self._by_phone.move_to_end(phone)
            self._replace(phone, frozenset(one for one in known if one.expires_at >= now))

    def cover(self, token: Token) -> bool:
        """Return whether a token is revoked."""
        device = token.device
        return device.phone in self._by_phone and (
            token.auth_time < self._begins(device) or (token.sid is not None and (device, token.sid) in self._sessions)
        )

    def login_time(self, device: DeviceAddress) -> float:
        """The time of a login of this device now: everything that the login relied on was known then, and no known
        revocation covers it. A later one does.

        :raises Unavailable: nothing is known yet.
        """
        return max(self.known_at(), self._begins(device))

    def _begins(self, device: DeviceAddress) -> float:
        """The time from which logins of this device are valid."""
        every = DeviceAddress(device.phone, EVERY_DEVICE)
        return max(self._before.get(device, -inf), self._before.get(every, -inf))

    def _replace(self, phone: str, new: frozenset[Revocation]) -> Collection[Revocation]:
        """Replace the revocations of a phone; return the new ones."""
        old = self._by_phone.get(phone, frozenset())
        if new == old:
            return ()
        for one in old:
            self._before.pop(one.device, None)
            if one.sid is not None:
                self._sessions.discard((one.device, one.sid))
        for one in new:
            if one.before is not None:
                self._before[one.device] = max(one.before, self._before.get(one.device, -inf))
            if one.sid is not None:
                self._sessions.add((one.device, one.sid))
        if new:
            self._by_phone[phone] = new
        else:
            self._by_phone.pop(phone, None)
        self.count += len(new) - len(old)
        return new - old


def is_revoked(token: Token, revoked: Iterable[Revocation]) -> bool:
    """Return whether any of these revocations covers a token."""
    return any(covers(one, token) for one in revoked)


def covers(revoked: Revocation, token: Token) -> bool:
    """Return whether a revocation covers a token."""
    if not revoked.device.covers(token.device):
        return False
    if revoked.before is not None and token.auth_time < revoked.before:
        return True
    return revoked.sid is not None and revoked.sid == token.sid


TOKEN_MAX: Final = 2048
"""The maximum length of a token, in characters; ours have about 300."""

_CLOCK_SKEW = 3600.0
"""Seconds by which the clock of the issuing node may be ahead of ours."""

_CN_MOBILE_LENGTH = 11

_SID_MAX: Final = 255
"""The maximum length of the id of a login session in a revocation, in characters."""

_ALGORITHM = "HS256"

_SEED_HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
"""``{"alg":"HS256","typ":"JWT"}``, the header of every token of the seed."""


class _Claims(Struct):
    """The required claims, with their types."""

    exp: float
    iat: float | None = None
    nbf: float | None = None
    auth_time: float | None = None
    sid: str | None = None
    jti: str | None = None
    claimed: bool = False
    phone: str | None = None
    deviceid: str | None = None
    userName: str | None = None  # noqa: N815  the seed's name


def base64url(data: bytes) -> str:
    """Encode in base64url, without padding (RFC 4648 §5, RFC 7515 §2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _signature(signed: str, key: Key) -> str:
    return base64url(hmac.digest(key.secret, signed.encode("ascii"), hashlib.sha256))


class _Signed(NamedTuple):
    """The payload of a token signed by one of our keys, and its header."""

    payload: bytes
    kid: str | None
    """The key that it names, which has signed it."""


class _OfAnyKey(HMACAlgorithm):
    """HS256 without a minimum length of the key, since that of an older server may be short."""

    def check_key_length(self, key: bytes) -> None:
        """Accept any length."""


class Tokens:
    """Issues and verifies tokens.

    :param ring: the initial keys.
    :param lifetime: the lifetime of a token, in seconds.
    :param now: the time, in seconds since 1970.
    :param revocations: the revoked tokens; ``None``: there are none.
    :param split_user_name: accept ``userName`` alone and split it after 11 characters, which only
        the phone rule ``cn-mobile`` allows.
    :param session_lifetime: seconds after a login for which its tokens are renewed.
    """

    def __init__(
        self,
        ring: KeyRing,
        lifetime: int,
        now: Callable[[], float],
        revocations: Revocations | None = None,
        split_user_name: bool = False,
        session_lifetime: int = SESSION_LIFETIME,
    ) -> None:
        self.lifetime: Final = lifetime
        self.now: Final = now
        self._revocations = Revocations(now()) if revocations is None else revocations
        self._session_lifetime = session_lifetime
        self._split_user_name = split_user_name
        self._jws = jwt.PyJWS(algorithms=[])
        self._jws.register_algorithm(_ALGORITHM, _OfAnyKey(HMACAlgorithm.SHA256))
        self._decode_claims = msgspec.json.Decoder(_Claims).decode
        self.use(ring)

    def use(self, ring: KeyRing) -> None:
        """Use these keys from now on. A token of a key that is not among them is no longer accepted."""
        self._ring = ring
        self._keys = {key.kid: key for key in ring.keys}
        # The header of our own tokens, and of the seed's, is always the same text: no need to parse it. PyJWT, which
        # takes five times as long, makes it, and reads tokens with any other.
        self._headers = {self._header_of(key): key for key in ring.keys}
        if ring.without_kid is not None:
            self._headers[_SEED_HEADER] = ring.without_kid
        self._choose(self.now())

    @property
    def keys(self) -> Sequence[Key]:
        """All keys whose tokens are accepted, but for an older server's."""
        return self._ring.keys

    @property
    def signing_key(self) -> Key:
        """The key that signs now."""
        return self._key_that_signs()

    @property
    def is_ready(self) -> bool:
        """True if the revocations are known."""
        return self._revocations.as_of is not None

    def require_ready(self) -> None:
        """Check that the revocations are known.

        :raises Unavailable: not yet.
        """
        self._revocations.known_at()

    def issue(self, address: DeviceAddress, claimed: bool = False) -> str:
        """Issue the first token of a new login session. ``claimed``: the device has shown its secret.

        :raises Unavailable: it is not known yet which tokens are revoked.
        """
        sid = secrets.token_hex(16)
        return self._sign(address, sid, sid, self._revocations.login_time(address), claimed)

    def renew(self, token: Token) -> str:
        """Issue another token of the same login session.

        :raises TokenInvalid: a new login is needed.
        """
        if not token.is_renewable:
            raise TokenInvalid("the key of the token no longer signs; log in again")
        if self.now() - token.auth_time >= self._session_lifetime:
            raise TokenInvalid("the login session has expired; log in again")
        jti = secrets.token_hex(16)
        return self._sign(token.device, jti, token.sid or jti, token.auth_time, token.claimed)

    def verify(self, token: str) -> Token:
        """Return the content of a token.

        :raises TokenInvalid: it is malformed, forged, expired, revoked, or names no device.
        :raises Unavailable: it is not known yet which tokens are revoked.
        """
        self.require_ready()
        if len(token) > TOKEN_MAX or not token.isascii() or "=" in token:  # PyJWT would accept padding
            raise TokenInvalid("the token is malformed")
        try:
            signed = self._signed(token)
            claims = self._decode_claims(signed.payload)
        except (jwt.InvalidTokenError, binascii.Error, msgspec.MsgspecError, UnicodeError, RecursionError):
            raise TokenInvalid("the token is malformed or was not issued here") from None
        if signed.kid is None and claims.exp > self._ring.without_kid_until:
            raise TokenInvalid("the token expires too late for a token of the older server")
        self._check_times(claims)
        verified = self._token(claims, signed.kid)
        if self._revocations.cover(verified):
            raise TokenInvalid("the token was revoked")
        return verified

    def _token(self, claims: _Claims, kid: str | None) -> Token:
        """The token of these claims. Of a token that names no key only the claims of the seed are used: an attacker who
        has found a short key of an older server may have made it.
        """
        auth_time, sid = claims.auth_time, claims.sid or claims.jti
        if auth_time is None or kid is None:
            auth_time = claims.exp - self.lifetime if claims.iat is None else claims.iat
        if sid is not None and not (0 < len(sid) <= _SID_MAX and sid.isprintable()):
            sid = None
        is_ours = kid is not None
        is_renewable = is_ours and kid == self._key_that_signs().kid
        return Token(self._identity(claims), auth_time, claims.exp, sid, is_ours and claims.claimed, is_renewable)

    def _sign(self, address: DeviceAddress, jti: str, sid: str, auth_time: float, claimed: bool) -> str:
        now = int(self.now())
        claims: dict[str, str | int | float] = {
            "userName": address.phone + address.device_id,
            "ip": "",
            "phone": address.phone,
            "deviceid": address.device_id,
            "exp": now + self.lifetime,
            "iat": now,
            "jti": jti,
            "sid": sid,
            "auth_time": auth_time,
        }
        if claimed:
            claims["claimed"] = True
        key = self._key_that_signs()
        signed = f"{self._own_header}.{base64url(msgspec.json.encode(claims))}"
        return f"{signed}.{_signature(signed, key)}"

    def _key_that_signs(self) -> Key:
        now = self.now()
        if now >= self._signs_until:
            self._choose(now)
        return self._signing

    def _choose(self, now: float) -> None:
        """Choose the key to sign with."""
        self._signing = self._ring.signing(now)
        self._own_header = self._header_of(self._signing)
        self._signs_until = self._ring.next_change(now)

    def _header_of(self, key: Key) -> str:
        return self._jws.encode(b"{}", key.secret, _ALGORITHM, {"kid": key.kid}).partition(".")[0]

    def _signed(self, token: str) -> _Signed:
        """The signed payload, if one of our keys signed it (RFC 7515 §5.2)."""
        header, _, payload = token.partition(".")
        key = self._headers.get(header)
        if key is None:
            key, kid = self._key_of(token)
            verified = self._jws.decode_complete(token, key.secret, [_ALGORITHM])
            return _Signed(bytes(verified["payload"]), kid)
        payload, _, signature = payload.rpartition(".")
        if not hmac.compare_digest(signature, _signature(f"{header}.{payload}", key)):
            raise TokenInvalid("the token was not issued here")
        return _Signed(urlsafe_b64decode(payload + "=="), None if header == _SEED_HEADER else key.kid)

    def _key_of(self, token: str) -> tuple[Key, str | None]:
        header = self._jws.get_unverified_header(token)
        key = self._keys.get(header["kid"]) if "kid" in header else self._ring.without_kid
        if key is None:
            raise TokenInvalid("the token was signed with an unknown key")
        return key, key.kid if "kid" in header else None

    def _check_times(self, claims: _Claims) -> None:
        now = self.now()
        if claims.exp <= now:
            raise TokenInvalid("the token has expired")
        for begin in (claims.iat, claims.nbf):
            if begin is not None and begin > now + _CLOCK_SKEW:
                raise TokenInvalid("the token is not valid yet")

    def _identity(self, claims: _Claims) -> DeviceAddress:
        phone, device_id = claims.phone, claims.deviceid
        if phone is None and device_id is None and self._split_user_name and claims.userName is not None:
            phone, device_id = claims.userName[:_CN_MOBILE_LENGTH], claims.userName[_CN_MOBILE_LENGTH:]
            if read_cn_mobile(phone) is None:
                raise TokenInvalid("the token names no device")
        if phone is None or device_id is None or not is_well_formed_phone(phone) or not is_device_id(device_id):
            raise TokenInvalid("the token names no device")
        return DeviceAddress(phone, device_id)
