"""The AsyncAPI and the OpenAPI document and the schemas of a room: good ones that say all there is, as in ``docs/``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import ValidationError, meta
from openapi_spec_validator import OpenAPIV31SpecValidator
from twisted.trial.unittest import SynchronousTestCase

from callnet import schemas
from callnet.cli.main import main
from callnet.errors import DataInvalid
from callnet.frames import base, page
from callnet.schemas import asyncapi_document, openapi_document, room_document
from callnet.web.api import AccountApi
from callnet.web.schemas import decode_body
from harness import ROOT
from tests.support.answer_schemas import check_answer
from tests.support.schema_strategies import Spoilt, spoilt, values

DOCS: Final = ROOT / "docs"
DOCUMENTS: Final = {"asyncapi": asyncapi_document(), "openapi": openapi_document(), "room": room_document()}
ASYNC: Final = DOCUMENTS["asyncapi"]
OPEN: Final = DOCUMENTS["openapi"]
REQUESTS: Final = {call.asked.__name__: call.asked for call in schemas.calls() if call.asked is not None}


def references(node: Any) -> Iterator[str]:
    """Everything that a document refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for part in node.values():
            yield from references(part)
    elif isinstance(node, list):
        for part in node:
            yield from references(part)


def reached(document: Any, reference: str) -> Iterator[Any]:
    """A schema, and all that it refers to."""
    schema = resolve(document, reference)
    yield schema
    for further in references(schema):
        yield from reached(document, further)


def resolve(document: Any, reference: str) -> Any:
    """The value at a reference within a document."""
    assert reference.startswith("#/"), reference
    for part in reference[2:].split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


class DocumentsTests(SynchronousTestCase):
    """The common properties of all documents."""

    def test_docs_are_up_to_date(self) -> None:
        """``docs/`` matches the code. ``make schemas`` updates it."""
        for name, document in DOCUMENTS.items():
            kept = json.loads((DOCS / f"{name}.json").read_text())
            self.assertEqual(document, kept, f"docs/{name}.json is not what the code says; run: make schemas")

    def test_command(self) -> None:
        """``callnet schema`` prints them."""
        for name, document in DOCUMENTS.items():
            printed = CliRunner().invoke(main, ["schema", name])
            self.assertEqual((document, 0), (json.loads(printed.output), printed.exit_code))

    def test_references(self) -> None:
        """No reference has a missing target, and no schema is unused."""
        for document in DOCUMENTS.values():
            named = set(references(document))
            for reference in named:
                resolve(document, reference)
            for name in document["components"]["schemas"]:
                self.assertIn(f"#/components/schemas/{name}", named)

    def test_schemas(self) -> None:
        """Their schemas are schemas, and mean the same in draft 7 and in 2020-12: nothing stands beside a reference."""
        for document in DOCUMENTS.values():
            for schema in document["components"]["schemas"].values():
                for draft in (
                    "http://json-schema.org/draft-07/schema#",
                    "https://json-schema.org/draft/2020-12/schema",
                ):
                    meta.validate({"$schema": draft, **schema})
                self.assert_references_stand_alone(schema)

    def assert_references_stand_alone(self, node: Any) -> None:
        """Assert that in draft 7 only text for people is beside a reference, since nothing else counts."""
        if isinstance(node, dict):
            self.assertTrue("$ref" not in node or node.keys() <= {"$ref", "description", "default"}, node)
            node = list(node.values())
        if isinstance(node, list):
            for part in node:
                self.assert_references_stand_alone(part)


class AsyncApiTests(SynchronousTestCase):
    """The document of the sockets. There is no well-kept validator of AsyncAPI 3, so its structure is tested here."""

    def test_whole(self) -> None:
        """It has the parts that AsyncAPI 3.0 asks for, and no others."""
        self.assertEqual("3.0.0", ASYNC["asyncapi"])
        self.assertLessEqual({"title", "version"}, ASYNC["info"].keys())
        self.assertEqual(
            {"asyncapi", "info", "defaultContentType", "servers", "channels", "operations", "components"}, ASYNC.keys()
        )
        for server in ASYNC["servers"].values():
            self.assertLessEqual({"host", "protocol"}, server.keys())

    def test_messages(self) -> None:
        """Each frame of the server's structs is a message of one operation, in the direction in which it goes."""
        for name, action, union in (
            ("from_device", "receive", base.Request),
            ("to_device", "send", base.Message),
            ("from_page", "receive", page.PageRequest),
            ("to_page", "send", page.PageMessage),
        ):
            operation = ASYNC["operations"][name]
            self.assertEqual(action, operation["action"])
            tags = [self.message(operation, reference["$ref"])["name"] for reference in operation["messages"]]
            self.assertEqual([kind.__struct_config__.tag for kind in union.__args__], tags)

    def message(self, operation: Any, reference: str) -> Any:
        """A message of an operation: it has to be one of its channel (AsyncAPI 3.0, Operation Object)."""
        self.assertTrue(reference.startswith(operation["channel"]["$ref"] + "/messages/"))
        message = resolve(ASYNC, resolve(ASYNC, reference)["$ref"])
        schema = resolve(ASYNC, message["payload"]["$ref"])
        self.assertEqual(message["name"], schema["properties"]["type"]["const"])
        self.assertTrue(message["summary"])
        return message

    def test_fields(self) -> None:
        """The description of a field in the source is in its schema."""
        called = ASYNC["components"]["schemas"]["to_device.Called"]["properties"]
        self.assertEqual("Seconds of ringing left.", called["expires_in"]["description"])


