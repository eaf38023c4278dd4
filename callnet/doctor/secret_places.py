"""Secrets in files that others can read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from callnet.config import toml
from callnet.config.schema import Settings
from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.errors import StartError
from callnet.ops.webhooks import read_signing_secrets

_ABOUT: Final = "secrets"


def examine(settings: Settings, path: str | None) -> Iterator[Finding]:
    """Look at the file with the settings, and at those that it names for secrets.

    :param path: the file with the settings, if there is one.
    """
    if path is not None:
        yield _settings_file(Path(path))
    try:
        read_signing_secrets(settings)
    except StartError as error:
        yield bad(_ABOUT, str(error))


def _settings_file(path: Path) -> Finding:
    in_file = [name for name, is_set in _secrets(toml.decode(path.read_bytes(), Settings, str(path))) if is_set]
    if not in_file:
        return good(_ABOUT, f"none in {path}")
    mode = stat.S_IMODE(os.stat(path).st_mode)
    text = f"{path} (mode {mode:04o}) contains {', '.join(in_file)}"
    if mode & stat.S_IROTH:
        return doubt(_ABOUT, f"{text}; every user of this machine can read it", f"chmod o-r {path}")
    return good(_ABOUT, text)


def _secrets(settings: Settings) -> Iterator[tuple[str, bool]]:
    yield "tokens.signing_key", bool(settings.tokens.signing_key)
    yield "accounts.otp.secret", bool(settings.accounts.otp.secret)
    yield "webhooks.secret", bool(settings.webhooks.secret)
    yield "push.gateway.secret", bool(settings.push.gateway.secret)
    yield "turn.secret", bool(settings.turn.secret)
    for name, url in (("database.url", settings.database.url), ("redis.url", settings.redis.url)):
        yield name, urlsplit(url).password is not None
