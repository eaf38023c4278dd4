"""The history of calls, on real daemons: ended calls are recorded, whatever happens to the process."""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from callnet_client import Account
from tests.integration.test_workers import WorkersTestCase, workers_of
from tests.support.daemon import Daemon
from tests.support.devices import member, service_of
from tests.support.processes import stopped
from tests.support.shared_daemon import new_phone, shared_daemon

reactor: Any = installed


async def killed_after_a_call(case: TestCase, daemon: Daemon, phone: str, friend: str) -> str:
    """Have devices on two workers call each other, and kill that of the friend's the moment the call ends; its room."""
    one, other = workers_of(daemon)
    service = service_of(daemon)
    with stopped(one):
        tv = await member(case, service, friend, "tv", extended=True)  # which is welcomed when it can be called
    with stopped(other):
        caller = await member(case, service, phone, "phone")
    call = await caller.talks_to(tv)
    while caller.over.pending:
        await caller.over.get()  # failures before the other worker knew of the television
    call.hang_up()
    await caller.over.get()
    os.kill(other, signal.SIGKILL)
    return call.room_id


async def histories(*accounts: Account) -> list[list[tuple[str, str]]]:
    """The rooms and outcomes of the calls of accounts' phones."""
    pasts = [await account.history() for account in accounts]
    return [[(call.room_id, call.outcome) for call in past.calls] for past in pasts]


class OneProcessTests(TestCase):
    """One process, and SQLite."""

    async def test_stopped(self) -> None:
        """A call that ends just before the daemon is stopped is there when it is started again."""
        daemon = await shared_daemon(self)
        service = service_of(daemon)
        phones = new_phone(), new_phone()
        phone, tv = [await member(self, service, number, "tv") for number in phones]
        call = await phone.talks_to(tv)
        call.hang_up()
        await phone.over.get()
        await daemon.stop()
        await daemon.start()
        rows = [(call.room_id, "answered")]
        service = service_of(daemon)
        self.assertEqual([rows, rows], await histories(*(Account(service, number, "other") for number in phones)))


class KilledTests(WorkersTestCase):
    """Two workers that meet over Redis."""

    async def test_killed(self) -> None:
        """A call that ended on a worker that is killed the moment after is recorded by another."""
        await self.become_ready()
        phones = new_phone(), new_phone()
        room = await killed_after_a_call(self, self.daemon, *phones)
        accounts = [Account(self.service, number, "other") for number in phones]
        # Calls that failed before the other worker knew of the television are there, too.
        while [past.count((room, "answered")) for past in await histories(*accounts)] != [1, 1]:
            await deferLater(reactor, 1)  # the server limits the requests of a device
        await self.become_ready()
