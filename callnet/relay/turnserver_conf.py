"""The configuration of coturn, and obstacles to its start, found before it is tried: its own words would be lost in its
log. A test compares the rules with those of ``etc/turnserver.conf``, which explains them.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from ipaddress import ip_address, ip_network
from typing import Final, Literal, TypeAlias

from callnet.config.load import relay_directory, relay_secret_file
from callnet.config.schema import TURN_LIFETIME_MAX, Settings, SupervisedSettings
from callnet.util import files
from callnet.util.net import bracketed, host_addresses, way_out

REALM: Final = "callnet"
"""Part of every password, and the realm of the secrets in the database."""
LOOPBACK: Final = "127.0.0.1"
"""Where coturn takes connections that callnet hands over."""
_VERSIONS: Final = (4, 6)
DATABASE: Final = "turndb"
"""The name of the database with the secrets that coturn accepts."""

RULES: Final = (
    "use-auth-secret",
    "stale-nonce=600",
    "fingerprint",
    "user-quota=48",
    "total-quota=8000",
    "max-bps=2000000",
    "denied-peer-ip=0.0.0.0-0.255.255.255",
    "denied-peer-ip=10.0.0.0-10.255.255.255",
    "denied-peer-ip=100.64.0.0-100.127.255.255",
    "denied-peer-ip=127.0.0.0-127.255.255.255",
    "denied-peer-ip=169.254.0.0-169.254.255.255",
    "denied-peer-ip=172.16.0.0-172.31.255.255",
    "denied-peer-ip=192.0.0.0-192.0.0.255",
    "denied-peer-ip=192.0.2.0-192.0.2.255",
    "denied-peer-ip=192.88.99.0-192.88.99.255",
    "denied-peer-ip=192.168.0.0-192.168.255.255",
    "denied-peer-ip=198.18.0.0-198.19.255.255",
    "denied-peer-ip=198.51.100.0-198.51.100.255",
    "denied-peer-ip=203.0.113.0-203.0.113.255",
    "denied-peer-ip=224.0.0.0-239.255.255.255",
    "denied-peer-ip=240.0.0.0-255.255.255.255",
    "denied-peer-ip=::1-::ffff:ffff:ffff:ffff",
    "denied-peer-ip=64:ff9b::-64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
    "denied-peer-ip=100::-100::ffff:ffff:ffff:ffff",
    "denied-peer-ip=2001::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "denied-peer-ip=2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "denied-peer-ip=2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "denied-peer-ip=3fff::-3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    "denied-peer-ip=5f00::-5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "denied-peer-ip=fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "denied-peer-ip=fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "denied-peer-ip=fec0::-feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "denied-peer-ip=ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "no-multicast-peers",
    "no-tcp-relay",
    "no-tlsv1",
    "no-tlsv1_1",
    "no-dtls",
    "no-cli",
    "no-software-attribute",
    "no-rfc5780",
    "no-stun-backward-compatibility",
    "response-origin-only-with-rfc5780",
    "syslog",
)
"""The lines that no setting changes."""


def configuration(settings: Settings, certificate: tuple[str, str]) -> str:
    """The text of the file.

    :param certificate: the paths of the certificate and of its key.
    :raises Obstacle: this machine lacks an address, maybe because it has just been started.
    """
    return "".join(f"{line}\n" for line in (*_own_lines(settings, certificate), *RULES))


def _own_lines(settings: Settings, certificate: tuple[str, str]) -> Iterator[str]:
    of = settings.turn.supervised
    yield f"listening-port={of.port}"
    if of.tls_port:
        yield f"tls-listening-port={of.tls_port}"
        yield f"cert={certificate[0]}"
        yield f"pkey={certificate[1]}"
    else:
        yield "no-tls"
    yield from _places(settings)
    low, high = of.relay_ports.split("-")
    yield f"min-port={low}"
    yield f"max-port={high}"
    yield f"realm={REALM}"
    directory = relay_directory(settings.state_dir)
    yield f"userdb={os.path.join(directory, DATABASE)}"
    yield f"pidfile={os.path.join(directory, 'pid')}"
    for public, own in _mappings(of):
        yield f"external-ip={public}/{own}"
        # Two clients of this relay are each other's peers at its public address, which coturn takes for this one.
        yield f"allowed-peer-ip={own}"
    networks = [ip_network(network) for network in of.allowed_peers]
    if any(network.is_loopback for network in networks):
        yield "allow-loopback-peers"
    for network in networks:
        yield f"allowed-peer-ip={network[0]}" + ("" if network.num_addresses == 1 else f"-{network[-1]}")


def _places(settings: Settings) -> Iterator[str]:
    """The addresses to listen on, and to relay from."""
    of = settings.turn.supervised
    if settings.one_port:
        # This port is on each address that is listened on, and whoever connects to it can claim any address of its own.
        yield f"tcp-proxy-port={of.proxy_port}"
        yield f"listening-ip={LOOPBACK}"
        for address in _addresses(of):
            if address != LOOPBACK:
                yield f"aux-server={bracketed(address)}:{of.port}"
    for address in of.listening_addresses if not settings.one_port else ():
        yield f"listening-ip={address}"
    if settings.one_port or of.listening_addresses:
        # Of several in a family coturn takes another one each time, also those that no client reaches.
        for version in _VERSIONS:
            address = _own_address(version, of)
            if address:
                yield f"relay-ip={address}"


def _addresses(settings: SupervisedSettings) -> Sequence[str]:
    """The addresses that clients reach by UDP."""
    found = settings.listening_addresses or [str(each) for each in host_addresses() if not each.is_loopback]
    if not found:
        raise Obstacle("cannot_listen", "this machine has no address yet")
    return found


def _mappings(settings: SupervisedSettings) -> Iterator[tuple[str, str]]:
    """The public addresses, each with the machine's own."""
    for address in settings.external_addresses:
        public, _, given = address.partition("/")
        own = given or _own_address(ip_address(public).version, settings)
        if not own and not settings.listening_addresses:
            raise Obstacle(
                "cannot_listen",
                f"this machine has no address yet that {public} may stand for (turn.supervised.external_addresses)",
            )
        if own not in ("", public):
            yield public, own


