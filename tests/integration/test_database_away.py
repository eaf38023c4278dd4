"""PostgreSQL is away, or hangs: logged-in devices go on, and new logins are told to try again."""

from __future__ import annotations

import atexit
import json
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from callnet.storage.database import LIMIT
from callnet_client import AccountError, ClientError
from harness.postgres import Server
from tests.support.devices import log_in, member, service_of
from tests.support.shared_daemon import new_phone, shared_daemon

reactor: Any = installed


@cache
def shared_server() -> tuple[Server, str]:
    """PostgreSQL for all tests, which leave it running, and the URL of a database."""
    server = Server()
    atexit.register(server.remove)
    return server, server.new_database_url()


class AwayTests(TestCase):
    """A daemon and its own PostgreSQL."""

    async def begin(self) -> None:
        """Have both, and log two devices in."""
        self.server, url = shared_server()
        self.daemon = await shared_daemon(self, f'database.url = "{url}"')
        self.service = service_of(self.daemon)
        self.phone = new_phone()
        self.tokens = {name: await log_in(self.service, self.phone, name) for name in ("tv", "phone")}

    async def call(self) -> None:
        """Connect the two with the tokens that they have, and have one call the other; nothing waits for PostgreSQL."""
        begin = reactor.seconds()
        callee, caller = [
            await member(self, self.service, self.phone, name, token=token) for name, token in self.tokens.items()
        ]
        await caller.talks_to(callee)
        self.assertLess(reactor.seconds() - begin, LIMIT)

    async def refused(self, waits: int) -> None:
        """A new device is told to try again, after PostgreSQL was waited for this many times."""
        begin = reactor.seconds()
        response = await treq.post(
            f"{self.daemon.account_url}/account/login",
            json={"phone": self.phone, "device_id": "new"},
            reactor=reactor,
            persistent=False,
        )
        answer = json.loads(await response.content())
        self.assertLess(reactor.seconds() - begin, (waits + 1) * LIMIT)
        self.assertEqual((response.code, response.headers.getRawHeaders("Retry-After")), (503, ["5"]))
        self.assertEqual((answer["errorCode"], answer["errorCodeName"]), (1, "ERROR_CODE_INTERNAL_ERROR"))

    async def admin(self, path: str) -> int:
        """The status of an answer to the operator."""
        response = await treq.get(f"{self.daemon.admin_url}{path}", reactor=reactor, persistent=False)
        await response.content()
        return int(response.code)

    def threads(self) -> int:
        """The number of threads of the daemon."""
        return len(list(Path(f"/proc/{self.daemon.pid}/task").iterdir()))

    async def test_it_crashes_and_comes_back(self) -> None:
        """Without it devices connect and call; logins are told at once to try again, and succeed when it is back."""
        await self.begin()
        self.server.crash()
        await self.refused(0)
        await self.call()
        error: Any = await self.assertFailure(
            self.service.post("/getContactPersons", {"phone": self.phone, "token": self.tokens["tv"]}), AccountError
        )
        self.assertEqual((error.status, error.code), (503, 1))
        self.assertEqual((await self.admin("/healthz"), await self.admin("/readyz")), (200, 503))
        self.server.start()
        await gatherResults(
            [log_in(self.service, self.phone, name) for name in ("tv", "phone", "new", "newer", "newest")]
        )
        self.assertNotIn("Traceback", self.daemon.log)
        self.assertNotIn(self.phone, self.daemon.log)

    async def test_it_hangs_and_goes_on(self) -> None:
        """While it hangs, logins are told to try again after 5 s, however many there are, and calls do not wait."""
        await self.begin()
        threads = self.threads()
        self.addCleanup(self.server.resume)
        self.server.pause()
        refused = gatherResults([Deferred.fromCoroutine(self.refused(1)) for _ in range(20)])
        await self.call()
        self.assertEqual((await self.admin("/healthz"), await self.admin("/readyz")), (200, 503))
        await refused
        self.assertLessEqual(self.threads(), max(threads, 8))
        self.server.resume()
        await log_in(self.service, self.phone, "new")
        self.assertNotIn("Traceback", self.daemon.log)

    async def test_it_hangs_and_the_daemon_is_stopped(self) -> None:
        """A daemon that waits for it, and has a call to record and devices connected, ends in time."""
        await self.begin()
        callee, caller = [
            await member(self, self.service, self.phone, name, token=token, extended=True)
            for name, token in self.tokens.items()
        ]
        call = await caller.talks_to(callee)
        self.addCleanup(self.server.resume)
        self.server.pause()
        call.hang_up()
        await callee.goes()
        logins = (log_in(self.service, self.phone, f"new{number}") for number in range(20))
        waiting = gatherResults([self.assertFailure(login, ClientError) for login in logins])
        await self.admin("/readyz")  # it asks the database too
        begin = reactor.seconds()
        await self.daemon.stop()
        self.assertLess(reactor.seconds() - begin, LIMIT)
        await waiting
        self.assertNotIn("Traceback", self.daemon.log)


class LockedTests(TestCase):
    """A daemon with SQLite, and another process that does not let it write."""

    async def test_the_daemon_is_stopped(self) -> None:
        """A daemon that has something to record ends in time."""
        daemon = await shared_daemon(self)
        service = service_of(daemon)
        phone = new_phone()
        callee = await member(self, service, phone, "tv", extended=True)
        caller = await member(self, service, phone, "phone")
        call = await caller.talks_to(callee)
        with closing(sqlite3.connect(Path(daemon.state_dir, "callnet.db"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            call.hang_up()
            await callee.goes()
            waiting = [self.assertFailure(log_in(service, phone, f"new{number}"), ClientError) for number in range(3)]
            begin = reactor.seconds()
            await daemon.stop()
            self.assertLess(reactor.seconds() - begin, LIMIT)
        await gatherResults(waiting)
        self.assertNotIn("Traceback", daemon.log)
