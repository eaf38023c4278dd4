"""A client of TURN over UDP as small as can be (RFC 8489, RFC 8656), to ask a server whom it serves and what it relays.

Answers come as error codes; 0 is success.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Final

Attributes = list[tuple[int, bytes]]

BINDING: Final = 0x001
ALLOCATE: Final = 0x003
REFRESH: Final = 0x004
PERMIT: Final = 0x008

_COOKIE: Final = 0x2112A442
_USERNAME: Final = 0x0006
_INTEGRITY: Final = 0x0008
_ERROR_CODE: Final = 0x0009
_LIFETIME: Final = 0x000D
_PEER: Final = 0x0012
_REALM: Final = 0x0014
_NONCE: Final = 0x0015
_FAMILY: Final = 0x0017
_TRANSPORT: Final = 0x0019
_MAPPED: Final = 0x0020
_FINGERPRINT: Final = 0x8028

_IS_ANSWER: Final = 0x0100
_UNAUTHORIZED: Final = 401
_STALE_NONCE: Final = 438
_UDP: Final = 17
_PORT: Final = 9
"""A peer's: permissions are for all ports."""
_TRIES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds that each try waits for an answer: UDP may lose it."""


class TurnClient:
    """One client, from a port of its own, which is what a server knows an allocation by.

    :param server: the address and port of the server.
    """

    def __init__(self, server: tuple[str, int], username: str = "", password: str = "") -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(server)
        self._username = username
        self._password = password
        self._realm = b""
        self._nonce = b""
        self._transaction = secrets.token_bytes(12)

    def close(self) -> None:
        """Be gone, without a word to the server."""
        self._socket.close()

    def bind(self) -> bytes | None:
        """The address that the server sees, as XOR-MAPPED-ADDRESS has it; this takes no credentials."""
        return dict(self._ask(BINDING, [], b"")).get(_MAPPED)

    def allocate(self, ipv6: bool = False) -> int:
        """Ask for an address that is relayed from."""
        family = [(_FAMILY, b"\2\0\0\0")] if ipv6 else []
        return self._request(ALLOCATE, lambda: [(_TRANSPORT, bytes([_UDP, 0, 0, 0])), *family])

    def refresh(self) -> int:
        """Ask for more time for it."""
        return self._request(REFRESH, lambda: [(_LIFETIME, struct.pack("!I", 600))])

    def permit(self, peer: str) -> int:
        """Ask that what comes from a peer, and goes to it, be relayed."""
        return self._request(PERMIT, lambda: [(_PEER, self._masked(peer))])

    def _masked(self, peer: str) -> bytes:
        """An address as XOR-PEER-ADDRESS has it, which depends on the transaction."""
        address = ip_address(peer)
        mask = (struct.pack("!I", _COOKIE) + self._transaction)[: len(address.packed)]
        masked = bytes(one ^ other for one, other in zip(address.packed, mask, strict=True))
        family = 1 if address.version == 4 else 2
        return struct.pack("!BBH", 0, family, _PORT ^ (_COOKIE >> 16)) + masked

    def _request(self, method: int, attributes: Callable[[], Attributes]) -> int:
        """Ask; with credentials as soon as the server has said for what realm, and again if its nonce is too old."""
        code = 0
        for _ in range(3):
            code = _code_of(answer := dict(self._ask(method, [*attributes(), *self._credentials()], self._key())))
            if not (code == _STALE_NONCE or (code == _UNAUTHORIZED and not self._nonce)):
                break
            self._realm, self._nonce = answer[_REALM], answer[_NONCE]
        return code

    def _credentials(self) -> Attributes:
        if not self._nonce:
            return []
        return [(_USERNAME, self._username.encode()), (_REALM, self._realm), (_NONCE, self._nonce)]

    def _key(self) -> bytes:
        """The key of the long-term credentials (RFC 8489 §9.2.2)."""
        if not self._nonce:
            return b""
        return hashlib.md5(b":".join([self._username.encode(), self._realm, self._password.encode()])).digest()  # noqa: S324

    def _ask(self, method: int, attributes: Attributes, key: bytes) -> Attributes:
        message = _message(method, self._transaction, attributes, key)
        for wait in _TRIES:
            self._socket.send(message)
            self._socket.settimeout(wait)
            try:
                while True:
                    answer = self._socket.recv(2048)
                    if answer[8:20] == self._transaction:
                        assert struct.unpack_from("!H", answer)[0] & _IS_ANSWER, "no answer"
                        self._transaction = secrets.token_bytes(12)
                        return list(_attributes_of(answer))
            except (TimeoutError, ConnectionRefusedError):
                continue
        raise TimeoutError("the server does not answer")


def _message(method: int, transaction: bytes, attributes: Attributes, key: bytes) -> bytes:
    body = b"".join(_attribute(*each) for each in attributes)
    if key:
        body += _attribute(
            _INTEGRITY, hmac.digest(key, _header(method, transaction, len(body) + 24) + body, hashlib.sha1)
        )
    checked = _header(method, transaction, len(body) + 8) + body
    return checked + _attribute(_FINGERPRINT, struct.pack("!I", zlib.crc32(checked) ^ 0x5354554E))


def _header(method: int, transaction: bytes, length: int) -> bytes:
    return struct.pack("!HHI", method, length, _COOKIE) + transaction


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _attributes_of(message: bytes) -> Iterator[tuple[int, bytes]]:
    at = 20
    while at < len(message):
        kind, length = struct.unpack_from("!HH", message, at)
        yield kind, message[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4


def _code_of(answer: dict[int, bytes]) -> int:
    error = answer.get(_ERROR_CODE)
    return 0 if error is None else error[2] * 100 + error[3]
