"""Every scene of the web phone on every screen and in four languages: nothing is cut, what matters most is in view, and
axe-core finds nothing that keeps anybody out. As in :mod:`tests.browser.test_screens` one tour leads through them.

The screenshots go onto a contact sheet for each screen and language. `make screens` renews those in docs/screens.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from playwright.sync_api import Browser
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred

from callnet.model import DeviceAddress
from callnet_client import Account, Pairing
from tests.browser.camera import Camera
from tests.browser.case import OwnDaemonCase, in_reactor
from tests.browser.layout import look
from tests.browser.phone_layout import FAULTS, WORD_FAULTS, faults
from tests.browser.phone_visitor import PhoneVisitor, phone, tab
from tests.browser.photographer import SCREENS, Photographer
from tests.browser.stage import LOOKED_AT_RATE, Stage
from tests.browser.test_screens import LANGUAGES
from tests.browser.window import resized
from tests.support.devices import log_in, service_of

OTHERS: Final = {"sideways": (844, 390), "small": (320, 568)}
"""These are looked at, too, and have no sheet."""

ME: Final = DeviceAddress("13800000000", "kitchen")
STRANGER: Final = DeviceAddress("13900000000", "new")
FRIENDS: Final = (
    ("13800000011", "Alice", ("phone", "living-room-tv")),
    ("13800000012", "Grandmother", ("tv",)),
    ("13800000013", "王小明", ("phone",)),
    ("13800000014", "Alexandra Konstantinopoulou-Wassiljewa", ("a-device-whose-name-is-as-long-as-any-name-may-be",)),
    ("13800000015", "", ("web-1",)),
    ("13800000016", "Uncle Theodore", ()),
    ("13800000017", "Zoë", ("tablet",)),
    ("13800000018", "Ben", ("laptop",)),
)
"""The contacts: enough for a search. One has yet to join."""
GRANDMOTHER, NOT_JOINED = FRIENDS[1][0], FRIENDS[5][0]
ADDERS: Final = (("13800000031", "Alexandra Konstantinopoulou-Wassiljewa"), ("13800000032", ""))
"""Phones that have added everybody."""

PORTRAIT: Final = """() => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 192;
    const context = canvas.getContext("2d");
    const draw = (colour, ...oval) => {
        context.fillStyle = colour;
        context.beginPath();
        context.ellipse(...oval, 0, 0, 7);
        context.fill();
    };
    draw("#9ec7d6", 96, 96, 200, 200);
    draw("#7a3f2b", 96, 210, 78, 70);
    draw("#c9ccd1", 96, 84, 52, 58);
    draw("#e8b796", 96, 92, 40, 50);
    return canvas.toDataURL("image/jpeg");
}"""

_NOT_ASKED: Final = "Object.defineProperty(Notification, 'permission', { get: () => 'default' });"
"""Nobody has said yet whether notifications may be shown: headless browsers say that they may not."""

reactor: Any = installed


class PhoneScreenTests(OwnDaemonCase):
    """Appearance of the phone."""

    timeout = 3600
    maxDiff = None
    settings = (
        "calls.ring_time = 600\n"  # a call rings for as long as it takes to look at it
        'push = { allowed_hosts = ["push.test"], subject = "mailto:ops@example.org" }\n'
    )

    async def provision(self, photo: bytes) -> None:
        """Add contacts, all of them offline, some with a photo; and have others add everybody."""
        service = service_of(self.daemon)
        for number, _, device_ids in FRIENDS:
            for device_id in device_ids:
                await log_in(service, number, device_id)
        for number, _, device_ids in FRIENDS[:2]:
            await Account(service, number, device_ids[0]).profile(photo=photo)
        adders = [Account(service, number, "phone") for number, _ in ADDERS]
        await adders[0].profile(name=ADDERS[0][1], photo=photo)
        account = Account(service, ME.phone, "living-room-television")
        await account.profile(name="Maximilian Mustermann", photo=photo)
        for number, name, _ in FRIENDS:
            await account.add_contact(number, name, number in (GRANDMOTHER, NOT_JOINED))
        chosen = [number for number, _, _ in FRIENDS[:3]]
        await account.settings(auto_answer=chosen, rings_through=chosen, second_call_rings=True)
        for adder in adders:
            await adder.add_contact(ME.phone)

    def test_scenes(self) -> Deferred[None]:
        """Whatever the phone shows is whole and in view, or can be scrolled to, in each language on every screen."""

        def story(stage: Stage) -> None:
            photographer = Photographer(OTHERS, [FAULTS], LANGUAGES)
            here, there = (stage.browser(camera, rate=LOOKED_AT_RATE) for camera in Camera)
            portrait = phone(stage, here).page.evaluate(PORTRAIT)
            photo = base64.b64decode(portrait.partition(",")[2])
            in_reactor(lambda: Deferred.fromCoroutine(self.provision(photo)))
            self.tour(stage, photographer, here, there)
            photographer.draw(here, "web-phone")
            self.assertEqual("\n".join(photographer.faults), "")

        return self.play(story)

    def test_faults_are_seen(self) -> Deferred[None]:
        """The check finds what is cut off, covered, hidden or off the screen, where the page is hardly painted."""
        element = "const [title, form, submit] = ['login-title', 'login-form', 'login-submit']"
        element += ".map((id) => document.getElementById(id)); "
        wrongs = {
            "title.style.marginLeft = '3000px'": "#login-title leaves the screen",
            "title.style.whiteSpace = 'nowrap'; title.style.width = '1rem'": "the text of #login-title does not fit",
            "form.style.height = '3rem'; form.style.overflow = 'hidden'": "#login-submit is cut by #login-form",
            "submit.hidden = true": "#login-submit is not to be seen",
            "title.style = 'position: fixed; top: 0; left: 0; width: 100%; height: 100%'": "#login-submit is covered",
        }

        def story(stage: Stage) -> None:
            visitor = phone(stage, stage.browser(None))
            with resized(visitor.page) as resize:
                for wrong, fault in wrongs.items():
                    visitor.open()
                    visitor.await_scene("login")
                    resize(*SCREENS["laptop"])
                    self.assertEqual(look(visitor.page, FAULTS), [])
                    self.assertIn(fault, faults(visitor.page, element + wrong))

        return self.play(story)

    def tour(self, stage: Stage, photographer: Photographer, here: Browser, there: Browser) -> None:
        """Take a phone through all that it shows."""
        visitor, friend = phone(stage, here), phone(stage, there)
        visitor.page.add_init_script(_NOT_ASKED)
        visitor.open()
        visitor.await_scene("login")
        visitor.fill_in("12", "kitchen")
        visitor.press("login-submit")
        visitor.page.wait_for_selector("#login-problem:not([hidden])")
        photographer.take(visitor, "login", checks=[WORD_FAULTS])
        visitor.press("pair")
        visitor.await_scene("pairing")
        visitor.page.wait_for_selector("#pairing-shown:not([hidden])")
        visitor.await_that("document.querySelector('#pairing-picture').width < 200")
        photographer.take(visitor, "pairing")
        visitor.press("pairing-back")
        friend.log_in(FRIENDS[0][0], FRIENDS[0][2][0])
        visitor.fill_in(*ME)
        visitor.press("login-submit")
        visitor.await_contact(FRIENDS[0][0], online=True)
        visitor.page.wait_for_selector("#people .face img")
        photographer.take(visitor, "contacts")
        visitor.page.fill("#search", "nobody")
        photographer.take(visitor, "searching")
        visitor.page.fill("#search", "")
        visitor.call(NOT_JOINED)
        photographer.take(visitor, "inviting")
        visitor.page.click("#people .open .plain:not([data-key])")
        visitor.press("add")
        photographer.take(visitor, "adding")
        visitor.press("add")
        visitor.page.click(f'[data-key="edit-{FRIENDS[0][0]}"]')
        photographer.take(visitor, "changing a contact")
        visitor.page.keyboard.press("Enter")
        visitor.page.wait_for_selector("#people .open", state="detached")
        visitor.call(FRIENDS[0][0])
        friend.await_scene("ringing")
        visitor.page.wait_for_selector("#ring-number")
        photographer.take(visitor, "calling")
        visitor.press("cancel")
        friend.await_scene("home")
        friend.add_contact(ME.phone, "")
        friend.call(ME.phone)
        visitor.await_scene("ringing")
        photographer.take(visitor, "ringing")
        visitor.press("accept")
        visitor.await_connected(Camera.BLUE)
        photographer.take(visitor, "call")
        self.second_caller(stage, photographer, visitor)
        visitor.hang_up()
        visitor.await_scene("home")
        visitor.page.wait_for_selector("iframe", state="detached")
        visitor.await_shown("offer")
        photographer.take(visitor, "over", checks=[WORD_FAULTS])
        visitor.press("offer-no")
        self.answer_by_itself(photographer, visitor, friend)
        friend.await_scene("home")
        friend.call(ME.phone)
        visitor.await_scene("ringing")
        friend.press("cancel")
        visitor.await_scene("home")
        visitor.page.wait_for_selector("#missed")
        visitor.call(FRIENDS[3][0])
        visitor.await_scene("home")
        visitor.press("to-calls")
        visitor.page.wait_for_selector("#past .card:nth-child(5)")
        photographer.take(visitor, "calls")
        visitor.page.click("#past .card:first-child .quiet")
        visitor.page.click('#past [data-key^="block-"]')
        visitor.page.wait_for_selector("#notice-undo")
        visitor.press("clear")
        photographer.take(visitor, "blocked, options of a call, all to be deleted")
        visitor.press("clear-no")
        visitor.press("notice-close")
        self.look_at_settings(photographer, visitor)
        self.second_tab(stage, photographer, visitor)
        for one in (visitor, friend):
            one.page.close()

    def answer_by_itself(self, photographer: Photographer, visitor: PhoneVisitor, friend: PhoneVisitor) -> None:
        """Have a call answered automatically, whose countdown waits while it is looked at."""
        visitor.press("to-settings")
        visitor.switch_answering(is_on=True)
        visitor.press("to-contacts")
        friend.await_scene("home")
        visitor.hold()
        friend.call(ME.phone)
        visitor.await_shown("auto")
        photographer.take(visitor, "ringing, to be answered automatically")
        visitor.go_on()
        visitor.await_connected(Camera.BLUE)
        photographer.take(visitor, "call, answered automatically")
        visitor.page.wait_for_selector("#call-by-itself")
        visitor.hang_up()
        visitor.await_scene("home")
        visitor.page.wait_for_selector("iframe", state="detached")
        visitor.press("to-settings")
        visitor.switch_answering(is_on=False)
        visitor.press("to-contacts")

    def second_caller(self, stage: Stage, photographer: Photographer, visitor: PhoneVisitor) -> None:
        """Be called by somebody with a long name during the call, and hold that while talking with them."""
        number, _, device_ids = FRIENDS[3]
        caller = phone(stage, stage.browser(None))
        caller.log_in(number, device_ids[0])
        caller.add_contact(ME.phone, "")
        caller.call(ME.phone)
        visitor.await_shown("second")
        photographer.take(visitor, "second caller")
        visitor.press("second-hold")
        visitor.await_shown("held")
        visitor.inside.await_state("connected")
        photographer.take(visitor, "held call")
        caller.hang_up()
        visitor.await_hidden("held")
        caller.await_scene("home")
        visitor.await_connected(Camera.BLUE)
        caller.page.close()
        visitor.page.wait_for_selector(f'#people .card:not(.online)[data-phone="{number}"]', state="attached")

    def look_at_settings(self, photographer: Photographer, visitor: PhoneVisitor) -> None:
        """Look at the settings, with a person that is blocked, and another device that is changed and removed."""
        visitor.press("to-settings")
        visitor.page.check("#quiet")
        visitor.press("who-contacts")
        visitor.await_shown("closed")
        other = "#devices .line:nth-child(2)"
        visitor.page.wait_for_selector(f"#blocked .line, {other}")
        photographer.take(visitor, "settings", is_whole=True)
        visitor.page.click(f"{other} .quiet")
        photographer.take(visitor, "changing a device", of=other)
        visitor.page.click(f"{other} .danger:last-child")
        photographer.take(visitor, "removing a device", of=other)
        visitor.page.click(f"{other} .plain:first-child")
        visitor.press("let-in")
        photographer.take(visitor, "a code to be typed", of="#let-in-form")
        pairing = in_reactor(lambda: Pairing.begin(service_of(self.daemon), "Television, Samsung Internet"))
        visitor.page.fill("#let-in-code", pairing.user_code)
        visitor.page.keyboard.press("Enter")
        visitor.await_shown("let-in-ask")
        photographer.take(visitor, "letting a device in", of="#let-in-ask")
        visitor.press("let-in-refuse")

    def second_tab(self, stage: Stage, photographer: Photographer, visitor: PhoneVisitor) -> None:
        """Be the same device in a second tab, and in a third one somebody who has no contacts."""
        profile = visitor.page.context
        kept = visitor.page.evaluate("Object.entries(sessionStorage)")
        twin = tab(stage, profile)
        twin.page.add_init_script(f"for (const [name, value] of {kept!r}) sessionStorage.setItem(name, value);")
        twin.open()
        visitor.await_scene("elsewhere")
        photographer.take(visitor, "elsewhere")
        stranger = tab(stage, profile)
        stranger.log_in(*STRANGER)
        stranger.page.wait_for_selector("#no-people")
        stranger.await_that("document.querySelector('#own-invitation canvas').width < 200")
        photographer.take(stranger, "nobody yet")
        stranger.press("to-calls")
        stranger.page.wait_for_selector("#no-calls")
        photographer.take(stranger, "no calls yet")
        for one in (twin, stranger):
            one.page.close()
