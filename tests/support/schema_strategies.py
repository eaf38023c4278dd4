"""Values that a schema allows, and the same values with one thing in them made wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from hypothesis import strategies as st

from callnet.schemas import REFERENCE, Schema
from callnet.util.schema_hints import PLAIN_TEXT

Schemas: TypeAlias = Mapping[str, Schema]

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
_SIMPLE: Mapping[str | None, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "null": st.none(),
    None: ANYTHING,
}
_OTHERS: Mapping[str, tuple[Any, ...]] = {
    "string": (None, 7, True, [], {}),
    "integer": (None, "7", True, 1.5, [], {}),
    "number": (None, "7", True, [], {}),
    "boolean": (None, "true", 1, [], {}),
    "array": (None, "[]", 7, {}),
    "object": ("{}", 7, []),
}
"""Invalid values of a type."""


def values(schema: Schema, schemas: Schemas) -> st.SearchStrategy[Any]:
    """Values that a schema allows; of objects, fields that it names.

    :param schemas: what it may refer to.
    """
    schema = _resolve(schema, schemas)
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if "anyOf" in schema:
        return st.one_of([values(option, schemas) for option in schema["anyOf"]])
    kind = schema.get("type")
    if kind == "string":
        return _texts(schema)
    if kind == "array":
        return st.lists(values(schema["items"], schemas), max_size=3)
    if kind == "object":
        return _objects(schema, schemas)
    if kind == "integer":
        return st.integers(schema.get("minimum", -(2**53)), schema.get("maximum", 2**53))
    if kind == "number":
        return st.floats(schema.get("minimum", 0), schema.get("maximum", 2**40))
    return _SIMPLE[kind]


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    pattern = schema.get("pattern", PLAIN_TEXT)
    if pattern != PLAIN_TEXT:
        return st.from_regex(str(pattern), fullmatch=True)
    characters = st.characters(codec="utf-8", exclude_categories=["Cc"])
    return st.text(characters, min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", 20))


def _objects(schema: Schema, schemas: Schemas) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: values(field, schemas) for name, field in schema["properties"].items()}
    required = {name: field for name, field in fields.items() if name in schema["required"]}
    optional = {name: field for name, field in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


Spoilt: TypeAlias = list[tuple[str, dict[str, Any]]]
"""Objects that a schema refuses: the field that is wrong, and the whole."""


def spoilt(schema: Schema, schemas: Schemas) -> st.SearchStrategy[Spoilt]:
    """A value that the schema allows, with each thing that it forbids."""
    changes = list(_changes(schema, schemas))
    assert changes, schema
    return values(schema, schemas).map(lambda value: [(name, change(value)) for name, change in changes])


_Change: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def _changes(schema: Schema, schemas: Schemas) -> Iterator[tuple[str, _Change]]:
    """Whatever a schema forbids, in one field each."""

    def put(name: str, value: Any) -> _Change:
        return lambda whole: whole | {name: value}

    def drop(name: str) -> _Change:
        return lambda whole: {other: value for other, value in whole.items() if other != name}

    for name in schema["required"]:
        yield name, drop(name)
    for name, field in schema["properties"].items():
        for wrong in _wrong(field, schemas):
            yield name, put(name, wrong)
    if schema.get("additionalProperties") is False:
        yield "another", put("another", 1)


def _wrong(schema: Schema, schemas: Schemas) -> Iterator[Any]:
    """Values that a schema refuses."""
    schema = _resolve(schema, schemas)
    if "anyOf" in schema:
        kinds = {one.get("type") for one in schema["anyOf"]}
        takes_null, takes_numbers = "null" in kinds, "number" in kinds
        yield from ([] if takes_numbers else 7.5, *(() if takes_null else (None,)))
        return
    if "type" not in schema:
        return
    yield from _OTHERS[schema["type"]]
    if "const" in schema or "enum" in schema:
        yield from ("nonsense", 99)
        return
    if schema.get("minLength"):
        yield ""
    if "maxLength" in schema:
        yield "1" * (schema["maxLength"] + 1)
    if "pattern" in schema:
        yield from ("\x00", "\x1f", "\x7f", "\x9f", "a\n")
    if "pattern" in schema and schema["pattern"] != PLAIN_TEXT:
        yield from ("x", "A" * 32, "a" * 31, "a" * 33, "g" * 32, "a" * 32 + "\n", "a" * 31 + "١")
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"] + 1


def _resolve(schema: Schema, schemas: Schemas) -> Schema:
    name = schema.get("$ref")
    return schema if name is None else schemas[name.removeprefix(REFERENCE)]
