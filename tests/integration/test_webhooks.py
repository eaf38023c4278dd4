"""Delivery of all events to a program of the operator, by real daemons, whatever happens to either."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from callnet.ops.webhooks import LEASE
from tests.integration.test_history import killed_after_a_call
from tests.integration.test_workers import shared_workers
from tests.support.commands import callnet
from tests.support.daemon import Daemon
from tests.support.devices import log_in, member, service_of
from tests.support.processes import ProcessEnd
from tests.support.shared_daemon import new_phone, shared_daemon
from tests.support.shared_port import serve

SECRET = "what-both-of-us-know-and-nobody-else"
PATIENCE = LEASE + 60.0
"""Seconds that anything may take on a machine that is busy with other tests. What a process had just sent when it was
killed is sent again after its lease."""

reactor: Any = installed


class Told(Resource):
    """Takes events, if they are callnet's, and answers them as a test says."""

    isLeaf = True  # noqa: N815  Twisted's name

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.answers: list[int] = []
        """The next statuses; when there are none left it is 200."""
        self.sent: list[tuple[dict[str, Any], int]] = []
        """The events that came, with the answers that they got."""

    def render_POST(self, request: Request) -> bytes:
        """Take an event."""
        content: Any = request.content
        body = content.read()
        sent_at, _, signed = (request.getHeader("callnet-signature") or "").removeprefix("t=").partition(",v1=")
        expected = hmac.digest(SECRET.encode(), f"{sent_at}.".encode() + body, hashlib.sha256).hex()
        assert hmac.compare_digest(signed, expected)
        event = json.loads(body)
        assert event["id"] == request.getHeader("callnet-event")
        status = self.answers.pop(0) if self.answers else 200
        self.sent.append((event, status))
        request.setResponseCode(status)
        return b""

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The events that were taken, each once."""
        return list({event["id"]: event for event, status in self.sent if status == 200}.values())

    def kinds(self) -> list[str]:
        """The kinds of events, in alphabetical order: they may come in any."""
        return sorted(event["event"] for event in self.taken)

    def of(self, kind: str) -> dict[str, Any]:
        """The one event of this kind."""
        [found] = [event for event in self.taken if event["event"] == kind]
        return found


class WebhooksTestCase(TestCase):
    """Somebody who is told, and a daemon."""

    timeout = 240

    def setUp(self) -> None:
        """Somebody who is told."""
        self.told = Told()
        self.phone, self.friend = new_phone(), new_phone()
        url = f"http://{serve(self, 'webhooks', Site(self.told))}/events?for=callnet"
        self.settings = f'webhooks = {{ url = "{url}", secret = "{SECRET}" }}'

    async def begin(self) -> None:
        """Have the daemon."""
        self.daemon: Daemon = await shared_daemon(self, self.settings)
        self.service = service_of(self.daemon)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        until = reactor.seconds() + PATIENCE
        while not condition():
            self.assertLess(reactor.seconds(), until, f"this takes too long; told: {self.told.sent}")
            await deferLater(reactor, 0.05)

    async def run_command(self, *arguments: str) -> str:
        """Run ``callnet`` beside the daemon."""
        out, error, status = await callnet(self.daemon, *arguments)
        self.assertEqual(("", 0), (error, status))
        return out.strip()

    def assert_nothing_logged(self, *rooms: str) -> None:
        """Assert that the log has neither phones nor addresses nor rooms, and no traceback."""
        for secret in (self.phone, self.friend, SECRET, "for=callnet", "Traceback", *rooms):
            self.assertNotIn(secret, self.daemon.log)


class StoryTests(WebhooksTestCase):
    """One process, and SQLite."""

    async def test_story(self) -> None:
        """Devices are enrolled, a call rings, is answered and ends, another is missed: each is told, once."""
        await self.begin()
        tv = await member(self, self.service, self.friend, "tv")
        phone = await member(self, self.service, self.phone, "phone")
        call = await phone.talks_to(tv)
        await self.until(lambda: len(self.told.taken) == 4)
        self.assertEqual(["call_answered", "call_started", *["device_enrolled"] * 2], self.told.kinds())
        call.hang_up()
        await phone.over.get()
        await self.until(lambda: "call_ended" in self.told.kinds())
        await tv.goes()
        await deferLater(reactor, 0.1)
        in_vain = phone.calls(self.friend, "tv")
        await in_vain.until("over")
        self.assertEqual("offline", in_vain.reason)
        await self.until(lambda: "call_missed" in self.told.kinds())
        self.assertEqual(
            ["call_answered", "call_ended", "call_missed", "call_started", *["device_enrolled"] * 2], self.told.kinds()
        )
        self.assertEqual(6, len(self.told.sent))
        ended, missed = self.told.of("call_ended"), self.told.of("call_missed")
        caller, called_device = {"phone": self.phone, "device_id": "phone"}, {"phone": self.friend, "device_id": "tv"}
        for event in (ended, missed, self.told.of("call_started"), self.told.of("call_answered")):
            self.assertEqual((caller, called_device), (event["caller"], event["called"]))
        self.assertEqual(1, len({self.told.of(f"call_{kind}")["call"] for kind in ("started", "answered", "ended")}))
        self.assertEqual("hangup", ended["reason"])
        self.assertTrue(ended["started_at"] <= ended["answered_at"] <= ended["at"])
        self.assertFalse(missed["rang"])
        self.assertNotIn(call.room_id, json.dumps(self.told.sent))
        self.assert_nothing_logged(call.room_id)

    async def test_again(self) -> None:
        """An event that was not accepted is sent again, by the process after one that was stopped or killed."""
        await self.begin()
        self.told.answers[:] = [500] * 1000
        await log_in(self.service, self.phone, "tv")
        await self.until(lambda: self.told.sent)
        await self.daemon.stop()
        sent = len(self.told.sent)
        await self.daemon.start()
        await self.until(lambda: len(self.told.sent) > sent)
        os.kill(self.daemon.pid, signal.SIGKILL)
        await ProcessEnd(self.daemon.pid).reached
        self.assertEqual([], self.told.taken)
        self.told.answers.clear()
        await self.daemon.start()
        await self.until(lambda: self.told.taken)
        self.assertEqual((self.phone, "tv"), (self.told.taken[0]["phone"], self.told.taken[0]["device_id"]))
        self.assertEqual(1, len({event["id"] for event, _ in self.told.sent}))
        self.assert_nothing_logged()

    async def test_dead_letter(self) -> None:
        """An event that is refused for good is listed, and sent again when the operator wants it."""
        await self.begin()
        self.told.answers[:] = [410]
        await log_in(self.service, self.phone, "tv")
        listed = ""
        while not listed:
            listed = await self.run_command("webhook", "list")
        self.assertIn("status 410", listed)
        self.assertEqual(1, len(self.told.sent))
        self.assertEqual("1", await self.run_command("webhook", "retry", listed.split()[0]))
        await self.until(lambda: self.told.taken)
        while await self.run_command("webhook", "list", "--waiting"):
            pass  # the daemon has yet to record that it was taken
        self.assert_nothing_logged()


class WorkersTests(WebhooksTestCase):
    """Two workers that meet over Redis."""

    async def test_killed(self) -> None:
        """A call that rings on a worker that is killed is reported completely, each event by one worker."""
        self.daemon = await shared_workers(self, self.settings)
        room = await killed_after_a_call(self, self.daemon, self.phone, self.friend)

        def kinds() -> list[str]:
            # A call may have failed before the other worker knew of the television.
            return sorted(event["event"] for event in self.told.taken if event.get("rang", True))

        await self.until(lambda: len(kinds()) >= 5)
        self.assertEqual(["call_answered", "call_ended", "call_started", *["device_enrolled"] * 2], kinds())
        self.assertEqual({"phone": self.phone, "device_id": "phone"}, self.told.of("call_started")["caller"])
        self.assert_nothing_logged(room)
