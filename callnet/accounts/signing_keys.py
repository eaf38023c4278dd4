"""The signing keys of tokens, in files and in use."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError
from msgspec import Meta, Struct

from callnet.config.schema import SIGNING_KEY_MIN
from callnet.errors import StartError
from callnet.util import files


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


_T = TypeVar("_T")
_SETTING: Final = "tokens.signing_key_file"
_KID: Final = re.compile(r"[0-9a-f]{8}")
_OLDER: Final = "older"
_END_OF_TIME: Final = 253402300799
"""The last second of the year 9999."""
_Time: TypeAlias = Annotated[float, Meta(gt=0, le=_END_OF_TIME)]
"""Seconds since 1970."""


class _Stored(Struct, frozen=True):
    """The content of a file in the folder, in TOML."""

    secret: str
    """The secret in hexadecimal."""
    signs_from: _Time


class _StoredOlder(Struct, frozen=True):
    """The content of the file with the older server's key, in TOML."""

    secret: str
    """The secret in hexadecimal."""
    until: _Time


def load_or_make_keys(path: str | os.PathLike[str]) -> KeyRing:
    """Read the keys; if there are none, as at the first start, make the first.

    The whole content of the first key's file is its secret, without one trailing line break, so an operator can put the
    text secret of an older server there. A key's id follows from its secret.

    :raises StartError: a file cannot be read or made, is open to others, or holds no key.
    """
    first, others = Path(path), _read_others(Path(path))
    if not others and not os.path.lexists(first):
        with _explained(first):
            files.make_once(str(first), secrets.token_hex(SIGNING_KEY_MIN).encode() + b"\n")
    return _ring(first, others)


def load_keys(path: str | os.PathLike[str]) -> KeyRing:
    """Read the keys.

    :raises StartError: there is none; or a file cannot be read, is open to others, or holds no key.
    """
    return _ring(Path(path), _read_others(Path(path)))


def add_key(path: str | os.PathLike[str], signs_from: float, secret: bytes = b"") -> Key:
    """Add another key, and its file.

    :param signs_from: seconds since 1970.
    :param secret: empty: a new one is made.
    :raises StartError: the file cannot be made.
    """
    key = Key.of(secret or secrets.token_bytes(SIGNING_KEY_MIN), float(signs_from))
    _store(Path(path), key.kid, f'secret = "{key.secret.hex()}"\nsigns_from = {key.signs_from!r}\n')
    return key


def take_over(path: str | os.PathLike[str], older: OlderServer) -> None:
    """Accept tokens of another server, without a key id, by its key. It replaces an earlier such key.

    :raises StartError: the file cannot be made.
    """
    _store(Path(path), _OLDER, f'secret = "{older.key.secret.hex()}"\nuntil = {older.until!r}\n')


def remove_key(path: str | os.PathLike[str], key: Key) -> None:
    """Remove the file of a key. A removed first key is not made again as long as there are others.

    :raises StartError: it cannot be removed.
    """
    first = Path(path)
    _remove(_folder(first) / key.kid if key.signs_from else first)  # all others begin to sign after 1970


def remove_older(path: str | os.PathLike[str]) -> None:
    """Remove the file of the older server's key.

    :raises StartError: it cannot be removed.
    """
    _remove(_folder(Path(path)) / _OLDER)


def load_older(path: str | os.PathLike[str]) -> OlderServer | None:
    """Read the older server's key, if there is one.

    :raises StartError: the file cannot be read, is open to others, or holds no key.
    """
    file = _folder(Path(path)) / _OLDER
    if not os.path.lexists(file):
        return None
    stored = _decoded(file, _StoredOlder, "until")
    return OlderServer(Key.of(_secret(stored.secret, file, "until")), stored.until)


def secret_in(content: bytes) -> bytes:
    """The secret in the file of a first key: all of it, but one line break at the end."""
    return content.removesuffix(b"\n").removesuffix(b"\r")


def key_from_secret(secret: bytes, origin: str, signs_from: float = 0.0) -> Key:
    """Make a key from an operator's secret.

    :param origin: the start of an error text: the setting and the origin of its value.
    :raises StartError: the secret is too short for HS256, or invalid.
    """
    if len(secret) < SIGNING_KEY_MIN:
        raise StartError(f"{origin}: the secret has {len(secret)} bytes; it needs at least {SIGNING_KEY_MIN}")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        raise StartError(f"{origin}: this is a public key or a certificate, not a secret") from None
    return Key.of(secret, signs_from)


def _folder(first: Path) -> Path:
    return Path(f"{first}.d")


def _store(first: Path, name: str, content: str) -> None:
    folder = _folder(first)
    files.make_private_directory(str(folder), _SETTING)
    with _explained(folder / name):
        files.overwrite(str(folder / name), content.encode("ascii"), files.PRIVATE)


def _remove(file: Path) -> None:
    with _explained(file):
        file.unlink()
        files.sync_directory(file)


def _ring(first: Path, others: Sequence[Key]) -> KeyRing:
    """Make the ring of all keys. Without others the first must be there."""
    is_there = not others or os.path.lexists(first)
    return KeyRing.of(_read_first(first) if is_there else None, others, load_older(first))


@contextlib.contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartError(f"{_SETTING}: {file}: {error.strerror}") from None


def _read_first(file: Path) -> Key:
    return key_from_secret(secret_in(files.read_private(file, _SETTING)), f"{_SETTING}: {file}")


def _read_others(first: Path) -> Sequence[Key]:
    """Read the other keys."""
    folder = _folder(first)
    if not os.path.lexists(folder):
        return ()
    with _explained(folder):
        mode = stat.S_IMODE(folder.stat().st_mode)
        names = sorted(os.listdir(folder))
    if mode & 0o022:
        raise StartError(f"{_SETTING}: {folder} is writable by others (mode {mode:04o}); chmod 700 it")
    return [_read_stored(folder / name) for name in names if _KID.fullmatch(name)]


def _read_stored(file: Path) -> Key:
    origin = f"{_SETTING}: {file}"
    stored = _decoded(file, _Stored, "signs_from")
    key = key_from_secret(_secret(stored.secret, file, "signs_from"), origin, stored.signs_from)
    if key.kid != file.name:
        raise StartError(f"{origin}: rename the file to {key.kid}, the id of its key")
    return key


def _decoded(file: Path, kind: type[_T], time: str) -> _T:
    """Decode a file of the folder."""
    try:
        return msgspec.toml.decode(files.read_private(file, _SETTING), type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # their texts may repeat the content of the file
        raise _not_stored(file, time) from None


def _secret(stored: str, file: Path, time: str) -> bytes:
    try:
        return bytes.fromhex(stored)
    except ValueError:
        raise _not_stored(file, time) from None


def _not_stored(file: Path, time: str) -> StartError:
    return StartError(f"{_SETTING}: {file}: must contain secret in hexadecimal and {time} in seconds since 1970")
