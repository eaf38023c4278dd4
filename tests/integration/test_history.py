"""The history of calls, on real daemons: what has ended is written down, whatever becomes of the process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from callnet.client import Account
from callnet.client.device import Device
from callnet.client.frames import Frame
from callnet.model import DeviceAddress
from tests.checked_client import connect
from tests.daemon import Daemon
from tests.integration.test_workers import WorkersTestCase, workers_of
from tests.processes import stopped

PHONE, FRIEND = "13651884967", "13651884968"

reactor: Any = installed


async def talk(phone: Device, tv: Device, called: Deferred[Frame]) -> str:
    """Have a telephone call the friend's television, which accepts; the room."""
    answer = phone.call(FRIEND, "tv")
    tv.accept(await called)
    return str((await answer).room_id)


def first(kind: str) -> tuple[Deferred[Frame], Callable[[Frame], None]]:
    """Fires with the first frame of a type; and what takes the frames."""
    found: Deferred[Frame] = Deferred()

    def take(frame: Frame) -> None:
        if frame.type == kind and not found.called:
            found.callback(frame)

    return found, take


async def killed_after_a_call(daemon: Daemon, account: Account) -> str:
    """Have two devices on two workers call each other, and kill the television's the moment the call ends; its room."""
    one, other = workers_of(daemon)
    tokens = [await account.login(*who) for who in ((FRIEND, "tv"), (PHONE, "phone"))]
    called, take = first("called")
    with stopped(one):
        tv = await connect(daemon.signaling_url, tokens[0], reactor, on_frame=take)
    over, take = first("calling_be_hangup")
    with stopped(other):
        phone = await connect(daemon.signaling_url, tokens[1], reactor, on_frame=take)
    room = await talk(phone, tv, called)
    tv.hang_up(DeviceAddress(PHONE, "phone"), room)
    await over
    os.kill(other, signal.SIGKILL)
    return room


async def histories(account: Account) -> tuple[list[tuple[str, str]], ...]:
    """The rooms and outcomes of the calls of both phones."""
    found = []
    for phone in (PHONE, FRIEND):
        token = await account.login(phone, "other")
        answer = await account.post("/calls/history", {"token": token})
        found.append([(call["room_id"], call["outcome"]) for call in answer["calls"]])
    return tuple(found)


class OneProcessTests(TestCase):
    """One process, and SQLite."""

    async def test_stopped(self) -> None:
        """What ends just before the daemon is stopped is there when it is started again."""
        daemon = Daemon(self.mktemp())
        self.addCleanup(daemon.stop)
        await daemon.start()
        account = Account(daemon.account_url, reactor)
        called, take = first("called")
        tv = await connect(daemon.signaling_url, await account.login(FRIEND, "tv"), reactor, on_frame=take)
        over, take = first("calling_be_hangup")
        phone = await connect(daemon.signaling_url, await account.login(PHONE, "phone"), reactor, on_frame=take)
        room = await talk(phone, tv, called)
        tv.hang_up(DeviceAddress(PHONE, "phone"), room)
        await over
        await daemon.stop()
        await daemon.start()
        rows = [(room, "answered")]
        self.assertEqual((rows, rows), await histories(Account(daemon.account_url, reactor)))


class KilledTests(WorkersTestCase):
    """Two workers that meet over Redis."""

    async def test_killed(self) -> None:
        """What has ended on a worker that is killed the moment after is written down by another."""
        await self.become_ready()
        room = await killed_after_a_call(self.daemon, self.account)
        rows = [(room, "answered")]
        while (rows, rows) != await histories(self.account):
            await deferLater(reactor, 0.1)
