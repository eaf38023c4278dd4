"""The key of the older server: its tokens remain valid, and if it is long enough it also signs here."""

from __future__ import annotations

import os
from typing import Final

from callnet.accounts import signing_keys
from callnet.accounts.signing_keys import Key, OlderServer
from callnet.config.schema import SIGNING_KEY_MIN, TokenSettings
from callnet.migration.older import MigrationError
from callnet.util import files

SETTING: Final = "the older server's key"


def read(path: str) -> Key:
    """Read the secret of the older server from a file: all of it, but one line break at the end.

    :raises StartError: it cannot be read, or is open to others.
    :raises MigrationError: it is empty.
    """
    secret = files.read_private(path, SETTING).removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise MigrationError(f"{SETTING}: {path} is empty")
    return Key.of(secret)


def is_long(key: Key) -> bool:
    """True if it is long enough to sign. Anyone who has one token can find out a short one."""
    return len(key.secret) >= SIGNING_KEY_MIN


def take_over(path: str, key: Key, now: float, until: float) -> OlderServer | None:
    """Have tokens that name no key checked against this one, if they expire by ``until``, and let it sign if it may.

    :param path: where the first key is.
    :returns: by which key they are checked now; ``None``: by the first one, which it is, without an end.
    :raises StartError: the keys cannot be read, or not be written.
    """
    ring = signing_keys.load_or_make_keys(path)
    if ring.without_kid is not None and ring.without_kid.secret == key.secret and signing_keys.load_older(path) is None:
        return None
    older = OlderServer(key, until)
    signing_keys.take_over(path, older)
    if is_long(key) and all(key.kid != each.kid for each in ring.keys):
        signing_keys.add_key(path, now, key.secret)
    return older


def about_tokens(settings: TokenSettings, now: float) -> str:
    """Say whether the older server accepts tokens that are issued here now, which it does if its key signs them.

    :raises StartError: the keys cannot be read.
    """
    path = settings.signing_key_file
    if settings.signing_key:
        kid, older = Key.of(settings.signing_key.encode()).kid, None
    elif os.path.lexists(path) or os.path.lexists(f"{path}.d"):
        kid, older = signing_keys.load_keys(path).signing(now).kid, signing_keys.load_older(path)
    else:
        return "none were issued here: there is no key"
    if older is None:
        return f"the key {kid} signs; if it is the older server's, that server accepts tokens issued here"
    if older.key.kid == kid:
        return "the older server accepts tokens issued here"
    return "the older server refuses tokens issued here: devices that have one must log in there again"
