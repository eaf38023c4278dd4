"""A minimal client of STUN and TURN servers (RFC 8489, RFC 8656), to check whether they answer."""

from __future__ import annotations

import hashlib
import secrets
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from contextlib import closing
from ipaddress import ip_address
from typing import Final, Protocol

from msgspec import Struct

from callnet.frames.ice import (
    BINDING,
    COOKIE,
    HEADER_SIZE,
    Attributes,
    IceUri,
    attributes_of,
    is_answer,
    message,
    parse_uri,
)

ALLOCATE: Final = 0x003
REFRESH: Final = 0x004
_PERMIT: Final = 0x008
LIFETIME: Final = 0x000D
UNAUTHORIZED: Final = 401
TRIES: Final = (0.5, 1.0, 2.0)
"""Seconds that each try over UDP waits for an answer; over TCP and TLS all of them are waited for once."""

_USERNAME: Final = 0x0006
_ERROR_CODE: Final = 0x0009
_REALM: Final = 0x0014
_NONCE: Final = 0x0015
_PEER: Final = 0x0012
_RELAYED: Final = 0x0016
_TRANSPORT: Final = 0x0019
_MAPPED: Final = 0x0020
_STALE_NONCE: Final = 438
_UDP: Final = 17
_LARGEST: Final = 2048
_IPV4_SIZE: Final = 4


class Wire(Protocol):
    """A way to a server."""

    def exchange(self, message: bytes) -> bytes:
        """Send a message, and wait for the answer of the same transaction.

        :raises OSError: there is none.
        """

    def close(self) -> None:
        """Be gone, without a word to the server."""


class Datagrams:
    """A way over UDP, which may lose what is sent.

    :param tries: seconds that each try waits.
    """

    def __init__(self, host: str, port: int, tries: Sequence[float] = TRIES) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._tries = tries
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.connect(address)

    def close(self) -> None:
        """Be gone."""
        self._socket.close()

    def exchange(self, message: bytes) -> bytes:
        """Send it, again and again, until there is an answer."""
        for wait in self._tries:
            self._socket.settimeout(wait)
            try:
                self._socket.send(message)
                while True:
                    answer = self._socket.recv(_LARGEST)
                    if answer[8:HEADER_SIZE] == message[8:HEADER_SIZE]:
                        return answer
            except (TimeoutError, ConnectionRefusedError):
                continue
        raise TimeoutError("no answer")


class Stream:
    """A way over TCP, or TLS with a certificate that this machine trusts."""

    def __init__(self, host: str, port: int, tls: bool) -> None:
        self._socket = socket.create_connection((host, port), sum(TRIES))
        if tls:
            self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=host)

    def close(self) -> None:
        """Be gone."""
        self._socket.close()

    def exchange(self, message: bytes) -> bytes:
        """Send it, and read the next message."""
        self._socket.sendall(message)
        header = self._read(HEADER_SIZE)
        return header + self._read(min(int(struct.unpack_from("!H", header, 2)[0]), _LARGEST))

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise ConnectionResetError("the server closed the connection")
            data += part
        return data


