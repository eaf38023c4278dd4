"""The kiosk: a television that a relative has set up from afar, and that needs nothing but arrows and OK."""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import BrowserContext, Error, Request, Route
from twisted.internet.defer import Deferred

from callnet.model import DeviceAddress
from tests.browser.camera import Camera
from tests.browser.case import OwnDaemonCase, in_reactor
from tests.browser.continuity import kill_socket
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, phone, tab
from tests.browser.stage import Stage
from tests.browser.test_phone_devices import press_key
from tests.browser.test_phone_people import taken_upright
from tests.support.devices import log_in, service_of

PIN: Final = "0471"
TV: Final = "tv"
LOOKS: Final = 20
MOTHER: Final = DeviceAddress("13800000000", TV)
TELEVISIONS: Final = {"small television": (1280, 720), "large television": (3840, 2160), "tablet": (800, 1280)}
"""These are looked at, too."""
_COUNT_LOCKS: Final = """
    window.locks = [];
    const request = WakeLock.prototype.request;
    WakeLock.prototype.request = async function (kind) {
        const lock = await request.call(this, kind);
        window.locks.push(lock);
        return lock;
    };
"""
_RELEASE_LOCKS: Final = "Promise.all(window.locks.map((lock) => lock.release()))"
LATER: Final = """(milliseconds) => {
    const now = performance.now.bind(performance);
    performance.now = () => now() + milliseconds;
}"""
"""Lets the time of a page pass."""
_IS_AWAKE: Final = "window.locks.some((lock) => !lock.released)"
_VERSION: Final = re.compile(r"/v-[0-9a-f]{16}/")
_LOOK: Final = "async () => { await fetch('/'); }"
"""A look at the page of the site."""
_CAN_WRITE: Final = """connections.at(-1).getStats().then((report) =>
    Array.from(report.values()).some(({ type, state }) => type === "data-channel" && state === "open"))"""
"""The channel of messages may open later than the call is connected."""
_BUTTONS: Final = """() => Array.from(document.querySelectorAll("button, a, input, select, textarea"))
    .filter((element) => element.offsetParent !== null).map((element) => element.dataset.key ?? element.id)"""
"""Everything that can be pressed, by its key or id."""
_BACK_TWICE: Final = """() => {
    document.querySelector("#pin-back").click();
    document.querySelector(".tile").click();
}"""
"""Two taps on the key that closes the keys of the PIN: the second one is on what has come up there."""


def set_up(relative: PhoneVisitor, device_id: str, *, pin: str = "", presses: tuple[str, ...] = ()) -> None:
    """Change a device in the settings.

    :param presses: the switches that are pressed.
    """
    relative.press("to-settings")
    press_key(relative, f"device-{device_id}")
    for switch in presses:
        relative.page.click(f"#device-{switch}")
    if pin:
        relative.page.fill("#device-pin", pin)
    press_key(relative, f"save-{device_id}")
    relative.page.wait_for_selector("#devices form", state="detached")


def digits(visitor: PhoneVisitor, pin: str) -> None:
    """Enter a PIN with arrows and OK alone."""
    for digit in (*pin, "OK"):
        for _ in range(LOOKS):
            place, here = visitor.page.evaluate(
                "(text) => [document.activeElement, Array.from(document.querySelectorAll('#pin-keys button'))"
                ".find((key) => key.textContent === text)].map((one) => {"
                " const { x, y, width, height } = one.getBoundingClientRect();"
                " return [Math.round(x + width / 2), Math.round(y + height / 2)]; })",
                digit,
            )
            if place == here:
                break
            down, across = here[1] - place[1], here[0] - place[0]
            if abs(down) > 5:
                visitor.page.keyboard.press("ArrowDown" if down > 0 else "ArrowUp")
            else:
                visitor.page.keyboard.press("ArrowRight" if across > 0 else "ArrowLeft")
        else:
            raise TimeoutError(f"the arrows do not reach {digit}")
        visitor.page.keyboard.press("Enter")


