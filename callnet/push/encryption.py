"""Encryption of push messages, so that the push service cannot read them (RFC 8291, RFC 8188)."""

from __future__ import annotations

import os
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from callnet.push.subscription import Subscription

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
