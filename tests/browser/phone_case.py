"""The case of tests with the web phone: people with numbers that no other test has."""

from __future__ import annotations

import time

from twisted.internet.defer import Deferred

from callnet.cli.database import opened
from callnet.config.load import load
from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.stage import Stage
from tests.support.daemon import Daemon
from tests.support.shared_daemon import new_phone


def list_each_other(daemon: Daemon, alice: str, bob: str) -> None:
    """Have Alice and Bob list each other, as ``callnet contact import`` does: at the page that costs far more."""
    with opened(load(str(daemon.settings_file), daemon.environ)) as database:
        contacts.add(database, (Pair(alice, bob, "Bob"), Pair(bob, alice, "Alice")), time.time())


class PhoneCase(BrowserCase):
    """Alice, Bob and a television."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Give them their numbers."""
        self.alice = DeviceAddress(new_phone(), "alices-desk")
        self.bob = DeviceAddress(new_phone(), "bobs-desk")
        self.television = DeviceAddress(new_phone(), "tv")
        return super().setUp()

    def list_each_other(self) -> None:
        """Have Alice and Bob list each other."""
        list_each_other(self.daemon, self.alice.phone, self.bob.phone)

    def introduce(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Have both log in, who list each other."""
        self.list_each_other()
        alice.log_in(*self.alice)
        bob.log_in(*self.bob)
        alice.await_contact(self.bob.phone, online=True)
        bob.await_contact(self.alice.phone, online=True)

    def in_browsers_of_their_own(self, stage: Stage) -> tuple[PhoneVisitor, PhoneVisitor]:
        """Alice with the red camera and Bob with the blue one, who know each other."""
        alice, bob = phone(stage, stage.browser(Camera.RED)), phone(stage, stage.browser(Camera.BLUE))
        self.introduce(alice, bob)
        return alice, bob

    def talk(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Have Alice call Bob, and both see each other."""
        alice.call(self.bob.phone)
        bob.await_scene("ringing")
        bob.press("accept")
        alice.await_connected(Camera.BLUE)
        bob.await_connected(Camera.RED)