class KioskCase(PhoneCase):
    """Alice's desk, and the television in her mother's room, which has her number."""

    def at_home(self, stage: Stage, television: PhoneVisitor | None = None) -> tuple[PhoneVisitor, PhoneVisitor]:
        """The desk, and the television, which is a kiosk. Bob has a phone that is not open."""
        in_reactor(lambda: log_in(service_of(self.daemon), self.bob.phone, "phone"))
        self.list_each_other()
        browser = stage.browser(Camera.RED)
        desk = phone(stage, browser)
        television = phone(stage, browser) if television is None else television
        desk.log_in(*self.alice)
        television.log_in(self.alice.phone, TV)
        set_up(desk, TV, pin=PIN, presses=("kiosk",))
        television.await_scene("kiosk", "online")
        return desk, television

    def bob_at_home(self, stage: Stage, television: PhoneVisitor) -> PhoneVisitor:
        """Bob, as soon as the television shows that he is online."""
        bob = phone(stage, stage.browser(Camera.BLUE))
        bob.log_in(*self.bob)
        television.page.wait_for_selector(f'.tile.online[data-key="tile-{self.bob.phone}"]')
        return bob


class FromAfarTests(KioskCase):
    """A relative sets it up."""

    def test_kiosk(self) -> Deferred[None]:
        """A device is a kiosk once a relative says so, with a PIN of 4 to 8 digits, and no more when they say so."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            desk = phone(stage, browser)
            television = tab(stage, stage.profile(browser, permissions=["screen-wake-lock"]))
            television.page.add_init_script(_COUNT_LOCKS)
            desk.log_in(*self.alice)
            television.log_in(self.alice.phone, TV)
            desk.press("to-settings")
            press_key(desk, f"device-{TV}")
            self.assertFalse(desk.is_visible("device-pin"))
            desk.page.click("#device-kiosk")
            for wrong in ("", "123", "12a4"):
                desk.page.fill("#device-pin", wrong)
                press_key(desk, f"save-{TV}")
                desk.await_shown("device-pin-problem", "Enter 4 to 8 digits.")
            desk.page.fill("#device-pin", PIN)
            press_key(desk, f"save-{TV}")
            desk.page.wait_for_selector("#devices .device:has-text('simple mode')")
            television.await_scene("kiosk")
            television.await_text("kiosk-empty", "No contacts yet")
            self.assertEqual(["kiosk-lock"], television.page.evaluate(_BUTTONS))
            desk.press("to-contacts")
            desk.add_contact("99999999", "Nobody yet")
            television.await_text("kiosk-empty", "Nobody has joined yet")
            television.await_that(_IS_AWAKE)
            television.page.evaluate(_RELEASE_LOCKS)
            television.await_that(_IS_AWAKE)
            television.view(False)
            television.page.evaluate(_RELEASE_LOCKS)
            self.assertFalse(television.page.evaluate(_IS_AWAKE))
            television.view(True)
            television.await_that(_IS_AWAKE)
            set_up(desk, TV, presses=("kiosk",))
            television.await_scene("home")
            television.await_that(f"!({_IS_AWAKE})")

        return self.play(story)

    def test_at_home(self) -> Deferred[None]:
        """Whatever a relative changes from afar the kiosk does, or shows."""

        def story(stage: Stage) -> None:
            desk, television = self.at_home(stage)
            bob = self.bob_at_home(stage, television)
            self.answers(desk, television, bob)
            self.contacts(stage, desk, television, bob)
            self.photo(desk, television)
            self.new_pin(desk, television)

        return self.play(story)

    def answers(self, desk: PhoneVisitor, television: PhoneVisitor, bob: PhoneVisitor) -> None:
        """It answers chosen callers if a relative has switched that on, and shows their names."""
        set_up(desk, TV, presses=("answers",))
        desk.press("to-contacts")
        press_key(desk, f"edit-{self.bob.phone}")
        press_key(desk, f"answered-{self.bob.phone}")
        press_key(desk, f"save-{self.bob.phone}")
        television.await_text("kiosk-answers", "Answers calls from Bob automatically")
        for _ in range(LOOKS):  # the server takes a moment to know the chosen callers
            bob.call(self.alice.phone, TV)
            television.await_scene("ringing")
            if television.is_visible("auto"):
                break
            television.press("refuse")
            bob.await_scene("home")
            television.await_scene("kiosk")
        television.await_connected(Camera.BLUE)
        television.await_text("call-by-itself", "Answered automatically")
        bob.hang_up()
        television.await_scene("kiosk")

    def contacts(self, stage: Stage, desk: PhoneVisitor, television: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Contacts added from afar are shown at once, favourites first; those that have yet to join are not."""
        carol = phone(stage, stage.browser(None))
        carol.log_in(*self.television)
        desk.press("to-contacts")
        desk.add_contact(self.television.phone, "Carol")
        desk.add_contact("99999999", "Nobody yet")
        television.page.wait_for_selector(f'[data-key="tile-{self.television.phone}"]')
        self.assertEqual(["Bob", "Carol"], television.page.locator(".tile bdi").all_inner_texts())
        press_key(desk, f"edit-{self.television.phone}")
        press_key(desk, f"favourite-{self.television.phone}")
        press_key(desk, f"save-{self.television.phone}")
        television.page.wait_for_selector("#kiosk-people li:first-child:has-text('Carol')")
        bob.page.close()
        television.page.wait_for_selector(f'.tile:not(.online)[data-key="tile-{self.bob.phone}"]')
        self.assertEqual(["Carol", "Bob"], television.page.locator(".tile bdi").all_inner_texts())

    def photo(self, desk: PhoneVisitor, television: PhoneVisitor) -> None:
        """A photo that a relative gives a contact is shown, and the contact's own one if it is taken away again."""
        tile = f'[data-key="tile-{self.bob.phone}"]'
        form = f'#people [data-phone="{self.bob.phone}"] form'
        desk.press("to-contacts")
        press_key(desk, f"edit-{self.bob.phone}")
        desk.page.wait_for_selector(form)
        self.assertFalse(desk.page.is_visible(f'[data-key="photo-remove-{self.bob.phone}"]'))
        with desk.page.expect_file_chooser() as chooser:
            press_key(desk, f"photo-choose-{self.bob.phone}")
        chooser.value.set_files([taken_upright(desk.page)])
        desk.page.wait_for_selector(f"{form} .face img")
        desk.page.fill(f"{form} input", "Uncle Bob")
        press_key(desk, f"save-{self.bob.phone}")
        television.page.wait_for_selector(f"{tile} img")
        television.page.wait_for_selector(f"{tile}:has-text('Uncle Bob')")
        desk.page.click(f'[data-key="edit-{self.bob.phone}"]')
        desk.page.click(f"{form} .danger >> text=Remove")
        television.page.wait_for_selector(tile, state="detached")
        desk.press("notice-undo")
        television.page.wait_for_selector(f"{tile} img")
        desk.page.click(f'[data-key="edit-{self.bob.phone}"]')
        press_key(desk, f"photo-remove-{self.bob.phone}")
        desk.page.wait_for_selector(f"{form} .face img", state="detached")
        press_key(desk, f"save-{self.bob.phone}")
        television.page.wait_for_selector(f"{tile} img", state="detached")

    def new_pin(self, desk: PhoneVisitor, television: PhoneVisitor) -> None:
        """A forgotten PIN is replaced from afar; what is not touched in the form stays as it is."""
        set_up(desk, TV, pin="98765432")
        desk.page.wait_for_selector("#devices .device:has-text('simple mode · answers automatically')")
        television.press("kiosk-lock")
        for pin, scene in ((PIN, "kiosk"), ("98765432", "home")):
            television.page.keyboard.type(pin)
            television.page.keyboard.press("Enter")
            if scene == "kiosk":
                television.await_text("pin-problem", "Wrong PIN.")
        television.await_scene("home")
        desk.page.wait_for_selector("#devices .device:not(:has-text('simple mode')):has-text('answers automatically')")

    def test_earlier_setting(self) -> Deferred[None]:
        """A setting that only the browser had is told to the server once."""

        def story(stage: Stage) -> None:
            visitor = phone(stage, stage.browser(None))
            visitor.log_in(*self.alice)
            key = f"callnet.answers.{self.alice.phone}.{self.alice.device_id}"
            visitor.page.evaluate("(key) => localStorage.setItem(key, 'true')", key)
            visitor.page.reload()
            visitor.press("to-settings")
            visitor.page.wait_for_selector("#auto-switch:checked")
            visitor.await_that(f"localStorage.getItem({key!r}) === null")
            visitor.switch_answering(is_on=False)
            visitor.page.reload()
            visitor.page.wait_for_selector("#devices .device", state="attached")
            visitor.page.wait_for_selector("#auto-switch:not(:checked)", state="attached")

        return self.play(story)


