"""Revoked tokens, on real processes that share only the database and Redis."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed

from callnet_client import AccountError, UpgradeRefused
from tests.integration.test_workers import WorkersTestCase, workers_of
from tests.support.commands import callnet
from tests.support.devices import member
from tests.support.processes import stopped
from tests.support.shared_daemon import new_phone

reactor: Any = installed


class RevokingTests(WorkersTestCase):
    """A device of one worker is in a call with one of the other."""

    settings = "limits = { account_requests_a_minute_of_a_device = 0, account_requests_a_minute_of_a_phone = 0 }"

    async def setUp(self) -> None:  # type: ignore[override]
        """Let them talk."""
        await super().setUp()
        self.number = new_phone()
        await self.become_ready()
        one, other = workers_of(self.daemon)
        with stopped(one):
            self.tv = await member(self, self.service, self.number, "tv")
        with stopped(other):
            self.phone = await member(self, self.service, self.number, "phone")
        self.token = self.tv.account.token or ""
        call = await self.phone.talks_to(self.tv)
        self.room = call.room_id
        while self.phone.over.pending:
            await self.phone.over.get()  # failures before the other worker knew of the television
        self.lost = self.tv.lost()

    async def assert_over(self) -> None:
        """The television is disconnected, and its peer is told; its token is good nowhere."""
        self.assertEqual(4401, await self.lost)
        await self.tv.goes()
        ended = await self.phone.over.get()
        self.assertEqual((self.room, "revoked"), (ended.room_id, ended.reason))
        for pid in workers_of(self.daemon):
            with stopped(pid):
                await self.refused()
                await self.assertFailure(self.service.connect(self.token, lambda _: None), UpgradeRefused)

    async def refused(self) -> None:
        """Ask until the answering worker has read the revocations."""
        with self.assertRaises(AccountError) as raised:
            while True:
                await self.service.post("/getContactPersons", {"phone": self.number, "token": self.token})
        self.assertEqual(4, raised.exception.code)

    async def test_logout(self) -> None:
        """A device that logs out, at whichever worker, is disconnected and leaves its call."""
        await self.service.post("/account/logout", {"token": self.token})
        await self.assert_over()

    async def test_operator(self) -> None:
        """So is a device whose tokens the operator revokes on the command line."""
        _, error, status = await callnet(self.daemon, "account", "revoke", self.number, "tv")
        self.assertEqual(("", 0), (error, status))
        await self.assert_over()
