"""Appearance of the kiosk in each of its states, in each language."""

from __future__ import annotations

import base64
from typing import Final

from twisted.internet.defer import Deferred

from callnet_client import Account
from tests.browser.camera import Camera
from tests.browser.case import OwnDaemonCase, in_reactor
from tests.browser.phone_layout import FAULTS
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.photographer import Photographer
from tests.browser.stage import LOOKED_AT_RATE, Stage
from tests.browser.test_kiosk import MOTHER, PIN, TELEVISIONS, TV, set_up
from tests.browser.test_phone_devices import press_key
from tests.browser.test_phone_screens import PORTRAIT
from tests.browser.test_screens import LANGUAGES
from tests.support.devices import log_in, service_of

FAMILY: Final = (
    ("13800000012", "Anna"),
    ("13800000011", "王小明"),
    ("13800000013", "Alexandra Konstantinopoulou-Wassiljewa"),
    ("13800000014", "Uncle Theodore"),
    ("13800000016", "Zoë"),
    ("13800000017", ""),
)


class KioskScreenTests(OwnDaemonCase):
    """Appearance of the kiosk, and of the form that makes one."""

    timeout = 3600
    maxDiff = None
    settings = "calls.ring_time = 600\n"

    async def provision(self, me: Account, photo: bytes) -> None:
        """Add contacts, some with a photo, and have another device that is a kiosk already."""
        service = service_of(self.daemon)
        for number, name in FAMILY:
            await log_in(service, number, TV)
            if int(number) % 2 == 0:
                await Account(service, number, TV).profile(photo=photo)
            await me.add_contact(number, name, number == FAMILY[0][0])
        await me.configure_device("desk", kiosk_pin=PIN, auto_answers=True)
        await me.settings(auto_answer=[FAMILY[0][0], FAMILY[1][0]])

    def test_scenes(self) -> Deferred[None]:
        """Whatever the kiosk shows is whole and in view, or can be scrolled to, in each language on every screen."""

        def story(stage: Stage) -> None:
            photographer = Photographer(TELEVISIONS, [FAULTS], LANGUAGES)
            here, there = (stage.browser(camera, rate=LOOKED_AT_RATE) for camera in Camera)
            television, friend = phone(stage, here), phone(stage, there)
            photo = base64.b64decode(television.page.evaluate(PORTRAIT).partition(",")[2])
            television.log_in(*MOTHER)
            desk = Account(service_of(self.daemon), MOTHER.phone, "desk", keep=lambda _: None)
            in_reactor(lambda: desk.configure_device(TV, kiosk_pin=PIN))
            television.await_shown("kiosk-empty")
            photographer.take(television, "nobody yet")
            in_reactor(lambda: desk.configure_device(TV, kiosk_pin=None))
            television.await_scene("home")
            in_reactor(lambda: Deferred.fromCoroutine(self.provision(desk, photo)))
            self.tour(photographer, television, friend)
            photographer.draw(here, "kiosk")
            self.assertEqual("\n".join(photographer.faults), "")

        return self.play(story)

    def tour(self, photographer: Photographer, television: PhoneVisitor, friend: PhoneVisitor) -> None:
        """Take a television through all that a kiosk shows."""
        television.press("to-settings")
        television.page.wait_for_selector('#devices .device:has([data-key="device-desk"]):has-text("simple mode")')
        press_key(television, "device-desk")
        television.page.fill("#device-pin", "12")
        press_key(television, "save-desk")
        television.await_shown("device-pin-problem")
        photographer.take(television, "a device is set up", of="#devices")
        press_key(television, "close-desk")
        set_up(television, TV, pin=PIN, presses=("answers", "kiosk"))
        television.await_scene("kiosk")
        friend.log_in(FAMILY[0][0], TV)
        television.page.wait_for_selector(".tile.online")
        television.page.wait_for_selector(".tile img")
        photographer.take(television, "kiosk")
        television.page.click(f'[data-key="tile-{FAMILY[1][0]}"]')
        television.await_text("kiosk-title", FAMILY[1][1])
        photographer.take(television, "nobody there")
        television.press("kiosk-lock")
        television.page.keyboard.type("1234")
        television.page.keyboard.press("Enter")
        television.await_text("pin-problem", "Wrong")
        television.page.keyboard.type("04")
        self.take_keys(photographer, television, "PIN")
        television.page.keyboard.type("12")
        for _ in range(5):
            with television.page.expect_response("**/devices/unlock"):
                television.page.keyboard.press("Enter")
            television.await_that("document.querySelector('#pin-digits').value === ''")
            television.page.keyboard.type("1234")
        television.forgive("429")
        self.take_keys(photographer, television, "PIN, too many were wrong")
        television.press("pin-back")
        self.calls(photographer, television, friend)
        friend.call(MOTHER.phone, TV)
        television.await_scene("ringing")
        friend.press("cancel")
        me = Account(service_of(self.daemon), MOTHER.phone, "phone")
        in_reactor(lambda: me.settings(do_not_disturb={"from": "00:00", "to": "00:00", "time_zone": "UTC"}))
        for language in LANGUAGES:  # whose words come over the network
            television.page.wait_for_selector(".tile .missed")
            television.await_shown("kiosk-quiet")
            television.switch_language(language)
            television.page.context.set_offline(True)
            television.page.evaluate("sockets.forEach((socket) => socket.close())")
            television.await_shown("kiosk-link")
            photographer.take(television, "a missed call, quiet hours and no network", languages=[language])
            television.page.context.set_offline(False)
            television.await_hidden("kiosk-link")
            television.page.wait_for_selector(".tile img")
        television.page.close()
        television.forgive("ERR_INTERNET_DISCONNECTED", "Failed to load resource")

    def take_keys(self, photographer: Photographer, television: PhoneVisitor, name: str) -> None:
        """Look at the keys of the PIN, which close after a minute in which nothing is pressed."""
        for language in LANGUAGES:
            television.page.keyboard.press("Shift")
            photographer.take(television, name, languages=[language])
        television.switch_language(LANGUAGES[0])

    def calls(self, photographer: Photographer, television: PhoneVisitor, friend: PhoneVisitor) -> None:
        """Have it call, and be called."""
        television.page.click(f'[data-key="tile-{FAMILY[0][0]}"]')
        television.await_scene("calling")
        friend.await_scene("ringing")
        photographer.take(television, "calling")
        television.press("cancel")
        friend.await_scene("home")
        friend.add_contact(MOTHER.phone, "")
        television.hold()
        friend.call(MOTHER.phone, TV)
        television.await_shown("auto")
        photographer.take(television, "ringing, to be answered automatically")
        television.press("auto-stop")
        photographer.take(television, "ringing")
        television.press("refuse")
        friend.await_scene("home")
        television.await_scene("kiosk")
        television.go_on()
        friend.call(MOTHER.phone, TV)
        television.await_connected(Camera.BLUE)
        television.await_shown("call-by-itself")
        photographer.take(television, "call, answered automatically")
        friend.hang_up()
        television.await_scene("kiosk")
        television.page.wait_for_selector("iframe", state="detached")
        friend.await_scene("home")
