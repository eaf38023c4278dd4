"""The settings that a set-up needs, and the record of what was done, so that it can be undone."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from callnet.setup.machine import CHALLENGE_PORT, RELAY_PORT, SITE_PORT, SetupError, System
from callnet.util import files

HEAD: Final = """\
# Written by "callnet setup", which changes it as long as nobody else does. Every setting, with its default:
# etc/callnet.toml of a clone, or "man callnet.toml".
"""

_NAME: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_NAME: Final = 253

Value: TypeAlias = str | int | bool | Sequence[str]


class Wanted(Struct, frozen=True):
    """The answers of the operator, and what follows from them."""

    names: Sequence[str]
    """The names that browsers open; the first is that of the relay, too."""
    contact: str | None = None
    """The mail address for the authority that signs certificates; ``None``: nobody was asked yet."""
    directory: str = ""
    """The URL of its ACME directory; empty: the setting's default."""
    ca: str = ""
    """PEM file with the authority that signed the certificate of that directory."""
    phones: Sequence[str] = ("101", "102")
    external: Sequence[str] = ()
    """Public addresses that a NAT passes to this machine, as the operator gave them."""
    found: Sequence[str] = ()
    """The same, as the names tell them; they count if none was given."""

    def with_(self, **changes: object) -> Wanted:
        """The same with other answers."""
        return replace(self, **changes)

    def settings(self) -> Mapping[str, Value]:
        """Each setting by its path."""
        contact = f"mailto:{self.contact}" if self.contact else ""
        acme = {"contact": contact, "directory": self.directory, "ca": self.ca}
        external = self.external or self.found
        return {
            "one_port": SITE_PORT,
            "accounts.enrolment": "known",
            "tls.acme.names": list(self.names),
            **{f"tls.acme.{name}": value for name, value in acme.items() if value},
            "tls.acme.http01": f"tcp6:{CHALLENGE_PORT}",
            "turn.relay": "supervised",
            "turn.supervised.host": self.names[0],
            "turn.supervised.port": RELAY_PORT,
            **({"turn.supervised.external_addresses": list(external)} if external else {}),
        }

    def written(self) -> str:
        """The settings as a file."""
        return f"{HEAD}\n{rendered(self.settings())}"

    def missing(self, text: str) -> Mapping[str, Value]:
        """The settings that a file lacks, or has otherwise.

        :raises SetupError: not TOML.
        """
        had = settings_in(text)
        return {path: value for path, value in self.settings().items() if had.get(path) != value}


def rendered(settings: Mapping[str, Value]) -> str:
    """Settings by their paths as TOML, those of a section one after the other."""
    lines, section = [], ""
    for path, value in settings.items():
        within, _, name = path.rpartition(".")
        if within != section:
            section = within
            lines.append(f"\n[{section}]")
        lines.append(f"{name} = {msgspec.json.encode(value).decode()}")
    return "\n".join(lines).lstrip() + "\n"


def is_name(text: str) -> bool:
    """Tell whether a text is a host name, in lower case, for which an authority may sign a certificate."""
    return _NAME.fullmatch(text) is not None and len(text) <= _LONGEST_NAME


def settings_in(text: str) -> Mapping[str, Any]:
    """The settings of a file by their paths.

    :raises SetupError: not TOML.
    """
    try:
        return dict(_leaves(tomllib.loads(text), ""))
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"the settings are not TOML: {error}; correct them, or move the file away") from None


def _leaves(table: Mapping[str, Any], within: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", value


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
