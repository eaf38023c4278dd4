"""Links that ring: made in the phone, opened by guests in a browser of their own."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Locator
from twisted.internet.defer import Deferred

from callnet_client import Account
from tests.browser.camera import Camera
from tests.browser.case import in_reactor
from tests.browser.closed_phone import Closed
from tests.browser.continuity import wait_until
from tests.browser.guest_visitor import NO_LINE, PATH, GuestVisitor, guest
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, phone, tab
from tests.browser.stage import Stage
from tests.browser.test_phone_closed import ALICE, BOB, ChromiumCase
from tests.support.devices import service_of

_LINK: Final = '#links [data-key="link"]'

_HURRY: Final = """() => {
    const later = window.setTimeout.bind(window);
    window.setTimeout = (work, after) => later(work, after / 10);
}"""
"""Lets the time of a page pass ten times as fast."""
_WAIT_FOR_GUEST: Final = """() => {
    const later = window.setTimeout.bind(window);
    window.setTimeout = (work, after) => later(work, after === 15_000 ? 600_000 : after);
}"""
"""Lets a page wait for a guest who has left for as long as it takes."""
_AGE: Final = """() => {
    const kept = JSON.parse(sessionStorage.getItem("callnet.guest-call"));
    sessionStorage.setItem("callnet.guest-call", JSON.stringify({ ...kept, keptAt: kept.keptAt - 121_000 }));
}"""
"""Lets a tab have kept its call two minutes ago."""

_NO_STORAGE: Final = """
    Object.defineProperty(window, "localStorage", { get() { throw new DOMException("blocked", "SecurityError"); } });
"""


def press_until(visitor: PhoneVisitor, key: str, condition: str, most: int = 40) -> None:
    """Press a key again and again, as with a remote control, until something is so."""
    for _ in range(most):
        if visitor.page.evaluate(condition):
            return
        visitor.page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {condition}")


def make_link(visitor: PhoneVisitor, name: str) -> str:
    """Make a link in the settings. Returns its address."""
    visitor.press("to-settings")
    visitor.press("link-make")
    visitor.page.fill("#link-name", name)
    # However often that is pressed, one is made.
    visitor.page.evaluate("for (const _ of [1, 2]) document.querySelector('#link-new form').requestSubmit()")
    visitor.page.wait_for_selector(_LINK)
    return visitor.page.input_value(_LINK)


class GuestCase(PhoneCase):
    """Alice's phone, and a guest."""

    async def link_of(self, **fields: object) -> str:
        """The address of a link to Alice, made by another device of her phone."""
        account = Account(service_of(self.daemon), self.alice.phone, "tablet", keep=lambda _: None)
        made = await account.make_link("Front door", **fields)
        return f"{self.daemon.site_url}{PATH}#{made.secret}"

    def begin(self, stage: Stage, **fields: object) -> tuple[PhoneVisitor, GuestVisitor, str]:
        """Log Alice in, and make a link to her, at which a guest is."""
        alice, visitor = phone(stage, stage.browser(Camera.RED)), guest(stage, stage.browser(Camera.BLUE))
        alice.log_in(*self.alice)
        link: str = in_reactor(lambda: Deferred.fromCoroutine(self.link_of(**fields)))
        visitor.follow(link)
        return alice, visitor, link

    def meet(self, alice: PhoneVisitor, visitor: GuestVisitor) -> None:
        """Have Anna ring and Alice accept, until Anna sees Alice."""
        visitor.ring("Anna")
        alice.await_scene("ringing")
        alice.press("accept")
        visitor.await_connected(Camera.RED)


