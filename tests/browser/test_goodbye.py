"""The other side goes away, takes its time, or cannot be reached: the texts that a person reads then."""

from __future__ import annotations

import socket
from typing import Final

from twisted.internet.defer import Deferred

from callnet.cli.doctor import relayed
from callnet.cli.status import Running
from callnet.config.schema import TurnSettings
from callnet.ops.metrics import RELAY_UNREACHABLE, WITHOUT_RELAY
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase, OwnDaemonCase
from tests.browser.layout import faults
from tests.browser.phone_case import PhoneCase
from tests.browser.stage import Stage
from tests.browser.test_call import assert_see_each_other, meet
from tests.browser.test_stage import SCREENS, resize
from tests.browser.visitor import PAGE
from tests.support.turn_case import SECRET

_LATER: Final = """
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = (wanted) =>
        new Promise((resolve) => { window.allow = () => resolve(ask(wanted)); });
"""
"""A person who answers the browser's question when the test says so."""
_NO_PATH: Final = """
    const Peer = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Peer {
        addIceCandidate() { return Promise.resolve(); }
        async setRemoteDescription({ type, sdp }) {
            await super.setRemoteDescription({ type, sdp: sdp.replace(/^a=candidate.*\\r\\n/gm, "") });
        }
    };
    const begin = window.setInterval;
    window.setInterval = (work, time) => begin(work, time === 1_000 ? 500 : time);
"""
"""A network that leads nowhere. A page gives up after a number of looks, not of seconds: it looks twice as often."""
_SECONDS: Final = """(() => {
    document.dispatchEvent(new Event("enterpictureinpicture")); // else it is as old as the page's last look
    const [minutes, seconds] = document.getElementById("status-text").textContent.match(/\\d+/g) ?? [0, 0];
    return 60 * minutes + Number(seconds);
})()"""
"""The seconds that a call has lasted."""


class GoodbyeTests(BrowserCase):
    """Pages that are closed."""

    def test_closed(self) -> Deferred[None]:
        """A page that is closed says so: the other one reads it at once, and is back in the call when that is back."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            address = blue.page.url
            # Another page of the same tab, whose seat that is: when this returns the one before is closed.
            blue.page.goto(stage.site_url + PAGE, wait_until="commit")
            red.await_state("waiting", "left")
            # It was not the server that told of it: there the other page still has its seat.
            self.assertEqual(red.room_state, "meeting")
            self.assertEqual(red.text("title"), "The other person left")
            self.assertIn("may come back", red.text("hint"))
            for size in SCREENS:
                resize(red, size)
                self.assertEqual(faults(red.page), [])
            blue.page.goto(address)
            for visitor in (red, blue):
                visitor.await_state("connected")
            assert_see_each_other(red, blue)

        return self.play(story)

    def test_tab(self) -> Deferred[None]:
        """So does a tab that is closed."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            blue.page.close(run_before_unload=True)
            red.await_state("waiting", "left")

        return self.play(story)


class ChoosingTests(BrowserCase):
    """Somebody who takes their time with the browser's question."""

    def test_choosing(self) -> Deferred[None]:
        """The other side reads what it is waiting for, and is connected when that is done."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            blue.page.add_init_script(_LATER)
            red.enter(stage.room)
            red.await_state("waiting")
            blue.enter(stage.room)
            red.await_state("connecting", "choosing")
            self.assertEqual(red.text("title"), "They’re choosing camera and microphone")
            blue.page.evaluate("window.allow()")
            for visitor in (red, blue):
                visitor.await_state("connected")

        return self.play(story)

    def test_blocked(self) -> Deferred[None]:
        """So it does while the camera is blocked there."""

        def story(stage: Stage) -> None:
            red = stage.visitor(stage.browser(Camera.RED))
            shy = stage.visitor(stage.browser(None), refuse=True)
            shy.enter(stage.room)
            shy.await_state("error", "refused")
            red.enter(stage.room)
            red.await_state("connecting", "choosing")
            shy.press("second-action")
            for visitor in (red, shy):
                visitor.await_state("connected")

        return self.play(story)


class ApartCase(OwnDaemonCase):
    """Two networks between which there is no way."""

    def part(self, scene: str, hint: str, counter: str) -> Deferred[None]:
        """Two visitors who read this scene and hint, and are counted as this."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            for visitor in (red, blue):
                visitor.page.add_init_script(_NO_PATH)
                visitor.enter("apart")
            for visitor in (red, blue):
                visitor.page.wait_for_selector(f'body[data-scene="{scene}"]', timeout=60_000)
                self.assertIn(hint, visitor.text("hint"))
                self.assertEqual(visitor.text("action"), "Try again")
            for size in SCREENS:
                resize(red, size)
                self.assertEqual(faults(red.page), [])
            # Each page tells it with its next look.
            while Running(self.daemon.admin_url).numbers()[f"{counter}_total", ""] < 2:
                red.wait(100)
            [finding] = relayed(Running(self.daemon.admin_url).numbers(), TurnSettings())
            self.assertIn("2 pages needed a relay since the start; 0 had one, 2 ", finding.text)

        return self.play(story)


class ApartTests(ApartCase):
    """... and no relay."""

    def test_apart(self) -> Deferred[None]:
        """Both read that, and what to do; the operator sees it counted."""
        return self.part("apart", "your networks need a relay, and this server has none", WITHOUT_RELAY)


class RelayAwayTests(ApartCase):
    """... and a relay that does not answer."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Have a port at which nobody reads."""
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        url = f"turn:127.0.0.1:{silent.getsockname()[1]}?transport=udp"
        self.settings = f'[turn]\nurls = ["{url}"]\nsecret = "{SECRET}"\nadhoc = true\n'
        return super().setUp()

    def test_away(self) -> Deferred[None]:
        """Both read that it is the relay that cannot be reached; the operator sees it counted apart."""
        return self.part("relay_away", "this server’s doesn’t answer", RELAY_UNREACHABLE)


class TimerTests(PhoneCase):
    """The time that a call has lasted."""

    def test_reload(self) -> Deferred[None]:
        """A reload goes on with the call's own time, which is the same at both sides, and muted as it was."""

        def story(stage: Stage) -> None:
            alice, bob = self.in_browsers_of_their_own(stage)
            self.talk(alice, bob)
            alice.inside.await_that(f"{_SECONDS} >= 8")
            alice.inside.press("mute")
            alice.page.reload()
            inside = alice.await_connected(Camera.BLUE)
            self.assertEqual(inside.text("mute-label"), "Unmute")
            inside.await_that(f"{_SECONDS} > 0")
            before, of_bob, after = (visitor.inside.page.evaluate(_SECONDS) for visitor in (alice, bob, alice))
            self.assertGreaterEqual(before, 8)
            self.assertGreaterEqual(of_bob, before - 2)
            self.assertLessEqual(of_bob, after + 2)

        return self.play(story)
