"""The operator of a daemon with two workers, over real sockets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import treq
from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.http_headers import Headers

from tests.integration.test_workers import shared_workers, workers_of
from tests.support.daemon import Daemon
from tests.support.devices import member, service_of
from tests.support.processes import stopped
from tests.support.shared_daemon import new_phone

OTHER: Final = "# of which a worker stands still, or which ends"

reactor: Any = installed


class OperatorMixin:
    """An operator with the key."""

    daemon: Daemon

    async def order(self, path: str, *, status: int = 200, silent: int = 0, **asked: Any) -> dict[str, Any]:
        """Have something done, or ask for something; again while more workers than ``silent`` do not answer in time."""
        key = Path(self.daemon.state_dir, "admin.key").read_text().strip()
        body: dict[str, Any] = {}
        code, expected = 503, {status}
        while code == 503 or body.get("silent", 0) > silent:
            response = await treq.post(
                f"{self.daemon.admin_url}/api/{path}",
                json.dumps(asked).encode(),
                headers=Headers({"Authorization": [f"Bearer {key}"]}),
                reactor=reactor,
                persistent=False,
            )
            code, body = response.code, json.loads(await response.content())
            if code == 503:
                expected.add(404)  # it may be done after all, and then there is nothing left to be done
        assert code in expected, (code, body)
        return body


class WorkersTests(OperatorMixin, TestCase):
    """The operator sees all workers, and an order finds the one that it is for."""

    async def begin(self, settings: str = "") -> None:
        """Have a daemon on which nobody is any more, and the devices."""
        self.daemon = await shared_workers(self, settings)
        while (await self.order("devices"))["devices"] or (await self.order("calls"))["calls"]:
            await deferLater(reactor, 0.2)
        await self.begin_call()
        self.addCleanup(self.end_call)

    async def end_call(self) -> None:
        """Leave no call that rings on."""
        call = self.caller.device.call
        if call is not None and self.caller.device.state == "online":
            call.hang_up()
            await self.callee.over.get()

    async def begin_call(self) -> None:
        """A device on each worker; one calls the other."""
        self.phone = new_phone()
        service = service_of(self.daemon)
        one, other = workers_of(self.daemon)
        with stopped(one):
            self.callee = await member(self, service, self.phone, "tv")
        with stopped(other):
            self.caller = await member(self, service, self.phone, "phone")
        await self.caller.reaches(self.callee)

    async def test_what_is_seen(self) -> None:
        """Devices of all workers are shown, and a call that two of them know is one."""
        await self.begin()
        devices = (await self.order("devices"))["devices"]
        self.assertEqual(sorted(device["device_id"] for device in devices), ["phone", "tv"])
        [call] = (await self.order("calls"))["calls"]
        self.assertEqual({device["call"] for device in devices}, {call["call"]})
        [device] = (await self.order("devices", phone=self.phone, limit=1))["devices"]
        self.assertEqual(device["address"], "127.0.0.1")

    async def test_a_call_is_ended(self) -> None:
        """A call is ended, on whichever worker, and is not there any more."""
        await self.begin()
        [call] = (await self.order("calls"))["calls"]
        await self.order("calls/end", call=call["call"])
        while (await self.order("calls"))["calls"]:
            await deferLater(reactor, 0.05)
        await self.order("calls/end", call=call["call"], status=404)
        self.assertEqual("shutting_down", (await self.callee.over.get()).reason)

    async def test_devices_are_sent_away(self) -> None:
        """A device is disconnected, and another one's tokens are revoked, whichever workers they are at."""
        await self.begin()
        away = self.callee.lost()
        await self.order("devices/disconnect", phone=self.phone, device_id="tv")
        self.assertEqual(await away, 1001)
        away = self.caller.lost()
        await self.order("devices/revoke", phone=self.phone, device_id="phone")
        self.assertEqual(await away, 4401)
        await self.caller.goes()
        await self.order("devices/disconnect", phone=self.phone, device_id="phone", status=404)

    async def test_nodes(self) -> None:
        """Both workers are nodes that are here, alive, with a device each."""
        await self.begin()
        seen: list[tuple[bool, int, bool]] = []
        while seen != [(True, 1, True)] * 2:  # one may have stood still for longer than its lease
            nodes = (await self.order("nodes"))["nodes"]
            seen = [(node["here"], node["holds"], 0 < node["lease"] <= 3) for node in nodes]

    async def test_a_dead_worker(self) -> None:
        """While a worker does not answer the result is marked incomplete, and the others do their part."""
        await self.begin(OTHER)
        one, _ = workers_of(self.daemon)
        with stopped(one):
            found = await self.order("devices", silent=1)
            self.assertEqual((found["silent"], len(found["devices"])), (1, 1))

    async def test_the_level_of_the_log(self) -> None:
        """All workers log as much as was chosen."""
        await self.begin()
        self.addCleanup(self.order, "log-level", level="info")
        await self.order("log-level", level="debug")
        [call] = (await self.order("calls"))["calls"]
        await self.order("calls/end", call=call["call"])
        await self.daemon.said(rf"#debug\] worker [12]: call {call['call']}: over shutting_down")

    async def test_drain(self) -> None:
        """It is drained, and ends by itself."""
        await self.begin(OTHER)
        away = self.callee.lost()
        await self.order("drain")
        self.assertEqual(await away, 1001)
        await self.daemon.said(r"Server Shut Down|Main loop terminated")
        await self.daemon.ended()