class GuestTests(GuestCase):
    """A call from a guest. The server waits longer for it than the tests do."""

    settings = "calls = { ring_time = 600, grace = 600 }"

    def test_call(self) -> Deferred[None]:
        """A link made by remote control rings; the owner sees that it is a guest; then both see each other."""

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(Camera.RED))
            alice.log_in(*self.alice)
            alice.await_that("!document.querySelector('#who-contacts').disabled")  # the settings have been read
            alice.await_that("!document.querySelector('#ringing-links').hidden")  # and so have the links
            alice.await_that("document.activeElement.id === 'add-phone'")
            press_until(alice, "ArrowDown", "document.activeElement.matches('button')")
            press_until(alice, "ArrowLeft", "document.activeElement.matches('.part')")
            press_until(alice, "ArrowDown", "document.activeElement.id === 'to-settings'")
            alice.page.keyboard.press("Enter")
            press_until(alice, "ArrowRight", "document.activeElement.closest('#settings') !== null")
            press_until(alice, "ArrowDown", "document.activeElement.id === 'who-contacts'")
            press_until(alice, "ArrowLeft", "document.activeElement.id === 'who-anyone'")
            press_until(alice, "ArrowDown", "document.activeElement.id === 'link-make'")
            alice.page.keyboard.press("Enter")
            alice.await_that("document.activeElement.id === 'link-name'")
            press_until(alice, "ArrowDown", "document.activeElement.dataset.key === 'link-save'")
            alice.page.keyboard.press("Enter")
            alice.page.wait_for_selector(_LINK)
            alice.await_that("document.activeElement.dataset.key === 'link'")
            alice.await_that("document.querySelector('#links canvas').width < 200")
            link = alice.page.input_value(_LINK)
            self.assertRegex(link, rf"\A{stage.site_url}{PATH}#[\w-]{{20,}}\Z")
            visitor = guest(stage, stage.browser(Camera.BLUE))
            visitor.follow(link)
            visitor.press_enter()
            visitor.await_text("problem", "Enter your name so they know")
            visitor.page.keyboard.type("Anna")
            visitor.hold_enter("calling")
            self.assertEqual("calling", visitor.shown)
            alice.await_scene("ringing")
            self.assertNotIn(self.alice.phone, visitor.page.content())
            self.assertEqual(
                ("Guest", "Anna", "Through your link “Front door”"),
                tuple(alice.text(f"ring-{part}") for part in ("guest", "name", "link")),
            )
            alice.press("accept")
            alice.await_connected(Camera.BLUE)
            visitor.await_connected(Camera.RED)
            self.assertFalse(visitor.page.evaluate("document.querySelector('#preview').srcObject !== null"))
            alice.await_text("call-title", "Guest Anna")
            visitor.hang_up()
            visitor.await_text("over-title", "Call ended")
            alice.await_scene("home")
            alice.await_text("notice-text", "Anna (guest) hung up.")
            self.assertFalse(alice.is_visible("notice-again"))
            visitor.press_enter()
            alice.await_scene("ringing")
            visitor.press_as_it_comes("#ring-now", "door")
            visitor.press_enter()
            visitor.await_scene("door")
            alice.await_text("notice-text", "Missed call from Anna (guest).")
            alice.press("to-calls")
            alice.page.wait_for_selector('#past .card:nth-child(2)[data-kind="incoming"]')
            self.assertRegex(alice.past()[1], r"\AAnna Guest Incoming · 0:\d\d")
            self.assertEqual(0, alice.page.locator("#past .call").count())
            alice.page.click("#past .card:first-child .quiet")
            self.assertEqual(["Delete"], alice.page.locator("#past .options button").all_inner_texts())

        return self.play(story)

    def test_calls(self) -> Deferred[None]:
        """A guest and the owner of a link talk, again and again, however the guest leaves and comes back."""

        def story(stage: Stage) -> None:
            alice, visitor, link = self.begin(stage)
            self.comes_too_late(alice, visitor, link)
            visitor = self.reload(stage, alice, visitor)
            self.owner_hangs_up(alice, visitor)
            profile = visitor.page.context
            visitor.page.close()
            visitor = stage.add(GuestVisitor(profile.new_page(), stage.site_url))
            visitor.follow(link)
            self.reload_without_a_line(alice, visitor)
            self.closes(alice, visitor)

        return self.play(story)

    def comes_too_late(self, alice: PhoneVisitor, visitor: GuestVisitor, link: str) -> None:
        """A tab that comes back after the end of its call opens no room, and one that comes much later does not ask."""
        self.meet(alice, visitor)
        visitor.page.goto("about:blank")
        alice.hang_up()
        alice.await_scene("home")
        rooms: list[str] = []
        visitor.page.on("frameattached", lambda frame: rooms.append(frame.url))
        visitor.page.goto(link, wait_until="domcontentloaded")
        visitor.await_scene("over")
        visitor.press("again")
        alice.await_scene("ringing")
        self.assertEqual([], rooms)
        alice.press("accept")
        visitor.await_connected(Camera.RED)
        visitor.page.evaluate(_AGE)
        visitor.page.reload(wait_until="domcontentloaded")
        visitor.await_scene("door")
        alice.hang_up()
        alice.await_scene("home")

    def reload(self, stage: Stage, alice: PhoneVisitor, visitor: GuestVisitor) -> GuestVisitor:
        """A page that is reloaded in a call is in it again; of two that are, the older says so and leaves it."""
        self.meet(alice, visitor)
        visitor.page.reload()
        visitor.await_connected(Camera.RED)
        alice.await_connected(Camera.BLUE)
        with visitor.page.expect_popup() as opened:
            visitor.page.evaluate("() => { window.open(location.href); }")
        other = stage.add(GuestVisitor(opened.value, stage.site_url))
        other.await_connected(Camera.RED)
        visitor.await_text("over-title", "Open somewhere else")
        self.assertNotIn("Duration", visitor.text("over"))
        other.hang_up()
        alice.await_text("notice-text", "Anna (guest) hung up.")
        other.page.reload()
        other.await_scene("door")
        visitor.page.close()
        return other

    def owner_hangs_up(self, alice: PhoneVisitor, visitor: GuestVisitor) -> None:
        """A guest reads that the call was ended, or declined. A page that is closed rings no more."""
        visitor.ring("Anna")
        visitor.await_shown("preview")
        visitor.await_colour(Camera.BLUE, "preview")
        alice.await_scene("ringing")
        alice.press("accept")
        alice.await_connected(Camera.BLUE)
        visitor.await_connected(Camera.RED)
        alice.hang_up()
        visitor.await_text("over-title", "Call ended")
        visitor.press("again")
        alice.await_scene("ringing")
        alice.press("refuse")
        visitor.await_text("over-title", "Call declined")
        visitor.press("again")
        alice.await_scene("ringing")
        visitor.page.goto("about:blank")
        alice.await_scene("home")

    def reload_without_a_line(self, alice: PhoneVisitor, visitor: GuestVisitor) -> None:
        """A page that is reloaded in a call says at once that it has no connection yet, and enters no room before."""
        self.meet(alice, visitor)
        alice.page.evaluate(_WAIT_FOR_GUEST)
        visitor.page.add_init_script(NO_LINE)
        visitor.page.reload()
        visitor.await_text("starting-hint", "Reconnecting")
        visitor.await_text("starting-hint", "No connection right now")
        self.assertEqual(1, len(visitor.page.frames))
        visitor.page.evaluate("hasLine = true")
        visitor.await_connected(Camera.RED)
        alice.await_connected(Camera.BLUE)

    def closes(self, alice: PhoneVisitor, visitor: GuestVisitor) -> None:
        """The call of a guest who has closed the page is over soon."""
        alice.page.evaluate(_HURRY)
        visitor.page.goto("about:blank")
        alice.await_scene("home")
        alice.await_text("notice-text", "The call with Anna (guest) has ended.")

    def test_rings(self) -> Deferred[None]:
        """A guest rings, without a line or beside others."""
        self.list_each_other()

        def story(stage: Stage) -> None:
            alice, visitor, link = self.begin(stage)
            self.hangs_up_away(alice, visitor)
            self.no_connection(alice, visitor)
            alice.press("refuse")
            visitor.await_text("over-title", "Call declined")
            self.family_first(stage, alice, visitor)
            alice.hang_up()
            visitor.press("cancel")
            visitor.await_scene("door")
            alice.await_scene("home")
            self.one_guest_at_a_time(stage, alice, visitor, link)

        return self.play(story)

    def hangs_up_away(self, alice: PhoneVisitor, visitor: GuestVisitor) -> None:
        """A guest who stops calling without a connection rings no more once it is back."""
        visitor.ring("Anna")
        alice.await_scene("ringing")
        visitor.page.context.set_offline(True)
        visitor.page.evaluate("sockets.forEach((socket) => socket.close())")
        visitor.await_text("ring-hint", "No connection right now")
        visitor.press("cancel")
        visitor.await_scene("door")
        visitor.page.context.set_offline(False)
        visitor.forgive("ERR_INTERNET_DISCONNECTED")
        alice.await_scene("home")
        alice.await_text("notice-text", "Missed call from Anna (guest).")

    def no_connection(self, alice: PhoneVisitor, visitor: GuestVisitor) -> None:
        """A guest is told of a lost connection, and rings on once it is back. A blocked storage hinders nobody."""
        visitor.page.add_init_script(_NO_STORAGE)
        visitor.page.reload()
        visitor.await_scene("door")
        visitor.ring("Anna")
        alice.await_scene("ringing")
        visitor.await_text("ring-hint", "Stay on this page")
        visitor.page.context.set_offline(True)
        visitor.page.evaluate("sockets.forEach((socket) => socket.close())")
        visitor.await_text("ring-hint", "No connection right now")
        visitor.page.context.set_offline(False)
        visitor.await_text("ring-hint", "Stay on this page")
        visitor.forgive("ERR_INTERNET_DISCONNECTED")
        alice.press("refuse")
        visitor.await_text("over-title", "Call declined")
        visitor.press("again")
        alice.await_text("ring-name", "Anna")

    def family_first(self, stage: Stage, alice: PhoneVisitor, visitor: GuestVisitor) -> None:
        """A contact who calls while a guest rings takes the guest's place."""
        bob = phone(stage, stage.browser(None))
        bob.log_in(*self.bob)
        visitor.press("again")
        alice.await_text("ring-name", "Anna")
        bob.await_contact(self.alice.phone, online=True)
        bob.call(self.alice.phone)
        alice.await_text("ring-name", "Bob")
        self.assertFalse(alice.is_visible("ring-guest"))
        self.assertEqual("calling", visitor.shown)
        alice.press("accept")
        bob.await_scene("call")
        self.assertEqual("calling", visitor.shown)

    def one_guest_at_a_time(self, stage: Stage, alice: PhoneVisitor, visitor: GuestVisitor, link: str) -> None:
        """While a guest rings another one rings nobody, which the owner sees afterwards, and the guest never."""
        visitor.ring("Anna")
        alice.await_text("ring-name", "Anna")
        other = guest(stage, stage.browser(None))
        other.follow(link)
        other.ring("Ben")
        other.await_scene("calling")
        wait_until(other, lambda: other.has_rung, "the ring")  # the owner sees nobody who cancels before it
        self.assertEqual(("calling", "Anna"), (visitor.shown, alice.text("ring-name")))
        other.press("cancel")
        alice.press("accept")
        alice.await_connected(Camera.BLUE)
        alice.hang_up()
        alice.press("to-calls")
        alice.page.wait_for_selector("#past .card >> text=Ben")

    def test_link(self) -> Deferred[None]:
        """A link is printed, changed and removed."""

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(None))
            alice.log_in(*self.alice)
            link = make_link(alice, "Practice")
            self.printed(alice, link)
            self.changed(alice, link)

        return self.play(story)

    def printed(self, alice: PhoneVisitor, link: str) -> None:
        """A link is printed large, and nothing else is. It can be copied."""
        alice.page.click('#links [data-key="copy"]')
        alice.await_text("notice-text", "Link copied.")
        alice.page.evaluate("window.print = () => { window.printed = true; }")
        alice.page.click('#links [data-key^="link-print"]')
        alice.await_that("window.printed")
        self.assertFalse(alice.is_visible("poster"))
        alice.page.emulate_media(media="print")
        alice.await_shown("poster", "Scan to call by video")
        texts = alice.page.locator("#poster > :not(canvas)").all_text_contents()
        self.assertEqual(["Scan to call by video", link, "Practice"], texts)
        width = alice.page.evaluate("document.querySelector('#poster canvas').getBoundingClientRect().width")
        self.assertGreater(width, 200)
        alice.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        alice.await_hidden("poster")
        alice.page.emulate_media(media="null")

    def changed(self, alice: PhoneVisitor, link: str) -> None:
        """A link is renamed, gets hours and a limit, is switched off, and removed."""
        alice.page.click('#links [data-key^="link-change"]')
        alice.page.fill("#link-name", "Surgery")
        alice.page.select_option("#link-when", "daily")
        alice.page.fill("#link-from", "08:00")
        alice.page.fill("#link-to", "12:30")
        alice.page.select_option("#link-until", "week")
        alice.page.select_option("#link-calls", label="1 call")
        alice.page.click('[data-key="link-save"]')
        line = alice.page.locator("#links .line")
        line.locator("[role=switch]").wait_for()
        text = " ".join(line.inner_text().replace("\N{NARROW NO-BREAK SPACE}", " ").split())
        self.assertRegex(text, r"\ASurgery 8:00 AM–12:30 PM · Until .* · 1 call left · Not used yet\Z")
        self.not_switched_off(alice, line)
        line.locator("[role=switch]").uncheck()
        line.filter(has_text="Off · ").wait_for()
        alice.page.reload()
        alice.await_scene("home", "online")
        alice.press("to-settings")
        line.filter(has_text="Off · ").wait_for()
        line.locator(".quiet").click()
        self.assertEqual(link, alice.page.input_value(_LINK))
        alice.page.keyboard.press("Escape")
        alice.await_that("document.activeElement.dataset.key.startsWith('link-')")
        alice.page.keyboard.press("Enter")
        alice.page.click('#links [data-key^="link-remove"]')
        alice.page.click("#links .danger")
        alice.await_text("notice-text", "Surgery was removed.")
        line.wait_for(state="detached")

    def not_switched_off(self, alice: PhoneVisitor, line: Locator) -> None:
        """A link that could not be switched off shows that it rings on."""
        alice.page.route("**/links/change", lambda route: route.abort(), times=1)
        line.locator("[role=switch]").click()
        alice.await_shown("notice-text", "Can’t reach the server")
        alice.forgive("ERR_FAILED")
        self.assertTrue(line.locator("[role=switch]").is_checked())

    def test_incomplete(self) -> Deferred[None]:
        """A link without its end says that it is incomplete. Names are remembered."""

        def story(stage: Stage) -> None:
            visitor = guest(stage, stage.browser(None))
            visitor.page.goto(f"{stage.site_url}{PATH}")
            visitor.await_scene("incomplete")
            visitor.follow(f"{stage.site_url}{PATH}#wrong")
            visitor.ring("Anna")
            visitor.await_scene("calling")
            visitor.press("cancel")
            visitor.await_scene("door")
            visitor.page.reload()
            visitor.await_that("document.activeElement.id === 'ring-now'")
            self.assertEqual("Anna", visitor.page.input_value("#name"))

        return self.play(story)


