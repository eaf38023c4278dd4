"""Limits, on real daemons: two workers admit no more than one."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.web.client import Agent, FileBodyProducer, readBody
from twisted.web.http_headers import Headers

from callnet.redis.limits import TAKE_TIME
from tests.integration.test_workers import WorkersTestCase, workers_of
from tests.support.devices import NodeLifecycle, log_in, member
from tests.support.processes import stopped
from tests.support.shared_daemon import new_phone

HEARD = 5.0
"""Seconds after which a worker has heard of another's admissions, on a machine that is busy with other tests."""

reactor: Any = installed


class LimitsTestCase(WorkersTestCase):
    """Limits of logins and of calls."""

    settings = "limits = { logins_a_minute_of_a_phone = 3, calls_a_minute_of_a_device = 2 }"


class LoginsTests(LimitsTestCase):
    """Logins."""

    async def login(self, phone: str) -> tuple[int, int, str | None]:
        """Log in: the status, the ``errorCode``, and when to try again."""
        body = json.dumps({"phone": phone, "device_id": "tv"}).encode()
        url = f"{self.daemon.account_url}/account/login".encode("ascii")
        response = await Agent(reactor).request(b"POST", url, Headers(), FileBodyProducer(BytesIO(body)))
        retry_after = response.headers.getRawHeaders("retry-after")
        code = json.loads(await readBody(response))["errorCode"]
        return response.code, code, retry_after[0] if retry_after else None

    async def test_used_up(self) -> None:
        """A limit used up at one worker is answered 429 by the other, at once; other phones log in."""
        await self.become_ready()
        one, other = workers_of(self.daemon)
        phone = new_phone()
        with stopped(one):
            self.assertEqual([(200, 0, None)] * 3, [await self.login(phone) for _ in range(3)])
        with stopped(other):
            asked = reactor.seconds()
            status, code, retry_after = await self.login(phone)
            while status == 200 and reactor.seconds() - asked >= TAKE_TIME:  # Redis was late: the worker decided alone
                asked = reactor.seconds()
                status, code, retry_after = await self.login(phone)
            self.assertEqual((429, 6), (status, code))
            assert retry_after is not None
            self.assertTrue(1 <= int(retry_after) <= 20)
            self.assertEqual(200, (await self.login(new_phone()))[0])


class CallsTests(LimitsTestCase):
    """Calls."""

    async def fails(self, device: NodeLifecycle) -> str:
        """Call nobody; why that fails."""
        call = device.calls(new_phone(), "nobody")
        await call.until("over")
        return call.reason

    async def test_used_up(self) -> None:
        """A limit that a device used up at one worker is used up at the other, when it connects there."""
        await self.become_ready()
        one, other = workers_of(self.daemon)
        phone = new_phone()
        token = await log_in(self.service, phone, "tv")
        with stopped(one):
            device = await member(self, self.service, phone, "tv", token=token)
        # A new cluster does not know yet which devices are offline.
        self.assertNotIn("rate_limited", [await self.fails(device) for _ in range(2)])
        self.assertEqual("rate_limited", await self.fails(device))
        await deferLater(reactor, HEARD)
        with stopped(other):
            device = await member(self, self.service, phone, "tv", token=token)
        self.assertEqual("rate_limited", await self.fails(device))
