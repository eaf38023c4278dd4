"""A browser that subscribes to Web Push, and reads its messages by an implementation of its own.

The curve, the derivation of keys (RFC 5869) and GCM are written out here; of ``cryptography`` only AES on one block is
used, and the check of a signature.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256

_P: Final = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G: Final = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int]


def base64url(data: bytes) -> str:
    """In base64url, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The other way."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Browser:
    """One subscription.

    :param private: the browser's key.
    """

    def __init__(self, private: int | None = None, auth: bytes | None = None) -> None:
        self._private = private or 1 + secrets.randbelow(_N - 1)
        self.auth: Final = auth or secrets.token_bytes(16)
        self.public: Final = _encoded(_times(self._private, _G))

    def subscription(self, endpoint: str) -> dict[str, Any]:
        """The value of ``PushSubscription.toJSON``."""
        keys = {"p256dh": base64url(self.public), "auth": base64url(self.auth)}
        return {"endpoint": endpoint, "expirationTime": None, "keys": keys}

    def target(self, endpoint: str) -> str:
        """The same as text."""
        return json.dumps(self.subscription(endpoint))

    def read(self, body: bytes) -> bytes:
        """The content of a push message (RFC 8291 §3, RFC 8188 §2)."""
        assert len(body) <= 4096
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert length == 65
        assert len(sealed) <= size
        shared = _times(self._private, _decoded(sender))[0].to_bytes(32, "big")
        material = _derive(self.auth, shared, b"WebPush: info\0" + self.public + sender, 32)
        key = _derive(salt, material, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _derive(salt, material, b"Content-Encoding: nonce\0", 12)
        plain = _open(key, nonce, sealed).rstrip(b"\0")
        assert plain[-1:] == b"\2", "it is not the last record"
        return plain[:-1]


def claims_of(authorization: str) -> tuple[dict[str, Any], str]:
    """The claims of a sender, with a correct signature, and its key (RFC 8292 §3)."""
    scheme, _, parameters = authorization.partition(" ")
    assert scheme == "vapid"
    given = dict(one.strip().split("=", 1) for one in parameters.split(","))
    signed, _, signature = given["t"].rpartition(".")
    header, claims = (json.loads(from_base64url(part)) for part in signed.split("."))
    assert header["alg"] == "ES256"
    raw = from_base64url(signature)
    assert len(raw) == 64
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(given["k"]))
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(pair, signed.encode(), ec.ECDSA(SHA256()))
    return claims, given["k"]


def _derive(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    """HKDF of one block (RFC 5869)."""
    drawn = hmac.digest(salt, material, sha256)
    return hmac.digest(drawn, info + b"\1", sha256)[:length]


def _encoded(point: _Point) -> bytes:
    return b"\4" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def _decoded(data: bytes) -> _Point:
    assert data[0] == 4
    return int.from_bytes(data[1:33], "big"), int.from_bytes(data[33:], "big")


def _times(number: int, point: _Point) -> _Point:
    found: _Point | None = None
    for bit in f"{number:b}":
        if found is not None:
            found = _plus(found, found)
        if bit == "1":
            found = point if found is None else _plus(found, point)
    assert found is not None
    return found


def _plus(one: _Point, other: _Point) -> _Point:
    (x1, y1), (x2, y2) = one, other
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, _P) if one == other else (y2 - y1) * pow(x2 - x1, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


def _open(key: bytes, nonce: bytes, sealed: bytes) -> bytes:
    """AES-128-GCM without additional data (NIST SP 800-38D)."""
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # noqa: S305  one block of GCM
    text, tag = sealed[:-16], sealed[-16:]
    blocks = [text[at : at + 16] for at in range(0, len(text), 16)]
    lengths = bytes(8) + (8 * len(text)).to_bytes(8, "big")
    hashed, by = 0, int.from_bytes(block(bytes(16)), "big")
    for each in (*blocks, lengths):
        hashed = _times_in_field(hashed ^ int.from_bytes(each.ljust(16, b"\0"), "big"), by)
    expected = hashed ^ int.from_bytes(block(nonce + (1).to_bytes(4, "big")), "big")
    assert expected.to_bytes(16, "big") == tag, "it was changed on its way"
    streams = (block(nonce + (number + 2).to_bytes(4, "big")) for number in range(len(blocks)))
    return b"".join(
        bytes(a ^ b for a, b in zip(each, stream, strict=False)) for each, stream in zip(blocks, streams, strict=True)
    )


def _times_in_field(one: int, other: int) -> int:
    product = 0
    for bit in range(127, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (0xE1 << 120 if other & 1 else 0)
    return product
