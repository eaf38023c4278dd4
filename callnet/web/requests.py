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

_Body = TypeVar("_Body", bound=Struct)


def decode_body(body: bytes, kind: type[_Body]) -> _Body:
    """Decode a request's body. Unknown fields are ignored; of duplicate keys the last counts.

    :raises DataInvalid: it is not such a body. The message names the field and repeats nothing of the body.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise DataInvalid(_complaint(body, kind)) from None


def _complaint(body: bytes, kind: type[Struct]) -> str:
    """Say what is wrong with a body that was refused."""
    try:
        fields: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return "the body is not JSON in UTF-8"
    if not isinstance(fields, dict):
        return "the body is not a JSON object"
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in fields:
            if field.required:
                return f"{field.encode_name} is missing"
            continue
        try:
            msgspec.convert(fields[field.encode_name], field.type)
        except msgspec.ValidationError:
            return f"{field.encode_name} must be {_EXPECTED.get(field.encode_name, 'a string')}"
    return "the body is not what this call expects"
