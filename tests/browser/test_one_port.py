"""Two pages for which there is one port: the site and a relay over TLS on it, told apart by the daemon."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from harness.coturn import LOOPBACK, Coturn
from harness.ports import free_port
from tests.browser.case import BrowserCase
from tests.browser.continuity import path
from tests.browser.stage import Stage
from tests.browser.visitor import Visitor, meet_over_relay
from tests.support.daemon import Daemon

SECRET = "a-secret-of-the-relay-behind-the-site"


class OnePortTests(BrowserCase):
    """A daemon whose port of the site is the only way, with coturn behind it."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Start coturn, then the daemon."""
        self.coturn = Coturn(SECRET, peers=LOOPBACK, is_proxied=True)
        self.addCleanup(self.coturn.close)
        return super().setUp()

    async def start_daemon(self) -> None:
        """Start the daemon."""
        port = free_port()
        site = f'{{ endpoint = "tcp:{port}:interface=127.0.0.1", turn = "tcp:127.0.0.1:{self.coturn.proxy_port}" }}'
        turn = f'[turn]\nurls = ["turns:localhost:{port}?transport=tcp"]\nsecret = "{SECRET}"\nadhoc = true\n'
        listeners = f'[listeners]\nadmin = [{{ endpoint = "tcp:0:interface=127.0.0.1" }}]\nsite = [{site}]\n'
        self.daemon = Daemon(self.mktemp(), turn, listeners=f"{listeners}account = []\nsignaling = []\n")
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()

    def meet(self, *visitors: Visitor, room: str) -> None:
        """Have two see each other by the relay alone."""
        meet_over_relay(visitors, room)
        for visitor in visitors:
            self.assertEqual(path(visitor), ["relay", "relay"])

    def test_chromium(self) -> Deferred[None]:
        """Two Chromiums see each other over it."""

        def story(stage: Stage) -> None:
            self.meet(*stage.pair(), room=stage.room)

        return self.play(story)
