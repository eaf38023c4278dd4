"""The key of the admin API on the operator's listener."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from typing import Final

from callnet.errors import StartError
from callnet.util import files

KEY_MIN: Final = 32
"""The shortest key, in characters."""
_SETTING: Final = "admin.key_file"


class AdminKey:
    """The key that is good now. It may be changed at any time."""

    def __init__(self, value: bytes) -> None:
        self.value = value

    def is_right(self, shown: str | None) -> bool:
        """Tell whether somebody has shown it."""
        return shown is not None and hmac.compare_digest(shown.encode("utf-8", "replace"), self.value)


def load_or_make_admin_key(path: str) -> bytes:
    """Read the key. If its file is missing it is made, with a new one.

    :raises StartError: the file cannot be read or made, is open to others, or holds no key.
    """
    if not Path(path).exists():
        try:
            files.make_once(path, secrets.token_hex(KEY_MIN).encode() + b"\n")
        except OSError as error:
            raise StartError(f"{_SETTING}: {path}: {error.strerror}") from None
    return load_admin_key(path)


def load_admin_key(path: str) -> bytes:
    """Read the key.

    :raises StartError: there is none, its file is open to others, or it is too short for one.
    """
    key = files.read_private(path, _SETTING).strip()
    if len(key) < KEY_MIN or not key.isascii() or not key.decode("ascii").isprintable() or b" " in key:
        raise StartError(f"{_SETTING}: {path} must contain at least {KEY_MIN} ASCII characters without spaces")
    return key
