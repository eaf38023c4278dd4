"""Identification to push services (VAPID, RFC 8292), by a key that browsers received when they subscribed."""

from __future__ import annotations

import base64
import os
from typing import Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from callnet.errors import StartError
from callnet.push.encryption import encoded
from callnet.util import files

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
        self.public_key: Final = base64.urlsafe_b64encode(encoded(key.public_key())).rstrip(b"=").decode("ascii")
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
            files.make_once(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except OSError as error:
        raise StartError(f"{_SETTING}: {path}: {error.strerror}") from None
    try:
        found = load_pem_private_key(files.read_private(path, _SETTING), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        raise StartError(f"{_SETTING}: {path} contains no unencrypted PEM private key on P-256")
    return found
