"""A real daemon, whose workers give out credentials for a real coturn, while the secret of both is changed."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.trial.unittest import TestCase

from harness.coturn import Coturn
from tests.integration.test_workers import shared_workers, workers_of
from tests.support.devices import log_in, service_of
from tests.support.processes import stopped
from tests.support.shared_daemon import new_phone
from tests.support.turn_client import TurnClient

SECRETS: Final = map("the-secret-that-has-the-number-{:02}".format, count())
"""Each was given to nobody before."""
UNAUTHORIZED: Final = 401

reactor: Any = installed


@cache
def shared_coturn() -> Coturn:
    """A TURN server for all tests, with one secret."""
    coturn = Coturn(next(SECRETS))
    atexit.register(coturn.close)
    return coturn


@cache
def shared_file() -> Path:
    """The file with the daemon's secrets; coturn knows the first."""
    [secret] = shared_coturn().secrets
    file = Path(mkdtemp(prefix="callnet-turn-"), "secret")
    atexit.register(rmtree, file.parent)
    write(file, secret)
    return file


def write(file: Path, *lines: str) -> None:
    """Change the file."""
    file.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    file.chmod(0o600)


class RotationTests(TestCase):
    """A parent and two workers, as docs/turn.md has it."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        """Have coturn and the daemon, with one secret; log in."""
        self.coturn, self.file = shared_coturn(), shared_file()
        [self.old], self.new = self.coturn.secrets, next(SECRETS)
        urls = ", ".join(f'"{url}"' for url in self.coturn.urls)
        self.daemon = await shared_workers(self, f'turn = {{ urls = [{urls}], secret_file = "{self.file}" }}')
        self.service = service_of(self.daemon)
        self.token = await log_in(self.service, new_phone(), "tv")

    async def reload(self) -> None:
        """Send SIGHUP; the parent and both workers then say that there is another secret."""
        os.kill(self.daemon.pid, signal.SIGHUP)
        for _ in range(3):
            await self.daemon.said("reloaded the TURN secret: changed")

    async def clients(self) -> Sequence[TurnClient]:
        """A client with credentials of each worker."""
        found = []
        for pid in workers_of(self.daemon):
            with stopped(pid):
                [server] = (await self.service.post("/ice", {"token": self.token}))["ice_servers"]
            self.assertEqual(list(self.coturn.urls), server["urls"])
            client = TurnClient((self.coturn.address, self.coturn.port), server["username"], server["credential"])
            self.addCleanup(client.close)
            found.append(client)
        return found

    async def test_rotation(self) -> None:
        """At every step the credentials that are handed out are valid, and no relayed connection is cut."""
        before = await self.clients()
        self.assertEqual([0, 0], [client.allocate() for client in before])

        self.coturn.add_secret(self.new)
        self.assertEqual([0, 0], [client.allocate() for client in await self.clients()])
        write(self.file, self.new, self.old)
        await self.reload()
        after = await self.clients()
        self.assertEqual([0, 0], [client.allocate() for client in after])

        self.coturn.remove_secret(self.old)
        write(self.file, self.new)
        self.assertEqual([0, 0], [client.allocate() for client in await self.clients()])
        self.assertEqual([0] * 4, [client.refresh() for client in (*before, *after)])
        for secret in (self.old, self.new):
            self.assertNotIn(secret, self.daemon.log)

    async def test_old_credentials(self) -> None:
        """Credentials by the old secret that were not used yet are good until coturn is told to forget it."""
        one, other = await self.clients()
        self.coturn.add_secret(self.new)
        write(self.file, self.new, self.old)
        await self.reload()
        self.assertEqual(0, one.allocate())
        self.coturn.remove_secret(self.old)
        self.assertEqual(UNAUTHORIZED, other.allocate())
