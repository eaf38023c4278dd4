"""The random secrets of devices. Their hashes are stored."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

_SECRET_BYTES: Final = 24
"""The size of a device's secret, in random bytes."""


def new_secret() -> str:
    """Generate the secret of a device."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def secret_hash(secret: str) -> bytes:
    """The stored hash of a secret. A secret is random and long enough for SHA-256 to suffice."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