class StunClient:
    """One client, which a TURN server knows by where its way begins. Answers come as error codes; 0 is success."""

    def __init__(self, wire: Wire, username: str = "", password: str = "") -> None:
        self._wire = wire
        self._username = username
        self._password = password
        self._realm = b""
        self._nonce = b""
        self.transaction = secrets.token_bytes(12)
        """The id of the next one."""
        self.relayed = ""
        """The address that is relayed from, once there is one."""

    def close(self) -> None:
        """Be gone, without a word to the server."""
        self._wire.close()

    def bind(self) -> bytes | None:
        """The address that the server sees, as XOR-MAPPED-ADDRESS has it; this takes no credentials."""
        return dict(self._ask(BINDING, [], b"")).get(_MAPPED)

    def allocate(self, *attributes: tuple[int, bytes]) -> int:
        """Ask for an address that is relayed from."""
        return self.request(ALLOCATE, lambda: [(_TRANSPORT, bytes([_UDP, 0, 0, 0])), *attributes])

    def request(self, method: int, attributes: Callable[[], Attributes]) -> int:
        """Ask; with credentials as soon as the server has said for what realm, and again if its nonce is too old.

        :raises OSError: there is no answer, or none that can be understood.
        """
        code = 0
        for _ in range(3):
            transaction = self.transaction
            code = _code_of(answer := dict(self._ask(method, [*attributes(), *self._credentials()], self._key())))
            if _RELAYED in answer:
                self.relayed = _address(answer[_RELAYED], transaction)
            if not (code == _STALE_NONCE or (code == UNAUTHORIZED and not self._nonce)):
                break
            self._realm, self._nonce = answer.get(_REALM, b""), answer.get(_NONCE, b"")
        return code

    def permit(self, peer: str) -> int:
        """Ask that bytes from and to the address of a peer be relayed."""
        return self.request(_PERMIT, lambda: [(_PEER, _masked(peer, self.transaction))])

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
        answer = self._wire.exchange(message(method, self.transaction, attributes, key))
        try:
            if not is_answer(answer, self.transaction):
                raise ConnectionAbortedError("not a STUN server")
            return list(attributes_of(answer))
        except struct.error:
            raise ConnectionAbortedError("not a STUN server") from None
        finally:
            self.transaction = secrets.token_bytes(12)


def bind(uri: str) -> str | None:
    """The address that a STUN server sees; ``None``: it tells none.

    :raises OSError: there is no answer.
    """
    with closing(StunClient(_wire(parse_uri(uri)))) as client:
        transaction = client.transaction
        mapped = client.bind()
        return None if mapped is None else _address(mapped, transaction)


class Relay(Struct, frozen=True):
    """The answers of a TURN server."""

    code: int
    """The error code of its answer to whoever wants an address to relay from; 0: it gave one."""
    address: str = ""
    """This address."""
    reaches: str = ""
    """One of the addresses that it should not reach, which it would relay to."""


def probe(uri: str, username: str, password: str, forbidden: Sequence[str] = ()) -> Relay:
    """Ask a TURN server for an address to relay from, which it takes back at once, or soon.

    :param forbidden: IPv4 addresses that it should not relay to.
    :raises OSError: there is no answer.
    """
    with closing(StunClient(_wire(parse_uri(uri)), username, password)) as client:
        code = client.allocate()
        if code:
            return Relay(code)
        reached = next((peer for peer in forbidden if client.permit(peer) == 0), "")
        client.request(REFRESH, lambda: [(LIFETIME, bytes(4))])
        return Relay(0, client.relayed, reached)


def _masked(address: str, transaction: bytes) -> bytes:
    """An address as XOR-PEER-ADDRESS has it, which depends on the transaction; a permission is for all ports."""
    packed = ip_address(address).packed
    return bytes([0, 1 if len(packed) == _IPV4_SIZE else 2, 0, 0]) + _crossed(packed, transaction)


def _address(value: bytes, transaction: bytes) -> str:
    """The address in an attribute such as XOR-MAPPED-ADDRESS (RFC 8489 §14.2).

    :raises OSError: there is none.
    """
    try:
        return str(ip_address(_crossed(value[4:], transaction)))
    except ValueError:
        raise ConnectionAbortedError("not a STUN server") from None


def _crossed(data: bytes, transaction: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, struct.pack("!I", COOKIE) + transaction, strict=False))


def _wire(uri: IceUri) -> Wire:
    if uri.transport == "udp" and uri.secure:
        raise OSError("DTLS cannot be checked")
    return Datagrams(uri.host, uri.port) if uri.transport == "udp" else Stream(uri.host, uri.port, uri.secure)


def _code_of(answer: dict[int, bytes]) -> int:
    error = answer.get(_ERROR_CODE, b"")
    return error[2] * 100 + error[3] if len(error) >= 4 else 0
