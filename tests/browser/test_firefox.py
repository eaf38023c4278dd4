"""The page in Firefox, with Chromium on the other side."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from tests.browser.camera import Camera
from tests.browser.case import BrowserCase
from tests.browser.comparing import Comparing
from tests.browser.stage import Stage
from tests.browser.test_native import DRAW
from tests.browser.visitor import Visitor

FIRST: Final = (0, 255)
"""First byte of the session of the page in Firefox: with one it answers, with the other it offers."""


class FirefoxTests(BrowserCase):
    """Two people, one of them with Firefox."""

    def meet(self, stage: Stage, first: int) -> tuple[Visitor, Visitor]:
        """Let both see each other."""
        stage.has_sound = True
        fox, red = stage.visitor(stage.firefox()), stage.visitor(stage.browser(Camera.RED))
        fox.page.add_init_script(DRAW % first)
        for visitor in (fox, red):
            visitor.enter(stage.room)
        self.assert_see_each_other(fox, red)
        return fox, red

    def assert_see_each_other(self, fox: Visitor, red: Visitor) -> None:
        """Assert that both pictures move, and that Firefox paints the picture of the other's camera."""
        for visitor in (fox, red):
            visitor.await_state("connected")
        fox.await_colour(Camera.RED)
        for visitor in (fox, red):
            visitor.await_movement()

    def test_call(self) -> Deferred[None]:
        """They see each other and compare the same code, whichever side offers, and either may load the page again."""

        def story(stage: Stage) -> None:
            for first in FIRST:
                fox, red = self.meet(stage, first)
                for visitor in (fox, red):
                    visitor.page.reload()
                    self.assert_see_each_other(fox, red)
                both = Comparing(fox), Comparing(red)
                for one in both:
                    one.open()
                self.assertEqual(both[0].code, both[1].code)
                red.press("hangup")
                fox.await_state("ended")
                for visitor in (fox, red):
                    visitor.page.close()

        return self.play(story)
