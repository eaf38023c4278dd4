"""The record of what was done, so that it can be undone, and nothing else."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from callnet.setup.system import SetupError, System
from callnet.setup.wanted import Wanted
from callnet.util import files

PATH = "/etc/callnet/setup.json"


class Record(Struct):
    """Things that setup has done on this machine."""

    settings: str = ""
    """SHA-256 of the settings as they were written; empty: they are not ours."""
    settings_before: str | None = None
    """The file that was there before, which set nothing; ``None``: there was none."""
    files: dict[str, str] = {}
    """SHA-256 of each further file, as it was written."""
    has_relay: bool = False
    """coturn was installed."""
    is_enabled: bool = False
    """The service was enabled."""
    phones: list[str] = []
    """The accounts that were made."""
    answers: Wanted | None = None
    """The answers of the operator."""
    needs_restart: bool = False
    """Something has changed that the running service has not read."""


def read(system: System) -> Record:
    """The record of this machine.

    :raises SetupError: it cannot be read.
    """
    text = system.text(PATH)
    try:
        return Record() if text is None else msgspec.json.decode(text, type=Record)
    except msgspec.MsgspecError:
        raise SetupError(f"{PATH} is damaged: remove it, and what setup has done stays") from None


def write(system: System, record: Record) -> None:
    """Keep it."""
    put(system, PATH, msgspec.json.format(msgspec.json.encode(record)).decode() + "\n", files.PRIVATE)


def put(system: System, name: str, text: str, mode: int = files.PUBLIC) -> None:
    """Write a file, with the folders above it, which everybody may enter.

    :raises SetupError: it cannot be written.
    """
    path = system.path(name)
    try:
        made = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in made:
            folder.chmod(0o755)
        files.overwrite(str(path), text.encode(), mode)
    except OSError as error:
        raise SetupError(f"{name}: cannot be written: {error.strerror}; run this as root") from None


def digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
