"""The client in JavaScript in Node.js, at the site of a daemon, over TLS."""

from __future__ import annotations

import os
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from harness import ROOT
from tests.support.daemon import Daemon

CLIENT: Final = ROOT / "clients" / "javascript" / "index.js"
PROGRAM: Final = ROOT / "tests" / "javascript" / "over_tls.mjs"


class SiteTests(TestCase):
    """A program without a page."""

    timeout = 120

    def test_a_call_and_its_room(self) -> Deferred[None]:
        """It needs to be told whose certificate to trust, and which Origin to say in the room, and nothing else."""

        async def story() -> None:
            daemon = Daemon(self.mktemp())
            self.addCleanup(daemon.stop)
            await daemon.start()
            command = ("--no-warnings", "--experimental-websocket", str(PROGRAM), CLIENT.as_uri(), daemon.site_url)
            trusting = {**os.environ, "NODE_EXTRA_CA_CERTS": str(daemon.certificate)}
            out, errors, status = await getProcessOutputAndValue("node", command, env=trusting)
            self.assertEqual((0, ""), (status, errors.decode()))
            self.assertEqual(
                ["answered true", "met true", "relayed true", "over hangup hangup"], out.decode().splitlines()
            )

        return Deferred.fromCoroutine(story())
