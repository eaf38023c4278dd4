"""Links that ring on every screen and in four languages: the page of guests, and what the phone shows of both.

As in :mod:`tests.browser.test_phone_screens`, nothing is cut, what matters most is in view, and axe-core finds nothing
that keeps anybody out.
"""

from __future__ import annotations

import time
from typing import Final

from playwright.sync_api import Browser
from twisted.internet.defer import Deferred

from callnet.model import DeviceAddress
from callnet_client import Account
from tests.browser.camera import Camera
from tests.browser.case import OwnDaemonCase, in_reactor
from tests.browser.guest_visitor import NO_LINE, PATH, GuestVisitor, guest
from tests.browser.phone_layout import END_FAULTS, FAULTS
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.photographer import Photographer
from tests.browser.stage import LOOKED_AT_RATE, Stage
from tests.browser.test_phone_screens import OTHERS
from tests.browser.test_screens import LANGUAGES
from tests.support.devices import service_of

ME: Final = DeviceAddress("13800000000", "kitchen")
LONG: Final = "Alexandra Konstantinopoulou-Wassiljewa"
_IN_A_CALL: Final = """() => {
    const secret = location.hash.slice(1), now = Date.now();
    const call = { secret, token: "x", roomId: "x", page: "/x", answeredAt: now, keptAt: now };
    sessionStorage.setItem("callnet.guest-call", JSON.stringify(call));
}"""
_PATIENT: Final = """
    const wait = window.setTimeout;
    window.setTimeout = (work, time) => wait(work, time < 30_000 ? time : 3_600_000);
"""
"""A page that looks for its connection as long as it is looked at."""
HOURS: Final = {"from": "09:00", "to": "17:00", "time_zone": "Europe/Berlin"}


class GuestScreenTests(OwnDaemonCase):
    """Appearance of the page of guests, and of links that ring in the phone."""

    timeout = 3600
    maxDiff = None
    settings = "calls.ring_time = 600"  # a call rings for as long as it takes to look at it

    async def provision(self) -> str:
        """Make links. Returns the address of one."""
        account = Account(service_of(self.daemon), ME.phone, "living-room-television", keep=lambda _: None)
        made = await account.make_link("Dr. Wassiljewa, consultation by video")
        await account.make_link("Front door", hours=HOURS, expires_at=time.time() + 1_000_000, calls_left=5)
        off = await account.make_link(LONG)
        await account.change_link(off.link_id, is_on=False)
        return f"{self.daemon.site_url}{PATH}#{made.secret}"

    def test_scenes(self) -> Deferred[None]:
        """The page of guests and the phone's links are whole and in view, or can be scrolled to, in each language."""

        def story(stage: Stage) -> None:
            photographer = Photographer(OTHERS, [FAULTS], LANGUAGES)
            here, there = (stage.browser(camera, rate=LOOKED_AT_RATE) for camera in Camera)
            link: str = in_reactor(lambda: Deferred.fromCoroutine(self.provision()))
            self.tour(stage, photographer, link, here, there)
            photographer.draw(here, "guest")
            self.assertEqual("\n".join(photographer.faults), "")

        return self.play(story)

    def tour(self, stage: Stage, photographer: Photographer, link: str, here: Browser, there: Browser) -> None:
        """Take a guest from the link to the end of a call, and the phone through its settings."""
        visitor, owner = guest(stage, there), phone(stage, here)
        owner.log_in(*ME)
        self.settle(photographer, owner)
        visitor.page.goto(f"{self.daemon.site_url}{PATH}")
        visitor.await_scene("incomplete")
        photographer.take(visitor, "incomplete")
        visitor.follow(link)
        photographer.take(visitor, "door")
        visitor.press("ring-now")
        visitor.await_shown("problem")
        photographer.take(visitor, "door, no name")
        visitor.ring(LONG)
        visitor.await_scene("calling")
        photographer.take(visitor, "calling")
        owner.await_scene("ringing")
        photographer.take(owner, "ringing")
        self.talk(photographer, owner, visitor)
        owner.await_scene("home")
        owner.page.wait_for_selector("iframe", state="detached")
        owner.press("to-calls")
        owner.page.wait_for_selector("#past .card")
        owner.page.click("#past .card .quiet")
        photographer.take(owner, "calls")

    def settle(self, photographer: Photographer, owner: PhoneVisitor) -> None:
        """Look at the links in the settings, each way."""
        owner.press("to-settings")
        owner.page.wait_for_selector("#links .line:nth-child(3)")
        photographer.take(owner, "links", of="#ringing-links")
        owner.press("link-make")
        owner.page.select_option("#link-when", "daily")
        photographer.take(owner, "a new link", of="#ringing-links")
        owner.page.keyboard.press("Escape")
        owner.page.click("#links .line:first-child .quiet")
        owner.await_that("document.querySelector('#links canvas').width < 200")
        photographer.take(owner, "link shown", of="#links")
        owner.page.click('#links [data-key^="link-change"]')
        photographer.take(owner, "link changed", of="#links")
        owner.page.click("#links form .plain")
        owner.page.click("#links .line:first-child .quiet")
        owner.page.click('#links [data-key^="link-remove"]')
        photographer.take(owner, "link about to be removed", of="#links")
        owner.page.click("#links .whole .plain")

    def talk(self, photographer: Photographer, owner: PhoneVisitor, visitor: GuestVisitor) -> None:
        """Look at the call, and at its end."""
        owner.press("accept")
        owner.await_connected(Camera.BLUE)
        visitor.await_connected(Camera.RED)
        photographer.take(visitor, "call")
        photographer.take(owner, "call of the owner")
        owner.hang_up()
        visitor.await_scene("over")
        photographer.take(visitor, "over", checks=[END_FAULTS])
        visitor.page.evaluate(_IN_A_CALL)
        visitor.page.add_init_script(NO_LINE + _PATIENT)
        visitor.page.reload()
        visitor.await_text("starting-hint", "No connection right now")
        photographer.take(visitor, "no connection after a reload")
