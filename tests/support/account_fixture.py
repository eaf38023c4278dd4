"""An account service to test with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.web.resource import IResource

from callnet.accounts.change_feed import ChangeFeed
from callnet.accounts.contact_lists import ContactLists
from callnet.accounts.history import CallEvents, Historian, PastCalls
from callnet.accounts.links import Guests, GuestTokens, Links
from callnet.accounts.logins import Codes, Logins
from callnet.accounts.own_devices import OwnDevices
from callnet.accounts.pairing import INTERVAL, OPEN_MAX, Pairings
from callnet.accounts.preferences import KnownPreferences, SettingsOfPhones
from callnet.accounts.profiles import Profiles
from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import Revocations, Tokens
from callnet.accounts.validation import phone_rule
from callnet.calls.records import Changes, DeviceRecord
from callnet.config.schema import LimitSettings
from callnet.model import DeviceAddress, RoomId
from callnet.ops.limits import GuestLimits, LimitsAlone, LoginLimits, PairingLimits
from callnet.push.waking import TicketRefusals, Tickets, WaysToWake, WebPush
from callnet.storage.changes import SqlChanges
from callnet.storage.codes import SqlCodes, SqlPairings
from callnet.storage.contacts import SqlContacts, SqlProfiles
from callnet.storage.database import Database
from callnet.storage.devices import SqlDevices
from callnet.storage.enrolling import UNUSED_FOR, Newcomers, SqlAccounts
from callnet.storage.history import SqlHistory
from callnet.storage.links import SqlLinks
from callnet.storage.outbox import SqlOutbox
from callnet.storage.preferences import SqlPreferences
from callnet.storage.push import SqlPushRegistrations
from callnet.storage.revoking import SqlRevocations
from callnet.store.memory import MemoryCallStore
from callnet.web.api import AccountApi
from tests.support import migrated
from tests.support.immediate import run_at_once
from tests.support.unlimited import NO_SERVERS
from tests.support.wires import World

PHONE = "13651884967"
FRIEND = "13651884968"
TV = DeviceAddress(PHONE, "tv888")


class ServiceFixture:
    """An account service on an empty database in memory.

    :param world: a server whose devices it is for; ``None``: there is none.
    :param database: that of another node.
    :param preferences: those that the world goes by.
    :param web_push: ``None``: devices can be woken by a gateway alone.
    :param code_without_secret: whether in ``otp`` a device that has no secret needs a code.
    """

    def __init__(
        self,
        enrolment: Literal["open", "known", "otp"] = "open",
        world: World | None = None,
        database: Database | None = None,
        preferences: KnownPreferences | None = None,
        web_push: WebPush | None = None,
        code_without_secret: bool = True,
        phone_format: str = "cn-mobile",
    ) -> None:
        self.enrolment = enrolment
        self.clock = Clock() if world is None else world.clock
        self.database = database or migrated.in_memory()
        self.store = MemoryCallStore(self.clock, self.clock.seconds) if world is None else world.store
        self.revocations = Revocations(as_of=0.0) if world is None else world.revocations
        self.tokens = (
            Tokens(KeyRing.of(Key.of(b"k" * 32)), 3600, self.clock.seconds, self.revocations, split_user_name=True)
            if world is None
            else world.tokens
        )
        self.accounts = SqlAccounts(
            self.database, run_at_once, self.clock, Newcomers(self.clock.seconds, lambda: 20, UNUSED_FOR, is_told=False)
        )
        self.closed: list[str] = []
        """The phones whose sockets were to be closed."""
        self.left: list[DeviceAddress] = []
        """The devices that were to leave their calls."""
        self.registered: list[DeviceAddress] = []
        """The devices that have registered to be woken."""
        self.preferences = preferences or KnownPreferences(
            SqlPreferences(self.database, run_at_once, contacts_only=False), self.clock
        )
        revoked = SqlRevocations(self.database, run_at_once, self.clock.seconds)
        self.change_feed = ChangeFeed(
            SqlChanges(self.database, run_at_once, self.clock.seconds),
            revoked,
            self.revocations,
            self.clock,
            self.accounts.forget,
            self.preferences,
            self.closed.extend
            if world is None
            else partial(world.signaling.close_revoked, is_revoked=self.revocations.cover),
            self._leave if world is None else world.rooms.revoke_absent,
            (lambda _: None) if world is None else world.rooms.extensions.data_changed,
        )
        self.sent: list[tuple[str, str]] = []
        """The codes that were sent, each with its phone."""
        codes = Codes(
            SqlCodes(self.database, run_at_once),
            lambda _, sent: self.sent.append((str(sent["phone"]), str(sent["code"]))),
            "{code}",
            b"s" * 32,
            self.clock.seconds,
        )
        is_phone = phone_rule(phone_format)
        self.logins = Logins(
            self.accounts,
            revoked,
            self.preferences,
            self.tokens,
            is_phone,
            enrolment,
            codes if enrolment == "otp" else None,
            code_without_secret,
            self.change_feed.look,
        )
        self.limits = LoginLimits(LimitSettings(), LimitsAlone(self.clock.seconds))
        self.pairing_limits = PairingLimits(LimitSettings(), LimitsAlone(self.clock.seconds), INTERVAL)
        self.ice = NO_SERVERS if world is None else world.ice
        self.contacts = SqlContacts(self.database, run_at_once)
        self.lists = ContactLists(self.contacts, self.store, self.tokens, is_phone, self.change_feed.look)
        history = SqlHistory(self.database, run_at_once, contacts_only=False, rows_max=0)
        self.past_calls = PastCalls(history, self.tokens)
        events = CallEvents(SqlOutbox(self.database, run_at_once, contacts_only=False), (), self.clock.seconds)
        self.historian = Historian(self.store.ended, history, events, self.clock, self.clock.seconds, days=90)
        self.registrations = SqlPushRegistrations(self.database, run_at_once)
        self.ways_to_wake = WaysToWake(
            self.registrations,
            self.tokens,
            has_gateway=True,
            web_push=web_push,
            look=self.change_feed.look,
            registered=self._registered,
        )
        refuse = self._refuse if world is None else world.rooms.wake_requests.refuse
        self.refusals = TicketRefusals(Tickets(self.tokens), refuse)
        self.profiles = Profiles(SqlProfiles(self.database, run_at_once), self.tokens, is_phone)
        self.devices = OwnDevices(
            SqlDevices(self.database, run_at_once, self.clock.seconds), self.store, self.tokens, self.change_feed.look
        )
        self.pairings = Pairings(
            SqlPairings(self.database, run_at_once, OPEN_MAX), self.accounts, self.tokens, self.change_feed.look
        )
        self.settings = SettingsOfPhones(
            SqlPreferences(self.database, run_at_once, contacts_only=False), self.tokens, is_phone
        )
        self.guest_settings = LimitSettings()
        self.guest_limits = GuestLimits(self.guest_settings, LimitsAlone(self.clock.seconds))
        links = SqlLinks(self.database, run_at_once)
        self.links = Links(links, self.tokens, self.change_feed.look)
        self.guests = Guests(links, GuestTokens(self.tokens), self.clock.seconds, self.guest_limits)
        if world is not None:
            world.guests = self.guests

    def api(self, logins: Logins | None = None, lists: ContactLists | None = None) -> IResource:
        """All of it over HTTP, with these services in the place of its own."""
        return AccountApi(
            logins or self.logins,
            lists or self.lists,
            self.profiles,
            self.devices,
            self.pairings,
            self.settings,
            self.past_calls,
            self.ways_to_wake,
            self.refusals,
            self.ice,
            self.limits,
            self.pairing_limits,
            self.links,
            self.guests,
            self.guest_limits,
        ).resource()

    def _refuse(self, device: DeviceAddress, is_meant: Callable[[RoomId], bool]) -> Deferred[bool]:  # noqa: ARG002
        """Nothing rings here."""
        return succeed(False)

    def _registered(self, device: DeviceAddress) -> Deferred[None]:
        """Take note that a device can be woken."""
        self.registered.append(device)
        return succeed(None)

    def _leave(self, device: DeviceAddress) -> Deferred[None]:
        self.left.append(device)
        return succeed(None)

    def put_online(self, address: DeviceAddress) -> None:
        """Let a device hold a socket."""
        record = DeviceRecord(address, 1, "here", 1, True, None, None, None, None, None)
        self.store.commit(Changes(devices=[record]))