def _own_address(version: int, settings: SupervisedSettings) -> str:
    """The address of a family from which this machine relays; empty: there is none."""
    given = (address.partition("/")[2] for address in settings.external_addresses)
    own = next(_of_family(version, (*filter(None, given), *settings.listening_addresses)), "")
    if own or settings.listening_addresses:
        return own
    return way_out(version) or next(_of_family(version, _addresses(settings)), "")


def _of_family(version: int, addresses: Sequence[str]) -> Iterator[str]:
    return (address for address in addresses if ip_address(address).version == version)


Cause: TypeAlias = Literal["no_program", "port_in_use", "cannot_listen"]

_ANY: Final = ("0.0.0.0", "::")  # noqa: S104
_NOT_ANYWHERE: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class Obstacle(Exception):
    """The relay cannot be started."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(text)
        self.cause: Final = cause


def find_obstacle(settings: SupervisedSettings, is_proxied: bool) -> None:
    """Look whether the program is there and its ports are free.

    coturn does not notice another one of this user on its ports: they share them, and each gets some of the clients.

    :param is_proxied: connections are handed over to it, and it takes no others.
    :raises Obstacle: it is not so.
    """
    find_program(settings)
    with ExitStack() as trials:
        for address in settings.listening_addresses or _ANY:
            _try_to_bind(trials, address, settings.port, socket.SOCK_DGRAM)
            for port in () if is_proxied else filter(None, (settings.port, settings.tls_port)):
                _try_to_bind(trials, address, port, socket.SOCK_STREAM)
        if is_proxied:
            _try_to_bind(trials, "127.0.0.1", settings.proxy_port, socket.SOCK_STREAM)


def find_program(settings: SupervisedSettings) -> None:
    """Look whether the program is there.

    :raises Obstacle: it is not.
    """
    if shutil.which(settings.program) is None:
        raise Obstacle(
            "no_program", f"no program {settings.program}; install coturn, or correct turn.supervised.program"
        )


def _try_to_bind(trials: ExitStack, address: str, port: int, kind: socket.SocketKind) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        trial = trials.enter_context(closing(socket.socket(family, kind)))
        if family == socket.AF_INET6:
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind((address, port))
    except OSError as error:
        if address in _ANY and error.errno in _NOT_ANYWHERE:
            return  # this machine does without this family
        if error.errno == errno.EADDRINUSE:
            raise Obstacle("port_in_use", f"port {port} is in use by another program") from None
        raise Obstacle("cannot_listen", f"cannot listen on port {port}: {error.strerror}") from None


REPLACED_AFTER: Final = 86400.0
"""Seconds after which another secret is made."""
KEPT_FOR: Final = TURN_LIFETIME_MAX + 60.0
"""Seconds for which a secret is accepted when there is another one: the longest that credentials last, and the time
until all workers use the other."""

# coturn's own table (schema.sql) with a column more.
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS turn_secret"
    " (realm VARCHAR(127) DEFAULT '', value VARCHAR(256), made REAL, PRIMARY KEY (realm, value))"
)
# Those whose successor was made that long ago.
_OLD: Final = (
    "DELETE FROM turn_secret WHERE EXISTS"
    " (SELECT * FROM turn_secret AS later WHERE later.rowid > turn_secret.rowid AND later.made <= ?)"
)
_BYTES: Final = 32
_PRIMARY: Final = 0xFF
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""Errors of a file that is no such database; with the last one it is of coturn, with a table of its own."""


class RelaySecrets:
    """The secrets of the relay, which callnet makes and replaces by time: the database of coturn, and the file with the
    newest secret for those who make credentials.

    coturn reads its database whenever a client shows credentials, so a change needs no restart.

    :param now: seconds since 1970.
    """

    def __init__(self, state_dir: str, now: Callable[[], float]) -> None:
        self._database = os.path.join(relay_directory(state_dir), DATABASE)
        self._file = relay_secret_file(state_dir)
        self._now = now

    def renew(self) -> bool:
        """Make another secret if it is time, and drop those whose credentials have all expired.

        If the database is damaged it is made again, and the credentials that were given out are good no more.

        :returns: whether the file was changed.
        :raises OSError, sqlite3.Error: a file cannot be written.
        """
        try:
            newest = self._renew(self._now())
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & _PRIMARY not in _DAMAGED:
                raise
            os.truncate(self._database, 0)  # coturn may have it open
            newest = self._renew(self._now())
        line = f"{newest}\n".encode("ascii")
        if self._read() == line:
            return False
        files.overwrite(self._file, line, files.PRIVATE)
        return True

    def _renew(self, now: float) -> str:
        """Bring the database up to date. Answers with the newest secret."""
        with files.private(), closing(sqlite3.connect(self._database)) as database, database:
            database.execute(_TABLE)
            newest = database.execute("SELECT value, made FROM turn_secret ORDER BY rowid DESC LIMIT 1").fetchone()
            if newest is None or not 0 <= now - newest[1] < REPLACED_AFTER:
                newest = (secrets.token_hex(_BYTES), now)
                database.execute("INSERT INTO turn_secret (realm, value, made) VALUES (?, ?, ?)", (REALM, *newest))
            database.execute(_OLD, (now - KEPT_FOR,))
        return str(newest[0])

    def _read(self) -> bytes:
        try:
            with open(self._file, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""
