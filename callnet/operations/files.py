"""Files that hold secrets: made once, complete or not at all, and readable by their owner alone."""

from __future__ import annotations

import os
import secrets

from callnet.errors import StartError

PRIVATE = 0o600
PUBLIC = 0o644
_PRIVATE_DIRECTORY = 0o700
_FOR_OTHERS = 0o007


def make_private_directory(path: str, setting: str) -> None:
    """Make a directory, and those above it, for this user alone. One that exists is left as it is.

    :raises StartError: it cannot be made, or what is there is no directory to write in.
    """
    try:
        os.makedirs(path, mode=_PRIVATE_DIRECTORY, exist_ok=True)
    except OSError as error:
        raise StartError(f"{setting}: the directory {path} cannot be made: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise StartError(f"{setting}: {path} is not a directory that this user may write in")


def create(path: str, data: bytes, mode: int) -> bool:
    """Make a file, unless there is one; tell whether it was made. Nobody ever sees half of it."""
    draft = _draft(path, data, mode)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)
    return True


def overwrite(path: str, data: bytes, mode: int) -> None:
    """Make a file, in place of the one that may be there. Nobody ever sees half of it."""
    os.rename(_draft(path, data, mode), path)


def read_secret(path: str) -> bytes:
    """Read a file that must not be readable by everyone.

    :raises StartError: it is.
    :raises OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_mode & _FOR_OTHERS:
            raise StartError(f"{path} may be read by everyone on this machine: chmod 600 {path}")
        return file.read()


def _draft(path: str, data: bytes, mode: int) -> str:
    draft = f"{path}.{secrets.token_hex(4)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    return draft
