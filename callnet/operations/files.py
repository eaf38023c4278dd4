"""What callnet keeps on disk: secrets are readable by their owner alone, and nobody ever sees half of a file."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from callnet.errors import StartError

PRIVATE = 0o600
PUBLIC = 0o644
_PRIVATE_DIRECTORY = 0o700
_PRIVATE_MASK = 0o077
_LARGEST = 64 * 1024
"""Bytes that are read of a file with a secret."""


def make_private_directory(path: str, setting: str) -> None:
    """Make a directory, and those above it, for this user alone. One that exists is left as it is.

    :raises StartError: it cannot be made, or what is there is no directory to write in.
    """
    try:
        with private():
            os.makedirs(path, mode=_PRIVATE_DIRECTORY, exist_ok=True)
    except OSError as error:
        raise StartError(f"{setting}: the directory {path} cannot be made: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise StartError(f"{setting}: this user may not write in {path}")


def read_private(path: str | os.PathLike[str], setting: str) -> bytes:
    """Read a file that nobody else may look at: it holds a secret.

    :raises StartError: it cannot be read, or is open to others.
    """
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_LARGEST)
    except OSError as error:
        raise StartError(f"{setting}: {path}: {error.strerror}") from None
    if mode & _PRIVATE_MASK:
        raise StartError(f"{setting}: {path} is open to others (mode {mode:04o}); chmod 600 it")
    return content


def overwrite(path: str, data: bytes, mode: int) -> None:
    """Make a file, in place of the one that may be there."""
    draft = f"{path}.{secrets.token_hex(4)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.rename(draft, path)
    except OSError:
        os.unlink(draft)
        raise


def make_once(path: str, data: bytes) -> None:
    """Make a file for this user alone, unless it is there. If two processes do so at once, both find the same."""
    descriptor, draft = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename, it never replaces what another process made
    finally:
        os.unlink(draft)


@contextmanager
def private() -> Iterator[None]:
    """Let files that others make in here, such as a database, be for this user alone."""
    before = os.umask(_PRIVATE_MASK)
    try:
        yield
    finally:
        os.umask(before)
