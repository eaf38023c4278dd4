"""The account service over HTTP: a real site, the real service, a database in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import FileBodyProducer, readBody
from twisted.web.resource import Resource
from zope.interface import implementer

from callnet.accounts.enrolment import phone_rule
from callnet.accounts.service import AccountService
from callnet.errors import DataInvalid
from callnet.interfaces import IAccounts
from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.sql import SqlContacts
from callnet.web.api import AccountApi
from callnet.web.http import CappedSite
from callnet.web.requests import ContactsRequest, LoginRequest, decode_body
from tests.http_wire import Answer, HttpWire
from tests.immediate import run_at_once
from tests.test_account_service import FRIEND, PHONE, ServiceFixture

LOGIN = "/account/login"
CONTACTS = "/getContactPersons"
MARK = "s3cret-m4rk"
"""What no answer and no line of the log may repeat."""

NAMES = {
    0: "ERROR_CODE_NONE",
    1: "ERROR_CODE_INTERNAL_ERROR",
    2: "ERROR_CODE_DATA_INVALID",
    3: "ERROR_CODE_PHONE_INVALID",
    4: "ERROR_CODE_TOKEN_INVALID",
    5: "ERROR_CODE_DEVICE_INVALID",
}

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
LONE_SURROGATES = ("\\ud800", "\\udfff", "\\ud800\\u0041", "\\udc00\\ud800")


def with_field(fields: dict[str, str], name: str, value: str | bytes) -> bytes:
    """A body with these fields, of which one is what ``value`` writes in JSON, or in what is no JSON."""
    parts = [f"{json.dumps(key)}:{json.dumps(text)}".encode() for key, text in fields.items() if key != name]
    raw = value if isinstance(value, bytes) else value.encode()
    return b"{" + b",".join([*parts, f'"{name}":'.encode() + raw]) + b"}"


class ApiTestCase(SynchronousTestCase):
    """The account service on one connection."""

    def setUp(self) -> None:
        """A service that nobody has used."""
        self.fixture = ServiceFixture()
        self.addCleanup(self.fixture.database.close)
        self.serve(self.fixture.service)

    def serve(self, service: AccountService) -> None:
        """Serve ``service`` on a new connection."""
        self.wire = HttpWire(CappedSite(AccountApi(service).resource(), Clock()))

    def post(self, path: str, body: bytes | dict[str, Any], *headers: str) -> Answer:
        """Ask, and check what holds for every answer."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        with capturedLogs() as events:
            answer = self.wire.request("POST", path, data, *headers)
        self.assert_envelope(answer)
        if answer.status < 500:
            self.assert_quiet(events)
        return answer

    def assert_envelope(self, answer: Answer) -> None:
        """It is a JSON object with the three fields, and repeats nothing that must not be repeated."""
        fields = answer.json()
        self.assertEqual(fields["errorCodeName"], NAMES[fields["errorCode"]])
        self.assertIsInstance(fields["message"], str)
        if fields["errorCode"]:
            self.assertEqual(set(fields), {"errorCode", "errorCodeName", "message"})
            self.assertLess(len(answer.body), 300)
        self.assertNotIn(MARK.encode(), answer.body)

    def assert_quiet(self, events: Iterable[LogEvent]) -> None:
        """Nothing above info is logged, no traceback, nobody's words."""
        for event in events:
            self.assertEqual(event["log_level"], LogLevel.info, formatEvent(event))
            self.assertNotIn("log_failure", event)
            for secret in (MARK, PHONE, "eyJ"):
                self.assertNotIn(secret, formatEvent(event))

    def assert_error(self, code: int, path: str, body: bytes | dict[str, Any], status: int = 200) -> None:
        """This body is answered with this errorCode."""
        answer = self.post(path, body)
        self.assertEqual(
            (answer.json()["errorCode"], answer.status), (code, status), body[:200] if isinstance(body, bytes) else body
        )

    def login(self, phone: str = PHONE, device_id: str = "tv888") -> str:
        """Log a device in; its token."""
        answer = self.post(LOGIN, {"phone": phone, "device_id": device_id})
        self.assertEqual(answer.json()["errorCode"], 0, answer)
        token: str = answer.json()["token"]
        return token


