"""Rows of the older server: their kinds, their validation, and their masked form."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from callnet.accounts.enrolment import PhoneRule, is_device_id
from callnet.model import DEVICE_ID_MAX, EVERY_DEVICE, has_control_characters
from callnet.storage import moving
from callnet.storage.moving import Key, Moved

_SHOWN: Final = 60
_LONG: Final = 11
"""The length from which a text may show its ends."""


class Kind(StrEnum):
    """The kinds of rows, in the order of their import."""

    ACCOUNTS = "accounts"
    DEVICES = "devices"
    CONTACTS = "contacts"


MOVED: Final[dict[Kind, Moved]] = {
    Kind.ACCOUNTS: moving.ACCOUNTS,
    Kind.DEVICES: moving.DEVICES,
    Kind.CONTACTS: moving.CONTACTS,
}

_DEVICE_ID: Final = "device id"
_FIELDS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.ACCOUNTS: ("phone",),
    Kind.DEVICES: ("phone", _DEVICE_ID),
    Kind.CONTACTS: ("phone", "contact's phone"),
}


class Refused(Struct, frozen=True):
    """A row that cannot be taken, and why."""

    reason: str


class Row(Struct, frozen=True):
    """A row as it was found."""

    place: str
    """Which one it is: ``id 17``, or ``row 17``."""
    values: Sequence[object]
    """Of the columns of the key."""
    has_accounts: bool
    """True if there is an account for each phone in it."""


class Judge:
    """Tells which rows callnet can take."""

    def __init__(self, kind: Kind, is_phone: PhoneRule) -> None:
        self._kind = kind
        self._is_phone = is_phone
        self._last: Key | None = None

    def judge(self, row: Row) -> Key | Refused:
        """The key of a row in callnet. Rows come in the order of their keys: equal ones are neighbours."""
        key = tuple(text for value in row.values if (text := as_text(value)) is not None)
        if len(key) < len(row.values):
            return Refused("a field is empty (NULL) or not UTF-8")
        for text, field in zip(key, _FIELDS[self._kind], strict=True):
            if field == _DEVICE_ID:
                if not is_device_id(text):
                    return Refused(f"the device id {_fault(text)}")
            elif not self._is_phone(text):
                return Refused(f"the {field} is not valid (accounts.phone_format)")
        if key == self._last:
            return Refused("duplicate row")
        self._last = key
        return key


def as_text(value: object) -> str | None:
    """A driver's value of a column as text; ``None``: it is none."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return None if value is None else str(value)


def _fault(device_id: str) -> str:
    if device_id in ("", EVERY_DEVICE):
        return "is *, which means every device" if device_id else "is empty"
    return "has control characters" if has_control_characters(device_id) else f"has over {DEVICE_ID_MAX} characters"


def shown(kind: Kind, values: Sequence[object]) -> str:
    """The key of a row, for the operator, on one line. Phones are masked, and device ids that look like phones."""
    texts = (as_text(value) for value in values)
    fields = zip(texts, _FIELDS[kind], strict=True)
    return " ".join(
        _masked(text) if field != _DEVICE_ID or _is_number(text) else _quoted(text) for text, field in fields
    )


def _is_number(text: str | None) -> bool:
    return text is not None and text.isdecimal()


def _masked(phone: str | None) -> str:
    """``136****4967``. What is too short for that shows nothing but its length."""
    if phone is None:
        return "NULL"
    return _quoted(f"{phone[:3]}****{phone[-4:]}") if len(phone) >= _LONG else "*" * len(phone) or "''"


def _quoted(text: str | None) -> str:
    """A text that may have anything in it."""
    if text is None:
        return "NULL"
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return short if short.isprintable() and " " not in short and short else ascii(short)
