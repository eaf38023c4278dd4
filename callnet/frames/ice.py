"""The servers for connections through NATs (STUN, RFC 8489; TURN, RFC 8656), and TURN credentials.

A TURN server that shares a secret with callnet needs no list of users: a user name contains its expiry time, and the
password follows from it (draft-uberti-behave-turn-rest-00, ``use-auth-secret`` of coturn).

Also the messages of STUN (RFC 8489 §5).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, TypeAlias

from msgspec import Struct

SECRET_MIN: Final = 32
"""The minimum length of the secret, in characters: whoever has a credential can try secrets offline."""
SECRET_MAX: Final = 127
"""The maximum length that every database of coturn can store."""

_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_AND_PORT: Final = (
    rf"(?P<host>\[[^]]*\]|(?=[^:?]{{1,253}}([:?]|\Z)){_LABEL}(\.{_LABEL})*)(:(?P<port>[0-9]{{1,5}}))?"
)
_PLACE: Final = re.compile(_HOST_AND_PORT)
_STUN: Final = re.compile(rf"stuns?:{_HOST_AND_PORT}")
_TURN: Final = re.compile(rf"turns?:{_HOST_AND_PORT}(\?transport=(?P<transport>udp|tcp))?")
_SECRET: Final = re.compile(rf"[!-~]{{{SECRET_MIN},{SECRET_MAX}}}")
_NUMERIC: Final = re.compile(r"(.*\.)?[0-9]+")
_PORT_MAX: Final = 65535


_STUN_PORT: Final = 3478
_STUNS_PORT: Final = 5349


class IceUri(Struct, frozen=True):
    """The parsed URI of a STUN or TURN server."""

    host: str
    port: int
    transport: str
    """``udp`` or ``tcp``."""
    secure: bool
    """True for TLS or DTLS."""


class IceServer(Struct, frozen=True, gc=False, omit_defaults=True):
    """A STUN or TURN server: ``RTCIceServer`` of WebRTC."""

    urls: Sequence[str]
    username: str = ""
    """For TURN only, like the next field: the expiry time of both in seconds since 1970, a colon, and a random id."""
    credential: str = ""


def turn_server(urls: Sequence[str], secret: str, expires_at: int, name: str) -> IceServer:
    """TURN servers, with credentials.

    :param urls: each is an address of a server that knows the secret.
    :param expires_at: the expiry time of the credentials, in seconds since 1970.
    :param name: the user for the server, which has a quota for each; without a colon.
    """
    username = f"{expires_at}:{name}"
    password = hmac.digest(secret.encode("ascii"), username.encode("ascii"), hashlib.sha1)
    return IceServer(urls, username, b64encode(password).decode("ascii"))


def is_secret(text: str) -> bool:
    """Return whether this is a valid secret: ASCII without blanks, so that it means the same in every file."""
    return _SECRET.fullmatch(text) is not None


def is_host_and_port(text: str) -> bool:
    """Return whether this is a host name or an address (of IPv6 in brackets), alone or with a colon and a port."""
    return _names_a_host(_PLACE.fullmatch(text))


def is_stun_uri(text: str) -> bool:
    """Return whether this is a STUN URI (RFC 7064): a browser with an invalid one opens no connection at all."""
    return _names_a_host(_STUN.fullmatch(text))


def is_turn_uri(text: str) -> bool:
    """Return whether this is a TURN URI (RFC 7065)."""
    return _names_a_host(_TURN.fullmatch(text))


def parse_uri(text: str) -> IceUri:
    """Parse the URI of a STUN or TURN server.

    :raises ValueError: it is invalid.
    """
    found = _TURN.fullmatch(text) or _STUN.fullmatch(text)
    if found is None:
        raise ValueError("not a URI of a STUN or TURN server")
    secure = text.partition(":")[0].endswith("s")
    transport = found.groupdict().get("transport") or ("tcp" if secure else "udp")
    port = int(found["port"] or (_STUNS_PORT if secure else _STUN_PORT))
    return IceUri(found["host"].strip("[]"), port, transport, secure)


def _names_a_host(found: re.Match[str] | None) -> bool:
    if found is None or not 0 < int(found["port"] or 1) <= _PORT_MAX:
        return False
    host = found["host"]
    try:
        if host.startswith("["):
            return IPv6Address(host[1:-1]).scope_id is None
        if _NUMERIC.fullmatch(host):
            IPv4Address(host)  # browsers take a name that ends in a number for an address
    except AddressValueError:
        return False
    return True


class PageServers(Struct, frozen=True):
    """The ICE servers of a page."""

    servers: Sequence[IceServer]
    good_for: float
    """Seconds after which they should be renewed; infinite: they are valid until the end."""


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
