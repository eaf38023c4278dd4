"""A server that swaps fingerprints is found out (docs/verification.md)."""

from __future__ import annotations

import re
from typing import Any, Final

from twisted.internet.defer import Deferred

from callnet_client.verification import SIGNS
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase
from tests.browser.comparing import Comparing
from tests.browser.layout import faults, settle
from tests.browser.stage import Stage
from tests.browser.tampering import Attacker, Tampering
from tests.browser.test_verification import SCREENS
from tests.browser.visitor import Visitor

ANOTHER: Final = ":".join(["AB"] * 32)
_HAS_FAILED: Final = "() => window.connections.some(({connectionState}) => connectionState === 'failed')"


class TamperingTests(BrowserCase):
    """Two people and a server that somebody has taken over."""

    def enter(self, stage: Stage, tampering: Tampering) -> tuple[Visitor, Visitor]:
        """Both come into the same room."""
        red, blue = stage.pair()
        for name, visitor in (("red", red), ("blue", blue)):
            tampering.stand_before(name, visitor)
            visitor.enter(stage.room)
        return red, blue

    def attack(self, stage: Stage, *, takes_part: bool) -> tuple[Comparing, Comparing]:
        """Two people who see and hear each other, by way of somebody in between; first the one whose page offers."""
        accomplice = stage.visitor(stage.browser(None))
        accomplice.visit()
        tampering = Attacker(accomplice.page, takes_part=takes_part).tampering
        red, blue = self.enter(stage, tampering)
        for visitor, colour in ((red, Camera.BLUE), (blue, Camera.RED)):
            visitor.await_state("connected")
            visitor.await_colour(colour)
        both = Comparing(red), Comparing(blue)
        return both if tampering.sessions["red"] > tampering.sessions["blue"] else (both[1], both[0])

    def test_somebody_in_between(self) -> Deferred[None]:
        """Somebody in between who compares with both sides is found out by these: their codes differ."""

        def story(stage: Stage) -> None:
            both = self.attack(stage, takes_part=True)
            for one in both:
                one.open()
                self.assertEqual(SIGNS, len(one.code))
            self.assertNotEqual(both[0].code, both[1].code)

        return self.play(story)

    def test_passing_on(self) -> Deferred[None]:
        """If the notes of the sides are passed on, the page that answers warns by itself, and shows no code."""

        def story(stage: Stage) -> None:
            offerer, answerer = self.attack(stage, takes_part=False)
            page = answerer.visitor.page
            page.wait_for_selector("#verification-drawer.broken")
            self.assertEqual((), answerer.code)
            self.assertEqual("Someone may be listening in", answerer.visitor.text("verification-title"))
            self.assertIn("Hang up", answerer.text)
            offerer.open()
            self.assertEqual(SIGNS, len(offerer.code))
            for width, height in SCREENS:
                page.set_viewport_size({"width": width, "height": height})
                settle(page)
                self.assertEqual([], faults(page), (width, height))

        return self.play(story)

    def test_swapping_alone(self) -> Deferred[None]:
        """A server that swaps fingerprints and does nothing else keeps the pages from connecting at all."""

        def swap(_: str, data: Any) -> Any:
            if "sdp" in data:
                data["sdp"] = re.sub(r"(a=fingerprint:sha-256 )\S+", rf"\g<1>{ANOTHER}", data["sdp"])
            return data

        def story(stage: Stage) -> None:
            red, blue = self.enter(stage, Tampering(swap))
            for visitor in (red, blue):
                visitor.await_that(_HAS_FAILED)
                self.assertEqual("connecting", visitor.state)

        return self.play(story)