class CallsTests(ApiTestCase):
    """What the two calls answer."""

    def test_login(self) -> None:
        """A login answers a token and how long it is valid, and may not be cached."""
        answer = self.post(LOGIN, {"phone": PHONE, "device_id": "tv888"})
        fields = answer.json()
        self.assertEqual(set(fields), {"errorCode", "errorCodeName", "message", "token", "expires_in"})
        self.assertEqual(fields["expires_in"], 3600)
        self.assertEqual(self.fixture.tokens.verify(fields["token"]), DeviceAddress(PHONE, "tv888"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["cache-control"], "no-store")

    def test_content_type_is_not_insisted_on(self) -> None:
        """Whatever a client says of its body, it is read as JSON."""
        for kind in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "\xff"):
            headers = [f"Content-Type: {kind}"] if kind else []
            answer = self.post(LOGIN, {"phone": PHONE, "device_id": "tv"}, *headers)
            self.assertEqual(answer.json()["errorCode"], 0)

    def test_unknown_fields_are_ignored(self) -> None:
        """Fields that come with later versions do no harm."""
        self.assert_error(0, LOGIN, {"phone": PHONE, "device_id": "tv", "secret": 1, "code": None, "x": [{}]})

    def test_last_duplicate_counts(self) -> None:
        """Of duplicate keys the last counts."""
        self.assert_error(0, LOGIN, f'{{"phone":1,"device_id":"*","phone":"{PHONE}","device_id":"tv"}}'.encode())
        self.assert_error(5, LOGIN, f'{{"device_id":"tv","phone":"{PHONE}","device_id":"*"}}'.encode())
        token = self.login()
        self.assert_error(0, CONTACTS, f'{{"token":"x","phone":"{PHONE}","token":"{token}"}}'.encode())
        self.assert_error(2, CONTACTS, f'{{"token":"{token}","phone":"{PHONE}","token":null}}'.encode())

    def test_contacts(self) -> None:
        """The list has one row for each device of each contact, and says who is online."""
        token = self.login()
        contacts.add(self.fixture.database, [Pair(PHONE, FRIEND, "朋友")])
        self.assertEqual(self.post(CONTACTS, {"phone": PHONE, "token": token}).json()["contacts"], [])
        self.login(FRIEND, "b")
        self.login(FRIEND, "a")
        self.fixture.put_online(DeviceAddress(FRIEND, "b"))
        fields = self.post(CONTACTS, {"phone": PHONE, "token": token}).json()
        self.assertEqual(
            fields["contacts"],
            [
                {"phone": FRIEND, "device_id": "a", "name": "朋友", "online": False},
                {"phone": FRIEND, "device_id": "b", "name": "朋友", "online": True},
            ],
        )
        self.assertNotIn("next", fields)

    def test_pages(self) -> None:
        """With ``limit`` an answer has so many rows and a cursor to go on from, until the last."""
        token = self.login()
        contacts.add(self.fixture.database, [Pair(PHONE, FRIEND)])
        for name in "abc":
            self.login(FRIEND, name)
        first = self.post(CONTACTS, {"phone": PHONE, "token": token, "limit": 2}).json()
        self.assertEqual([row["device_id"] for row in first["contacts"]], ["a", "b"])
        last = self.post(CONTACTS, {"phone": PHONE, "token": token, "limit": 2, "after": first["next"]}).json()
        self.assertEqual([row["device_id"] for row in last["contacts"]], ["c"])
        self.assertNotIn("next", last)

    def test_through_a_real_client(self) -> None:
        """Twisted's own HTTP client logs in."""
        agent: Any = RequestTraversalAgent(AccountApi(self.fixture.service).resource())  # type: ignore[no-untyped-call]
        body = FileBodyProducer(BytesIO(json.dumps({"phone": PHONE, "device_id": "tv"}).encode()), cooperator=_EAGER)
        answer = agent.request(b"POST", b"http://callnet.test/account/login", None, body)
        agent.flush()
        response = self.successResultOf(answer)
        reading = readBody(response)
        agent.flush()
        self.assertEqual(json.loads(self.successResultOf(reading))["errorCode"], 0)


