"""The fields of the account service's calls, with everything that they can be."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import DataInvalid
from callnet.storage import contacts
from callnet.web.schemas import AddContactRequest, ContactRequest, ContactsRequest, LoginRequest, decode_body
from tests.support.account_fixture import FRIEND, PHONE
from tests.support.api_case import CHANGES, CONTACTS, LOGIN, MARK, ApiTestCase

WRONG_TYPES = (
    "null",
    "true",
    "1",
    "1.5",
    "1e999",
    "-0",
    "[]",
    "{}",
    f'["{MARK}"]',
    f'{{"{MARK}":"{MARK}"}}',
    "9" * 400,
)
CONTROLS = ("\\u0000", "\\n", "\\u001f", "\\u007f", "\\u0080", f"{MARK}\\u0000")
NO_UTF8 = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\x80")
REQUESTS = (LoginRequest, ContactsRequest, ContactRequest, AddContactRequest)
LONE_SURROGATES = ("\\ud800", "\\udfff", "\\ud800\\u0041", "\\udc00\\ud800")


def with_field(fields: dict[str, str], name: str, value: str | bytes) -> bytes:
    """A body with these fields, one of them being ``value`` in JSON, or in invalid JSON."""
    parts = [f"{json.dumps(key)}:{json.dumps(text)}".encode() for key, text in fields.items() if key != name]
    raw = value if isinstance(value, bytes) else value.encode()
    return b"{" + b",".join([*parts, f'"{name}":'.encode() + raw]) + b"}"


class FieldTests(ApiTestCase):
    """Every field of the calls, with everything that it can be."""

    def setUp(self) -> None:
        """A device that is logged in."""
        super().setUp()
        token = self.login()
        change = {"contact_phone": FRIEND, "token": token}
        self.fields = {
            LOGIN: {"phone": PHONE, "device_id": "tv888"},
            CONTACTS: {"phone": PHONE, "token": token},
            **dict.fromkeys(CHANGES, change),
        }

    def assert_field(self, code: int, path: str, name: str, value: str | bytes) -> None:
        """With this value of one field, in JSON, the call answers this errorCode."""
        self.assert_error(code, path, with_field(self.fields[path], name, value))

    def required(self) -> Iterable[tuple[str, str, int]]:
        """Each required field, and the errorCode of a string that it may not be."""
        own = [(LOGIN, "phone", 3), (LOGIN, "device_id", 5), (CONTACTS, "phone", 4), (CONTACTS, "token", 4)]
        return own + [(path, "contact_phone", 3) for path in CHANGES]

    def test_missing(self) -> None:
        """A required field that is missing is named."""
        for path, name, _ in self.required():
            rest = {key: value for key, value in self.fields[path].items() if key != name}
            answer = self.post(path, rest).json()
            self.assertEqual((answer["errorCode"], answer["message"]), (2, f"{name} is missing"))
            self.assert_error(2, path, {})

    def test_wrong_type(self) -> None:
        """A required field that is not a string, ``null`` included, is named."""
        for path, name, _ in self.required():
            for value in WRONG_TYPES:
                self.assert_field(2, path, name, value)
            answer = self.post(path, with_field(self.fields[path], name, "null")).json()
            self.assertEqual(answer["message"], f"{name} must be a string")

    def test_bad_strings(self) -> None:
        """Strings that are empty, too long, or have control characters, have the errorCode of their field."""
        for path, name, code in self.required():
            for value in ("", *CONTROLS, MARK + "x" * 1000, "x" * 15_000):
                self.assert_field(code, path, name, f'"{value}"')

    def test_no_unicode(self) -> None:
        """Strings that are no UTF-8, or have lone surrogates, are no JSON."""
        for path, name, _ in self.required():
            for data in NO_UTF8:
                self.assert_field(2, path, name, b'"' + data + b'"')
            for text in LONE_SURROGATES:
                self.assert_field(2, path, name, f'"{text}"')

    def test_ten_megabytes(self) -> None:
        """A field of 10 MB is a body that is too large."""
        for path, name, _ in self.required():
            self.assert_error(2, path, with_field(self.fields[path], name, b'"' + b"x" * 10_000_000 + b'"'), 413)
        self.assertEqual(self.post(LOGIN, self.fields[LOGIN]).json()["errorCode"], 0)

    def test_deep_nesting(self) -> None:
        """Nesting as deep as a body can hold is refused where it is a known field, and ignored elsewhere."""
        for path, name, _ in self.required():
            for opening, closing in (("[", "]"), ('{"a":', "}")):
                for depth in (100, 1500, 7900 // len(opening)):
                    nested = opening * depth + "1" + closing * depth
                    self.assert_field(2, path, name, nested)
                    self.assert_field(2, path, name, opening * depth)
                    code = self.post(path, with_field(self.fields[path], "other", nested)).json()["errorCode"]
                    self.assertIn(code, (0, 2))

    def test_limit(self) -> None:
        """``limit`` is a whole number from 1 to 500, however it is written, or absent."""
        for good in ("1", "500", "null", "1.0", "5e2"):
            self.assert_field(0, CONTACTS, "limit", good)
        bad: tuple[str | bytes, ...] = (
            "0",
            "-1",
            "501",
            "1.5",
            "true",
            '"5"',
            "[]",
            "{}",
            "1e400",
            "9" * 5000,
            '"\\u0000"',
            b"\xff",
        )
        for value in bad:
            self.assert_field(2, CONTACTS, "limit", value)
        answer = self.post(CONTACTS, with_field(self.fields[CONTACTS], "limit", "0")).json()
        self.assertEqual(answer["message"], "limit must be a whole number from 1 to 500")

    def test_after(self) -> None:
        """``after`` is a cursor of an earlier answer, or absent."""
        self.assert_field(0, CONTACTS, "after", "null")
        for value in (*WRONG_TYPES[1:], '""', f'"{MARK}"', '"\\u0000"', '"' + "x" * 15_000 + '"', b'"\xff"'):
            self.assert_field(2, CONTACTS, "after", value)

    def test_no_object(self) -> None:
        """A body that is no JSON object is refused."""
        for path in self.fields:
            for body in (
                b"",
                b" ",
                b"null",
                b"[]",
                b'"x"',
                b"1",
                b"{",
                b"{}}",
                b'{"phone"}',
                b"\0",
                b"\xff\xfe{\0}\0",
                b"\xef\xbb\xbf{}",
            ):
                self.assert_error(2, path, body)
            for body in (b"phone=1&device_id=2", b"<xml/>", b"[" * 16_000, b'{"a":' * 3000, MARK.encode()):
                self.assert_error(2, path, body)

    def test_tokens(self) -> None:
        """A token of another phone, or one that was tampered with or has expired, is errorCode 4."""
        other = self.login(FRIEND)
        token = self.fields[CONTACTS]["token"]
        for bad in (other, token + "x", token[:-3] + "abc", "a.b.c", "eyJ.eyJ."):
            self.assert_error(4, CONTACTS, {"phone": PHONE, "token": bad})
        self.fixture.clock.advance(3600)
        self.assert_error(4, CONTACTS, {"phone": PHONE, "token": token})

    def test_nothing_bad_reaches_the_database(self) -> None:
        """Whatever was refused has left no trace."""
        for body in ({"phone": PHONE + "\0", "device_id": "x"}, {"phone": FRIEND, "device_id": "\0"}):
            self.post(LOGIN, body)
        self.assertEqual([found.phone for found in contacts.accounts(self.fixture.database)], [PHONE])


class BodyProperties(SynchronousTestCase):
    """Properties of any body."""

    def assert_decoded(self, body: bytes, kind: type[msgspec.Struct]) -> None:
        """The body is such a request, or is refused with a short line."""
        try:
            self.assertIsInstance(decode_body(body, kind), kind)
        except DataInvalid as error:
            self.assertLess(len(str(error)), 80)

    @given(st.binary(), st.sampled_from(REQUESTS))
    def test_any_bytes(self, body: bytes, kind: type[msgspec.Struct]) -> None:
        """No bytes are an exception to that."""
        self.assert_decoded(body, kind)

    @given(
        st.dictionaries(
            st.sampled_from(["phone", "device_id", "token", "limit", "after", "contact_phone", "name", "x"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
                max_leaves=5,
            ),
        ),
        st.sampled_from(REQUESTS),
    )
    def test_any_fields(self, fields: dict[str, Any], kind: type[msgspec.Struct]) -> None:
        """No fields are an exception, and an accepted body has the fields as they were sent."""
        self.assert_decoded(json.dumps(fields).encode(), kind)
