"""People at the web phone: their photos and names, invitations, the search, and people who have added one."""

from __future__ import annotations

import base64
import struct
import subprocess
import time
from pathlib import Path
from typing import Final

from playwright.sync_api import FilePayload, Page
from twisted.internet.defer import Deferred

from callnet.cli.database import opened
from callnet.config.load import load
from callnet.model import PHOTO_MAX
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet_client import Account, Photo
from tests.browser.camera import Camera
from tests.browser.case import in_reactor
from tests.browser.continuity import wait_until
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, held, phone, tab
from tests.browser.stage import CHROMIUM, Stage
from tests.browser.test_phone_devices import press_key
from tests.support.devices import log_in, service_of
from tests.support.shared_daemon import new_phone

NAMES: Final = ("Anna", "Bert", "Carl", "Zoë Müller", "Eve", "Frank", "Grandmother", "Hans")
"""Enough for a search."""

_PICTURE: Final = """() => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [1200, 800];
    const context = canvas.getContext("2d");
    const picture = context.createImageData(1200, 800);
    for (let i = 0; i < picture.data.length; i += 4) {
        const isLeft = i / 4 % 1200 < 600;
        const noise = 120 * Math.random();
        picture.data.set(isLeft ? [255, noise, noise, 255] : [noise, noise, 255, 255], i);
    }
    context.putImageData(picture, 0, 0);
    return canvas.toDataURL("image/jpeg", 0.95);
}"""
"""A picture with more in it than 32 KiB can hold, its left half red and its right half blue."""

_COLOURS: Final = """async (place) => {
    const picture = document.querySelector(`${place} img`);
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 9;
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0, 9, 9);
    const colourAt = (y) => {
        const [red, , blue] = context.getImageData(4, y, 1, 1).data;
        return red > blue ? "red" : "blue";
    };
    return [colourAt(1), colourAt(7), picture.naturalWidth === picture.naturalHeight];
}"""
"""The colours of a face at its top and its bottom, and whether it is a square."""

_NOTE_NOTIFICATIONS: Final = """
    window.shown = [];
    window.Notification = class extends Notification {
        constructor(title, options) {
            super(title, options);
            window.shown.push([this.title, this.icon]);
        }
    };
    Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
"""
"""Somebody looks at another window, and the notifications of the system are noted."""

_SHARE: Final = "navigator.share = async (what) => { window.shared = what; };"


