"""A JSON Schema's type of a field, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from callnet.schemas import Schema

_ROOM: Final = "[0-9a-f]{32}"


def type_of(schema: Schema, say: Callable[[str], str]) -> str:
    """The type of a field."""
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    options = schema.get("anyOf", [])
    if options:
        return ", ".join(dict.fromkeys(type_of(option, say) for option in options))
    if "$ref" in schema:
        return say("object")
    if "items" in schema:
        return say("list of {what}").format(what=_plural(schema["items"], say))
    return _plain(schema, say)


def _plural(schema: Schema, say: Callable[[str], str]) -> str:
    return say("objects") if "$ref" in schema else say("strings")


def _plain(schema: Schema, say: Callable[[str], str]) -> str:
    kind = schema.get("type")
    if kind is None:
        return say("any JSON")
    if kind == "null":
        return "`null`"
    if _ROOM in schema.get("pattern", "") and "direct_chat" not in schema["pattern"]:
        return say("32 hexadecimal digits")
    name = {"string": "string", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}[kind]
    if "maximum" in schema:
        return say(f"{name} from {{least}} to {{most}}").format(least=schema["minimum"], most=schema["maximum"])
    if "maxLength" in schema:
        return say("string of up to {most}").format(most=schema["maxLength"])
    return say(name)
