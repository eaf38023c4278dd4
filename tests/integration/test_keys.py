"""Signing keys that are managed while daemons run, by the command line and SIGHUP."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jwt
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from callnet_client import AccountError
from tests.integration.test_workers import shared_workers, workers_of
from tests.support.commands import callnet
from tests.support.daemon import Daemon
from tests.support.devices import log_in, service_of
from tests.support.processes import stopped
from tests.support.shared_daemon import new_phone, shared_daemon

reactor: Any = installed


class KeysMixin:
    """The operator's key management, on one process or several."""

    processes = 1
    """The number of processes that read the keys."""

    async def find_daemon(self) -> Daemon:
        """One with one key, as each test leaves it."""
        raise NotImplementedError

    async def logins(self) -> Sequence[str]:
        """A token of each process."""
        raise NotImplementedError

    async def begin(self) -> None:
        """Have it, and log in."""
        self.daemon = await self.find_daemon()
        self.service = service_of(self.daemon)
        self.phone = new_phone()
        [self.token, *_] = await self.logins()

    async def command(self, *arguments: str) -> str:
        """The output of ``callnet key``."""
        out, error, status = await callnet(self.daemon, "key", *arguments)
        assert (error, status) == ("", 0), error
        return out.strip()

    async def reload(self, count: int, kid: str) -> None:
        """Send SIGHUP; every process then logs its number of keys, and which one signs."""
        os.kill(self.daemon.pid, signal.SIGHUP)
        for _ in range(self.processes):
            await self.daemon.said(rf"reloaded the signing keys: {count} in use, {kid} signs")

    def contacts(self, token: str) -> Deferred[Any]:
        """Ask for the contacts with this token."""
        return self.service.post("/getContactPersons", {"phone": self.phone, "token": token})

    async def assert_refused(self, token: str) -> None:
        """A token is answered with errorCode 4."""
        case: Any = self
        error = await case.assertFailure(self.contacts(token), AccountError)
        case.assertEqual(error.code, 4)

    async def test_rotation(self) -> None:
        """A new key signs after SIGHUP, beside the old one; when that is retired, its tokens are refused."""
        case: Any = self
        await self.begin()
        new = await self.command("add")
        await self.reload(2, new)
        tokens = await self.logins()
        case.assertEqual([jwt.get_unverified_header(token)["kid"] for token in tokens], [new] * len(tokens))
        for token in (self.token, *tokens):
            await self.contacts(token)

        await self.command("retire", jwt.get_unverified_header(self.token)["kid"])
        await self.reload(1, new)
        await self.assert_refused(self.token)
        for token in tokens:
            await self.contacts(token)
        secrets = [
            match[1]
            for file in Path(self.daemon.state_dir, "signing.key.d").iterdir()
            if (match := re.search(r'secret = "(\w+)"', file.read_text(encoding="ascii")))
        ]
        case.assertEqual(len(secrets), 1)
        case.assertNotIn(secrets[0], self.daemon.log)

    async def test_wrong_file(self) -> None:
        """An invalid file changes nothing, and one line says so."""
        case: Any = self
        await self.begin()
        new = await self.command("add")
        file = Path(self.daemon.state_dir, "signing.key.d", new)
        file.chmod(0o640)
        os.kill(self.daemon.pid, signal.SIGHUP)
        await self.daemon.said(rf"kept the old signing keys: tokens\.signing_key_file: {file} is accessible to others")
        file.chmod(0o600)
        await self.reload(2, new)
        case.assertEqual(self.daemon.log.count("kept the old signing keys"), 1)
        file.unlink()
        await self.reload(1, jwt.get_unverified_header(self.token)["kid"])


class OneProcessTests(KeysMixin, TestCase):
    """One process."""

    async def find_daemon(self) -> Daemon:
        """One with one key, as each test leaves it."""
        return await shared_daemon(self, "# whose keys are changed")

    async def logins(self) -> Sequence[str]:
        """A token of it."""
        return [await log_in(self.service, self.phone, "tv")]


class WorkersTests(KeysMixin, TestCase):
    """A parent and its workers."""

    processes = 3

    async def find_daemon(self) -> Daemon:
        """One with one key, as each test leaves it."""
        return await shared_workers(self, "# whose keys are changed")

    async def logins(self) -> Sequence[str]:
        """A token of each worker."""
        tokens = []
        for pid in workers_of(self.daemon):
            with stopped(pid):
                tokens.append(await log_in(self.service, self.phone, "tv"))
        return tokens