class InTheRoomTests(KioskCase):
    """Somebody who has a remote control."""

    def test_in_the_room(self) -> Deferred[None]:
        """OK calls the first person, and hangs up; arrows and OK enter the PIN, as do the keys of a keyboard."""

        def story(stage: Stage) -> None:
            small, large = TELEVISIONS["small television"], TELEVISIONS["large television"]
            profile = stage.profile(stage.browser(Camera.RED), size=small, whole_screen=True)
            desk, television = self.at_home(stage, tab(stage, profile))
            bob = self.bob_at_home(stage, television)
            for width, height in (small, large):  # where everything is three times as large
                television.page.set_viewport_size({"width": width, "height": height})
                self.remote_control(television, bob)
                desk.page.wait_for_selector("#devices .device:has-text('simple mode')", state="detached")
                set_up(desk, TV, pin=PIN, presses=("kiosk",))
                television.await_scene("kiosk")
                television.await_that("document.activeElement.matches('.tile')")
            television.page.set_viewport_size({"width": 800, "height": 500})
            self.back(television)
            self.called_at_the_keys(television, bob)
            self.wrong_pins(television)

        return self.play(story)

    def remote_control(self, television: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Use everything that the kiosk has with arrows and OK alone."""
        self.assertEqual(f"tile-{self.bob.phone}", television.page.evaluate("document.activeElement.dataset.key"))
        television.press_enter()
        bob.await_scene("ringing")
        bob.press("accept")
        inside = television.await_connected(Camera.BLUE)
        self.assertEqual(["mute", "camera", "hangup"], inside.page.evaluate(_BUTTONS))
        there = bob.inside
        there.await_that(_CAN_WRITE)
        there.press("chat")
        there.page.fill("#chat-text", "hello")
        bob.page.keyboard.press("Enter")
        inside.page.wait_for_selector("#log:has-text('hello')", state="attached")
        television.page.keyboard.press("s")
        self.assertNotIn("New message", inside.page.text_content("#notice") or "")  # it may say how the line is
        self.assertEqual(["mute", "camera", "hangup"], inside.page.evaluate(_BUTTONS))
        inside.page.focus("#hangup")
        television.press_as_it_comes(".tile", "kiosk")  # a second tap calls nobody, and nor does a key that is held
        television.hold_enter("kiosk")
        television.await_that("document.activeElement.matches('.tile')")
        self.assertEqual("kiosk", television.shown)
        television.page.keyboard.press("ArrowUp")
        self.assertEqual("kiosk-lock", television.focused)
        television.page.keyboard.press("Enter")
        television.await_shown("pin")
        self.assertFalse(television.is_visible("kiosk-main"))
        digits(television, "0472")
        television.await_text("pin-problem", "Wrong PIN.")
        digits(television, PIN)
        television.await_scene("home")

    def back(self, television: PhoneVisitor) -> None:
        """The keys of the PIN close with one key, and by themselves after a minute."""
        television.press("kiosk-lock")
        television.page.keyboard.type("12")
        television.page.keyboard.press("Escape")
        television.await_hidden("pin")
        self.assertEqual("kiosk-lock", television.focused)
        television.page.keyboard.press("Enter")
        television.page.evaluate(_BACK_TWICE)
        television.page.wait_for_selector("body:not([data-new])")
        self.assertEqual("kiosk", television.shown)
        television.press("kiosk-lock")
        self.assertEqual("", television.page.input_value("#pin-digits"))
        television.page.evaluate(LATER, 61_000)
        television.await_hidden("pin")
        television.await_shown("kiosk-people")
        kill_socket(television)  # which may have waited for an answer since then
        television.await_scene("kiosk", "online")

    def called_at_the_keys(self, television: PhoneVisitor, bob: PhoneVisitor) -> None:
        """A call closes the keys of the PIN, which do not take its focus later. Missed, it is shown at the photo of its
        caller.
        """
        television.press("kiosk-lock")
        television.page.keyboard.type("12")
        bob.call(self.alice.phone, TV)
        television.await_scene("ringing")
        self.assertEqual("accept", television.focused)
        television.await_that("document.querySelector('#pin').hidden")
        bob.press("cancel")
        television.await_scene("kiosk")
        television.await_text("kiosk-title", "Missed call from Bob.")
        television.page.wait_for_selector(".tile .missed:has-text('Missed call')")
        television.await_that("document.activeElement.matches('.tile')")
        self.assertFalse(television.is_visible("pin"))

    def wrong_pins(self, television: PhoneVisitor) -> None:
        """After five wrong PINs the right one has to wait; what is typed on a keyboard is taken."""
        television.press("kiosk-lock")
        for pin in ("1111", "1112", "1113", "1114", "1115", PIN):
            with television.page.expect_response("**/devices/unlock"):
                television.page.keyboard.type(pin)
                television.page.keyboard.press("Enter")
            television.await_that("document.querySelector('#pin-digits').value === ''")
        television.await_text("pin-problem", "Too many wrong PINs. Wait 0:")
        television.forgive("429")
        self.assertEqual("kiosk", television.shown)


class ComesBackTests(KioskCase):
    """Whatever happens to it."""

    def test_comes_back(self) -> Deferred[None]:
        """It is the same kiosk again and again, until it is a device no more."""

        def story(stage: Stage) -> None:
            profile = stage.profile(stage.browser(Camera.RED))
            desk, television = self.at_home(stage, tab(stage, profile))
            self.new_release(stage, television)
            self.lost_network(profile, television)
            television = self.power_cut(stage, profile, television)
            self.removed(desk, television)

        return self.play(story)

    def new_release(self, stage: Stage, television: PhoneVisitor) -> None:
        """Once it is connected again it takes a new release of the page, and is the same kiosk."""
        looks: list[bool] = []
        is_newer = False

        def answer(route: Route, asked: Request) -> None:
            """Answer a look at the page, as soon as there is another release, with that."""
            if asked.resource_type != "fetch":
                route.continue_()
                return
            looks.append(is_newer)
            version = f"/v-{'0' * 16}/" if is_newer else r"\g<0>"
            found = route.fetch()
            route.fulfill(response=found, body=_VERSION.sub(version, found.text()))

        television.page.route(stage.site_url + "/", answer)
        television.page.evaluate(_LOOK)  # after which its own is answered, or will be with the old release
        is_newer = True
        with television.page.expect_navigation():
            television.page.evaluate("sockets.forEach((socket) => socket.close())")
        television.await_scene("kiosk", "online")
        looks.clear()
        television.page.evaluate("() => { window.stays = true; sockets.forEach((socket) => socket.close()); }")
        television.await_that("sockets.length > 1 && document.body.dataset.link === 'online'")
        self.assertTrue(television.page.evaluate("window.stays"))
        television.page.evaluate(_LOOK)
        television.page.unroute(stage.site_url + "/")
        self.assertEqual([True], looks)  # it has not looked: nodes of two releases may alternate

    def lost_network(self, profile: BrowserContext, television: PhoneVisitor) -> None:
        """While the network is away it says so, and shows everybody; then it is back."""
        profile.set_offline(True)
        television.page.evaluate("sockets.forEach((socket) => socket.close())")
        television.await_text("kiosk-link", "No connection. Trying again…")
        television.page.wait_for_selector(f'[data-key="tile-{self.bob.phone}"]')
        profile.set_offline(False)
        television.await_scene("kiosk", "online")
        television.await_hidden("kiosk-link")
        television.forgive("ERR_INTERNET_DISCONNECTED")

    def power_cut(self, stage: Stage, profile: BrowserContext, television: PhoneVisitor) -> PhoneVisitor:
        """After a power cut it is the same kiosk, though its token has expired."""
        television.page.evaluate(
            "() => { for (const [key, text] of Object.entries(localStorage)) {"
            " const kept = JSON.parse(text);"
            " if (key.startsWith('callnet.device.')) {"
            "   localStorage.setItem(key, JSON.stringify({ ...kept, token: 'x.y.z' })); } } }"
        )
        television.page.close()  # without a word
        again = tab(stage, profile)
        again.open()
        again.await_scene("kiosk", "online")
        again.page.wait_for_selector(f'[data-key="tile-{self.bob.phone}"]')
        return again

    def removed(self, desk: PhoneVisitor, television: PhoneVisitor) -> None:
        """One that is a device no more shows how it is let in again."""
        desk.press("to-settings")
        for key in ("device", "remove", "yes"):
            press_key(desk, f"{key}-{TV}")
        television.await_scene("pairing")
        television.page.wait_for_selector("#pairing-shown:not([hidden])")
        self.assertIn("open Settings and choose", television.text("pairing"))


class WithoutSiteTests(OwnDaemonCase):
    """A television that is switched on before there is a network, or a site."""

    def at_home(self, stage: Stage) -> tuple[BrowserContext, PhoneVisitor]:
        """The television, once its worker is there."""
        profile = stage.profile(stage.browser(None))
        television = tab(stage, profile)
        television.log_in(*MOTHER)
        set_up(television, TV, pin=PIN, presses=("kiosk",))
        television.await_scene("kiosk", "online")
        television.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
        return profile, television

    def test_without_site(self) -> Deferred[None]:
        """Its worker helps it where a part of a page does not come, or nothing at all, and else is out of the way."""

        def story(stage: Stage) -> None:
            profile, television = self.at_home(stage)
            self.half_a_page(profile, television)
            self.out_of_the_way(stage, television)
            self.power_cut(stage, profile, television)

        return self.play(story)

    def half_a_page(self, profile: BrowserContext, television: PhoneVisitor) -> None:
        """A page of which a part did not come is loaded again."""
        stopped: list[str] = []

        def stop(route: Route) -> None:
            stopped.append(route.request.url)
            route.abort()

        for part, tries in (("**/start.js", 1), ("**/bundle.js", 1), ("**/words/*.json", 2)):
            stopped.clear()
            profile.route(part, stop)
            television.page.reload()
            while len(stopped) < tries:
                television.wait(50)
            profile.unroute(part)
            (worker,) = profile.service_workers
            self.assertNotEqual("kiosk", television.shown)
            worker.evaluate("async () => { for (const { id } of await clients.matchAll()) await nudge(id, 500); }")
            television.await_scene("kiosk", "online")
            television.page.evaluate("window.stays = true")
            worker.evaluate("async () => { for (const { id } of await clients.matchAll()) await nudge(id); }")
            self.assertTrue(television.page.evaluate("window.stays"))
        television.complaints.clear()  # of what did not come

    def out_of_the_way(self, stage: Stage, television: PhoneVisitor) -> None:
        """It keeps no page, and answers nothing else in the place of the site."""
        television.page.reload()
        television.await_scene("kiosk", "online")
        television.await_that("navigator.serviceWorker.controller !== null")
        in_reactor(self.daemon.stop)
        for path in ("/", "/static/index.html", "/account/settings"):
            failed = "(path) => fetch(path, { cache: 'no-store' }).then(() => '', (error) => error.name)"
            self.assertEqual("TypeError", television.page.evaluate(failed, path))
        with self.assertRaises(Error):
            television.page.goto(f"{stage.site_url}/static/index.html")
        television.page.wait_for_url("chrome-error:**")  # shown somewhat later, it would interrupt what comes next
        in_reactor(self.daemon.start)
        television.open()
        television.await_scene("kiosk", "online")
        kept = (
            "async () => (await Promise.all((await caches.keys()).map(async (place) =>"
            " (await (await caches.open(place)).keys()).map(({ url }) => new URL(url).pathname)))).flat()"
        )
        self.assertEqual(["/words"], television.page.evaluate(kept))
        television.complaints.clear()  # the browser reports each try

    def power_cut(self, stage: Stage, profile: BrowserContext, television: PhoneVisitor) -> None:
        """It waits for the site, in the language of the phone, and is the kiosk as soon as the site answers."""
        television.switch_language("de")
        television.await_that("caches.match('/words').then((words) => words.json()).then(({ lang }) => lang === 'de')")
        television.page.close()
        in_reactor(self.daemon.stop)
        television = tab(stage, profile)
        television.open()
        television.page.wait_for_selector("p:text-is('Keine Verbindung. Neuer Versuch …')")
        self.assertEqual("de", television.page.get_attribute("html", "lang"))
        television.page.wait_for_event("domcontentloaded")  # it tries by itself
        television.page.wait_for_selector("p:has-text('Keine Verbindung')")
        in_reactor(self.daemon.start)
        television.await_scene("kiosk", "online")
        television.forgive("503", "ERR_CONNECTION_REFUSED")
