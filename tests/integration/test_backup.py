"""A backup of a daemon that runs, and another daemon that goes on from it."""

from __future__ import annotations

import os
import shutil
from typing import Any

from twisted.internet import reactor as installed
from twisted.trial.unittest import TestCase

from tests.support.commands import callnet
from tests.support.daemon import Daemon
from tests.support.devices import log_in, service_of

reactor: Any = installed
PHONE = "13651884967"
CONTACT = "13651884968"


class BackupTests(TestCase):
    """One daemon, and a backup of it."""

    async def run_(self, daemon: Daemon, *arguments: str) -> None:
        """Run a command that must succeed."""
        _, complaints, status = await callnet(daemon, *arguments)
        self.assertEqual((0, ""), (status, complaints))

    async def test_life_goes_on(self) -> None:
        """After all was lost, devices go on with the tokens and contacts that they had at the time of the backup."""
        daemon = Daemon(self.mktemp())
        self.addCleanup(daemon.stop)
        await daemon.start()
        token = await log_in(service_of(daemon), PHONE, "tv")
        await log_in(service_of(daemon), CONTACT, "phone")
        await self.run_(daemon, "contact", "add", PHONE, CONTACT)
        backup = os.path.join(daemon.folder, "backup.tar.gz")
        await self.run_(daemon, "backup", backup)
        await daemon.stop()
        shutil.rmtree(daemon.state_dir)
        await self.run_(daemon, "restore", backup)
        await daemon.start()
        answer = await service_of(daemon).post("/getContactPersons", {"phone": PHONE, "token": token})
        self.assertEqual([CONTACT], [each["phone"] for each in answer["contacts"]])
