"""Tests of the account service over HTTP: the properties of every answer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.contact_lists import ContactLists
from callnet.accounts.logins import Logins
from callnet.web.http import CappedSite
from tests.support.account_fixture import FRIEND, PHONE, ServiceFixture
from tests.support.http_wire import Answer, HttpWire

LOGIN = "/account/login"
CONTACTS = "/getContactPersons"
REFRESH = "/account/refresh"
LOGOUT = "/account/logout"
ADD = "/contacts/add"
REMOVE = "/contacts/remove"
BLOCK = "/contacts/block"
UNBLOCK = "/contacts/unblock"
CHANGES = (ADD, REMOVE, BLOCK, UNBLOCK)
MARK = "s3cret-m4rk"
"""A mark that no answer and no line of the log may repeat."""

NAMES = {
    0: "ERROR_CODE_NONE",
    1: "ERROR_CODE_INTERNAL_ERROR",
    2: "ERROR_CODE_DATA_INVALID",
    3: "ERROR_CODE_PHONE_INVALID",
    4: "ERROR_CODE_TOKEN_INVALID",
    5: "ERROR_CODE_DEVICE_INVALID",
    6: "ERROR_CODE_RATE_LIMITED",
    7: "ERROR_CODE_CODE_INVALID",
    8: "ERROR_CODE_PHOTOS_FULL",
}


class ApiTestCase(SynchronousTestCase):
    """The account service on one connection."""

    def setUp(self) -> None:
        """A service that nobody has used."""
        self.fixture = ServiceFixture()
        self.addCleanup(self.fixture.database.close)
        self.serve(self.fixture.logins, self.fixture.lists)

    def serve(self, logins: Logins, lists: ContactLists) -> None:
        """Serve these on a new connection."""
        self.wire = HttpWire(
            CappedSite(
                self.fixture.api(logins, lists),
                Clock(),
            )
        )

    def post(self, path: str, body: bytes | dict[str, Any], *headers: str) -> Answer:
        """Ask, and check the properties of every answer."""
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
            for secret in (MARK, PHONE, FRIEND, "eyJ"):
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
