"""A server whose devices log in, with the preferences of their phones' owners."""

from __future__ import annotations

from twisted.internet.task import Clock

from callnet.accounts.preferences import KnownPreferences
from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.preferences import SqlPreferences
from tests.support import migrated
from tests.support.account_fixture import ServiceFixture
from tests.support.immediate import run_at_once
from tests.support.quiet import QuietTestCase
from tests.support.wires import ANSWERED, Device, World

TV = DeviceAddress("13651884967", "tv")
PAD = DeviceAddress("13651884967", "pad")
ANN = DeviceAddress("13651884968", "phone")
CAROL = DeviceAddress("13651884969", "phone")


class PeopleCase(QuietTestCase):
    """A whole server, where anyone may call."""

    contacts_only = False

    def make_world(self) -> World:
        """A server with a database."""
        self.database = migrated.in_memory()
        self.addCleanup(self.database.close)
        clock = Clock()
        self.preferences = KnownPreferences(SqlPreferences(self.database, run_at_once, self.contacts_only), clock)
        return World(preferences=self.preferences, clock=clock)

    def setUp(self) -> None:
        """Ann, and two devices of a phone."""
        super().setUp()
        self.fixture = ServiceFixture(world=self.world, database=self.database, preferences=self.preferences)
        self.fixture.change_feed.start()
        self.addCleanup(self.fixture.change_feed.stop)
        self.ann, self.tv, self.pad = map(self.connected, (ANN, TV, PAD))

    def connected(self, address: DeviceAddress) -> Device:
        """A device that has logged in and connected."""
        token = self.successResultOf(self.fixture.logins.login(*address)).token
        return Device(self.world, self.world.ask(f"/socket.io?token={token}"), ANSWERED)

    def block(self, owner: str, phone: str) -> None:
        """Have one phone block another."""
        contacts.block(self.database, owner, phone, self.world.clock.seconds())
        self.world.advance(1.5)

    def calls(self, caller: Device, target: DeviceAddress) -> dict[str, object]:
        """The first answer to a caller, if any."""
        caller.say("call", to_phone=target.phone, to_device_id=target.device_id)
        return next(iter(caller.heard()), {})

    def sees(self, phone: str) -> set[str]:
        """The devices of the television's phone that another phone sees online."""
        found = self.successResultOf(self.world.store.online([TV, PAD], phone))
        return {address.device_id for address in found}
