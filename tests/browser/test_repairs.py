"""Faults of a call's network and of its server, while the picture is watched from within both pages."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from tests.browser.camera import Camera
from tests.browser.case import BrowserCase, OwnDaemonCase
from tests.browser.continuity import (
    await_socket,
    connections,
    kill_socket,
    longest_still,
    restart_both,
    sockets,
    watch,
)
from tests.browser.figures import await_set_up, failed_set_ups
from tests.browser.stage import RATE, Stage
from tests.browser.visitor import Visitor

LONGEST_PAUSE: Final = 1.0
"""Seconds for which a picture may stand still while the path itself is whole."""

_NO_PATH: Final = """() => {
    window.RTCPeerConnection = class extends window.RTCPeerConnection {
        constructor(options) { super({ ...options, iceServers: [], iceTransportPolicy: "relay" }); }
    };
}"""
_SLOW_PATH: Final = """() => {
    const later = () => new Promise((resolve) => setTimeout(resolve, 1_500));
    window.RTCPeerConnection = class extends Object.getPrototypeOf(window.RTCPeerConnection) {
        async setRemoteDescription(description) { await later(); await super.setRemoteDescription(description); }
    };
}"""
"""There is a path again, but the other page looks after the connection once at least before that stands."""


def meet(stage: Stage) -> tuple[Visitor, Visitor]:
    """Two visitors who see each other and watch the picture; the first has the red camera, the second the blue."""
    red, blue = stage.pair(rate=RATE)  # enough pictures to tell how long one stands still
    for visitor in (red, blue):
        visitor.enter(stage.room)
    for visitor, colour in ((red, Camera.BLUE), (blue, Camera.RED)):
        visitor.await_state("connected")
        visitor.await_colour(colour)
        visitor.await_movement()
        watch(visitor)
    return red, blue


def assert_undisturbed(red: Visitor, blue: Visitor) -> None:
    """Each has seen the other's picture move all the time, over one and the same connection."""
    for visitor, colour in ((red, Camera.BLUE), (blue, Camera.RED)):
        visitor.await_colour(colour)
        visitor.await_movement()
        assert longest_still(visitor) < LONGEST_PAUSE, longest_still(visitor)
        assert connections(visitor) == 1, connections(visitor)
        assert visitor.state == "connected", visitor.state


class RepairTests(BrowserCase):
    """Two visitors in a call."""

    def test_no_network(self) -> Deferred[None]:
        """A page whose browser finds no address, as on a machine with `lo` alone, says why it does not connect."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            red.page.add_init_script(f"({_NO_PATH})()")
            for visitor in (red, blue):
                visitor.enter(stage.room)
            red.await_shown("hint", "This device isn’t connected to a network.")
            self.assertEqual(red.state, "connecting")
            self.assertNotIn("network", blue.text("hint"))

        return self.play(story)

    def test_restart_from_both(self) -> Deferred[None]:
        """If both pages ask for a new path at the same moment they make one, and nobody notices."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            for _ in range(3):
                restart_both((red, blue))
                assert_undisturbed(red, blue)

        return self.play(story)

    def test_sockets(self) -> Deferred[None]:
        """A page that loses its room socket gets another one, and the call goes on meanwhile."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            for visitor in (red, blue, red, blue):
                kill_socket(visitor)
                assert_undisturbed(red, blue)

        return self.play(story)


class ServerTests(OwnDaemonCase):
    """Two visitors in a call, and the server's part in it."""

    def test_server_restarted(self) -> Deferred[None]:
        """A server that is stopped and started again finds the call going on."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            before = [sockets(visitor) for visitor in (red, blue)]
            self.restart_daemon(self.settings)
            for visitor, count in zip((red, blue), before, strict=True):
                await_socket(visitor, count)
                visitor.page.wait_for_selector("#notice", state="hidden")
                visitor.forgive("WebSocket")  # the browser reports each try
            assert_undisturbed(red, blue)
            restart_both((red, blue))
            assert_undisturbed(red, blue)

        return self.play(story)

    def test_given_up(self) -> Deferred[None]:
        """A call whose media does not come back is given up in the end; who tries again takes the other side along."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            self.assertEqual(await_set_up(self.daemon, red), "host")
            red.page.evaluate(_NO_PATH)
            red.page.evaluate("window.connections.at(-1).close()")
            for visitor in (red, blue):
                visitor.await_state("reconnecting")
            for visitor in (red, blue):
                visitor.page.wait_for_selector('body[data-scene="lost"]', timeout=90_000)
                self.assertEqual(visitor.state, "error")
                self.assertEqual(visitor.text("title"), "Connection lost")
                self.assertEqual(visitor.text("action"), "Try again")
            # At once: the other side has given up this very moment, and must not do so again.
            red.page.evaluate(_SLOW_PATH)
            red.press("action")
            for visitor, colour in ((red, Camera.BLUE), (blue, Camera.RED)):
                visitor.await_state("connected")
                visitor.await_colour(colour)
            # The lost connection had been set up: it is no failure of that.
            self.assertEqual(failed_set_ups(self.daemon), 0)

        return self.play(story)
