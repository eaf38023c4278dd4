"""The web phone lets another one in: a television shows letters, a phone types them, or is opened by their link."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from playwright.sync_api import Route
from twisted.internet.defer import Deferred

from callnet.model import DeviceAddress
from harness.forked_program import forked_program
from tests.browser.case import in_reactor
from tests.browser.continuity import wait_until
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import PhoneVisitor, phone, tab
from tests.browser.stage import Stage
from tests.browser.test_phone_devices import await_names
from tests.support.devices import NodeLifecycle, log_in, service_of

_AGREE_AS_ASKED: Final = """new MutationObserver((_, watching) => {
    const agree = document.querySelector("#pairing-agree:not([hidden])");
    if (agree === null) return;
    watching.disconnect();
    agree.click();
}).observe(document, { subtree: true, childList: true, attributes: true });"""
"""Presses the button in the very moment in which the person is asked."""


def unbroken(letters: str) -> str:
    """The letters as they are shown within a sentence."""
    return letters.replace("-", "\N{NON-BREAKING HYPHEN}")


class PairingTests(PhoneCase):
    """Alice's phone, and a television that nobody has logged in."""

    def begin(self, stage: Stage) -> tuple[PhoneVisitor, PhoneVisitor]:
        """Log the phone in; the television is at its login."""
        alice, television = phone(stage, stage.browser(None)), phone(stage, stage.browser(None))
        alice.log_in(*self.alice)
        television.open()
        television.await_scene("login")
        return alice, television

    def pair(self, television: PhoneVisitor) -> str:
        """Have the television, which is at its login, show letters."""
        television.press("pair")
        return self.letters(television)

    def log_out(self, alice: PhoneVisitor, television: PhoneVisitor) -> None:
        """Have the television log out again, of which the phone says nothing."""
        television.press("to-settings")
        television.press("log-out")
        television.await_scene("login")
        alice.press("notice-close")

    def letters(self, television: PhoneVisitor) -> str:
        """The letters that it shows."""
        television.await_scene("pairing")
        television.page.wait_for_selector("#pairing-shown:not([hidden])")
        return television.text("pairing-code")

    def type(self, visitor: PhoneVisitor, letters: str) -> None:
        """Type letters in the settings, and press Enter."""
        visitor.press("to-settings")
        visitor.press("let-in")
        visitor.page.keyboard.type(letters)
        visitor.page.keyboard.press("Enter")

    def test_let_in(self) -> Deferred[None]:
        """A television is let in by its letters, again and again."""

        def story(stage: Stage) -> None:
            alice, television = self.begin(stage)
            self.typed(alice, television)
            self.log_out(alice, television)
            self.reloaded(alice, television)
            self.log_out(alice, television)
            self.renewed(alice, television)
            self.log_out(alice, television)
            self.name_in_use(alice, television)

        return self.play(story)

    def typed(self, alice: PhoneVisitor, television: PhoneVisitor) -> None:
        """The phone asks about the letters that were typed, and names the television, which is in."""
        letters = self.pair(television)
        self.assertRegex(letters, r"\A[B-Z]{4}-[B-Z]{4}\Z")
        television.await_that("document.querySelector('#pairing-picture').width < 200")
        self.assertRegex(television.text("pairing-left"), r"New code in (10:00|9:\d\d)\Z")
        self.type(alice, letters.lower().replace("-", " "))
        alice.await_text("let-in-warning", f"only if you see {unbroken(letters)} on the screen")
        self.assertRegex(alice.text("let-in-question"), "wants to use your number")
        alice.await_that("document.activeElement.id === 'let-in-ask'")
        alice.page.keyboard.press("Enter")  # who types on lets nobody in
        alice.page.fill("#let-in-name", "Living room TV")
        alice.press("let-in-accept")
        alice.await_text("notice-text", "Living room TV can now")
        television.await_scene("home", "online")
        self.assertEqual(
            (self.alice.phone, "Living room TV"), (television.text("self-phone"), television.text("self-device"))
        )
        alice.press("to-settings")  # nobody says when a device comes
        await_names(alice, [f"{self.alice.device_id} This device", "Living room TV In use now"])
        television.page.reload()
        television.await_scene("home", "online")

    def reloaded(self, alice: PhoneVisitor, television: PhoneVisitor) -> None:
        """A television that is loaded again waits on with the same letters, and is in if it was accepted meanwhile."""
        letters = self.pair(television)
        television.page.reload()
        self.assertEqual(letters, self.letters(television))
        television.page.goto("about:blank")
        self.type(alice, letters)
        alice.await_shown("let-in-ask")
        alice.press("let-in-accept")
        alice.await_text("notice-text", "can now use your number.")
        television.open()
        television.await_scene("home", "online")

    def renewed(self, alice: PhoneVisitor, television: PhoneVisitor) -> None:
        """Letters that are too old are replaced, and the new ones lead in."""
        letters = self.pair(television)
        path = Path(self.daemon.state_dir, "callnet.db")
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
            database.execute("UPDATE pairing SET expires_at = 0")
        wait_until(television, lambda: television.text("pairing-code") not in ("", letters), "another code")
        self.type(alice, television.text("pairing-code"))
        alice.await_shown("let-in-ask")
        alice.press("let-in-accept")
        television.await_scene("home", "online")

    def name_in_use(self, alice: PhoneVisitor, television: PhoneVisitor) -> None:
        """A name that another device of the phone has gets a number."""
        letters = self.pair(television)
        self.type(alice, letters)
        alice.await_shown("let-in-ask")
        alice.page.fill("#let-in-name", self.alice.device_id)
        alice.press("let-in-accept")
        television.await_scene("home")
        self.assertEqual(f"{self.alice.device_id} 2", television.text("self-device"))

    def test_not_let_in(self) -> Deferred[None]:
        """A television is not let in: it goes back to its login, or is refused, or only asked about."""

        def story(stage: Stage) -> None:
            alice, television = self.begin(stage)
            self.remote_control(television)
            self.stopped(television)
            self.refused(alice, television)
            letters = self.pair(television)
            self.one_look(alice, letters)
            self.linked(stage, alice, letters)

        return self.play(story)

    def remote_control(self, television: PhoneVisitor) -> None:
        """Arrows and OK lead from the login to the letters, and back."""
        for _ in range(3):
            television.page.keyboard.press("ArrowDown")
        television.await_that("document.activeElement.id === 'pair'")
        television.page.keyboard.press("Enter")
        self.letters(television)
        television.await_that("document.activeElement.id === 'pairing-back'")
        television.page.keyboard.press("Enter")
        television.await_scene("login")

    def stopped(self, television: PhoneVisitor) -> None:
        """A television whose owner went back to the login stays there when it is loaded again."""
        self.pair(television)
        television.press("pairing-back")
        television.await_scene("login")
        television.page.reload()
        television.await_scene("login")

    def refused(self, alice: PhoneVisitor, television: PhoneVisitor) -> None:
        """A television that was refused says so, and shows new letters when told to; the old ones are wrong."""
        letters = self.pair(television)
        self.type(alice, letters)
        alice.await_shown("let-in-ask")
        alice.press("let-in-refuse")
        alice.await_text("notice-text", "was declined.")
        television.await_text("pairing-problem", "The other phone declined.")
        self.assertFalse(television.is_visible("pairing-shown"))
        television.press("pairing-again")
        self.assertNotEqual(letters, self.letters(television))
        alice.press("let-in")
        alice.page.fill("#let-in-code", letters)
        alice.page.keyboard.press("Enter")
        alice.await_text("notice-text", "No device is showing this code.")
        alice.press("let-in")  # which closes the form
        television.press("pairing-back")
        television.await_scene("login")

    def one_look(self, alice: PhoneVisitor, letters: str) -> None:
        """A code is looked for once, however often Enter is pressed or its link is opened."""
        asked: list[str] = []
        alice.page.on("request", lambda request: asked.append(request.url) if "/pairing/look" in request.url else None)
        alice.press("to-settings")
        alice.press("let-in")
        alice.page.fill("#let-in-code", letters)
        alice.page.evaluate("for (const _ of [1, 2]) document.querySelector('#let-in-form').requestSubmit()")
        alice.await_shown("let-in-ask")
        self.assertEqual(1, sum(url.endswith("/pairing/look") for url in asked))
        alice.open(f"#pair={letters}")
        alice.await_that("location.hash === ''")
        self.assertTrue(alice.is_visible("let-in-ask"))
        alice.open("#pair=BCDF-GHJK")
        alice.await_text("notice-text", "No device is showing this code.")
        alice.open("#pair=BCDF-GHJK")
        alice.await_that("location.hash === ''")
        self.assertEqual("BCDF-GHJK", alice.page.input_value("#let-in-code"))
        self.assertEqual(2, sum(url.endswith("/pairing/look") for url in asked))

    def linked(self, stage: Stage, alice: PhoneVisitor, letters: str) -> None:
        """The link of the QR code asks at once who is logged in, and others once they are; a reload does not."""
        alice.open(f"#pair={letters}")
        alice.await_text("let-in-warning", unbroken(letters))
        self.assertNotIn("#", alice.page.url)
        alice.page.reload()
        alice.await_scene("home", "online")
        self.assertFalse(alice.is_visible("let-in-ask"))
        bob = phone(stage, stage.browser(None))
        bob.open(f"#pair={letters}")
        bob.await_scene("login")
        bob.fill_in(*self.bob)
        bob.press("login-submit")
        bob.await_text("let-in-warning", unbroken(letters))
        bob.press("let-in-refuse")
        bob.await_shown("notice")

    def test_no_room(self) -> Deferred[None]:
        """A name that cannot be had is told from a phone that has enough devices."""

        def story(stage: Stage) -> None:
            alice, television = self.begin(stage)
            self.linked_meanwhile(alice, self.pair(television))
            alice.page.fill("#let-in-name", "*")
            alice.press("let-in-accept")
            alice.await_text("notice-text", "Choose another one.")
            service = service_of(self.daemon)
            for number in range(19):
                in_reactor(partial(log_in, service, self.alice.phone, f"device {number}"))
            alice.page.fill("#let-in-name", "TV")
            alice.press("let-in-accept")
            alice.await_text("notice-text", "Your number can’t have more devices.")

        return self.play(story)

    def linked_meanwhile(self, alice: PhoneVisitor, letters: str) -> None:
        """A link that comes while another code is looked for is next."""
        held: list[Route] = []
        alice.page.route("**/pairing/look", lambda route: route.continue_() if held else held.append(route))
        alice.open("#pair=BCDF-GHJK")
        wait_until(alice, lambda: held != [], "the first look")
        alice.open(f"#pair={letters}")
        alice.await_that("location.hash === ''")
        held[0].continue_()
        alice.await_text("let-in-warning", unbroken(letters))

    async def use(self, address: DeviceAddress) -> None:
        """Have a device of others connect, and leave. Nobody is offered its secret from then on."""
        device = await NodeLifecycle(service_of(self.daemon), *address).comes()
        await device.goes()

    def test_unclaimed(self) -> Deferred[None]:
        """A device without a secret, whose name others may use, too, is told that it lets nobody in."""

        def story(stage: Stage) -> None:
            in_reactor(lambda: Deferred.fromCoroutine(self.use(self.bob)))
            bob = phone(stage, stage.browser(None))
            bob.log_in(*self.bob)
            self.type(bob, "BCDF-GHJK")
            bob.await_text("notice-text", "This device isn’t allowed to add other devices.")

        return self.play(story)

    def test_invited(self) -> Deferred[None]:
        """The operator's link makes a browser the device that it is for, once the person was told whose, and agrees.

        An old link leaves a browser the device that it is, and shows others letters.
        """

        def story(stage: Stage) -> None:
            profile = stage.profile(stage.browser(None))
            bob = tab(stage, profile)
            bob.log_in(*self.bob)
            old = self.invitation()
            bob.page.add_init_script(_AGREE_AS_ASKED)  # whoever presses something else in that moment does not mean it
            self.asked(bob, old)
            bob.press("pairing-back")
            bob.await_scene("home", "online")
            self.assertEqual(self.bob.phone, bob.text("self-phone"))
            self.asked(bob, self.invitation())
            bob.page.reload()
            bob.await_text("pairing-hint", self.alice.phone)
            bob.press("pairing-agree")
            bob.await_text("self-phone", self.alice.phone)
            bob.await_scene("home", "online")
            self.assertEqual(self.alice.device_id, bob.text("self-device"))
            self.assertNotIn("#", bob.page.url)
            bob.page.reload()
            bob.await_scene("home", "online")
            self.assertEqual(self.alice.phone, bob.text("self-phone"))
            bob.page.close()
            again = tab(stage, profile)
            again.open(old)
            again.await_scene("home", "online")
            self.assertEqual(self.alice.phone, again.text("self-phone"))
            late = phone(stage, stage.browser(None))
            late.open(old)
            self.assertRegex(self.letters(late), r"\A[B-Z]{4}-[B-Z]{4}\Z")
            stranger = phone(stage, stage.browser(None))
            stranger.open(self.invitation())
            stranger.await_text("pairing-hint", self.alice.phone)
            self.assertEqual("pairing-back", stranger.focused)  # who types on is no device of anybody
            stranger.press("pairing-back")
            stranger.await_scene("login")

        return self.play(story)

    def asked(self, visitor: PhoneVisitor, fragment: str) -> None:
        """Have somebody open a link, who is asked whether they want to be a device of Alice's phone."""
        visitor.open(fragment)
        visitor.await_text("pairing-hint", self.alice.phone)
        self.assertNotIn("#", visitor.page.url)

    def test_slow_login(self) -> Deferred[None]:
        """Whoever is just being logged in does not wait to be let in as well."""

        def story(stage: Stage) -> None:
            bob = phone(stage, stage.browser(None))
            bob.open()
            bob.await_scene("login")
            held: list[Route] = []
            bob.page.route("**/account/login", lambda route: route.continue_() if held else held.append(route))
            bob.fill_in(*self.bob)
            bob.press("login-submit")
            bob.page.wait_for_selector("#pair:disabled")
            wait_until(bob, lambda: held != [], "the login")
            held[0].continue_()
            bob.await_scene("home", "online")

        return self.play(story)

    def invitation(self) -> str:
        """The fragment of a link for Alice's device."""
        command = [str(forked_program()), "account", "invite", *self.alice, "--site", "https://x"]
        shown = subprocess.run(
            command, env=dict(self.daemon.environ), capture_output=True, text=True, check=True
        ).stdout
        return f"#{shown.strip().rpartition('#')[2]}"
