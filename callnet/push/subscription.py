"""Web Push subscriptions: a browser's ``PushSubscription`` (Push API §8), as JSON.

It comes from a client and says where callnet is to connect to, so it is taken only in the one form that browsers give
it, and only for hosts that the operator has named.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from callnet.errors import DataInvalid

_HTTPS: Final = 443
_AUTH: Final = 16
"""Bytes (RFC 8291 §3.2)."""
_POINT: Final = 65
"""Bytes of an uncompressed point on P-256."""
_LABEL: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_ENDPOINT: Final = re.compile(
    rf"https://(?P<host>(?=[a-z0-9.-]{{1,253}}[:/])({_LABEL}\.)*(?=[a-z]){_LABEL})"
    r"(:(?P<port>[1-9][0-9]{0,4}))?/[A-Za-z0-9._~:/?@!$&'()*+,;=%-]*"
)
"""No user, no address in place of a name, no upper case, no fragment, no backslash: nothing that two readers could
read in two ways."""


class PushHosts:
    """The hosts that ``push.allowed_hosts`` names.

    :param patterns: ``HOST``, or ``*.HOST`` for all below it, each with ``:PORT`` if that is not 443.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [(host, int(port or _HTTPS)) for host, _, port in (each.partition(":") for each in patterns)]

    def cover(self, host: str, port: int) -> bool:
        """Tell whether a port of a host is among them."""
        return any(
            port == allowed and (host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern)
            for pattern, allowed in self._patterns
        )


class Subscription(Struct, frozen=True):
    """A browser's push address and encryption keys."""

    url: str
    host: str
    port: int
    browser_key: bytes
    """A point on P-256, uncompressed."""
    auth: bytes
    """16 bytes that the browser has drawn."""

    @property
    def origin(self) -> str:
        """The origin of the push service (RFC 6454 §6.2)."""
        return f"https://{self.host}" if self.port == _HTTPS else f"https://{self.host}:{self.port}"

    def target(self) -> str:
        """It as JSON, without what else a browser may have put in."""
        fields = _Fields(self.url, _KeyFields(_base64url(self.browser_key), _base64url(self.auth)))
        return msgspec.json.encode(fields).decode("ascii")


class _KeyFields(Struct, frozen=True):
    p256dh: str
    auth: str


class _Fields(Struct, frozen=True):
    endpoint: str
    keys: _KeyFields


def read_subscription(target: str, hosts: PushHosts) -> Subscription:
    """Read what a client gave as its ``target``.

    :raises DataInvalid: not a subscription, or one for a host that is not allowed. The message names the field.
    """
    try:
        fields = msgspec.json.decode(target, type=_Fields)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise DataInvalid(
            "target must be a PushSubscription as JSON: endpoint, and keys with p256dh and auth"
        ) from None
    address = _ENDPOINT.fullmatch(fields.endpoint)
    if address is None:
        raise DataInvalid("target: endpoint must be a plain https URL")
    host, port = address["host"], int(address["port"] or _HTTPS)
    if not hosts.cover(host, port):
        raise DataInvalid("target: endpoint is of no push service that is allowed here")
    browser_key = _decoded(fields.keys.p256dh, _POINT)
    if browser_key is None or not _is_point(browser_key):
        raise DataInvalid("target: keys.p256dh must be a point on P-256, uncompressed, in base64url")
    auth = _decoded(fields.keys.auth, _AUTH)
    if auth is None:
        raise DataInvalid(f"target: keys.auth must be {_AUTH} bytes in base64url")
    return Subscription(fields.endpoint, host, port, browser_key, auth)


def _decoded(text: str, length: int) -> bytes | None:
    """So many bytes in base64url without padding (RFC 4648 §5), in the one way that they are written; else ``None``."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return data if len(data) == length and _base64url(data) == text else None


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _is_point(data: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except ValueError:
        return False
    return True
