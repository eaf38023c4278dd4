"""Two pages that meet by a TURN server alone: Debian's coturn, started here."""

from __future__ import annotations

import base64
import hmac
import json
import socket
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred

from harness.coturn import LOOPBACK, Coturn
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase, OwnDaemonCase, in_reactor, reactor
from tests.browser.continuity import (
    await_socket,
    connections,
    longest_still,
    path,
    restart_both,
    sockets,
    wait_until,
    watch,
)
from tests.browser.figures import await_set_up
from tests.browser.layout import faults
from tests.browser.stage import RATE, Stage
from tests.browser.visitor import Visitor, meet_over_relay
from tests.support.router import Router

SCREENS: Final = ((1920, 1080), (390, 844), (844, 390))
OLD: Final = "a-secret-that-has-been-good-so-far"
NEW: Final = "a-secret-that-is-good-from-now-on-only"
LIFETIME: Final = 10
"""Seconds for which coturn keeps a relay that nobody renews."""

_TURN_SERVER: Final = """() => window.connections.at(-1).getConfiguration().iceServers
    .find(({ urls }) => urls.some((url) => url.startsWith("turn:"))) ?? null"""

_OTHER_RELAY: Final = """{
    const led = (options) => JSON.parse(JSON.stringify(options).replaceAll(":%d?transport=udp", ":%d?transport=udp"));
    const Peer = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Peer {
        constructor(options) { super(led(options)); }
        setConfiguration(options) { super.setConfiguration(led(options)); }
    };
}"""
"""A relay that is reached by another port."""
_RARELY: Final = """{
    const every = window.setInterval;
    window.setInterval = (work, delay) => every(work, delay < 2_000 ? delay : 90_000);
}"""
"""A page that looks after its socket by itself once in 90 s only."""
_COUNT_RESTARTS: Final = """() => {
    window.restarts = 0;
    const peer = window.connections.at(-1);
    const restart = peer.restartIce;
    peer.restartIce = () => { window.restarts += 1; restart.call(peer); };
}"""


def await_relays(visitor: Visitor) -> None:
    """Wait until media goes from relay to relay: a candidate may be heard of after the checks that come from it."""
    wait_until(visitor, lambda: path(visitor) == ["relay", "relay"], "a path by both relays")


class RelayCase(OwnDaemonCase):
    """A daemon with relays, also for rooms that are made up by hand."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Start coturn, then the daemon."""
        # Relays are renewed after half of their time: often enough to see that they are.
        self.coturn = Coturn(OLD, peers=LOOPBACK, settings=[("max-allocate-lifetime", str(LIFETIME))])
        self.addCleanup(self.coturn.close)
        self.settings = self.settings_with(OLD)
        return super().setUp()

    def settings_with(self, secret: str) -> str:
        """The daemon's."""
        return f'[turn]\nurls = {json.dumps(self.coturn.urls)}\nsecret = "{secret}"\nadhoc = true\n'

    def meet(self, stage: Stage) -> tuple[Visitor, Visitor]:
        """Two visitors who allow nothing but a relay, and see each other."""
        red, blue = stage.pair(rate=RATE)  # enough pictures to tell how long one stands still
        meet_over_relay((red, blue), stage.room)
        return red, blue


class RelayTests(RelayCase):
    """One that knows a TURN server."""

    def test_relay_only(self) -> Deferred[None]:
        """With ``relay=1`` nothing goes but from relay to relay, so that neither side learns where the other is."""

        def story(stage: Stage) -> None:
            red, blue = self.meet(stage)
            for visitor in (red, blue):
                await_relays(visitor)
                candidates = "window.connections.at(-1).{}Description.sdp.match(/typ .*? raddr [^ ]+/g)"
                for side in ("local", "remote"):
                    self.assertEqual(set(visitor.page.evaluate(candidates.format(side))), {"typ relay raddr 0.0.0.0"})
            self.assertEqual(await_set_up(self.daemon, red), "relay")

        return self.play(story)

    def test_new_secret(self) -> Deferred[None]:
        """A new secret cuts no call, and is used for everything that is negotiated from then on."""

        def story(stage: Stage) -> None:
            red, blue = self.meet(stage)
            before = [sockets(visitor) for visitor in (red, blue)]
            for visitor in (red, blue):
                self.assertTrue(_knows(visitor, OLD))
                watch(visitor)
            self.coturn.add_secret(NEW)
            self.restart_daemon(self.settings_with(NEW))
            self.coturn.remove_secret(OLD)
            for visitor, count in zip((red, blue), before, strict=True):
                await_socket(visitor, count)
                wait_until(visitor, partial(_knows, visitor, NEW), "the new secret")
                visitor.forgive("WebSocket")  # the browser reports each try
            red.wait(2 * LIFETIME * 1_000)
            restart_both((red, blue))
            for visitor in (red, blue):
                visitor.await_movement()
                self.assertLess(longest_still(visitor), 1.0)
                await_relays(visitor)
                self.assertEqual(connections(visitor), 1)

        return self.play(story)


