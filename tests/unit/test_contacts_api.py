"""The lists of a phone over HTTP: a real site, the real service, a database in memory."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import LogLevel, capturedLogs, formatEvent

from callnet.model import BLOCKED_MAX, CONTACTS_MAX
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from tests.support.account_fixture import FRIEND, PHONE, TV
from tests.support.api_case import ADD, BLOCK, CHANGES, CONTACTS, LOGOUT, MARK, REMOVE, UNBLOCK, ApiTestCase
from tests.unit.test_api_fields import CONTROLS, LONE_SURROGATES, NO_UTF8, WRONG_TYPES, with_field


class ChangesTests(ApiTestCase):
    """``/contacts/add``, ``/contacts/remove``, ``/contacts/block`` and ``/contacts/unblock``."""

    def setUp(self) -> None:
        """A device that is logged in, and a body for any of the calls."""
        super().setUp()
        self.token = self.login()
        self.body = {"token": self.token, "contact_phone": FRIEND}

    def pairs(self) -> list[Pair]:
        """All contact lists."""
        return list(contacts.pairs_of(self.fixture.database, None))

    def blocked(self) -> frozenset[str]:
        """The numbers that the phone blocks."""
        return self.successResultOf(self.fixture.contacts.blocked_by(PHONE))

    def do(self, path: str, body: dict[str, Any], *headers: str) -> None:
        """The call succeeds, and its answer has nothing but the envelope."""
        answer = self.post(path, body, *headers)
        self.assertEqual(answer.json(), {"errorCode": 0, "errorCodeName": "ERROR_CODE_NONE", "message": "ok"})
        self.assertEqual((answer.status, answer.headers["cache-control"]), (200, "no-store"))

    def message(self, path: str, body: bytes | dict[str, Any]) -> tuple[int, str]:
        """The errorCode and the message of the answer."""
        fields = self.post(path, body).json()
        return fields["errorCode"], fields["message"]

    def test_add(self) -> None:
        """A contact is put in the caller's list; only a name that is given changes its name."""
        for given, is_then in (({"name": "a"}, "a"), ({}, "a"), ({"name": None}, "a"), ({"name": ""}, "")):
            self.do(ADD, self.body | given)
            self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, is_then)])

    def test_add_is_seen_in_the_list(self) -> None:
        """The list that the caller reads has the contact, as long as it is there, blocked or not."""
        self.login(FRIEND, "tv")
        listed = [{"phone": FRIEND, "device_id": "tv", "name": "电视 📺", "online": False}]
        steps = [(ADD, listed), (BLOCK, listed), (UNBLOCK, listed), (REMOVE, [])]
        for path, rows in steps:
            self.do(path, self.body | {"name": "电视 📺"})
            self.assertEqual(self.post(CONTACTS, {"phone": PHONE, "token": self.token}).json()["contacts"], rows)

    def test_again(self) -> None:
        """A repeated change succeeds, also if it never changed anything."""
        for path, in_list, is_blocked in (
            (REMOVE, False, False),
            (UNBLOCK, False, False),
            (ADD, True, False),
            (BLOCK, True, True),
            (REMOVE, False, True),
            (UNBLOCK, False, False),
        ):
            for _ in range(2):
                self.do(path, self.body)
                self.assertEqual((bool(self.pairs()), bool(self.blocked())), (in_list, is_blocked))

    def test_token_in_the_header(self) -> None:
        """The token may be in the header; one in the body counts more."""
        body = {"contact_phone": FRIEND}
        for path in CHANGES:
            self.do(path, body, f"Authorization: Bearer {self.token}")
            self.do(path, {**body, "token": None}, f"Authorization: bearer  {self.token}")
            self.do(path, self.body, "Authorization: Bearer x")
            answer = self.post(path, {**body, "token": "x"}, f"Authorization: Bearer {self.token}")
            self.assertEqual(answer.json()["errorCode"], 4)

    def test_without_a_token(self) -> None:
        """A call without a token says so, and an empty or bad one is errorCode 4."""
        for path in CHANGES:
            for header in ("X: y", "Authorization: Bearer", "Authorization: Basic x", "Authorization: \xff"):
                fields = self.post(path, {"contact_phone": FRIEND}, header).json()
                self.assertEqual((fields["errorCode"], fields["message"]), (2, "token is missing"))
            for value in WRONG_TYPES[1:]:
                self.assert_error(2, path, with_field(self.body, "token", value))
            answer = self.message(path, with_field(self.body, "token", f'["{MARK}"]'))
            self.assertEqual(answer, (2, "token must be a string"))
            for bad in ("", "x", "e30.e30.", MARK, self.token + "x", "x" * 15_000):
                self.assert_error(4, path, self.body | {"token": bad})
        self.assertEqual((self.pairs(), self.blocked()), ([], frozenset()))

    def test_tokens_that_ended(self) -> None:
        """A token that was logged out, or has expired, is errorCode 4."""
        self.do(LOGOUT, {"token": self.token})
        other = self.login()
        for path in CHANGES:
            self.assert_error(4, path, self.body)
            self.assert_error(0, path, self.body | {"token": other})
        self.fixture.clock.advance(3600)
        for path in CHANGES:
            self.assert_error(4, path, self.body | {"token": other})

    def test_only_the_callers_own_lists(self) -> None:
        """The list is that of the token's phone, whatever other phone a body names."""
        for path in CHANGES[::2]:
            self.do(path, self.body | {"phone": FRIEND, "owner": FRIEND})
        self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND)])
        self.assertEqual(self.blocked(), {FRIEND})

    def test_oneself(self) -> None:
        """Adding or blocking oneself is errorCode 3, with a message that says so."""
        for path in (ADD, BLOCK):
            answer = self.message(path, self.body | {"contact_phone": PHONE})
            self.assertEqual(answer, (3, "contact_phone is the caller's own number"))
        for path in (REMOVE, UNBLOCK):
            self.do(path, self.body | {"contact_phone": PHONE})

    def test_accounts_make_no_difference(self) -> None:
        """No answer shows if the other phone has an account."""
        self.login(FRIEND)
        for path in CHANGES:
            with_account, without = (
                self.wire.request("POST", path, json.dumps(self.body | {"contact_phone": phone}).encode())
                for phone in (FRIEND, "13651884960")
            )
            self.assertEqual(with_account.body, without.body)
            self.assertEqual(with_account.headers.keys(), without.headers.keys())

    def test_names(self) -> None:
        """A name has at most 64 characters, none of them a control character; else it is errorCode 2."""
        for value in ('""', '"\\ud83d\\udcfa"', f'"{"名" * 64}"', "null"):
            self.assert_error(0, ADD, with_field(self.body, "name", value))
        self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, "名" * 64)])
        for value in WRONG_TYPES[1:]:
            self.assert_error(2, ADD, with_field(self.body, "name", value))
        answer = self.message(ADD, with_field(self.body, "name", f'["{MARK}"]'))
        self.assertEqual(answer, (2, "name must be a string"))
        for text in (*CONTROLS, MARK + "x" * 1000, "名" * 65, "x" * 15_000):
            code, message = self.message(ADD, with_field(self.body, "name", f'"{text}"'))
            self.assertEqual((code, message), (2, "name has more than 64 characters or control characters"))
        for raw in (*NO_UTF8, *(text.encode() for text in LONE_SURROGATES)):
            self.assert_error(2, ADD, with_field(self.body, "name", b'"' + raw + b'"'))
        self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, "名" * 64)])

    def test_names_of_the_other_calls(self) -> None:
        """The other calls have no name: one in the body is ignored."""
        for path in (REMOVE, BLOCK, UNBLOCK):
            for name in (1, "\0", ["x"], "x" * 10_000):
                self.do(path, self.body | {"name": name})

    def test_full_lists(self) -> None:
        """A list that is full is errorCode 2, with a message that says so and how many it takes."""
        others = [str(number) for number in range(CONTACTS_MAX)]
        contacts.add(self.fixture.database, [Pair(PHONE, phone) for phone in others], 0.0)
        self.assertEqual(self.message(ADD, self.body), (2, "the list is full: at most 1000 phones"))
        with self.fixture.database.write() as connection:
            rows = [(PHONE, str(number)) for number in range(BLOCKED_MAX)]
            connection.exec_driver_sql("INSERT INTO blocked (owner, phone) VALUES (?, ?)", rows)
        self.assertEqual(self.message(BLOCK, self.body), (2, "the list is full: at most 1000 phones"))
        for path in (REMOVE, UNBLOCK):
            self.do(path, self.body)

    def test_last_duplicate_counts(self) -> None:
        """The last of duplicate keys counts."""
        twice = f'{{"name":1,"contact_phone":[],"token":"{self.token}","contact_phone":"{FRIEND}","name":"b"}}'
        self.assert_error(0, ADD, twice.encode())
        self.assertEqual(self.pairs(), [Pair(PHONE, FRIEND, "b")])

    def test_paths_and_methods(self) -> None:
        """There is no other path nearby, and no other method."""
        for path in ("/contacts", "/contacts/", "/contacts/all", "/contacts/add/", "/contacts//add", "/Contacts/add"):
            self.assert_error(2, path, self.body, 404)
        for path in CHANGES:
            for method in ("GET", "PUT", "DELETE", "OPTIONS"):
                answer = self.wire.request(method, path)
                self.assert_envelope(answer)
                self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))
            self.assert_error(2, path, json.dumps(self.body).encode() + b" " * 64 * 1024, 413)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_database_is_away(self) -> None:
        """While the database is away the answer is a 503, and the log gives the reason without phones."""
        token = self.fixture.tokens.issue(TV)
        with self.fixture.database.write() as connection:
            for table in ("contact", "blocked"):
                connection.exec_driver_sql(f"DROP TABLE {table}")
        for path in CHANGES:
            with capturedLogs() as events:
                answer = self.post(path, {"token": token, "contact_phone": FRIEND, "name": MARK})
            self.assertEqual((answer.status, answer.json()["errorCode"]), (503, 1))
            (warning,) = (formatEvent(event) for event in events if event["log_level"] is LogLevel.warn)
            self.assertIn("no such table", warning)
            for secret in (PHONE, FRIEND, MARK, token):
                self.assertNotIn(secret, warning)
        self.assertEqual(self.flushLoggedErrors(), [])
