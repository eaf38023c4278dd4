"""``callnet webhook``: events that a program of the operator did not accept."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from callnet.model import DeviceAddress
from callnet.storage.database import Database
from callnet.storage.outbox import DueEvent, OutboxEvent, SqlOutbox, Tried
from tests.support.immediate import run_at_once
from tests.unit.test_cli import A, B, CommandTestCase

DEAD, PUT_OFF, NEW = (f"{number:032x}" for number in range(3))
TOLD = f'webhooks = {{ url = "http://127.0.0.1:9/", secret = "{"s" * 32}" }}\n'


class WebhookCommandTests(CommandTestCase):
    """``callnet webhook``."""

    def setUp(self) -> None:
        """A dead letter, one that was put off, and one that is new."""
        super().setUp()
        database = Database(self.url)
        self.addCleanup(database.close)
        database.upgrade()
        self.outbox = SqlOutbox(database, run_at_once, contacts_only=False)
        events = [OutboxEvent(one, "call_ended", 0.5, b"{}", A, B) for one in (DEAD, PUT_OFF, NEW)]
        self.successResultOf(self.outbox.write(events[:2], 1.0))
        dead, put_off = self.due(1.0)
        tried = [Tried(dead, "status 404"), Tried(put_off, "TimeoutError", 9e9)]
        self.successResultOf(self.outbox.settle(tried, 2.0))
        self.successResultOf(self.outbox.write(events[2:], 1.0))

    def due(self, now: float) -> list[DueEvent]:
        """The events that are due."""
        due: Sequence[DueEvent] = self.successResultOf(self.outbox.take(9, now, now + 60))
        return list(due)

    def test_list(self) -> None:
        """Dead letters are listed, and on request waiting events; nobody is named."""
        dead = f"{DEAD}  call_ended       1970-01-01T00:00:00Z  dead      1  status 404\n"
        self.assertEqual(dead, self.run_("webhook", "list"))
        waiting = [
            f"{PUT_OFF}  call_ended       1970-01-01T00:00:00Z  waiting   1  TimeoutError\n",
            f"{NEW}  call_ended       1970-01-01T00:00:00Z  waiting   0\n",
        ]
        self.assertEqual(dead + "".join(waiting), self.run_("webhook", "list", "--waiting"))

    def test_retry(self) -> None:
        """A named event is due again."""
        self.assertEqual("1\n", self.run_("webhook", "retry", DEAD))
        self.assertEqual("", self.run_("webhook", "list"))
        self.assertEqual(2, len(self.due(8e9)))

    def test_retry_all(self) -> None:
        """All dead letters are due again, and postponed events."""
        self.assertEqual("2\n", self.run_("webhook", "retry", "--all"))
        self.assertEqual(3, len(self.due(8e9)))

    def test_drop(self) -> None:
        """A dropped event is not sent."""
        self.assertEqual("2\n", self.run_("webhook", "drop", DEAD, NEW))
        self.assertEqual(1, len(self.run_("webhook", "list", "--waiting").splitlines()))
        self.assertEqual("1\n", self.run_("webhook", "drop", "--all"))
        self.assertEqual([], self.due(9e9))

    def test_which(self) -> None:
        """It takes ids that there are, or all."""
        for command in ("retry", "drop"):
            self.assert_one_line(self.fail_("webhook", command), "--all")
            self.assert_one_line(self.fail_("webhook", command, DEAD, "--all"), "--all")
            self.assert_one_line(self.fail_("webhook", command, "x"), "0 of these 1 letters")

    def test_add(self) -> None:
        """Devices that the operator makes are told of, if anybody is told."""
        self.run_("account", "add", A, "tv")
        self.config.write_text(f"{self.config.read_text()}{TOLD}")
        self.run_("account", "add", A, "tv", "pad")
        self.run_("webhook", "drop", DEAD, PUT_OFF, NEW)
        [told] = self.successResultOf(self.outbox.take(9, 9e9, 9e9))
        body = json.loads(told.body)
        self.assertEqual(
            ("device_enrolled", DeviceAddress(A, "pad")), (body["event"], (body["phone"], body["device_id"]))
        )
        self.assertTrue(re.fullmatch("[0-9a-f]{32}", told.id))

    def test_export_and_delete(self) -> None:
        """A phone's waiting events are part of its stored data, and are not sent when these are removed."""
        exported = json.loads(self.run_("account", "export", B))
        self.assertEqual([{}, {}, {}], exported["untold"])
        self.run_("account", "delete", B, "--yes")
        self.assertEqual("", self.run_("webhook", "list", "--waiting"))
