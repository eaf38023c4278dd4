"""The signing keys of tokens, and their first signing times."""

from __future__ import annotations

import hashlib
import hmac
from bisect import bisect_right
from collections.abc import Iterable
from math import inf

from msgspec import Struct


class Key(Struct, frozen=True):
    """A signing key, and its id in the header of tokens."""

    kid: str
    secret: bytes
    signs_from: float = 0.0
    """Seconds since 1970."""

    def __repr__(self) -> str:
        return f"Key(kid={self.kid!r}, signs_from={self.signs_from!r})"

    @classmethod
    def of(cls, secret: bytes, signs_from: float = 0.0) -> Key:
        """The key with this secret. Its id follows from the secret, so that a new secret has a new id."""
        return cls(hmac.digest(secret, b"callnet kid", hashlib.sha256).hex()[:8], secret, signs_from)


class OlderServer(Struct, frozen=True):
    """The key of the older server before callnet. Its tokens name no key."""

    key: Key
    """It may be too short to sign with."""
    until: float
    """Seconds since 1970: all tokens of that server have expired by then."""


class KeyRing(Struct, frozen=True):
    """All keys of accepted tokens: one at least. See :meth:`of`.

    The signing key is the newest of those whose time has come. While the time of none has come it is the one whose time
    comes first: there is always a signing key, and nodes with the same keys agree on it.
    """

    keys: tuple[Key, ...]
    """The keys in the order in which they begin to sign."""
    without_kid: Key | None
    """The secret for tokens that name no key; ``None``: no such token is accepted."""
    without_kid_until: float = inf
    """The latest expiry of such a token, in seconds since 1970."""

    @classmethod
    def of(cls, first: Key | None, others: Iterable[Key] = (), older: OlderServer | None = None) -> KeyRing:
        """Make a ring.

        :param first: the oldest key there ever was, if it is still there; tokens of older servers name no key,
            and are its ...
        :param older: ... unless it is known which key that server had.
        """
        keys = [*others] if first is None else [first, *others]
        in_order = tuple(sorted(keys, key=lambda key: (key.signs_from, key.kid)))
        return cls(in_order, first) if older is None else cls(in_order, older.key, older.until)

    def signing(self, now: float) -> Key:
        """The signing key at this time, in seconds since 1970."""
        return self.keys[max(self._come(now) - 1, 0)]

    def next_change(self, now: float) -> float:
        """The next change of the signing key; infinity: never."""
        at = max(self._come(now), 1)
        return self.keys[at].signs_from if at < len(self.keys) else inf

    def _come(self, now: float) -> int:
        """The number of keys with a past start time."""
        return bisect_right(self.keys, now, key=lambda key: key.signs_from)
