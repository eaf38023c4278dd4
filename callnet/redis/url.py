"""The location of Redis, parsed from the setting ``redis.url``.

======================  ============================================================================
``redis://``            ``redis://[[user]:password@]host[:port][/database]``
``rediss://``           the same over TLS
``unix://``             ``unix://[[user]:password@]/path/of/the/socket[?db=…&user=…&password=…]``
``redis+sentinel://``   ``redis+sentinel://[[user]:password@]host[:port],…/service[/database]``, where the
                        hosts are Sentinels, with their login in ``?sentinel_user=…&sentinel_password=…``
``rediss+sentinel://``  the same over TLS, to the Sentinels and to Redis
======================  ============================================================================

Characters other than letters, digits and ``-._~`` in a user, a password, a service or a path are written as ``%XX``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct

from callnet.config.schema import RedisSettings
from callnet.errors import StartError
from callnet.util import files
from callnet.util.net import bracketed, is_address

REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
_SETTING: Final = "redis.url"
_LABEL: Final = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(
    rf"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>{_LABEL}(?:\.{_LABEL})*\.?))(?::(?P<port>[0-9]{{1,5}}))?"
)
_DATABASE: Final = re.compile("[0-9]{1,6}")


class Address(Struct, frozen=True):
    """The address of a server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


class Login(Struct, frozen=True):
    """The credentials for a server. Never log them."""

    user: str = ""
    """Empty: the default user."""
    password: str = ""
    """Empty: the server needs no login."""

    def __repr__(self) -> str:
        return "Login(…)"

    @property
    def command(self) -> tuple[bytes, ...]:
        """The login command, or nothing."""
        words = ("AUTH", self.user, self.password) if self.user else ("AUTH", self.password)
        return tuple(word.encode() for word in words) if self.password else ()


class RedisTarget(Struct, frozen=True):
    """A Redis, reached at :attr:`address`, by the socket at :attr:`path`, or through the Sentinels."""

    address: Address | None = None
    path: str = ""
    sentinels: tuple[Address, ...] = ()
    service: str = ""
    """The name by which the Sentinels know it."""
    tls: bool = False
    authorities: bytes = b""
    """The certificates that TLS trusts, in PEM form and nothing else; empty: those of the system."""
    login: Login = Login()
    sentinel_login: Login = Login()
    database: int = 0

    @property
    def is_local(self) -> bool:
        """True if it is certainly on this machine. Sentinels may always name another."""
        return bool(self.path) or (self.address is not None and _is_loopback(self.address.host))

    def __str__(self) -> str:
        """The location, without a secret."""
        if self.sentinels:
            return f"the master of {self.service} at Sentinel {', '.join(map(str, self.sentinels))}"
        return self.path or str(self.address)


def parse(settings: RedisSettings) -> RedisTarget:
    """Parse ``redis.url`` and ``redis.ca``.

    :raises StartError: one of them is invalid; their values are not repeated.
    """
    scheme, mark, rest = settings.url.partition("://")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    schemes = {"redis": _direct, "rediss": _direct, "redis+sentinel": _by_sentinel, "rediss+sentinel": _by_sentinel}
    tls = scheme.startswith("rediss")
    if settings.ca and not tls:
        raise StartError("redis.ca needs a redis.url with rediss:// or rediss+sentinel://")
    if not mark or (scheme not in schemes and scheme != "unix"):
        raise _wrong("must begin with redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://")
    if scheme == "unix":
        return _by_socket(login, hosts, slash + path, query)
    return schemes[scheme](_login(login), hosts, path, query, tls, _authorities(settings.ca))


def _direct(login: Login, host: str, path: str, query: str, tls: bool, authorities: bytes) -> RedisTarget:
    _options(query)
    return RedisTarget(
        address=_address(host, REDIS_PORT),
        tls=tls,
        authorities=authorities,
        login=login,
        database=_database(path),
    )


def _by_sentinel(login: Login, hosts: str, path: str, query: str, tls: bool, authorities: bytes) -> RedisTarget:
    options = _options(query, "sentinel_user", "sentinel_password")
    service, _, database = path.partition("/")
    if not service:
        raise _wrong("needs the name of the service after the Sentinels: …host:port/service")
    return RedisTarget(
        sentinels=tuple(_address(host, SENTINEL_PORT) for host in hosts.split(",")),
        service=_decoded(service),
        tls=tls,
        authorities=authorities,
        login=login,
        sentinel_login=_checked(
            Login(user=options.get("sentinel_user", ""), password=options.get("sentinel_password", ""))
        ),
        database=_database(database),
    )


def _by_socket(authority: str, host: str, path: str, query: str) -> RedisTarget:
    if host or path in ("", "/"):
        raise _wrong("needs the absolute path of a socket: unix:///…")
    options = _options(query, "db", "user", "password")
    login = Login(user=options.get("user", ""), password=options.get("password", ""))
    if authority and login != Login():
        raise _wrong("has two passwords; remove one")
    return RedisTarget(
        path=_decoded(path),
        login=_login(authority) if authority else _checked(login),
        database=_database(options.get("db", "")),
    )


def _wrong(what: str) -> StartError:
    return StartError(f"{_SETTING} {what}")


def _login(text: str) -> Login:
    user, _, password = text.partition(":")
    return _checked(Login(user=_decoded(user), password=_decoded(password)))


def _checked(login: Login) -> Login:
    if login.user and not login.password:
        raise _wrong("names a user without a password")
    return login


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _wrong("has a %XX sequence that is not UTF-8") from None


def _address(text: str, default_port: int) -> Address:
    match = _HOST.fullmatch(text)
    host = match and (match["v6"] or match["name"])
    port = int((match and match["port"]) or default_port)
    if not host or not 0 < port < 65536 or (match and match["v6"] and not is_address(match["v6"])):
        raise _wrong("needs a host and an optional port; escape special characters in the password as %XX")
    return Address(host, port)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)


def _database(text: str) -> int:
    if text and not _DATABASE.fullmatch(text):
        raise _wrong("must have nothing but a database number after the host")
    return int(text or 0)


def _options(query: str, *known: str) -> Mapping[str, str]:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict"))
    except ValueError:
        raise _wrong("must have name=value pairs after the question mark") from None
    if not options.keys() <= set(known):
        raise _wrong(f"has an unknown option after the question mark; known options: {', '.join(known) or 'none'}")
    return options


def _authorities(path: str) -> bytes:
    if not path:
        return b""
    try:
        found = x509.load_pem_x509_certificates(files.read(path, "redis.ca"))
    except ValueError:
        raise StartError(f"redis.ca: {path} contains no PEM certificates") from None
    return b"".join(one.public_bytes(Encoding.PEM) for one in found)
