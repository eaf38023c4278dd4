"""A kiosk whose device is used in another place."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from tests.browser.continuity import kill_socket
from tests.browser.stage import Stage
from tests.browser.test_kiosk import LATER, KioskCase

_COUNT_LOOKS: Final = """() => {
    const now = performance.now.bind(performance);
    window.looks = 0;
    performance.now = () => { window.looks += 1; return now(); };
}"""
"""Counts how often the page looks at its clock."""


class ElsewhereTests(KioskCase):
    """A television that cannot be asked to take over."""

    settings = "limits.displacements_a_minute = 20"

    def test_elsewhere(self) -> Deferred[None]:
        """In use elsewhere it says so, and takes over after a minute, then two, and after an hour alone one again."""

        def story(stage: Stage) -> None:
            _, television = self.at_home(stage)
            for before_that, minutes in ((0, 1), (0, 2), (3_600_000, 1)):
                television.page.evaluate(LATER, before_that)
                kill_socket(television)  # which may have waited for an answer since then
                television.await_scene("kiosk", "online")
                television.page.evaluate("() => { new WebSocket(sockets[0].url, sockets[0].protocol); }")
                television.await_scene("elsewhere")
                self.assertIn("in another tab or browser", television.text("elsewhere"))
                before = television.page.evaluate("sockets.length")
                if minutes > 1:
                    television.page.evaluate(LATER, 60_000)
                    television.page.evaluate(_COUNT_LOOKS)
                    television.await_that("window.looks > 1")
                    self.assertEqual(before, television.page.evaluate("sockets.length"))
                television.page.evaluate(LATER, 61_000)
                television.await_scene("kiosk", "online")

        return self.play(story)
