"""The wire format as JSON Schema, AsyncAPI and OpenAPI, derived from the structs that the server itself uses.

This is for documents and tests; nothing of the daemon imports it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from itertools import pairwise
from typing import Any, Final, TypeAlias, get_args

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.inspect import CollectionType, Metadata, StructType, UnionType

from callnet.errors import RateLimited, ServiceError, Unavailable
from callnet.frames import base, guest, page, v2
from callnet.util.schema_hints import END
from callnet.web.api import AccountApi
from callnet.web.schemas import SUCCESS, Envelope, types_of
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


# AsyncAPI 3.0: the messages on the WebSockets of devices and of the page

_OF_SOCKETS: Final = """The WebSockets of a callnet server, plain RFC 6455. Frames are text, one JSON object each.

The schemas of what the server reads allow further fields, which are ignored. Those of what it writes are exact for
this version of the server. Clients must ignore unknown fields: later versions add some."""


class Channel(Struct, frozen=True):
    """One kind of socket."""

    name: str
    path: str
    servers: Sequence[str]
    description: str
    directions: Sequence[Direction]
    binding: Schema
    """The request that opens the socket: the binding of AsyncAPI for WebSockets."""


_TOKEN: Final[Schema] = {
    "type": "string",
    "description": "The token from the login. It may be in the header `Authorization: Bearer` instead.",
}
_GUEST_TOKEN: Final[Schema] = {"type": "string", "description": "The token from `/links/enter`."}
_CALL_WAITING: Final[Schema] = {
    "const": "1",
    "description": "The device can show a second call while it is in an active one.",
}
DEVICES: Final = Channel(
    "devices",
    "/socket.io",
    ("signaling", "site"),
    "The socket of a device that has logged in over HTTP. Frames have at most 16 KiB; those of the server are "
    "shorter than 512 bytes.",
    (FROM_DEVICE, TO_DEVICE),
    {"method": "GET", "query": {"type": "object", "properties": {"token": _TOKEN}}},
)
EXTENDED: Final = Channel(
    "extended_devices",
    "/socket.io",
    ("signaling", "site"),
    "The same socket for a client that offers the subprotocol `callnet.v2`. A `signal` may have 64 KiB.",
    (FROM_EXTENDED, TO_EXTENDED),
    {
        "method": "GET",
        "query": {"type": "object", "properties": {"token": _TOKEN, "call_waiting": _CALL_WAITING}},
        "headers": {
            "type": "object",
            "properties": {"Sec-WebSocket-Protocol": {"type": "string", "const": "callnet.v2"}},
            "required": ["Sec-WebSocket-Protocol"],
        },
    },
)
GUESTS: Final = Channel(
    "guests",
    "/socket.io/guest",
    ("signaling", "site"),
    "The socket of a guest, who calls by a link that rings. Its token is that of `/links/enter`; a guest that offers "
    "the subprotocol `callnet.v2` is told by the close code 4401 that it is not valid. Frames have at most 16 KiB.",
    (FROM_GUEST, TO_GUEST),
    {"method": "GET", "query": {"type": "object", "properties": {"token": _GUEST_TOKEN}}},
)
PAGE: Final = Channel(
    "page",
    "/room",
    ("site",),
    "The socket of a room, for the 1-to-1 page that this site has served, and for clients without a page that name the "
    "site in `Origin`. See docs/room.json for the messages that they relay. Frames have at most 64 KiB.",
    (FROM_PAGE, TO_PAGE),
    {"method": "GET"},
)
CHANNELS: Final = (DEVICES, EXTENDED, GUESTS, PAGE)


def asyncapi_document() -> dict[str, Any]:
    """Write the document."""
    directions = [direction for channel in CHANNELS for direction in channel.directions]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "callnet: WebSockets", "version": "1", "description": _OF_SOCKETS},
        "defaultContentType": "application/json",
        "servers": {
            "signaling": {"host": "localhost:8082", "protocol": "ws", "description": "For devices."},
            "site": {"host": "localhost:8080", "protocol": "wss", "description": "The site, which serves everything."},
        },
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {
            direction.name: _channel_operation(channel, direction)
            for channel in CHANNELS
            for direction in channel.directions
        },
        "components": {
            "messages": {name: message for direction in directions for name, message in _messages(direction).items()},
            "schemas": {name: schema for direction in directions for name, schema in direction.schemas().items()},
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "address": channel.path,
        "description": channel.description,
        "servers": [{"$ref": f"#/servers/{server}"} for server in channel.servers],
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"}
            for direction in channel.directions
            for name in direction.frames().values()
        },
        "bindings": {"ws": channel.binding},
    }


def _channel_operation(channel: Channel, direction: Direction) -> dict[str, Any]:
    """The description of a direction, as the server sees it."""
    return {
        "action": "send" if direction.by_server else "receive",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "summary": direction.summary,
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{name}"} for name in direction.frames().values()],
    }


def _messages(direction: Direction) -> dict[str, Any]:
    return {
        name: {"name": tag, "title": tag, "summary": plain(kind.__doc__), "payload": reference(name)}
        for kind, (tag, name) in zip(direction.kinds, direction.frames().items(), strict=True)
    }


# OpenAPI 3.1: the account service, derived from its routes, structs and errors

_OF_ACCOUNTS: Final = """The account service of a callnet server: JSON in, JSON out.

