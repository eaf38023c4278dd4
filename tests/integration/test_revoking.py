"""Tokens that are revoked, on real processes that know of each other only by the database and Redis."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.utils import getProcessOutputAndValue

from callnet.client.device import Device
from callnet.client.errors import AccountError, UpgradeRefused
from callnet.client.frames import Frame
from tests.checked_client import connect
from tests.daemon import BIN
from tests.integration.test_workers import PHONE, WorkersTestCase, workers_of
from tests.processes import stopped

reactor: Any = installed


class RevokingTests(WorkersTestCase):
    """A device of one worker is in a call with one of the other."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Let them talk."""
        await super().setUp()
        await self.become_ready()
        one, other = workers_of(self.daemon)
        self.tokens = {device: await self.account.login(PHONE, device) for device in ("tv", "phone")}
        self.frames: DeferredQueue[Frame] = DeferredQueue()
        called: Deferred[Frame] = Deferred()
        with stopped(one):
            self.tv = await self.connected("tv", lambda frame: None if called.called else called.callback(frame))
        with stopped(other):
            self.phone = await self.connected("phone", self.hear)
        answer = self.call(called)
        self.tv.accept(await called)
        self.room = (await answer).room_id

    def hear(self, frame: Frame) -> None:
        """Take note of what ends the telephone's call."""
        if frame.type == "calling_be_hangup":
            self.frames.put(frame)

    def connected(self, device: str, on_frame: Any) -> Deferred[Device]:
        """A device with a socket."""
        return connect(self.daemon.signaling_url, self.tokens[device], reactor, on_frame=on_frame)

    def call(self, called: Deferred[Frame]) -> Deferred[Any]:
        """Call the television until it is called: it may be connected a moment before other nodes know of it."""
        answer = self.phone.call(PHONE, "tv")
        return answer.addCallback(lambda came: came if came.accepted else self.call(called))

    async def assert_over(self) -> None:
        """The television is disconnected, and its peer is told; its token is good nowhere."""
        self.assertEqual(4401, (await self.tv.when_closed()).code)
        ended = await self.frames.get()
        self.assertEqual((self.room, "revoked"), (ended.room_id, ended.text("reason")))
        for pid in workers_of(self.daemon):
            with stopped(pid):
                await self.refused()
                await self.assertFailure(self.connected("tv", None), UpgradeRefused)

    async def refused(self) -> None:
        """Ask until the worker that answers has looked at what is revoked."""
        with self.assertRaises(AccountError):
            while True:
                await self.account.contacts(PHONE, self.tokens["tv"])

    async def test_logout(self) -> None:
        """A device that logs out, at whichever worker, is disconnected and leaves its call."""
        await self.account.post("/account/logout", {"token": self.tokens["tv"]})
        await self.assert_over()

    async def test_operator(self) -> None:
        """So is one whose tokens the operator revokes on the command line."""
        command = os.path.join(BIN, "callnet")
        _, error, status = await getProcessOutputAndValue(
            command, ["account", "revoke", PHONE, "tv"], self.daemon.environ
        )
        self.assertEqual((b"", 0), (error, status))
        await self.assert_over()
