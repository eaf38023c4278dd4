"""The key that signs tokens."""

from __future__ import annotations

import secrets

from callnet.config import SIGNING_KEY_MIN, TokenSettings
from callnet.errors import StartError
from callnet.operations import files

_NEW_KEY_BYTES = 32


def signing_key(settings: TokenSettings) -> bytes:
    """The key itself from the settings, or that in its file, which is made if it is missing.

    :raises StartError: the file can be neither read nor made, others may read it, or what it holds is too short.
    """
    if settings.signing_key:
        return settings.signing_key.encode()
    path = settings.signing_key_file
    try:
        key = _read_or_make(path)
    except OSError as error:
        raise StartError(f"tokens.signing_key_file: {path} cannot be read: {error.strerror}") from None
    except StartError as error:
        raise StartError(f"tokens.signing_key_file: {error}") from None
    if len(key) < SIGNING_KEY_MIN:
        raise StartError(f"tokens.signing_key_file: {path} must hold at least {SIGNING_KEY_MIN} bytes")
    return key


def _read_or_make(path: str) -> bytes:
    try:
        return files.read_secret(path).strip()
    except FileNotFoundError:
        files.create(path, secrets.token_hex(_NEW_KEY_BYTES).encode() + b"\n", files.PRIVATE)
        return files.read_secret(path).strip()