Every answer is an object with `errorCode`, `errorCodeName` and `message`, and if `errorCode` is 0 the fields of the
call. Most errors are answered with status 200. The server ignores unknown fields in requests, and clients must ignore
them in answers: later versions add some. The `Content-Type` of a request is ignored."""

_HEADERS: Final = {
    HTTPStatus.METHOD_NOT_ALLOWED: ("Allow", {"type": "string"}),
    HTTPStatus(RateLimited.status): ("Retry-After", {"type": "integer", "minimum": 1}),
    HTTPStatus(Unavailable.status): ("Retry-After", {"type": "integer", "minimum": 1}),
}
"""The headers of an error."""


class Call(Struct, frozen=True):
    """One call of the account service."""

    path: str
    summary: str
    asked: type[Struct] | None
    """``None``: it is looked at with ``GET``, and cannot be refused."""
    answered: type[Struct]

    @property
    def method(self) -> str:
        """The method, as OpenAPI writes it."""
        return "get" if self.asked is None else "post"

    @property
    def takes_token(self) -> bool:
        """True if its token may be in the header."""
        asked = self.asked
        return asked is not None and "token" in asked.__struct_fields__ and "token" not in _required(asked)

    @property
    def name(self) -> str:
        """The name for code generators."""
        return self.path.strip("/").replace("/", "_")


def calls() -> Iterator[Call]:
    """Every call that there is, by path."""
    for rule in sorted(AccountApi.routes.url_map.iter_rules(), key=lambda rule: rule.rule):
        method = inspect.unwrap(AccountApi.routes.endpoints[rule.endpoint])
        yield Call(rule.rule, plain(method.__doc__), *types_of(method))


def openapi_document() -> dict[str, Any]:
    """Write the document."""
    found = list(calls())
    kinds = errors()
    refusals = [kind for kind in kinds if kind.status == HTTPStatus.OK]
    read = schemas((call.asked for call in found if call.asked is not None), exact=False)
    written = _answers(found)
    if both := read.keys() & written.keys():
        raise ValueError(f"read and written, which mean different schemas: {both}")
    return {
        "openapi": "3.1.1",
        "info": {"title": "callnet: accounts", "version": "1", "description": _OF_ACCOUNTS},
        "servers": [
            {"url": "http://localhost:8083", "description": "The account service."},
            {"url": "https://localhost:8080", "description": "The site, which serves it too."},
        ],
        "paths": {call.path: {call.method: _call_operation(call, kinds)} for call in found},
        "components": {
            "schemas": {
                **read,
                **written,
                **{kind.__name__: _error(kind) for kind in kinds},
                "Refused": {
                    "description": "An error that only the body shows.",
                    "anyOf": [reference(kind.__name__) for kind in refusals],
                },
            },
            "responses": {kind.__name__: _response(kind) for kind in kinds if kind not in refusals},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token from the login. It may be in the field `token` of the body instead.",
                }
            },
        },
    }


def _call_operation(call: Call, kinds: list[type[ServiceError]]) -> dict[str, Any]:
    answered, done = reference(answer_name(call.answered)), "Success."
    body: dict[str, Any] = {}
    if call.asked is not None:
        answered, done = {"anyOf": [answered, reference("Refused")]}, "Success, or an error in `errorCode`."
        content = {"application/json": {"schema": reference(call.asked.__name__)}}
        body = {"requestBody": {"required": True, "content": content}}
    return {
        "operationId": call.name,
        "summary": call.summary,
        **({"security": [{"token": []}, {}]} if call.takes_token else {}),
        **body,
        "responses": {
            "200": {
                "description": done,
                "content": {"application/json": {"schema": answered}},
            },
            **{
                str(kind.status): {"$ref": f"#/components/responses/{kind.__name__}"}
                for kind in kinds
                if kind.status != HTTPStatus.OK
            },
        },
    }


def _required(kind: type[Struct]) -> list[str]:
    required: list[str] = schemas([kind], exact=False)[kind.__name__]["required"]
    return required


# What is answered


def answer_name(kind: type[Struct]) -> str:
    """The name of the schema of what a call answers with."""
    return f"{kind.__name__}Answer".replace("AnswerAnswer", "Answer")


def _answers(found: list[Call]) -> dict[str, Schema]:
    """The schemas of the answers to calls that succeeded, the envelope among their fields."""
    kinds = {call.answered for call in found}
    parts = schemas(sorted(kinds, key=lambda kind: kind.__name__), "", exact=True)
    answers = {answer_name(kind): _in_envelope(parts.pop(kind.__name__), SUCCESS) for kind in kinds}
    return dict(sorted({**parts, **answers}.items()))


def _in_envelope(fields: Schema, envelope: Envelope) -> Schema:
    """The schema of an answer that has these fields, and these three."""
    [written] = schemas([Envelope], exact=True).values()
    properties = dict(written["properties"])
    properties["errorCode"] = {"type": "integer", "const": envelope.error_code}
    properties["errorCodeName"] = {"type": "string", "const": envelope.error_code_name}
    return {
        **fields,
        "properties": {**properties, **fields["properties"]},
        "required": [*written["required"], *fields["required"]],
    }


# Errors


def errors() -> list[type[ServiceError]]:
    """Every error that a client may be answered with."""

    def walk(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
        yield kind
        for more in kind.__subclasses__():
            yield from walk(more)

    # Other modules have errors of their own that look like these to a client.
    return sorted(
        (kind for kind in walk(ServiceError) if kind.__module__ == ServiceError.__module__),
        key=lambda kind: (kind.status, kind.error_code, kind.__name__),
    )


def _error(kind: type[ServiceError]) -> Schema:
    empty: Schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    said = _in_envelope(empty, Envelope(kind.error_code, kind.error_name, ""))
    return {"title": kind.__name__, "description": plain(kind.__doc__).split("\n\n")[0], **said}


def _response(kind: type[ServiceError]) -> dict[str, Any]:
    status = HTTPStatus(kind.status)
    name, schema = _HEADERS.get(status, ("", {}))
    return {
        "description": plain(kind.__doc__).split("\n\n")[0],
        "content": {"application/json": {"schema": reference(kind.__name__)}},
        **({"headers": {name: {"required": True, "schema": schema}}} if name else {}),
    }