class FieldTests(ApiTestCase):
    """Every field of both calls, with everything that it can be."""

    def setUp(self) -> None:
        """A device that is logged in."""
        super().setUp()
        self.fields = {LOGIN: {"phone": PHONE, "device_id": "tv888"}, CONTACTS: {"phone": PHONE, "token": self.login()}}

    def assert_field(self, code: int, path: str, name: str, value: str | bytes) -> None:
        """With this value of one field, in JSON, the call answers this errorCode."""
        self.assert_error(code, path, with_field(self.fields[path], name, value))

    def required(self) -> Iterable[tuple[str, str, int]]:
        """Each required field, and the errorCode of a string that it may not be."""
        return [(LOGIN, "phone", 3), (LOGIN, "device_id", 5), (CONTACTS, "phone", 4), (CONTACTS, "token", 4)]

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
                for depth in (100, 1500, 8000 // len(opening)):
                    nested = opening * depth + "1" + closing * depth
                    self.assert_field(2, path, name, nested)
                    self.assert_field(2, path, name, opening * depth)
                    code = self.post(path, with_field(self.fields[path], "other", nested)).json()["errorCode"]
                    self.assertIn(code, (0, 2))

    def test_limit(self) -> None:
        """``limit`` is a whole number from 1 to 500, or absent."""
        for good in ("1", "500", "null"):
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
        for path in (LOGIN, CONTACTS):
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


class ErrorTests(ApiTestCase):
    """Errors of HTTP, and our own."""

    def test_unknown_path(self) -> None:
        """Any other path is a 404 in the envelope."""
        paths = ["/", "/account", "/account/", "/account/login/", "/account//login", "/x"]
        for path in [
            *paths,
            "/getcontactpersons",
            "/%ff",
            "/%c3%28",
            "/%00",
            "/a%2fb",
            "/account/login%00",
            "/" + "a" * 9000,
        ]:
            self.assert_error(2, path, b"{}", 404)

    def test_other_hosts(self) -> None:
        """The name in the ``Host`` header does not matter, however odd."""
        for host in ("", "a..b", "x" * 300, "\xff", "[::1", "a:b:c", "1.2.3.4:99999999", MARK):
            self.wire.send(f"POST {LOGIN} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}".encode("latin-1"))
            self.assertEqual(self.wire.answers()[-1].status, 200)
            self.assert_envelope(self.wire.answers()[-1])
        self.wire.send(f"POST {LOGIN} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        self.assertEqual(self.wire.answers()[-1].json()["errorCode"], 2)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_query_is_ignored(self) -> None:
        """A query does not change a call."""
        self.assert_error(2, f"{LOGIN}?phone=1&x=%ff", b"{}")

    def test_wrong_method(self) -> None:
        """Another method is a 405 in the envelope, which names the right one."""
        for path in (LOGIN, CONTACTS):
            for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "X-" + MARK):
                answer = self.wire.request(method, path)
                self.assert_envelope(answer)
                self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_body_limit(self) -> None:
        """A body of 16 KiB is read; one byte more is a 413."""
        body = json.dumps({"phone": PHONE, "device_id": "tv", "x": ""}).encode()
        fitting = body.replace(b'""', b'"' + b"x" * (16 * 1024 - len(body)) + b'"')
        self.assertEqual(len(fitting), 16 * 1024)
        self.assert_error(0, LOGIN, fitting)
        self.assert_error(2, LOGIN, fitting + b" ", 413)

    def test_database_is_away(self) -> None:
        """While the database is away the answer is a 503 that says when to try again."""
        with self.fixture.database.write() as connection:
            connection.exec_driver_sql("DROP TABLE account_device")
        token = self.fixture.tokens.issue(DeviceAddress(PHONE, "tv"))
        for path, body in ((LOGIN, {"phone": PHONE, "device_id": "tv"}), (CONTACTS, {"phone": PHONE, "token": token})):
            answer = self.post(path, body)
            self.assertEqual((answer.status, answer.json()["errorCode"]), (503, 1))
            self.assertGreater(int(answer.headers["retry-after"]), 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_internal_error(self) -> None:
        """What goes wrong in the server is logged with its traceback and not described to the client."""
        self.serve_accounts(_BrokenAccounts(fail(RuntimeError(MARK))))
        answer = self.post(LOGIN, {"phone": PHONE, "device_id": "tv"})
        self.assertEqual((answer.status, answer.json()["message"]), (500, "internal error"))
        (logged,) = self.flushLoggedErrors(RuntimeError)
        self.assertEqual(logged.getErrorMessage(), MARK)

    def test_client_that_leaves(self) -> None:
        """A client that leaves while its answer is prepared leaves nothing behind, in the log neither."""
        for outcome in (None, RuntimeError(MARK)):
            waiting: Deferred[None] = Deferred()
            self.serve_accounts(_BrokenAccounts(waiting))
            body = json.dumps({"phone": PHONE, "device_id": "tv"})
            self.wire.send(f"POST {LOGIN} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            self.wire.leave()
            if outcome is None:
                waiting.callback(None)
            else:
                waiting.errback(outcome)
            self.assertEqual(self.flushLoggedErrors(), [])

    def serve_accounts(self, accounts: IAccounts) -> None:
        """Serve with accounts of another kind."""
        found = SqlContacts(self.fixture.database, run_at_once)
        self.serve(AccountService(accounts, found, self.fixture.store, self.fixture.tokens, phone_rule("cn-mobile")))


class MountedTests(ApiTestCase):
    """The account service beside other resources."""

    def serve(self, service: AccountService) -> None:
        """Serve it as children of a site that has others."""
        api = AccountApi(service).resource()
        root = Resource()
        root.putChild(b"account", api)
        root.putChild(b"getContactPersons", api)
        self.wire = HttpWire(CappedSite(root, Clock()))

    def test_same_paths(self) -> None:
        """The paths are the same there."""
        token = self.login()
        self.assertEqual(self.post(CONTACTS, {"phone": PHONE, "token": token}).json()["contacts"], [])
        self.assert_error(2, "/account/other", b"{}", 404)
        self.assert_error(2, "/account", b"{}", 404)


class BodyProperties(SynchronousTestCase):
    """What holds for any body."""

    def assert_decoded(self, body: bytes, kind: type[msgspec.Struct]) -> None:
        """The body is such a request, or is refused with a short line."""
        try:
            self.assertIsInstance(decode_body(body, kind), kind)
        except DataInvalid as error:
            self.assertLess(len(str(error)), 80)

    @given(st.binary(), st.sampled_from([LoginRequest, ContactsRequest]))
    def test_any_bytes(self, body: bytes, kind: type[msgspec.Struct]) -> None:
        """No bytes are an exception to that."""
        self.assert_decoded(body, kind)

    @given(
        st.dictionaries(
            st.sampled_from(["phone", "device_id", "token", "limit", "after", "x"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
                max_leaves=5,
            ),
        ),
        st.sampled_from([LoginRequest, ContactsRequest]),
    )
    def test_any_fields(self, fields: dict[str, Any], kind: type[msgspec.Struct]) -> None:
        """No fields are, and what is accepted has the fields as they were sent."""
        self.assert_decoded(json.dumps(fields).encode(), kind)


@implementer(IAccounts)
class _BrokenAccounts:
    """Accounts with an outcome of their own."""

    def __init__(self, outcome: Deferred[None]) -> None:
        self._outcome = outcome

    def enrol(self, address: DeviceAddress) -> Deferred[None]:  # noqa: ARG002
        return self._outcome


class _Eager:
    """Sends a request's body at once."""

    def cooperate(self, work: Iterable[object]) -> _Eager:
        for _ in work:
            pass
        return self

    def whenDone(self) -> Deferred[None]:
        return succeed(None)


_EAGER = _Eager()
