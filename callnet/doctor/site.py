"""The site as browsers reach it: its name, its port, its certificate, and the WebSockets through any proxy in front."""

from __future__ import annotations

import base64
import secrets
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from msgspec import Struct

from callnet.config.schema import Settings
from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.doctor.listeners import names_of
from callnet.doctor.network import can_connect, examine_name, is_ipv6, own_addresses, resolve
from callnet.util.net import bracketed

_ABOUT: Final = "site"
_LIMIT: Final = 5.0
"""Seconds that an answer may take."""
_HEAD_MAX: Final = 16384
_PING_TEXT: Final = b"doctor"
"""The content of a ping."""
_PING: Final = 0x89
_PONG: Final = 0x8A
_SELF_SIGNED: Final = 18
_NO_ISSUER: Final = (20, 21)
"""X509_V_ERR_… of OpenSSL."""


class Place(Struct, frozen=True):
    """The address of a site."""

    host: str
    port: int
    is_tls: bool

    @property
    def origin(self) -> str:
        """As browsers write it (RFC 6454 §6.1)."""
        usual = 443 if self.is_tls else 80
        return (
            f"http{'s' if self.is_tls else ''}://{bracketed(self.host)}{'' if self.port == usual else f':{self.port}'}"
        )


def place_of(url: str) -> Place:
    """The address in a URL.

    :raises ValueError: it is none of ``http`` or ``https``.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(url)
    return Place(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80), parts.scheme == "https")


def examine(settings: Settings, place: Place, now: datetime) -> Iterator[Finding]:
    """Look at a site, as far as one step allows the next.

    :param now: with a time zone.
    """
    found = resolve(place.host)
    own = own_addresses(found)
    reached = [address for address in found if can_connect(address, place.port)]
    if place.host not in found:  # else it is an address
        yield examine_name(place.host, found, own, f"TCP {place.port}", reached=reached)
    if settings.signaling.allowed_origins and not settings.signaling.allows(place.origin):
        yield bad(
            _ABOUT,
            f"pages of {place.origin} may not open the devices' WebSocket",
            "add it to signaling.allowed_origins",
        )
    yield from reach(place, found, reached, [*own, "127.0.0.1"])
    if not reached:
        return
    is_behind_proxy = any(one.proxy_protocol for _, one in settings.listeners.keyed())
    try:
        yield from _certificate(place, reached[0], now) if place.is_tls else ()
        yield from _web_socket(place, reached[0])
    except (OSError, EOFError) as error:
        if is_behind_proxy:
            yield bad(
                _ABOUT,
                f"{place.origin} closes the connection: callnet expects a PROXY header (proxy_protocol), and gets none",
                "have the proxy send it (send-proxy-v2, proxy_protocol on), or remove proxy_protocol from the listener",
            )
        else:
            yield bad(_ABOUT, f"{place.origin} closes the connection: {error}", "look in the log of what listens there")


def reach(place: Place, found: Sequence[str], reached: Sequence[str], own: Sequence[str]) -> Iterator[Finding]:
    """Say of each address of a site why it cannot be reached.

    :param found: the addresses.
    :param reached: those to which connections can be made.
    :param own: addresses of this machine.
    """
    return (_reach(place, address, reached, own) for address in found)


def _reach(place: Place, address: str, reached: Sequence[str], own: Sequence[str]) -> Finding:
    there = f"{bracketed(address)}:{place.port}"
    if address in reached:
        return good(_ABOUT, f"{there} can be reached")
    if is_ipv6(address) and reached:
        return bad(
            _ABOUT,
            f"{place.host} has the IPv6 address {address}, where nothing answers at port {place.port}",
            "listen there too (tcp6:), or remove the AAAA record: browsers that try it first wait",
        )
    if address not in own and any(can_connect(each, place.port) for each in own):
        return doubt(
            _ABOUT,
            f"{there} cannot be reached from here, but this machine answers: the NAT in front does not turn"
            " connections from inside back (hairpin), or does not forward the port",
            f"forward TCP {place.port}; without hairpin let the DNS of this network name the machine's own address",
        )
    return bad(_ABOUT, f"{there} is closed", f"start callnet, or let TCP {place.port} through the firewall")


def _certificate(place: Place, address: str, now: datetime) -> Iterator[Finding]:
    about = "site certificate"
    with closing(_secured(place, address, _lax())) as connection:
        leaf = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    if leaf.not_valid_after_utc <= now:
        yield bad(about, f"expired on {leaf.not_valid_after_utc:%Y-%m-%d}", "renew it; see the log for why it was not")
        return
    if leaf.not_valid_before_utc > now:
        yield bad(about, f"not valid before {leaf.not_valid_before_utc:%Y-%m-%d}", "check the clock of this machine")
        return
    found = names_of(leaf)
    if place.host not in found and f"*.{place.host.partition('.')[2]}" not in found:
        yield bad(about, f"for {', '.join(found)}, not for {place.host}", f"get one for {place.host} (docs/tls.md)")
        return
    try:
        _secured(place, address, ssl.create_default_context()).close()
    except ssl.SSLCertVerificationError as error:
        yield _distrusted(about, error)
    else:
        yield good(about, f"good for {place.host}")


def _distrusted(about: str, error: ssl.SSLCertVerificationError) -> Finding:
    if error.verify_code == _SELF_SIGNED:
        return doubt(about, "self-signed; browsers ask whether to trust it", "set tls.certificate (docs/tls.md)")
    if error.verify_code in _NO_ISSUER:
        return bad(
            about,
            "its issuer is unknown: the chain is incomplete, or the authority is not trusted here",
            "append the intermediate certificate, as in certbot's fullchain.pem",
        )
    return bad(about, error.verify_message, "docs/tls.md")


def _web_socket(place: Place, address: str) -> Iterator[Finding]:
    """Open the WebSocket of pages, and exchange a ping."""
    about = "site WebSocket"
    with closing(_connected(place, address)) as connection:
        connection.sendall(_handshake(place))
        head = _head(connection)
        status = head.split()[1].decode("ascii", "replace") if len(head.split()) > 1 else "none"
        if status == "403":
            yield bad(about, "refused (403): a proxy changes the Host header", "have it pass Host as it came")
        elif status != "101":
            yield bad(
                about,
                f"the handshake is answered {status}: a proxy drops the Upgrade header, or sends it elsewhere",
                "have it pass Upgrade and Connection (examples/nginx)",
            )
        else:
            connection.sendall(_ping())
            try:
                answer = connection.recv(1)
            except TimeoutError:
                answer = b""
            if answer[:1] == bytes([_PONG]):
                yield good(about, "opens, and answers")
            else:
                yield bad(
                    about,
                    f"opens, but nothing comes through it in {_LIMIT:.0f} s: a proxy buffers or cuts it",
                    "turn buffering off, and allow idle connections for 60 s (examples/nginx)",
                )


def _handshake(place: Place) -> bytes:
    lines = (
        "GET /room HTTP/1.1",
        f"Host: {urlsplit(place.origin).netloc}",
        f"Origin: {place.origin}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _ping() -> bytes:
    mask = secrets.token_bytes(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(_PING_TEXT))
    return struct.pack("!BB", _PING, 0x80 | len(masked)) + mask + masked


def _head(connection: socket.socket) -> bytes:
    """The head of an answer.

    :raises EOFError: there is none.
    """
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < _HEAD_MAX:
        byte = connection.recv(1)
        if not byte:
            raise EOFError("no answer to a request")
        head += byte
    return head


def _connected(place: Place, address: str) -> socket.socket:
    return _secured(place, address, _lax()) if place.is_tls else socket.create_connection((address, place.port), _LIMIT)


def _secured(place: Place, address: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection((address, place.port), _LIMIT)
    try:
        return context.wrap_socket(plain, server_hostname=place.host)
    except OSError:
        plain.close()
        raise


def _lax() -> ssl.SSLContext:
    """Any certificate will do."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