class NobodyTests(GuestCase):
    """Links that nobody answers."""

    settings = "calls.ring_time = 1"

    def test_nobody_answers(self) -> Deferred[None]:
        """A guest reads that nobody has answered, whether the link rings, is switched off, or is none at all."""

        def story(stage: Stage) -> None:
            alice, visitor, link = self.begin(stage)
            visitor.ring("Anna")
            visitor.await_text("over-title", "No answer")
            alice.await_text("notice-text", "Missed call from Anna (guest).")
            alice.press("notice-close")
            alice.press("to-settings")
            alice.page.uncheck("#links [role=switch]")
            alice.page.locator("#links .line").filter(has_text="Off · ").wait_for()
            shown = visitor.text("over")
            for other in (link, f"{stage.site_url}{PATH}#none-at-all"):
                visitor.page.goto("about:blank")
                visitor.follow(other)
                visitor.press("ring-now")
                visitor.await_scene("over")
                self.assertEqual(shown, visitor.text("over"))
            alice.press("to-calls")
            alice.page.wait_for_selector("#past .card")
            self.assertEqual(1, len(alice.past()))

        return self.play(story)


class ClosedTests(ChromiumCase):
    """A guest calls a phone that is closed."""

    def test_shown(self) -> Deferred[None]:
        """A guest may say any name, and is shown as a guest."""

        def story(stage: Stage) -> None:
            profile = self.profile(stage)
            bob, alice = tab(stage, profile), phone(stage, stage.browser(None))
            visitor = guest(stage, stage.browser(None))
            bob.log_in(*BOB)
            alice.log_in(*ALICE)
            alice.add_contact(BOB.phone, "Bob")
            visitor.follow(make_link(bob, "Front door"))
            bob.page.check("#closed-switch")
            bob.await_text("closed-state", "even when")
            closed = Closed(profile, bob)
            bob.page.close()
            alice.await_contact(BOB.phone, online=False)
            visitor.ring("Mum")
            closed.deliver(self.message())
            closed.shown("Mum (guest) is calling")
            visitor.press("cancel")
            closed.deliver(self.message())
            closed.shown("Missed call from Mum (guest).")

        return self.play(story)
