"""The account service over HTTP: a real site, the real service, a database in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.web.client import FileBodyProducer, readBody
from twisted.web.resource import Resource

from callnet.accounts.contact_lists import ContactLists
from callnet.accounts.logins import Logins
from callnet.accounts.validation import phone_rule
from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.enrolling import Enrolled, SqlAccounts
from callnet.storage.revoking import SqlRevocations
from callnet.web.http import CappedSite
from tests.support.account_fixture import FRIEND, PHONE
from tests.support.api_case import ADD, CONTACTS, LOGIN, LOGOUT, MARK, REFRESH, ApiTestCase
from tests.support.http_wire import HttpWire
from tests.support.immediate import run_at_once
from tests.support.plain_preferences import OPEN


class CallsTests(ApiTestCase):
    """The answers of the two calls."""

    def test_login(self) -> None:
        """A login answers a token and how long it is valid, and may not be cached."""
        self.login()
        answer = self.post(LOGIN, {"phone": PHONE, "device_id": "tv888"})
        fields = answer.json()
        self.assertEqual(set(fields), {"errorCode", "errorCodeName", "message", "token", "expires_in"})
        self.assertEqual(fields["expires_in"], 3600)
        self.assertEqual(self.fixture.tokens.verify(fields["token"]).device, DeviceAddress(PHONE, "tv888"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["cache-control"], "no-store")

    def test_secret(self) -> None:
        """The login that makes a device offers a secret; once used it must be shown from then on."""
        body = {"phone": PHONE, "device_id": "tv888"}
        secret = self.post(LOGIN, body).json()["device_secret"]
        self.assertGreaterEqual(len(secret), 32)
        answer = self.post(LOGIN, {**body, "secret": secret})
        self.assertEqual((0, None), (answer.json()["errorCode"], answer.json().get("device_secret")))
        for wrong in ({}, {"secret": ""}, {"secret": secret + "x"}, {"secret": None}):
            self.assert_error(5, LOGIN, body | wrong)
        self.assert_error(2, LOGIN, {**body, "secret": 1})

    def test_refresh(self) -> None:
        """A token is good for a new one, and both are valid then; it is in the body or in the header."""
        token = self.login()
        answers = [
            self.post(REFRESH, {"token": token}),
            self.post(REFRESH, {}, f"Authorization: Bearer {token}"),
            self.post(REFRESH, {"token": token}, "Authorization: Bearer x"),
        ]
        for answer in answers:
            self.assertEqual(set(answer.json()), {"errorCode", "errorCodeName", "message", "token", "expires_in"})
            for valid in (token, answer.json()["token"]):
                self.assert_error(0, CONTACTS, {"phone": PHONE, "token": valid})

    def test_first_look(self) -> None:
        """As long as it is not known which tokens are revoked, every call with one is answered 503 and when to come."""
        token = self.login()
        self.fixture.revocations.as_of = None
        for path in (REFRESH, LOGOUT, "/ice", "/calls/history", "/account/settings"):
            answer = self.post(path, {"token": token})
            self.assertEqual((503, 1), (answer.status, answer.json()["errorCode"]))
            self.assertIn("retry-after", answer.headers)
        self.assertEqual(503, self.post(CONTACTS, {"phone": PHONE, "token": token}).status)
        self.assertEqual(200, self.post(LOGIN, {"phone": PHONE, "device_id": "tv888"}).status)

    def test_logout(self) -> None:
        """A token that was logged out is invalid everywhere, and the device's other tokens stay valid."""
        token, other = self.login(), self.login()
        self.assert_error(0, LOGOUT, {"token": token})
        for path in (REFRESH, LOGOUT):
            self.assert_error(4, path, {"token": token})
        self.assert_error(4, CONTACTS, {"phone": PHONE, "token": token})
        self.assert_error(0, CONTACTS, {"phone": PHONE, "token": other})

    def test_without_a_token(self) -> None:
        """A call that needs a token says so if there is none, and an empty one is a bad one."""
        for path in (REFRESH, LOGOUT):
            for body in (b"{}", b'{"token":null}', b'{"token":1}', b'{"token":[]}', b"[]", b"x", b""):
                self.assert_error(2, path, body)
            for header in ("", "Bearer", "Bearer ", "Basic x", "\xff"):
                self.assertEqual(2, self.post(path, {}, f"Authorization: {header}").json()["errorCode"])
            for bad in ("", "x", "e30.e30.", MARK):
                self.assert_error(4, path, {"token": bad})
                if bad:
                    self.assertEqual(4, self.post(path, {}, f"Authorization: bearer {bad}").json()["errorCode"])

    def test_content_type_is_not_insisted_on(self) -> None:
        """Whatever a client says of its body, it is read as JSON."""
        for kind in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "\xff"):
            headers = [f"Content-Type: {kind}"] if kind else []
            answer = self.post(LOGIN, {"phone": PHONE, "device_id": "tv"}, *headers)
            self.assertEqual(answer.json()["errorCode"], 0)

    def test_unknown_fields_are_ignored(self) -> None:
        """Fields that come with later versions do no harm."""
        self.assert_error(0, LOGIN, {"phone": PHONE, "device_id": "tv", "y": 1, "z": None, "x": [{}]})

    def test_last_duplicate_counts(self) -> None:
        """The last of duplicate keys counts."""
        self.assert_error(0, LOGIN, f'{{"phone":1,"device_id":"*","phone":"{PHONE}","device_id":"tv"}}'.encode())
        self.assert_error(5, LOGIN, f'{{"device_id":"tv","phone":"{PHONE}","device_id":"*"}}'.encode())
        token = self.login()
        self.assert_error(0, CONTACTS, f'{{"token":"x","phone":"{PHONE}","token":"{token}"}}'.encode())
        self.assert_error(2, CONTACTS, f'{{"token":"{token}","phone":"{PHONE}","token":null}}'.encode())

    def test_contacts(self) -> None:
        """The list has one row for each device of each contact, with its presence."""
        token = self.login()
        contacts.add(self.fixture.database, [Pair(PHONE, FRIEND, "朋友")], 0.0)
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
        """With ``limit`` an answer has at most this number of rows and a cursor to go on from, until the last."""
        token = self.login()
        contacts.add(self.fixture.database, [Pair(PHONE, FRIEND)], 0.0)
        for name in "abc":
            self.login(FRIEND, name)
        first = self.post(CONTACTS, {"phone": PHONE, "token": token, "limit": 2}).json()
        self.assertEqual([row["device_id"] for row in first["contacts"]], ["a", "b"])
        last = self.post(CONTACTS, {"phone": PHONE, "token": token, "limit": 2, "after": first["next"]}).json()
        self.assertEqual([row["device_id"] for row in last["contacts"]], ["c"])
        self.assertNotIn("next", last)

    def test_through_a_real_client(self) -> None:
        """Twisted's own HTTP client logs in."""
        agent: Any = RequestTraversalAgent(self.fixture.api())  # type: ignore[no-untyped-call]
        body = FileBodyProducer(BytesIO(json.dumps({"phone": PHONE, "device_id": "tv"}).encode()), cooperator=_EAGER)
        answer = agent.request(b"POST", b"http://callnet.test/account/login", None, body)
        agent.flush()
        response = self.successResultOf(answer)
        reading = readBody(response)
        agent.flush()
        self.assertEqual(json.loads(self.successResultOf(reading))["errorCode"], 0)


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
        """While the database is away the answer is a 503 that says when to try again, and the log says why."""
        with self.fixture.database.write() as connection:
            connection.exec_driver_sql("DROP TABLE account_device")
        token = self.fixture.tokens.issue(DeviceAddress(PHONE, "tv"))
        for path, body in ((LOGIN, {"phone": PHONE, "device_id": "tv"}), (CONTACTS, {"phone": PHONE, "token": token})):
            with capturedLogs() as events:
                answer = self.post(path, body)
            self.assertEqual((answer.status, answer.json()["errorCode"]), (503, 1))
            (warning,) = (formatEvent(event) for event in events if event["log_level"] is LogLevel.warn)
            self.assertIn("no such table", warning)
            self.assertNotIn(PHONE, warning)
            self.assertGreater(int(answer.headers["retry-after"]), 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_internal_error(self) -> None:
        """An internal error is logged with its traceback and not described to the client."""
        self.serve_accounts(_BrokenAccounts(fail(RuntimeError(MARK))))
        answer = self.post(LOGIN, {"phone": PHONE, "device_id": "tv"})
        self.assertEqual((answer.status, answer.json()["message"]), (500, "internal error"))
        (logged,) = self.flushLoggedErrors(RuntimeError)
        self.assertEqual(logged.getErrorMessage(), MARK)

    def test_client_that_leaves(self) -> None:
        """A client that leaves while its answer is prepared leaves nothing behind, in the log neither."""
        for outcome in (None, RuntimeError(MARK)):
            waiting: Deferred[Enrolled] = Deferred()
            self.serve_accounts(_BrokenAccounts(waiting))
            body = json.dumps({"phone": PHONE, "device_id": "tv"})
            self.wire.send(f"POST {LOGIN} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            self.wire.leave()
            if outcome is None:
                waiting.callback(Enrolled())
            else:
                waiting.errback(outcome)
            self.assertEqual(self.flushLoggedErrors(), [])

    def serve_accounts(self, accounts: SqlAccounts) -> None:
        """Serve with accounts of another kind."""
        revoked = SqlRevocations(self.fixture.database, run_at_once, self.fixture.clock.seconds)
        is_phone, look = phone_rule("cn-mobile"), self.fixture.change_feed.look
        logins = Logins(accounts, revoked, OPEN, self.fixture.tokens, is_phone, "open", None, True, look)
        self.serve(logins, self.fixture.lists)


class MountedTests(ApiTestCase):
    """The account service beside other resources."""

    def serve(self, logins: Logins, lists: ContactLists) -> None:
        """Serve them as children of a site that has others."""
        api = self.fixture.api(logins, lists)
        root = Resource()
        root.putChild(b"account", api)
        root.putChild(b"getContactPersons", api)
        root.putChild(b"contacts", api)
        self.wire = HttpWire(CappedSite(root, Clock()))

    def test_same_paths(self) -> None:
        """The paths are the same there."""
        token = self.login()
        self.assertEqual(self.post(CONTACTS, {"phone": PHONE, "token": token}).json()["contacts"], [])
        self.assert_error(0, ADD, {"contact_phone": FRIEND, "token": token})
        self.assert_error(2, "/contacts/other", b"{}", 404)
        self.assert_error(2, "/account/other", b"{}", 404)
        self.assert_error(2, "/account", b"{}", 404)


class _BrokenAccounts(SqlAccounts):
    """Accounts with an outcome of their own."""

    def __init__(self, outcome: Deferred[Any]) -> None:
        self._outcome = outcome

    def enrol(self, address: DeviceAddress, offer: bytes) -> Deferred[Enrolled]:  # noqa: ARG002
        return self._outcome

    def find(self, address: DeviceAddress) -> Deferred[Enrolled | None]:  # noqa: ARG002
        return self._outcome

    def used(self, address: DeviceAddress) -> None:
        """Take no note."""

    def claim(self, address: DeviceAddress, offered: bytes, now: float) -> Deferred[bool]:  # noqa: ARG002
        return self._outcome

    def offer(self, address: DeviceAddress, offer: bytes, now: float) -> Deferred[None]:  # noqa: ARG002
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
