"""A real daemon, whose workers give out credentials for a real coturn, while the secret of both is changed."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.trial.unittest import TestCase

from harness.coturn import Coturn
from tests.integration.test_workers import with_workers, workers_of
from tests.support.devices import log_in, service_of
from tests.support.processes import stopped
from tests.support.turn_client import TurnClient

OLD: Final = "the-secret-that-was-there-before-"
NEW: Final = "the-secret-that-comes-after-that-"
UNAUTHORIZED: Final = 401

reactor: Any = installed


class RotationTests(TestCase):
    """A parent and two workers, as docs/turn.md has it."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        """Start coturn and the daemon; log in."""
        self.coturn = Coturn(OLD)
        self.addCleanup(self.coturn.close)
        self.file = Path(self.mktemp()).absolute()
        self.write(OLD)
        urls = ", ".join(f'"{url}"' for url in self.coturn.urls)
        self.daemon = with_workers(self.mktemp(), f'turn = {{ urls = [{urls}], secret_file = "{self.file}" }}')
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()
        self.service = service_of(self.daemon)
        self.token = await log_in(self.service, "13651884967", "tv")

    def write(self, *lines: str) -> None:
        """Change the file of the daemon."""
        self.file.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        self.file.chmod(0o600)

    async def reload(self) -> None:
        """Send SIGHUP; the parent and both workers then say that there is another secret."""
        os.kill(self.daemon.pid, signal.SIGHUP)
        for _ in range(3):
            await self.daemon.said("the TURN secret was read again: it is another one")

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
        """At every step whoever asks gets credentials that are good, and nothing that is relayed is cut."""
        before = await self.clients()
        self.assertEqual([0, 0], [client.allocate() for client in before])

        self.coturn.add_secret(NEW)
        self.assertEqual([0, 0], [client.allocate() for client in await self.clients()])
        self.write(NEW, OLD)
        await self.reload()
        after = await self.clients()
        self.assertEqual([0, 0], [client.allocate() for client in after])

        self.coturn.remove_secret(OLD)
        self.write(NEW)
        self.assertEqual([0, 0], [client.allocate() for client in await self.clients()])
        self.assertEqual([0] * 4, [client.refresh() for client in (*before, *after)])
        for secret in (OLD, NEW):
            self.assertNotIn(secret, self.daemon.log)

    async def test_old_credentials(self) -> None:
        """Credentials by the old secret that were not used yet are good until coturn is told to forget it."""
        one, other = await self.clients()
        self.coturn.add_secret(NEW)
        self.write(NEW, OLD)
        await self.reload()
        self.assertEqual(0, one.allocate())
        self.coturn.remove_secret(OLD)
        self.assertEqual(UNAUTHORIZED, other.allocate())
