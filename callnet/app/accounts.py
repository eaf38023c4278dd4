"""The wiring of accounts: logins, preferences, contacts, history and push."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from ipaddress import ip_network
from typing import Final

from msgspec import Struct
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.internet.ssl import optionsForClientTLS
from twisted.web.client import Agent

from callnet.accounts.change_feed import ChangeFeed
from callnet.accounts.contact_lists import ContactLists
from callnet.accounts.history import CallEvents, Historian, PastCalls
from callnet.accounts.links import GuestCallLimits, Guests, GuestTokens, Links
from callnet.accounts.logins import SKEW, Codes, Logins
from callnet.accounts.own_devices import OwnDevices
from callnet.accounts.pairing import OPEN_MAX, Pairings
from callnet.accounts.preferences import KnownPreferences, SettingsOfPhones
from callnet.accounts.profiles import Profiles
from callnet.accounts.roster import CachedRoster
from callnet.accounts.tokens import Revocations, Tokens
from callnet.accounts.validation import PhoneRule
from callnet.calls.rooms import RoomManager
from callnet.config.schema import PushSettings, Settings
from callnet.ops.webhooks import ANSWER_TIME, Deliveries, SignedPosts, Webhook
from callnet.push.ssrf import IOutsideReactor, Outside, is_allowed
from callnet.push.waking import PAUSES, Gateway, Sleepers, TicketRefusals, Tickets, Waker, Way, WaysToWake, WebPush
from callnet.push.webpush import PushHosts, Vapid
from callnet.storage.changes import SqlChanges
from callnet.storage.codes import SqlCodes, SqlPairings
from callnet.storage.contacts import SqlContacts, SqlProfiles
from callnet.storage.database import Database, IThreadsReactor, Run
from callnet.storage.devices import SqlDevices
from callnet.storage.enrolling import UNUSED_FOR, Newcomers, SqlAccounts
from callnet.storage.history import SqlHistory, SqlRoster
from callnet.storage.links import SqlLinks
from callnet.storage.outbox import SqlOutbox
from callnet.storage.preferences import SqlPreferences
from callnet.storage.push import PushKind, SqlPushRegistrations
from callnet.storage.revoking import SqlRevocations
from callnet.store.cluster_handle import ClusterHandle

CODE_PAUSES: Final = (1.0, 3.0, 10.0)
"""Seconds before each further try to have a one-time code sent. A late one is useless."""
TOLD_KEPT: Final = 86400.0
"""Seconds for which it is remembered which events were taken, after the longest call: its end names those before."""


class Identities(Struct, frozen=True):
    """The keys and rules that identify clients."""

    tokens: Tokens
    revocations: Revocations
    phones: PhoneRule
    vapid: Vapid | None
    """The key that identifies callnet to push services; ``None``: Web Push is off."""


class IPeopleReactor(IThreadsReactor, IOutsideReactor, IReactorPluggableNameResolver):
    """The reactor that all of it needs."""


class Owners(Struct, frozen=True):
    """The services of the owners of phones that calls and sockets go by."""

    accounts: SqlAccounts
    records: SqlPreferences
    preferences: KnownPreferences
    roster: CachedRoster
    registrations: SqlPushRegistrations
    ways: Mapping[PushKind, Way]
    tickets: Tickets
    waker: Waker
    outbox: SqlOutbox
    events: CallEvents
    links: SqlLinks
    guests: Guests


class People(Struct, frozen=True):
    """The services of accounts."""

    logins: Logins
    lists: ContactLists
    profiles: Profiles
    devices: OwnDevices
    pairings: Pairings
    links: Links
    settings: SettingsOfPhones
    past_calls: PastCalls
    ways_to_wake: WaysToWake
    refusals: TicketRefusals
    sleepers: Sleepers
    historian: Historian
    change_feed: ChangeFeed
    senders: Sequence[Webhook]
    deliveries: Deliveries | None
    """If there is somebody who is told of events."""


def compose_owners(
    settings: Settings,
    reactor: IPeopleReactor,
    identities: Identities,
    database: Database,
    run: Run,
    guest_limits: GuestCallLimits,
) -> Owners:
    """Make what calls and sockets go by. What it asks of the database is done where ``run`` does it."""
    now = identities.tokens.now
    contacts_only = settings.accounts.who_may_call == "contacts"
    told = settings.webhooks.wanted
    newcomers = Newcomers(
        now,
        lambda: settings.limits.devices_of_a_phone,
        _longest(identities.tokens),
        "device_enrolled" in told,
    )
    ways = _ways(settings.push, identities.vapid, reactor)
    records = SqlPreferences(database, run, contacts_only, ways)
    registrations = SqlPushRegistrations(database, run)
    tickets = Tickets(identities.tokens)
    outbox = SqlOutbox(database, run, contacts_only)
    links = SqlLinks(database, run)
    return Owners(
        SqlAccounts(database, run, reactor, newcomers),
        records,
        KnownPreferences(records, reactor),
        CachedRoster(SqlRoster(database, run, settings.accounts.shows_mutual_contacts_alone), reactor, now),
        registrations,
        ways,
        tickets,
        Waker(registrations, ways, tickets, reactor, now),
        outbox,
        CallEvents(outbox, told, now),
        links,
        Guests(links, GuestTokens(identities.tokens), now, guest_limits),
    )


def compose_people(
    settings: Settings,
    reactor: IPeopleReactor,
    identities: Identities,
    database: Database,
    run: Run,
    cluster: ClusterHandle,
    owners: Owners,
    rooms: RoomManager,
    close: Callable[[Collection[str]], None],
) -> People:
    """Make them. What they ask of the database is done where ``run`` does it.

    :param close: see :class:`callnet.accounts.change_feed.ChangeFeed`.
    """
    tokens, phones = identities.tokens, identities.phones
    mutual = settings.accounts.shows_mutual_contacts_alone
    lasts = _longest(tokens) + SKEW
    revoked = SqlRevocations(database, run, tokens.now, lasts)
    change_feed = ChangeFeed(
        SqlChanges(database, run, tokens.now),
        revoked,
        identities.revocations,
        reactor,
        owners.accounts.forget,
        owners.preferences,
        close,
        rooms.revoke_absent,
        rooms.extensions.data_changed,
    )
    contacts_only = settings.accounts.who_may_call == "contacts"
    history = SqlHistory(database, run, contacts_only, settings.history.rows)
    sender = codes = None
    if settings.accounts.enrolment == "otp":
        otp = settings.accounts.otp
        sender = Webhook(_posts(otp.url, otp.secret, reactor), reactor, CODE_PAUSES)
        codes = Codes(SqlCodes(database, run), sender.send, otp.text, otp.secret.encode(), tokens.now)
    sleepers = Sleepers(owners.records, reactor, rooms.wake_requests.sleeps)
    cluster.on_loss(sleepers.again)
    web_push = owners.ways.get(PushKind.WEBPUSH)
    return People(
        Logins(
            owners.accounts,
            revoked,
            owners.preferences,
            tokens,
            phones,
            settings.accounts.enrolment,
            codes,
            settings.accounts.otp.code_without_secret,
            change_feed.look,
        ),
        ContactLists(SqlContacts(database, run, mutual), cluster.presence, tokens, phones, change_feed.look),
        Profiles(SqlProfiles(database, run, mutual), tokens, phones),
        OwnDevices(SqlDevices(database, run, tokens.now, lasts), cluster.presence, tokens, change_feed.look),
        Pairings(SqlPairings(database, run, OPEN_MAX), owners.accounts, tokens, change_feed.look),
        Links(owners.links, tokens, change_feed.look),
        SettingsOfPhones(owners.records, tokens, phones, contacts_only),
        PastCalls(history, tokens),
        WaysToWake(
            owners.registrations,
            tokens,
            PushKind.WEBHOOK in owners.ways,
            web_push if isinstance(web_push, WebPush) else None,
            change_feed.look,
            sleepers.registered,
        ),
        TicketRefusals(owners.tickets, rooms.wake_requests.refuse),
        sleepers,
        Historian(cluster.ended, history, owners.events, reactor, tokens.now, settings.history.days),
        change_feed,
        [] if sender is None else [sender],
        _deliveries(settings, owners.outbox, reactor),
    )


def _longest(tokens: Tokens) -> float:
    """Seconds for which a token lasts at most: one made now, or one of an older server (docs/migrating.md)."""
    return max(UNUSED_FOR, tokens.lifetime)


def _ways(settings: PushSettings, vapid: Vapid | None, reactor: IPeopleReactor) -> Mapping[PushKind, Way]:
    """The ways to wake sleeping devices."""
    ways: dict[PushKind, Way] = {}
    gateway = settings.gateway
    if gateway.url:
        ways[PushKind.WEBHOOK] = Gateway(_posts(gateway.url, gateway.secret, reactor), reactor, PAUSES)
    if vapid is not None:
        networks = [ip_network(network) for network in settings.allowed_networks]
        allowed = partial(is_allowed, networks=networks)
        outside = Outside(reactor, reactor.nameResolver, optionsForClientTLS, allowed)
        ways[PushKind.WEBPUSH] = WebPush(outside, PushHosts(settings.allowed_hosts), vapid, reactor, time.time)
    return ways


def _deliveries(settings: Settings, outbox: SqlOutbox, reactor: IThreadsReactor) -> Deliveries | None:
    webhooks = settings.webhooks
    if not webhooks.url:
        return None
    posts = _posts(webhooks.url, webhooks.secret, reactor)
    return Deliveries(outbox, posts, reactor, time.time, settings.calls.longest + TOLD_KEPT)


def _posts(url: str, secret: str, reactor: IThreadsReactor) -> SignedPosts:
    return SignedPosts(url, secret, Agent(reactor, connectTimeout=ANSWER_TIME), reactor, time.time)
