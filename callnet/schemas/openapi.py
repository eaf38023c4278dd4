"""The OpenAPI 3.1 document of the account service, derived from its routes, structs and errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from msgspec import Struct

from callnet.errors import RateLimited, ServiceError, Unavailable
from callnet.schemas.structs import Schema, plain, reference, schemas
from callnet.web.api import AccountApi
from callnet.web.schemas import SUCCESS, Envelope, types_of

_DESCRIPTION: Final = """The account service of a callnet server: JSON in, JSON out.

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


def document() -> dict[str, Any]:
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
        "info": {"title": "callnet: accounts", "version": "1", "description": _DESCRIPTION},
        "servers": [
            {"url": "http://localhost:8083", "description": "The account service."},
            {"url": "https://localhost:8080", "description": "The site, which serves it too."},
        ],
        "paths": {call.path: {call.method: _operation(call, kinds)} for call in found},
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


def _operation(call: Call, kinds: list[type[ServiceError]]) -> dict[str, Any]:
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