class MovedTests(RelayCase):
    """One whose second visitor comes to another network, as all that flowed from there goes silent."""

    def settings_with(self, secret: str) -> str:
        """The daemon's: the only way to the relay is by the router's UDP port."""
        return f'[turn]\nurls = ["{self.coturn.urls[0]}"]\nsecret = "{secret}"\nadhoc = true\n'

    async def start_daemon(self) -> None:
        """Start the daemon, and the router of a house."""
        await super().start_daemon()
        self.router = Router(reactor, urlsplit(self.daemon.site_url).port or 443)
        self.addCleanup(self.router.close)

    def test_moved(self) -> Deferred[None]:
        """The page finds out that its room socket is dead as its media is, and asks for a new path over another one."""

        def story(stage: Stage) -> None:
            relay = in_reactor(partial(self.router.lead, reactor, self.coturn.port))
            red, blue = stage.pair(f"https://127.0.0.1:{self.router.own_port}")
            blue.page.add_init_script(_RARELY)
            blue.page.add_init_script(_OTHER_RELAY % (self.coturn.port, relay))
            meet_over_relay((red, blue), stage.room)
            for visitor in (red, blue):
                visitor.page.evaluate(_COUNT_RESTARTS)
            count = sockets(blue)
            in_reactor(self.router.change_address)
            await_socket(blue, count)
            for visitor in (red, blue):
                visitor.await_movement()
            self.assertGreater(sum(visitor.page.evaluate("window.restarts") for visitor in (red, blue)), 0)

        return self.play(story)


class SeveralRelaysTests(RelayCase):
    """One that knows two relays, one of which does not answer."""

    def settings_with(self, secret: str) -> str:
        """The daemon's."""
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        away = f"turn:127.0.0.1:{silent.getsockname()[1]}?transport=udp"
        relays = f'[{{ urls = ["{away}"] }}, {{ urls = {json.dumps(self.coturn.urls)} }}]'
        return f'[turn]\nrelays = {relays}\nsecret = "{secret}"\nadhoc = true\n'

    def test_one_is_away(self) -> Deferred[None]:
        """Both sides connect by the other."""

        def story(stage: Stage) -> None:
            red, blue = self.meet(stage)
            for visitor in (red, blue):
                await_relays(visitor)
                configured = "window.connections.at(-1).getConfiguration().iceServers.flatMap(({ urls }) => urls)"
                self.assertEqual(3, len(visitor.page.evaluate(configured)))

        return self.play(story)


class NoRelayTests(BrowserCase):
    """A daemon that knows no TURN server."""

    def test_no_relay(self) -> Deferred[None]:
        """Without a relay the page says so when one is asked for, and connects directly only if the visitor agrees."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            red.visit(f"?room_id={stage.room}&relay=1")
            red.await_state("waiting")
            blue.enter(stage.room)
            red.await_state("error", "no_relay")
            self.assertEqual(red.text("title"), "No relay available")
            self.assertEqual(connections(red), 0)
            for width, height in SCREENS:
                red.page.set_viewport_size({"width": width, "height": height})
                self.assertEqual(faults(red.page), [])
            red.press("action")
            for visitor, colour in ((red, Camera.BLUE), (blue, Camera.RED)):
                visitor.await_state("connected")
                visitor.await_colour(colour)
            self.assertNotIn("relay", red.page.url)
            self.assertIn(f"room_id={stage.room}", red.page.url)

        return self.play(story)


def _knows(visitor: Visitor, secret: str) -> bool:
    """True if the page would use credentials made with this secret (coturn's ``use-auth-secret``)."""
    server = visitor.page.evaluate(_TURN_SERVER)
    if server is None:
        return False
    mac = hmac.digest(secret.encode(), server["username"].encode(), "sha1")
    return bool(server["credential"] == base64.b64encode(mac).decode())
