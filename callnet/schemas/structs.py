"""JSON Schema of structs and frames."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final, TypeAlias, get_args

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.inspect import CollectionType, Metadata, StructType, UnionType

from callnet.frames import base, guest, page, v2
from callnet.util.schema_hints import END
from callnet_client import notes, relayed

Schema: TypeAlias = dict[str, Any]

REFERENCE = "#/components/schemas/"
"""The place of schemas in both kinds of documents."""


def schemas(kinds: Iterable[type[Struct]], prefix: str = "", *, exact: bool) -> dict[str, Schema]:
    """The schemas of structs and of all structs in them, by the names of their classes with a prefix.

    :param exact: the server writes them; else it reads them.
    """
    found: dict[str, Schema] = {}
    for kind in kinds:
        _, components = msgspec.json.schema_components([kind], ref_template=f"{REFERENCE}{prefix}{{name}}")
        for struct in _structs(msgspec.inspect.type_info(kind)):
            name = struct.cls.__name__
            schema = _finish(components[name])
            _describe(schema, struct.cls)
            if exact:
                _make_exact(schema, struct)
            if found.setdefault(prefix + name, schema) != schema:
                raise ValueError(f"{name} has two meanings in one place")
    return found


def plain(text: str | None) -> str:
    """A docstring for people who read Markdown."""
    return inspect.cleandoc(text or "").replace("``", "`")


def reference(name: str) -> Schema:
    """Stands for a schema of this name."""
    return {"$ref": REFERENCE + name}


def _structs(info: msgspec.inspect.Type) -> Iterator[StructType]:
    """All structs in a type."""
    if isinstance(info, StructType):
        yield info
        for field in info.fields:
            yield from _structs(field.type)
    elif isinstance(info, Metadata):
        yield from _structs(info.type)
    elif isinstance(info, CollectionType):
        yield from _structs(info.item_type)
    elif isinstance(info, UnionType):
        for part in info.types:
            yield from _structs(part)


def _finish(node: Any) -> Any:
    """Say ``const`` where there is one value only, and nothing beside a reference: draft 7 would not see it."""
    if isinstance(node, list):
        return [_finish(part) for part in node]
    if not isinstance(node, Mapping):
        return node
    finished = {name: _finish(part) for name, part in node.items()}
    if "pattern" in finished:
        finished["pattern"] = finished["pattern"].replace(END, "$")
    words = finished.get("enum")
    if words is None:
        return finished
    finished.pop("$ref", None)
    if len(words) == 1:
        del finished["enum"]
        finished["const"] = words[0]
    kind = "string" if isinstance(words[0], str) else "integer"
    return {"type": kind, **finished}


def _describe(schema: Schema, kind: type[Struct]) -> None:
    """Give a struct and its fields what their docstrings say."""
    schema["description"] = plain(kind.__doc__)
    names = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
    for each in kind.__mro__[: kind.__mro__.index(Struct)]:
        for name, text in _docs_of_fields(each).items():
            schema["properties"][names[name]].setdefault("description", plain(text))


@cache  # each struct is in many messages
def _docs_of_fields(kind: type[Struct]) -> Mapping[str, str]:
    """The docstrings of the fields in the source of a class: Python does not keep them."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    return {
        field.target.id: str(text.value.value)
        for field, text in pairwise(ast.iter_child_nodes(definition))
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _make_exact(schema: Schema, struct: StructType) -> None:
    """Allow only what the server writes: the fields of the struct, those with a default left out if it says so."""
    properties = schema["properties"]
    schema["additionalProperties"] = False
    leaves_out = struct.cls.__struct_config__.omit_defaults
    for field in struct.fields:
        if field.required:
            continue
        written = properties[field.encode_name]
        if written.pop("default", None) is None and leaves_out and "anyOf" in written:
            # None is the default, so it is left out, and never written as null.
            options = [option for option in written.pop("anyOf") if option != {"type": "null"}]
            written.update(options[0] if len(options) == 1 else {"anyOf": options})
        may_be_unset = field.default is NODEFAULT and field.default_factory is NODEFAULT
        if not leaves_out and not may_be_unset:
            schema["required"].append(field.encode_name)


