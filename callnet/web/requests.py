"""The bodies of the account service's calls, decoded once into frozen values."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from callnet.errors import DataInvalid


class LoginRequest(Struct, frozen=True):
    """``POST /account/login``. Which strings are acceptable is the account service's business."""

    phone: str
    device_id: str


class ContactsRequest(Struct, frozen=True):
    """``POST /getContactPersons``."""

    phone: str
    token: str
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None
    after: str | None = None


_EXPECTED = {"limit": "a whole number from 1 to 500"}

_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises for bad input: two of the three are not its own."""

_Body = TypeVar("_Body", bound=Struct)


def decode_body(body: bytes, kind: type[_Body]) -> _Body:
    """Decode a request's body. Unknown fields are ignored; of duplicate keys the last counts.

    :raises DataInvalid: it is not such a body. The message names the field and repeats nothing of the body.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNDECODABLE:
        return _convert(_fields(body), kind)


def _fields(body: bytes) -> dict[str, Any]:
    """Decode a body that was refused, without asking what it holds."""
    try:
        fields: Any = msgspec.json.decode(body)
    except _UNDECODABLE:
        raise DataInvalid("the body is not JSON in UTF-8") from None
    if not isinstance(fields, dict):
        raise DataInvalid("the body is not a JSON object")
    return fields


def _convert(fields: dict[str, Any], kind: type[_Body]) -> _Body:
    """Take the fields all the same if only an earlier one of duplicate keys was wrong; else say what is wrong."""
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name not in fields:
            if field.required:
                raise DataInvalid(f"{name} is missing")
            continue
        try:
            msgspec.convert(fields[name], field.type)
        except msgspec.ValidationError:
            raise DataInvalid(f"{name} must be {_EXPECTED.get(name, 'a string')}") from None
    return msgspec.convert(fields, kind)
