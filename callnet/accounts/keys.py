"""The file that holds the secret which tokens are signed with."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path

from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError

from callnet.accounts.tokens import Key
from callnet.config import SIGNING_KEY_MIN
from callnet.errors import StartError

_SETTING = "tokens.signing_key_file"
_LARGEST = 64 * 1024


def load_or_make_signing_key(path: str | os.PathLike[str], setting: str = _SETTING) -> Key:
    """Read the signing key, or make one on the first start.

    The whole content of the file is the secret, without one trailing line break, so an operator can
    put the text secret of an older server there. The key's id follows from the secret.

    :param setting: the name of the setting that ``path`` comes from, for the error.
    :raises StartError: the file cannot be read or made, is open to others, or is too short.
    """
    file = Path(path)
    try:
        if not file.exists():
            _make(file)
        content = _read_private(file, setting)
    except OSError as error:
        raise StartError(f"{setting}: {file}: {error.strerror}") from None
    return key_from_secret(content.removesuffix(b"\n").removesuffix(b"\r"), f"{setting}: {file}")


def key_from_secret(secret: bytes, origin: str) -> Key:
    """Make a key of a secret that an operator gave.

    :param origin: how the error, if any, begins: the setting and where its value came from.
    :raises StartError: the secret is too short for HS256, or is no secret.
    """
    if len(secret) < SIGNING_KEY_MIN:
        raise StartError(f"{origin}: the secret has {len(secret)} bytes; it must have at least {SIGNING_KEY_MIN}")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        raise StartError(f"{origin}: this is a public key or a certificate, not a secret") from None
    return Key.of(secret)


def _make(file: Path) -> None:
    """Write 32 random bytes, as hexadecimal text. If two processes start at once, both use the same."""
    descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_hex(SIGNING_KEY_MIN).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)  # unlike a rename, it never replaces what another process made
    finally:
        os.unlink(draft)


def _read_private(file: Path, setting: str) -> bytes:
    with file.open("rb") as stream:
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        if mode & 0o077:
            raise StartError(f"{setting}: {file} is open to others (mode {mode:04o}); chmod 600 it")
        return stream.read(_LARGEST)