class Direction(Struct, frozen=True):
    """The messages of one side to the other in one place. Each ``type`` (or ``kind``) has one struct."""

    name: str
    """Also the first part of the names of its schemas."""
    kinds: tuple[type[Struct], ...]
    by_server: bool
    summary: str

    def schemas(self) -> dict[str, Schema]:
        """The schemas of its frames, and of what is in them, by name."""
        return schemas(self.kinds, f"{self.name}.", exact=self.by_server)

    @property
    def tag_field(self) -> str:
        """The field by which its frames say what they are."""
        return str(self.kinds[0].__struct_config__.tag_field)

    def frames(self) -> dict[str, str]:
        """The names of the schemas of its frames, by their tags."""
        return {str(kind.__struct_config__.tag): f"{self.name}.{kind.__name__}" for kind in self.kinds}


FROM_DEVICE: Final = Direction("from_device", get_args(base.Request), False, "The frames that a device may send.")
TO_DEVICE: Final = Direction("to_device", get_args(base.Message), True, "The frames that a device receives.")
FROM_EXTENDED: Final = Direction(
    "from_extended", get_args(v2.ExtendedRequest), False, "The frames that a device may send with callnet.v2."
)
TO_EXTENDED: Final = Direction(
    "to_extended", get_args(v2.ExtendedMessage), True, "The frames that a device receives with callnet.v2."
)
FROM_GUEST: Final = Direction("from_guest", get_args(guest.GuestRequest), False, "The frames that a guest may send.")
TO_GUEST: Final = Direction("to_guest", get_args(guest.GuestMessage), True, "The frames that a guest receives.")
FROM_PAGE: Final = Direction("from_page", get_args(page.PageRequest), False, "The messages that the page sends.")
TO_PAGE: Final = Direction("to_page", get_args(page.PageMessage), True, "The messages that the page receives.")
RELAYED: Final = Direction(
    "relayed", get_args(relayed.Relayed), False, "The messages of the two clients of a room in `relay`."
)
NOTE: Final = Direction(
    "note", get_args(notes.Note), False, "The messages of the two clients of a room on their data channel."
)

DIRECTIONS: Final = (
    *(FROM_DEVICE, TO_DEVICE, FROM_EXTENDED, TO_EXTENDED),
    *(FROM_GUEST, TO_GUEST, FROM_PAGE, TO_PAGE, RELAYED, NOTE),
)


def schema_of(direction: Direction) -> dict[str, Any]:
    """One JSON Schema (2020-12) that all frames of a direction satisfy, and nothing else does."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "oneOf": [reference(name) for name in direction.frames().values()],
        "components": {"schemas": direction.schemas()},
    }


_OF_A_ROOM: Final = """For clients that are in a room without the page (docs/room.md).

The schemas of what the server writes (`to_page`) are exact for this version of the server. All others allow further
fields, which are ignored. Clients must ignore messages of another `type` or `kind`."""
_DIRECTIONS: Final = (FROM_PAGE, TO_PAGE, RELAYED, NOTE)


def room_document() -> dict[str, Any]:
    """Write the schema. It takes any message of a room; each direction and each message has one of its own in it."""
    parts: dict[str, Schema] = {}
    for direction in _DIRECTIONS:
        parts[direction.name] = _any_of(direction)
        parts.update(direction.schemas())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "callnet: a room",
        "description": _OF_A_ROOM,
        "anyOf": [reference(direction.name) for direction in _DIRECTIONS],
        "components": {"schemas": parts},
    }


def _any_of(direction: Direction) -> Schema:
    return {"description": direction.summary, "oneOf": [reference(name) for name in direction.frames().values()]}
