"""Checks answers of the account service that are seen in tests against the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from jsonschema_rs import Draft202012Validator

from callnet.schemas import openapi_document

_DOCUMENT: Final = openapi_document()


@cache
def _responses(path: str, method: str) -> Mapping[str, Any]:
    """The possible answers to a call, by status: the headers that it must have, and the validator of the body."""
    found = {}
    for status, response in _DOCUMENT["paths"][path][method]["responses"].items():
        if "$ref" in response:
            response = _DOCUMENT["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]  # noqa: PLW2901
        schema = response["content"]["application/json"]["schema"]
        validator = Draft202012Validator({**schema, "components": _DOCUMENT["components"]})
        found[status] = {name.lower() for name in response.get("headers", {})}, validator
    return found


def check_answer(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Make sure that an answer is as the document says, if the path is a call of the account service.

    :param headers: with names in lower case.
    """
    if method.lower() in _DOCUMENT["paths"].get(path, ()):
        needed, validator = _responses(path, method.lower())[str(status)]
        assert headers["content-type"] == "application/json", headers
        assert needed <= headers.keys(), f"{path}: {status} without {needed - headers.keys()}"
        validator.validate(json.loads(body))
