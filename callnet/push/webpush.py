"""Web Push: subscriptions (RFC 8030), encryption (RFC 8291) and VAPID (RFC 8292)."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Sequence
from typing import Final

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from msgspec import Struct

from callnet.accounts.tokens import base64url
from callnet.errors import DataInvalid, StartError
from callnet.ops.certificates import key_to_pem
from callnet.util import files

SALT: Final = 16
"""Bytes."""
_RECORD: Final = 4096
"""The size of a record, of which there is one only (RFC 8291 §4)."""
PLAIN_MAX: Final = _RECORD - 86 - 1 - 16
"""The most bytes that fit beside the header, the delimiter and the tag, so that all fits in 4096 (RFC 8291 §4)."""
_LAST: Final = b"\x02"
"""Ends what the last record holds; zeros may follow (RFC 8188 §2)."""


def sealed(plain: bytes, subscription: Subscription, padded_to: int) -> bytes:
    """Encrypt for one browser, with a key and a salt of its own.

    :param padded_to: the length that all messages get that are not longer, so that it tells nothing.
    """
    padded = plain + _LAST + bytes(max(0, padded_to - len(plain)))
    return encrypt(padded, subscription, ec.generate_private_key(ec.SECP256R1()), os.urandom(SALT))


def encrypt(padded: bytes, subscription: Subscription, ours: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """Encrypt one record, and put its header before it (RFC 8188 §2.1).

    :param ours: must be used for this message alone.
    """
    our_key = encoded(ours.public_key())
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), subscription.browser_key)
    shared = ours.exchange(ec.ECDH(), theirs)
    material = _derived(shared, subscription.auth, b"WebPush: info\0" + subscription.browser_key + our_key, 32)
    key = _derived(material, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(material, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + _RECORD.to_bytes(4, "big") + len(our_key).to_bytes(1, "big") + our_key
    return header + AESGCM(key).encrypt(nonce, padded, None)


def encoded(key: ec.EllipticCurvePublicKey) -> bytes:
    """A point on P-256, uncompressed: 65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _derived(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(material)


LIFETIME: Final = 12 * 3600
"""Seconds for which a statement holds; 24 hours are the most (RFC 8292 §2)."""
_SETTING: Final = "push.vapid_key_file"


class Vapid:
    """The sender, as push services know it.

    :param subject: the contact for them.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, subject: str) -> None:
        self._key = key
        self._subject = subject
        self.public_key: Final = base64url(encoded(key.public_key()))
        """The ``applicationServerKey`` for browsers: an uncompressed point, in base64url."""

    def authorization(self, origin: str, now: float) -> str:
        """The header ``Authorization`` for a push service (RFC 8292 §3).

        :param now: in seconds since 1970.
        """
        claims = {"aud": origin, "exp": int(now) + LIFETIME, "sub": self._subject}
        return f"vapid t={jwt.encode(claims, self._key, algorithm='ES256')}, k={self.public_key}"


def load_or_make_key(path: str) -> ec.EllipticCurvePrivateKey:
    """Read the key; on the first start make it.

    :raises StartError: the file cannot be read or made, is open to others, or holds no such key.
    """
    try:
        if not os.path.lexists(path):
            key = ec.generate_private_key(ec.SECP256R1())
            files.make_once(path, key_to_pem(key))
    except OSError as error:
        raise StartError(f"{_SETTING}: {path}: {error.strerror}") from None
    try:
        found = load_pem_private_key(files.read_private(path, _SETTING), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        raise StartError(f"{_SETTING}: {path} contains no unencrypted PEM private key on P-256")
    return found


_HTTPS: Final = 443
_AUTH: Final = 16
"""Bytes (RFC 8291 §3.2)."""
_POINT: Final = 65
"""Bytes of an uncompressed point on P-256."""
_LABEL: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_ENDPOINT: Final = re.compile(
    rf"https://(?P<host>(?=[a-z0-9.-]{{1,253}}[:/])({_LABEL}\.)*(?=[a-z]){_LABEL})"
    r"(:(?P<port>[1-9][0-9]{0,4}))?/[A-Za-z0-9._~:/?@!$&'()*+,;=%-]*"
)
"""No user, no address in place of a name, no upper case, no fragment, no backslash: nothing that two readers could
read in two ways."""


class PushHosts:
    """The hosts that ``push.allowed_hosts`` names.

    :param patterns: ``HOST``, or ``*.HOST`` for all below it, each with ``:PORT`` if that is not 443.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [(host, int(port or _HTTPS)) for host, _, port in (each.partition(":") for each in patterns)]

    def cover(self, host: str, port: int) -> bool:
        """Tell whether a port of a host is among them."""
        return any(
            port == allowed and (host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern)
            for pattern, allowed in self._patterns
        )


class Subscription(Struct, frozen=True):
    """A browser's push address and encryption keys."""

    url: str
    host: str
    port: int
    browser_key: bytes
    """A point on P-256, uncompressed."""
    auth: bytes
    """16 bytes that the browser has drawn."""

    @property
    def origin(self) -> str:
        """The origin of the push service (RFC 6454 §6.2)."""
        return f"https://{self.host}" if self.port == _HTTPS else f"https://{self.host}:{self.port}"

    def target(self) -> str:
        """It as JSON, without what else a browser may have put in."""
        fields = _Fields(self.url, _KeyFields(base64url(self.browser_key), base64url(self.auth)))
        return msgspec.json.encode(fields).decode("ascii")


class _KeyFields(Struct, frozen=True):
    p256dh: str
    auth: str


class _Fields(Struct, frozen=True):
    endpoint: str
    keys: _KeyFields


def read_subscription(target: str, hosts: PushHosts, field: str = "target") -> Subscription:
    """Read what a client gave in a field.

    :raises DataInvalid: not a subscription, or one for a host that is not allowed. The message names the field.
    """
    try:
        fields = msgspec.json.decode(target, type=_Fields)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise DataInvalid(
            f"{field} must be a PushSubscription as JSON: endpoint, and keys with p256dh and auth"
        ) from None
    address = _ENDPOINT.fullmatch(fields.endpoint)
    if address is None:
        raise DataInvalid(f"{field}: endpoint must be a plain https URL")
    host, port = address["host"], int(address["port"] or _HTTPS)
    if not hosts.cover(host, port):
        raise DataInvalid(f"{field}: endpoint is of no push service that is allowed here")
    browser_key = _decoded(fields.keys.p256dh, _POINT)
    if browser_key is None or not _is_point(browser_key):
        raise DataInvalid(f"{field}: keys.p256dh must be a point on P-256, uncompressed, in base64url")
    auth = _decoded(fields.keys.auth, _AUTH)
    if auth is None:
        raise DataInvalid(f"{field}: keys.auth must be {_AUTH} bytes in base64url")
    return Subscription(fields.endpoint, host, port, browser_key, auth)


def _decoded(text: str, length: int) -> bytes | None:
    """This number of bytes from canonical base64url without padding (RFC 4648 §5); else ``None``."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return data if len(data) == length and base64url(data) == text else None


def _is_point(data: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except ValueError:
        return False
    return True