def taken_upright(page: Page) -> FilePayload:
    """A picture as a telephone takes it: its Exif says that it is to be turned to the right."""
    data = base64.b64decode(page.evaluate(_PICTURE).partition(",")[2])
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + orientation + struct.pack("<I", 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    return {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": data[:2] + segment + data[2:]}


def read_code(visitor: PhoneVisitor, place: str, picture: Path) -> str:
    """The text of a QR code."""
    visitor.await_that(f"document.querySelector('{place} canvas').width < 200")
    visitor.page.locator(f"{place} canvas").screenshot(path=picture)
    read = ("zbarimg", "--quiet", "--raw", picture)
    return subprocess.run(read, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


class PeopleTests(PhoneCase):
    """People who get to know each other."""

    async def provision(self) -> None:
        """Give Alice contacts."""
        service = service_of(self.daemon)
        alice = Account(service, *self.alice)
        self.numbers = {name: new_phone() for name in NAMES}
        for name, number in self.numbers.items():
            await log_in(service, number, "tv")
            await alice.add_contact(number, name)

    def names(self, visitor: PhoneVisitor) -> list[str]:
        """The names in the contact list."""
        return visitor.page.locator("#people .card .name bdi").all_inner_texts()

    def await_names(self, visitor: PhoneVisitor, *expected: str) -> None:
        """Wait until the contact list has these names."""
        wait_until(visitor, lambda: self.names(visitor) == [*expected], f"{expected}")

    def test_blank_name(self) -> Deferred[None]:
        """The number stands for a name of spaces, which earlier servers took, and all others are there."""
        number = new_phone()
        with opened(load(str(self.daemon.settings_file), self.daemon.environ)) as database:
            contacts.add(
                database,
                (Pair(self.alice.phone, number, " "), Pair(self.alice.phone, self.bob.phone, "Ann")),
                time.time(),
            )

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(None))
            alice.log_in(*self.alice)
            self.await_names(alice, *sorted((number, "Ann")))

        return self.play(story)

    def test_an_invitation(self) -> Deferred[None]:
        """A newcomer shares the link, or shows the code; who was invited joins, adds back, and sees who calls."""
        code = Path(self.mktemp()).with_suffix(".png")

        def story(stage: Stage) -> None:
            alice, bob = phone(stage, stage.browser(Camera.RED)), phone(stage, stage.browser(Camera.BLUE))
            alice.page.context.grant_permissions(["clipboard-read", "clipboard-write", "camera", "microphone"])
            bob.page.add_init_script(_SHARE)
            link = f"{stage.site_url}/"
            alice.log_in(*self.alice)
            alice.await_text("own-number", self.alice.phone)
            self.assertEqual(read_code(alice, "#own-invitation", code), link)
            alice.press("to-settings")
            alice.page.fill("#you-name", "Alice Arnold")
            alice.page.keyboard.press("Enter")
            alice.await_text("notice-text", "Your name is now Alice Arnold.")
            self.assertEqual((alice.text("self-name"), alice.text("self-phone")), ("Alice Arnold", self.alice.phone))
            alice.press("to-contacts")
            alice.add_contact(self.bob.phone, "Bob")
            alice.await_text("notice-text", "Bob is in your contacts but hasn’t joined yet.")
            alice.await_text("people", "hasn’t joined yet")
            alice.call(self.bob.phone)
            self.assertEqual(alice.page.evaluate("document.activeElement.textContent"), "Copy link")
            alice.page.keyboard.press("Enter")
            alice.await_text("notice-text", "Link copied.")
            self.assertEqual(alice.page.evaluate("navigator.clipboard.readText()"), link)
            alice.page.keyboard.press("Escape")
            self.assertEqual(alice.page.evaluate("document.activeElement.dataset.key"), f"call-{self.bob.phone}")

            bob.log_in(*self.bob)
            alice.await_contact(self.bob.phone, online=True)
            bob.page.click("#own-invitation [data-key=share]")
            bob.await_that("window.shared")
            self.assertEqual(bob.page.evaluate("window.shared.url"), link)
            self.assertIn(self.bob.phone, bob.page.evaluate("window.shared.text"))
            bob.await_text("adders", "Alice Arnold added you. Add them?")
            bob.await_text("adders", self.alice.phone)
            bob.page.click(f'[data-key="add-{self.alice.phone}"]')
            bob.await_contact(self.alice.phone, online=True)
            bob.await_hidden("adders")
            self.await_names(bob, "Alice Arnold")
            alice.call(self.bob.phone)
            bob.await_text("ring-name", "Alice Arnold")
            bob.press("accept")
            inside = bob.await_connected(Camera.RED)
            inside.page.wait_for_selector("#remote[aria-label='Alice Arnold']")
            alice.inside.press("camera")
            inside.await_shown("remote-off", "Alice Arnold’s camera is off")
            alice.hang_up()
            bob.await_text("notice-text", "Alice Arnold hung up.")

        return self.play(story)

    def test_a_photo(self) -> Deferred[None]:
        """A photo is turned upright, made square and small, and shown to contacts, until it is removed."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, bob = phone(stage, browser), phone(stage, browser)
            alice.log_in(*self.alice)
            bob.log_in(*self.bob)
            bob.add_contact(self.alice.phone, "Alice")
            alice.add_contact(self.bob.phone, "Bob")
            alice.press("to-settings")
            alice.page.set_input_files("#photo-file", [FilePayload(name="a.jpg", mimeType="image/jpeg", buffer=b"no")])
            alice.await_text("notice-text", "This file can’t be used as a photo.")
            alice.page.set_input_files("#photo-file", [taken_upright(alice.page)])
            alice.await_text("notice-text", "Your photo was saved.")
            alice.page.wait_for_selector("#self-face img")
            for place in ("#self-face", "#you-face"):
                alice.page.wait_for_selector(f"{place} img")
                self.assertEqual(alice.page.evaluate(_COLOURS, place), ["red", "blue", True])
            kept: Photo = in_reactor(
                lambda: Account(service_of(self.daemon), self.bob.phone, "b").photo(self.alice.phone)
            )
            self.assertLessEqual(len(kept.data), PHOTO_MAX)
            bob.page.reload()
            bob.page.wait_for_selector("#people .face img")
            self.assertEqual(bob.page.evaluate(_COLOURS, "#people"), ["red", "blue", True])
            alice.press("to-contacts")
            alice.call(self.bob.phone)
            bob.await_scene("ringing")
            bob.page.wait_for_selector("#ring-face img")
            self.assertEqual(bob.page.evaluate(_COLOURS, "#ring-face"), ["red", "blue", True])
            alice.press("cancel")
            bob.await_scene("home")
            bob.press("to-calls")
            bob.page.wait_for_selector("#past .face img")
            alice.press("to-settings")
            alice.press("photo-remove")
            alice.page.wait_for_selector("#self-face .icon")
            alice.await_that("document.activeElement.id === 'photo-choose'")

        return self.play(story)

    def test_a_notification(self) -> Deferred[None]:
        """The system's notification of a call shows the caller's photo, or without one the mark of callnet."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, carol = phone(stage, browser), phone(stage, browser)
            # The one without windows shows no notifications.
            bob = tab(stage, stage.profile(stage.browser(None, program=CHROMIUM), permissions=["notifications"]))
            bob.page.add_init_script(_NOTE_NOTIFICATIONS)
            bob.log_in(*self.bob)
            for visitor, who in ((alice, self.alice), (carol, self.television)):
                visitor.log_in(*who)
                visitor.add_contact(self.bob.phone, "Bob")
            alice.press("to-settings")
            alice.page.set_input_files("#photo-file", [taken_upright(alice.page)])
            alice.await_text("notice-text", "Your photo was saved.")
            alice.press("to-contacts")
            bob.page.reload()
            bob.page.wait_for_selector("#adders img")
            icon = f"{bob.page.url}static/phone/icon-192.png"
            photo = bob.page.get_attribute("#adders img", "src")
            for caller, who, shown in ((alice, self.alice, photo), (carol, self.television, icon)):
                caller.call(self.bob.phone)
                bob.await_scene("ringing")
                bob.await_that("window.shown.length > 0")
                self.assertEqual(bob.page.evaluate("window.shown.pop()"), [f"{who.phone} is calling", shown])
                caller.press("cancel")
                bob.await_scene("home")

        return self.play(story)

    def test_many_contacts(self) -> Deferred[None]:
        """With keys alone somebody is found, becomes a favourite, is removed, and is put back."""

        def story(stage: Stage) -> None:
            in_reactor(lambda: Deferred.fromCoroutine(self.provision()))
            zoe = self.numbers["Zoë Müller"]
            alice = phone(stage, stage.browser(None))
            keyboard = alice.page.keyboard
            alice.log_in(*self.alice)
            alice.await_shown("search")
            alice.page.focus("#search")
            keyboard.type(self.numbers["Grandmother"][-6:])
            self.assertEqual(self.names(alice), ["Grandmother"])
            keyboard.press("Escape")
            keyboard.type("zoe mu")
            self.assertEqual(self.names(alice), ["Zoë Müller"])
            keyboard.type("x")
            alice.await_shown("nobody-found")
            keyboard.press("Backspace")
            keyboard.press("Enter")
            keyboard.press("ArrowRight")
            keyboard.press("Enter")
            keyboard.press("ArrowDown")
            self.assertEqual(alice.page.evaluate("document.activeElement.id"), f"favourite-{zoe}")
            keyboard.press("Space")
            keyboard.press("Enter")
            alice.page.wait_for_selector("#people .star")
            alice.page.fill("#search", "")
            self.assertEqual(self.names(alice)[:2], ["Zoë Müller", "Anna"])
            alice.page.click(f'[data-key="edit-{zoe}"]')
            alice.page.click("#people .danger")
            alice.await_text("notice-text", "Zoë Müller was removed from your contacts.")
            alice.await_that("document.activeElement.id === 'notice-undo'")
            self.assertNotIn("Zoë Müller", self.names(alice))
            self.assertFalse(alice.is_visible("search"))
            keyboard.press("Enter")
            alice.page.wait_for_selector("#people .star")
            self.assertEqual(self.names(alice)[0], "Zoë Müller")

        return self.play(story)

    def test_added_and_dismissed(self) -> Deferred[None]:
        """A person who was dismissed is not asked about again; a form that is being filled in survives news."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, bob = phone(stage, browser), phone(stage, browser)
            alice.log_in(*self.alice)
            alice.add_contact(self.bob.phone, "Bob")
            alice.page.click(f'[data-key="edit-{self.bob.phone}"]')
            alice.page.keyboard.press("End")
            alice.page.keyboard.type("by")
            bob.log_in(*self.bob)
            alice.wait(1_000)
            self.assertEqual(alice.page.input_value(f"#name-{self.bob.phone}"), "Bobby")
            alice.page.keyboard.press("Enter")
            alice.await_contact(self.bob.phone, online=True)
            self.await_names(alice, "Bobby")
            alice.page.click(f'[data-key="edit-{self.bob.phone}"]')
            alice.page.fill(f"#name-{self.bob.phone}", "")
            alice.page.keyboard.press("Enter")
            alice.await_contact(self.bob.phone, online=True)
            self.await_names(alice, self.bob.phone)
            bob.page.reload()
            bob.page.click(f'[data-key="dismiss-{self.alice.phone}"]')
            bob.await_hidden("adders")
            bob.await_that("document.activeElement.id === 'add-phone'")
            bob.page.reload()
            bob.await_scene("home", "online")
            bob.await_shown("no-people")
            self.assertFalse(bob.is_visible("adders"))

        return self.play(story)

    async def list_two(self) -> None:
        """Have Alice and Bob know Carol and Granny, and Alice have a second device and two links that ring."""
        self.carol = new_phone()
        service = service_of(self.daemon)
        tablet = Account(service, self.alice.phone, "tablet", keep=lambda _: None)
        for name, account in (("Alice", tablet), ("Bob", Account(service, *self.bob))):
            await account.add_contact(self.carol, f"{name}’s Carol")
            await account.add_contact(self.television.phone, f"{name}’s granny")
        for name in ("Door", "Shop"):
            await tablet.make_link(name)

    def with_two(self, stage: Stage) -> PhoneVisitor:
        """Alice, logged in, with these two."""
        in_reactor(lambda: Deferred.fromCoroutine(self.list_two()))
        alice = phone(stage, stage.browser(None))
        alice.log_in(*self.alice)
        return alice

    def assert_typed(self, visitor: PhoneVisitor, field: str, text: str) -> None:
        """Assert that somebody types in a field, and that this is in it."""
        self.assertTrue(visitor.page.evaluate("(field) => document.activeElement.matches(field)", field))
        self.assertEqual(visitor.page.input_value(field), text)

    def test_opened_since(self) -> Deferred[None]:
        """An answer that takes its time closes the form that it is of, and none that was opened since."""

        def story(stage: Stage) -> None:
            alice = self.with_two(stage)
            self.another_contact(alice)
            alice.press("to-settings")
            self.another_device(alice)
            self.another_link(alice)

        return self.play(story)

    def another_contact(self, alice: PhoneVisitor) -> None:
        """A contact is saved, and one removed, while the name of another is typed."""
        field = f"#name-{self.television.phone}"
        with held(alice, "contacts/add"):
            press_key(alice, f"edit-{self.carol}")
            alice.page.fill(f"#name-{self.carol}", "Caroline")
            alice.page.keyboard.press("Enter")
            press_key(alice, f"edit-{self.television.phone}")
            alice.page.fill(field, "Gran")
        alice.page.wait_for_selector("#people .name:has-text('Caroline')")
        self.assert_typed(alice, field, "Gran")
        press_key(alice, f"edit-{self.carol}")
        with held(alice, "contacts/remove"):
            alice.page.click("#people .danger")
            press_key(alice, f"edit-{self.television.phone}")
            alice.page.fill(field, "Grandma")
        alice.await_text("notice-text", "Caroline was removed from your contacts.")
        self.assert_typed(alice, field, "Grandma")

    def another_device(self, alice: PhoneVisitor) -> None:
        """A device is renamed, and logged out, while the name of another is typed."""
        for path, keys, done in (
            ("rename", ["save-tablet"], "Kitchen"),
            ("logout", ["log_out-tablet", "yes-tablet"], "Kitchen is logged out."),
        ):
            with held(alice, f"devices/{path}"):
                press_key(alice, "device-tablet")
                alice.page.fill("#device-label", "Kitchen")
                for key in keys:
                    press_key(alice, key)
                press_key(alice, f"device-{self.alice.device_id}")
                alice.page.fill("#device-label", "Desk")
            alice.page.wait_for_selector(f"#devices :text('{done}'), #notice-text:has-text('{done}')")
            self.assert_typed(alice, "#device-label", "Desk")

    def another_link(self, alice: PhoneVisitor) -> None:
        """A link is renamed, one made, and one removed, while the name of another is typed."""
        field = "#links #link-name"
        with held(alice, "links/change"):
            self.open_link(alice, "Door", "change")
            alice.page.fill(field, "Gate")
            alice.page.keyboard.press("Enter")
            self.open_link(alice, "Shop", "change")
            alice.page.fill(field, "Store")
        alice.await_text("links", "Gate")
        self.assert_typed(alice, field, "Store")
        with held(alice, "links/make"):
            alice.press("link-make")
            alice.page.fill("#link-new #link-name", "Barn")
            alice.page.keyboard.press("Enter")
            self.open_link(alice, "Gate", "change")
            alice.page.fill(field, "Bell")
        alice.await_text("links", "Barn")
        self.assert_typed(alice, field, "Bell")
        with held(alice, "links/remove"):
            self.open_link(alice, "Barn", "remove")
            alice.page.click("#links .danger")
            self.open_link(alice, "Gate", "change")
            alice.page.fill(field, "Horn")
        alice.await_text("notice-text", "Barn was removed.")
        self.assert_typed(alice, field, "Horn")

    def open_link(self, alice: PhoneVisitor, name: str, key: str) -> None:
        """Choose what is to be done with a link that rings."""
        alice.page.click(f"#links .line:has-text('{name}') .quiet")
        alice.page.click(f'#links [data-key^="link-{key}-"]')

    def test_another_owner(self) -> Deferred[None]:
        """Nothing that somebody had open is open for whoever logs in next in the same tab."""

        def story(stage: Stage) -> None:
            visitor = self.with_two(stage)
            press_key(visitor, f"edit-{self.carol}")
            visitor.page.fill(f"#name-{self.carol}", "My Carol")
            visitor.press("add")
            visitor.page.fill("#add-name", "Dora")
            visitor.press("to-settings")
            press_key(visitor, f"device-{self.alice.device_id}")
            visitor.page.fill("#device-label", "Alice’s desk")
            visitor.press("log-out")
            visitor.await_scene("login")
            visitor.fill_in(self.bob.phone, self.alice.device_id)
            visitor.press("login-submit")
            visitor.await_scene("home", "online")
            visitor.await_shown("people", "Bob’s Carol")
            self.assertFalse(visitor.is_visible("add-form"))
            self.assertEqual(visitor.page.input_value("#add-name"), "")
            press_key(visitor, f"edit-{self.carol}")
            self.assertEqual(visitor.page.input_value(f"#name-{self.carol}"), "Bob’s Carol")
            visitor.press("to-settings")
            visitor.await_shown("devices", "This device")

        return self.play(story)
