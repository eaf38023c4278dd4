"""The tables of the older server, by the names that a file gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from callnet.config import toml
from callnet.errors import CallnetError


class MigrationError(CallnetError):
    """The migration cannot go on; the message is shown to who asked. It may be run again."""


_Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
_NameOrNone: TypeAlias = Annotated[str, Meta(max_length=64)]


class AccountTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The phones."""

    table: _Name = "account_data"
    phone: _Name = "phone"
    id: _NameOrNone = "id"
    """The name of a row in reports; empty: its number in the order of the other columns."""


class DeviceTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The devices of each phone."""

    table: _Name = "account_device"
    phone: _Name = "phone"
    device_id: _Name = "device_id"
    id: _NameOrNone = ""


class ContactTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The contacts of each phone."""

    table: _Name = "contact_person"
    phone: _Name = "phone"
    contact_phone: _Name = "contact_phone"
    id: _NameOrNone = ""


class Mapping(Struct, frozen=True, forbid_unknown_fields=True):
    """The names of tables and columns."""

    account_data: AccountTable = AccountTable()
    account_device: DeviceTable = DeviceTable()
    contact_person: ContactTable = ContactTable()


def load(path: Path | None) -> Mapping:
    """Read a mapping from a TOML file; ``None``: as the seed has it.

    :raises MigrationError: the file cannot be read.
    :raises StartError: not a mapping.
    """
    if path is None:
        return Mapping()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MigrationError(f"{path}: {error.strerror}") from None
    return toml.decode(content, Mapping, str(path))
