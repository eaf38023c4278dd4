"""TOML decoded into structs. Errors are one line: the file, the key, and the allowed values.

The values themselves are never repeated, since one of them may be a password.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from msgspec import inspect

from callnet.errors import StartError

T = TypeVar("T")

_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`\Z")
_FIELD = re.compile(r"`(?P<field>[^`]*)`\Z")
_STEP = re.compile(r"[^.\[\]]+")


def decode(data: bytes, into: type[T], source: str) -> T:
    """Read a document.

    :param source: what to call the document in an error, such as its path.
    :raises StartError: not TOML, or it does not fit.
    """
    try:
        return msgspec.toml.decode(data, type=into)
    except msgspec.ValidationError as error:
        raise StartError(f"{source}: {_explain(str(error), into)}") from None
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise StartError(f"{source}: not TOML: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _explain(message: str, into: type) -> str:
    """Turn msgspec's message into ours."""
    at = _AT.search(message)
    path = at["path"] if at else ""
    what = message[: at.start()] if at else message
    place = _find(inspect.type_info(into), path)
    field = _FIELD.search(what)
    if field and isinstance(place, inspect.StructType):
        key = f"{path}.{field['field']}" if path else field["field"]
        if "unknown" in what:
            return f"unknown key {key}: known keys are {', '.join(each.encode_name for each in place.fields)}"
        if "missing" in what:
            return f"{key} is missing; it must be {_allowed(_find(place, field['field']))}"
    return f"{path} must be {_allowed(place)}"


def _find(place: inspect.Type, path: str) -> inspect.Type:
    """The type at a path such as ``listeners.account[0].endpoint``."""
    for step in _STEP.findall(path):
        if isinstance(place, inspect.StructType):
            place = next(field.type for field in place.fields if field.encode_name == step)
        elif isinstance(place, inspect.VarTupleType):
            place = place.item_type
    return place


def _allowed(place: inspect.Type) -> str:
    """The allowed values, in words."""
    match place:
        case inspect.Metadata(extra_json_schema={"description": str(description)}):
            return description
        case inspect.Metadata(type=inner):
            return _allowed(inner)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _range(place)
        case inspect.FloatType():
            return "a number" + _range(place)
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(f'"{value}"' for value in values)
        case inspect.StructType(fields=fields):
            return "a table with the keys " + ", ".join(field.encode_name for field in fields)
        case inspect.VarTupleType(item_type=item):
            return f"an array whose entries are {_allowed(item)}"
        case _:
            return "a string"


def _range(place: inspect.IntType | inspect.FloatType) -> str:
    low, high = place.ge, place.le
    if low is None:
        return "" if high is None else f" of at most {high:.10g}"
    return f" of at least {low:.10g}" if high is None else f" from {low:.10g} to {high:.10g}"