class OpenApiTests(SynchronousTestCase):
    """The document of the account service."""

    def test_official_validator(self) -> None:
        """It is a good document of OpenAPI 3.1."""
        OpenAPIV31SpecValidator(OPEN).validate()

    def test_routes(self) -> None:
        """Every route is in it, with the methods that it takes, and no other. ``HEAD`` goes with ``GET``."""
        rules = AccountApi.routes.url_map.iter_rules()
        routes = {(rule.rule, method) for rule in rules for method in rule.methods or () if method != "HEAD"}
        listed = {(path, method.upper()) for path, item in OPEN["paths"].items() for method in item}
        self.assertEqual(routes, listed)

    def test_unknown_fields(self) -> None:
        """A request may have fields that are not known, wherever they stand: they are ignored."""
        for name in REQUESTS:
            for schema in reached(OPEN, f"#/components/schemas/{name}"):
                self.assertNotIn("additionalProperties", schema, name)

    def test_statuses(self) -> None:
        """Every call may come to each of these."""
        for item in OPEN["paths"].values():
            for operation in item.values():
                self.assertEqual(
                    {"200", "403", "404", "405", "413", "421", "429", "500", "503"}, operation["responses"].keys()
                )
                for status in operation["responses"]:
                    HTTPStatus(int(status))

    def test_check(self) -> None:
        """The tests' check of answers refuses invalid ones."""
        headers, body = {"content-type": "application/json"}, b'{"errorCode":0,"errorCodeName":"x","message":"ok"}'
        check_answer("GET", "/account/logout", 405, headers, b"")  # it says nothing about other paths
        self.assertRaises(ValidationError, check_answer, "POST", "/account/logout", 200, headers, body)
        self.assertRaises(
            AssertionError, check_answer, "POST", "/account/logout", 200, {"content-type": "text/html"}, body
        )
        self.assertRaises(AssertionError, check_answer, "POST", "/account/logout", 503, headers, body)
        check_answer("POST", "/account/logout", 200, headers, body.replace(b'"x"', b'"ERROR_CODE_NONE"'))

    def test_tokens(self) -> None:
        """A token may be in the header where the body need not have one, and nowhere else."""
        by_header = {path for path, item in OPEN["paths"].items() if "security" in item.get("post", ())}
        without_token = {
            "/account/login",
            "/account/code",
            "/calls/refuse",
            "/devices/push/renew",
            "/links/enter",
            "/pairing/begin",
            "/pairing/poll",
        }
        self.assertEqual(OPEN["paths"].keys() - without_token - {"/getContactPersons", "/devices/push/key"}, by_header)

    @given(st.data(), st.sampled_from(sorted(REQUESTS)))
    def test_bodies_that_are_read(self, data: st.DataObject, name: str) -> None:
        """A body that the schema takes is decoded."""
        decode_body(json.dumps(data.draw(good_bodies(name))).encode(), REQUESTS[name])

    @given(st.data(), st.sampled_from(sorted(REQUESTS)))
    def test_bodies_that_are_refused(self, data: st.DataObject, name: str) -> None:
        """A body that the schema refuses is invalid data."""
        for _, body in data.draw(bad_bodies(name)):
            self.assertRaises(DataInvalid, decode_body, json.dumps(body).encode(), REQUESTS[name])


@cache
def good_bodies(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies that a schema takes."""
    schemas = OPEN["components"]["schemas"]
    return values(schemas[name], schemas)


@cache
def bad_bodies(name: str) -> st.SearchStrategy[Spoilt]:
    """Bodies with one wrong field each, and which that is."""
    schemas = OPEN["components"]["schemas"]
    return spoilt(schemas[name], schemas)
