"""Messages of STUN (RFC 8489 §5)."""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

Attributes: TypeAlias = Sequence[tuple[int, bytes]]

BINDING: Final = 0x001
COOKIE: Final = 0x2112A442
HEADER_SIZE: Final = 20

_IS_ANSWER: Final = 0x0100
_INTEGRITY: Final = 0x0008
_FINGERPRINT: Final = 0x8028


def message(method: int, transaction: bytes, attributes: Attributes, key: bytes = b"") -> bytes:
    """A request.

    :param transaction: 12 random bytes, which its answer repeats.
    :param key: signs it (RFC 8489 §14.5), if it is not empty.
    """
    body = b"".join(_attribute(*each) for each in attributes)
    if key:
        body += _attribute(
            _INTEGRITY, hmac.digest(key, _header(method, transaction, len(body) + 24) + body, hashlib.sha1)
        )
    checked = _header(method, transaction, len(body) + 8) + body
    return checked + _attribute(_FINGERPRINT, struct.pack("!I", zlib.crc32(checked) ^ 0x5354554E))


def is_answer(data: bytes, transaction: bytes) -> bool:
    """Return whether this is the answer to the request of a transaction.

    :raises struct.error: it is shorter than two bytes.
    """
    return bool(struct.unpack_from("!H", data)[0] & _IS_ANSWER) and data[8:HEADER_SIZE] == transaction


def _header(method: int, transaction: bytes, length: int) -> bytes:
    return struct.pack("!HHI", method, length, COOKIE) + transaction


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def attributes_of(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes of a message: type and value.

    :raises struct.error: one of them is cut off in its header.
    """
    at = HEADER_SIZE
    while at < len(message):
        kind, length = struct.unpack_from("!HH", message, at)
        yield kind, message[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4
