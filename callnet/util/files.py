"""Files of callnet: secrets are readable by their owner only, and nobody ever sees half of a file."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from callnet.errors import StartError

PRIVATE = 0o600
PUBLIC = 0o644
_PRIVATE_DIRECTORY = 0o700
_PRIVATE_MASK = 0o077
_LOCK = "lock"
_claimed: dict[str, int] = {}
"""The descriptors of the locks that this process holds, by directory."""
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
        raise StartError(f"{setting}: cannot create the directory {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise StartError(f"{setting}: no permission to write in {path}")


_SEVERAL = "set redis.url, or workers, to run several on one machine"


def claim_directory(path: str, setting: str, is_shared: bool, remedy: str = _SEVERAL) -> None:
    """Keep others from a directory for as long as this process lives, or one that it is forked into.

    :param is_shared: those who share it, too, may have it as well.
    :param remedy: advice, if others have it.
    :raises StartError: others have it.
    """
    descriptor = _claimed.get(path)
    try:
        if descriptor is None:
            descriptor = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CREAT, PRIVATE)
        fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartError(f"{setting}: another callnet uses {path}; {remedy}") from None
    except OSError as error:
        raise StartError(f"{setting}: cannot lock {path}: {error.strerror}") from None
    _claimed[path] = descriptor


def was_claimed(path: str) -> bool:
    """True if a directory is, or was, claimed by :func:`claim_directory`."""
    return os.path.exists(os.path.join(path, _LOCK))


@contextmanager
def alone_in(directory: str) -> Iterator[None]:
    """Wait until no other thread or process is here: a moment, unlike with :func:`claim_directory`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_open_to_others(path: str) -> bool:
    """True if users other than its owner may look into a directory."""
    return bool(os.stat(path).st_mode & _PRIVATE_MASK)


def read(path: str, setting: str) -> bytes:
    """Read a file.

    :raises StartError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise StartError(f"{setting}: cannot read {path}: {error.strerror}") from None


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
        raise StartError(f"{setting}: {path} is accessible to others (mode {mode:04o}); chmod 600 it")
    return content


def overwrite(path: str, data: bytes, mode: int) -> None:
    """Create a file, or replace an existing one."""
    draft = f"{path}.{secrets.token_hex(4)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.rename(draft, path)
        sync_directory(path)
    except BaseException:  # an interruption, too, must leave no secret there
        with suppress(FileNotFoundError):
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
        sync_directory(path)
    finally:
        os.unlink(draft)


def exchange(drafts: Mapping[Path, Path | None]) -> None:
    """Put each draft in its place, and remove what was there: after an error all places are as they were.

    :param drafts: the files by their places, on the same file system as these; ``None``: the place is to be empty.
    :raises OSError: one of them cannot be put there.
    """
    ending = f".{secrets.token_hex(4)}"
    old = {place: Path(f"{place}{ending}") for place in drafts if os.path.lexists(place)}
    moved: list[tuple[Path, Path]] = []

    def move(path: Path, target: Path) -> None:
        path.rename(target)
        moved.append((path, target))

    try:
        for place, draft in drafts.items():
            if place in old:
                move(place, old[place])
            if draft is not None:
                move(draft, place)
        for place in drafts:
            sync_directory(place)
    except BaseException:
        for path, target in reversed(moved):
            target.rename(path)
        raise
    for path in old.values():
        with suppress(OSError):  # everything is in its place
            path.unlink()


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Have a power failure change nothing about the name of a file: that it is there, or not any more.

    Some file systems cannot do so for a directory.
    """
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


@contextmanager
def private() -> Iterator[None]:
    """Let files that others make in here, such as a database, be for this user alone."""
    before = os.umask(_PRIVATE_MASK)
    try:
        yield
    finally:
        os.umask(before)
