"""Devices that sleep are woken, on a real daemon with two workers, by a real gateway of the operator's."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from callnet_client import AccountError, ErrorCode
from tests.integration.test_workers import WorkersTestCase, workers_of
from tests.support.devices import NodeLifecycle, log_in, member, service_of
from tests.support.processes import stopped
from tests.support.shared_daemon import new_phone
from tests.support.shared_port import serve

GRACE = 1.0
RING_TIME = 20.0
AGAIN = 1.0
"""Seconds between two calls: there is a limit."""

reactor: Any = installed


class Gateway(Resource):
    """Receives the requests to wake devices."""

    isLeaf = True  # noqa: N815  Twisted's name

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.status = 200
        self.woken: list[dict[str, Any]] = []
        self.next: Deferred[dict[str, Any]] = Deferred()

    def render_POST(self, request: Request) -> bytes:
        """Take note of a device."""
        content: Any = request.content
        event = json.loads(content.read())
        self.woken.append(event)
        request.setResponseCode(self.status)
        if not self.next.called:
            self.next.callback(event)
        return b""


class WakingTests(WorkersTestCase):
    """Ann has a telephone, Bert a television that sleeps."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Let the television register, and sleep."""
        self.gateway = Gateway()
        url = f"http://{serve(self, 'waking', Site(self.gateway))}/wake"
        self.ann, self.bert = new_phone(), new_phone()
        self.settings = (
            f'push.gateway = {{ url = "{url}", secret = "{"s" * 32}" }}\n'
            f"calls = {{ grace = {GRACE}, ring_time = {RING_TIME} }}"
        )
        await super().setUp()
        await self.become_ready()
        self.one, self.other = workers_of(self.daemon)
        self.ann_token = await log_in(self.service, self.ann, "phone")
        self.tv_token = await log_in(self.service, self.bert, "tv")
        await self.register()
        await self.service.post("/contacts/add", {"token": self.tv_token, "contact_phone": self.ann, "name": "Ann"})

    async def register(self) -> None:
        """Register the television, again and again while Redis has just begun: another node may yet announce it."""
        fields = {"token": self.tv_token, "kind": "webhook", "target": "box 7"}
        while True:
            try:
                await self.service.post("/devices/push", fields)
            except AccountError as error:
                if error.code != ErrorCode.INTERNAL:
                    raise
                await deferLater(reactor, 0.5)
            else:
                return

    async def sleeps(self) -> None:
        """Let the television come, so that it is known, and go for longer than the grace."""
        with stopped(self.one):
            tv = await member(self, self.service, self.bert, "tv", token=self.tv_token)
        await tv.goes()
        await deferLater(reactor, GRACE + 0.5)

    async def telephone(self) -> NodeLifecycle:
        """Connect Ann's telephone at the other worker."""
        with stopped(self.other):
            return await member(self, self.service, self.ann, "phone", token=self.ann_token)

    async def why_not(self, phone: NodeLifecycle) -> str:
        """Why the television cannot be called. While Redis is new nodes do not know yet that nobody else knows."""
        reason = "unavailable"
        while reason == "unavailable":
            call = phone.calls(self.bert, "tv")
            await call.until("over")
            reason = call.reason
            await deferLater(reactor, AGAIN)
        return reason

    async def told(self, event: str) -> dict[str, Any]:
        """The first event of this name that the gateway was told of the television."""
        while True:
            for one in self.gateway.woken:
                if (one["phone"], one["event"]) == (self.bert, event):
                    return one
            self.gateway.next = Deferred()
            await self.gateway.next

    async def test_woken(self) -> None:
        """The gateway is told which device, and who calls; the call rings, and is answered when it has come."""
        await self.sleeps()
        phone = await self.telephone()
        call = phone.calls(self.bert, "tv")
        event = await self.gateway.next
        told = tuple(event[name] for name in ("event", "phone", "device_id", "target"))
        self.assertEqual(("wake", self.bert, "tv", "box 7"), told)
        self.assertEqual((self.ann, "Ann"), (event["from_phone"], event["from_name"]))
        self.assertNotIn("room_id", event)
        tv = await member(self, self.service, self.bert, "tv", token=self.tv_token)
        (await tv.ringing.get()).accept()
        self.assertEqual("active", await call.until("active"))
        self.assertEqual((self.bert, "tv"), call.peer)

    async def test_given_up(self) -> None:
        """If the caller gives up before it has come, the gateway is told so, by the same name of the call."""
        await self.sleeps()
        phone = await self.telephone()
        call = phone.calls(self.bert, "tv")
        woken = await self.told("wake")
        call.hang_up()
        ended = await self.told("ring_ended")
        told = tuple(ended[name] for name in ("event", "device_id", "target", "reason", "call"))
        self.assertEqual(("ring_ended", "tv", "box 7", "cancelled", woken["call"]), told)

    async def test_after_a_restart(self) -> None:
        """A restarted daemon knows the sleeping devices, though nobody has connected since."""
        await self.daemon.stop()
        await self.daemon.start()
        self.service = service_of(self.daemon)
        await self.become_ready()
        self.one, self.other = workers_of(self.daemon)
        phone = await self.telephone()
        while not self.gateway.woken:
            phone.calls(self.bert, "tv")
            await deferLater(reactor, AGAIN)

    async def test_not_known_there(self) -> None:
        """A gateway that does not know the device ends the call, and is not asked again."""
        await self.sleeps()
        self.gateway.status = 410
        phone = await self.telephone()
        for _ in range(2):
            self.assertEqual("offline", await self.why_not(phone))
        self.assertEqual(1, len(self.gateway.woken))

    async def test_refused_first(self) -> None:
        """A caller that Bert blocks wakes nobody."""
        await self.service.post("/contacts/block", {"token": self.tv_token, "contact_phone": self.ann})
        await self.sleeps()
        phone = await self.telephone()
        self.assertEqual("offline", await self.why_not(phone))
        self.assertEqual([], self.gateway.woken)

    async def test_logged_out(self) -> None:
        """A device that has logged out is not woken any more."""
        await self.sleeps()
        await self.service.post("/account/logout", {"token": self.tv_token})
        await deferLater(reactor, 3)
        phone = await self.telephone()
        self.assertEqual("offline", await self.why_not(phone))
        self.assertEqual([], self.gateway.woken)
