"""The composition of the daemon: the one place that knows every other module.

Whatever can stop a start does so in :func:`makeService`, before `twistd` turns into a daemon and nobody
reads its errors: by then the settings are read, the database is ready and every listener is open.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from random import SystemRandom
from typing import Any, Final, cast

from msgspec import Struct, field
from OpenSSL import SSL
from twisted.application.service import IService
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory, IReactorCore, IReactorTime
from twisted.internet.protocol import Factory
from twisted.python import usage

import callnet
from callnet.accounts.history import CallEvents
from callnet.accounts.pairing import INTERVAL
from callnet.accounts.signing_keys import KeyRing, key_from_secret, load_or_make_keys
from callnet.accounts.tokens import Revocations, Tokens
from callnet.accounts.validation import phone_rule
from callnet.acme.renewal import ALPN_PROTOCOL, AlpnAnswers, IOrderReactor, Renewal, order
from callnet.app.accounts import Identities, IPeopleReactor, compose_owners, compose_people
from callnet.app.operations import Administered, Counted, Lag
from callnet.app.reload import LiveSettings, acme_folder, certificate, certificate_files, renewals
from callnet.app.service import Daemon
from callnet.calls.ports import ICallStore
from callnet.calls.records import CallRecord
from callnet.calls.rooms import RoomManager
from callnet.config.load import is_exposed, load
from callnet.config.schema import HTTP01, DatabaseSettings, PushSettings, Settings, TokenSettings
from callnet.errors import StartError
from callnet.ops.admin_api import AdminKey, load_or_make_admin_key
from callnet.ops.certificates import CertificateWatch, ServerTls, self_signed_files
from callnet.ops.ice import IceServers, TurnSecret, read_turn_secret
from callnet.ops.limits import GuestLimits, LoginLimits, PairingLimits
from callnet.ops.listening import ADMIN, OpenListener, open_all
from callnet.ops.logs import log_queue
from callnet.ops.metrics import Observed, of_log, of_orders
from callnet.ops.process import ServiceManager, on_another_stop, stop_as_told
from callnet.ops.readiness import Question, Readiness, Remembered
from callnet.ops.startup_banner import greeting
from callnet.ops.turn_handover import IHandoverReactor, TurnHandover
from callnet.ops.webhooks import read_signing_secrets
from callnet.push.webpush import Vapid, load_or_make_key
from callnet.redis import url as redis_url
from callnet.redis.check import reachable
from callnet.relay import supervised
from callnet.relay.supervised import IRelayReactor, Relay
from callnet.storage.database import Database, Threads
from callnet.storage.devices import devices_without_secret
from callnet.store.cluster_handle import ClusterHandle
from callnet.store.ended import dated
from callnet.store.memory import open_alone
from callnet.supervision import IParentReactor, Supervisor, Workers
from callnet.util import files
from callnet.util.logger import Logger
from callnet.util.net import has_way_out
from callnet.util.turn_budget import TurnBudget
from callnet.web import admin, site
from callnet.web.api import AccountApi
from callnet.web.http import CappedSite, HostGuard
from callnet.web.site import AcmeAnswers
from callnet.ws.device_socket import SignalingFactory
from callnet.ws.page_socket import RoomSocketFactory

_log = Logger()
SERVED: Final = ("account", "signaling", "site", HTTP01)
"""The services that workers offer."""
_STATIC: Final = os.path.join(os.path.dirname(callnet.__file__), "static")
_DASHBOARD: Final = os.path.join(os.path.dirname(callnet.__file__), "dashboard")


class IDaemonReactor(IParentReactor, IOrderReactor, IPeopleReactor, IRelayReactor, IHandoverReactor, IReactorCore):
    """The reactor that the daemon needs, apart from listening, which its endpoints do."""


class Options(usage.Options):
    """The options of ``twistd callnet``."""

    optParameters: Final = [["config", "c", None, "Read the settings from this TOML file. [default: $CALLNET_CONFIG]"]]
    longdesc: Final = (
        "Run the server for one-to-one video calls. Without settings it listens on loopback only"
        " and keeps its data in ~/.local/state/callnet."
    )


def makeService(options: Options, reactor: IDaemonReactor | None = None) -> IService:
    """Make the daemon of ``twistd callnet``.

    :raises SystemExit: it cannot start; the exit status is 1, and one line on stderr says why.
    """
    if reactor is None:
        reactor = steady_reactor()
        log_queue.serve(reactor)
    try:
        service = compose(partial(load, options["config"], os.environ), reactor)
    except StartError as error:
        raise SystemExit(f"callnet: {error}") from None
    reactor.addSystemEventTrigger("before", "shutdown", on_another_stop, reactor, service.hurry)
    return service


def steady_reactor() -> IDaemonReactor:
    """The reactor of this process, whose timers go by a clock that nobody sets. Twisted's own choice can be set."""
    from twisted.internet import reactor  # importing it installs it

    steady = cast(Any, reactor)
    steady.seconds = time.monotonic
    return cast(IDaemonReactor, steady)


def compose(read: Callable[[], Settings], reactor: IDaemonReactor) -> Daemon | Supervisor:
    """Make the daemon that the settings ask for: one process that serves, or the parent of several that do.

    :param read: reads the settings, now and when they may have changed.
    :raises StartError: it cannot start.
    """
    read = partial(_with_own_files, read)
    settings = read()
    basis = _basis(settings)
    redis = redis_url.parse(settings.redis) if settings.redis.url else None
    files.claim_directory(settings.state_dir, "state_dir", is_shared=redis is not None)
    if files.is_open_to_others(settings.state_dir):
        _log.warn(
            "state_dir {path} is accessible to other users of this machine; chmod 700 it", path=settings.state_dir
        )
    _prepare_database(settings.database, one_machine=redis is None or redis.is_local)
    if redis is not None and (cause := reachable(redis)):
        raise StartError(f"redis.url: {cause}")
    count = len(os.sched_getaffinity(0)) if settings.workers == "auto" else settings.workers
    if count > 1:
        return _compose_parent(settings, reactor, basis, count, read)
    return _compose_node(settings, reactor, basis, None, read)


def _with_own_files(read: Callable[[], Settings]) -> Settings:
    """The settings with the secrets that they name, and the files of the relay made if they ask for one."""
    return supervised.prepare(read_signing_secrets(read()), time.time)


def compose_worker(settings: Settings, reactor: IDaemonReactor, sockets: Mapping[str, int]) -> Daemon:
    """Make what one worker runs. Its parent has seen to the database and the listening sockets.

    :param sockets: the descriptors of these sockets, by the key of the listener.
    :raises StartError: it cannot start.
    """
    return _compose_node(settings, reactor, _basis(settings), sockets, None)


class _Basis(Struct, frozen=True):
    """The files that are read before anything is opened."""

    identities: Identities
    tls: ServerTls
    turn_secret: TurnSecret
    admin_key: AdminKey
    orders: Counter[str] = field(default_factory=Counter)
    """Of certificates, by outcome."""


def _basis(settings: Settings) -> _Basis:
    files.make_private_directory(settings.state_dir, "state_dir")
    revocations = Revocations()
    tokens = Tokens(
        _keys(settings.tokens),
        settings.tokens.lifetime,
        time.time,
        revocations,
        split_user_name=settings.accounts.phone_format == "cn-mobile",
        session_lifetime=settings.tokens.session_lifetime,
    )
    identities = Identities(tokens, revocations, phone_rule(settings.accounts.phone_format), _vapid(settings.push))
    return _Basis(
        identities,
        ServerTls(certificate(settings), _alpn(settings)),
        TurnSecret(read_turn_secret(settings.turn)),
        AdminKey(load_or_make_admin_key(settings.admin.key_file)),
    )


def _alpn(settings: Settings) -> Mapping[bytes, Callable[[SSL.Connection], bool]]:
    """The protocols that are chosen by ALPN, beside HTTP."""
    names = settings.tls.acme.names
    return {ALPN_PROTOCOL: AlpnAnswers(acme_folder(settings), names)} if names else {}


def _compose_node(
    settings: Settings,
    reactor: IDaemonReactor,
    basis: _Basis,
    sockets: Mapping[str, int] | None,
    read: Callable[[], Settings] | None,
) -> Daemon:
    """Make a node: by itself, or with the ``sockets`` of a parent, which has the operator's listener."""
    database = Database(settings.database.url)
    threads = Threads(reactor, database.threads, database.give_up)
    cluster = _cluster(settings, reactor)
    identities = basis.identities
    tokens = identities.tokens
    guest_limits = GuestLimits(settings.limits, cluster.limits)
    owners = compose_owners(settings, reactor, identities, database, threads.run, guest_limits)
    rooms = RoomManager(
        cluster.store,
        cluster.bus,
        reactor,
        settings.calls,
        owners.preferences,
        owners.roster,
        owners.waker.tell,
        partial(_notice, owners.events, cluster.store) if settings.webhooks.url else None,
        owners.guests.answered,
        identities.phones.read,
    )
    ice = IceServers(settings.turn, basis.turn_secret, settings.limits, cluster.limits, tokens.now)
    budget = TurnBudget(reactor)
    signaling = SignalingFactory(
        rooms,
        tokens.verify,
        reactor,
        settings.limits,
        cluster.limits,
        ice,
        settings.signaling,
        owners.accounts.used,
        settings.sockets,
        budget,
        owners.guests.link,
    )
    people = compose_people(
        settings,
        reactor,
        identities,
        database,
        threads.run,
        cluster,
        owners,
        rooms,
        partial(signaling.close_revoked, is_revoked=identities.revocations.cover),
    )
    login_limits = LoginLimits(settings.limits, cluster.limits)
    pairing_limits = PairingLimits(settings.limits, cluster.limits, INTERVAL)
    api = AccountApi(
        people.logins,
        people.lists,
        people.profiles,
        people.devices,
        people.pairings,
        people.settings,
        people.past_calls,
        people.ways_to_wake,
        people.refusals,
        ice,
        login_limits,
        pairing_limits,
        people.links,
        owners.guests,
        guest_limits,
    )
    accounts = HostGuard(api.resource(), settings.accounts.hosts, settings.signaling)
    room = RoomSocketFactory(rooms, reactor, settings.limits, ice, settings.sockets, budget)
    cluster.share("devices", signaling.crowds)
    cluster.share("pages", room.crowds)
    deliveries = [] if people.deliveries is None else [people.deliveries]
    pages = site.root(accounts, signaling.web_resource(), room.web_resource(), _STATIC, reactor)
    readiness = _readiness(settings, cluster, lambda: threads.run(database.ping), reactor)
    lag = Lag(reactor)
    read_again: dict[str, Callable[[], bool]] = {}
    relays = [] if sockets is not None else [_relay(settings, reactor, read_again)]
    sites = [
        CappedSite(accounts, reactor, settings.http, budget, settings.limits),
        site.Site(pages, reactor, settings.site.hsts, settings.http, budget, settings.limits),
        CappedSite(
            AcmeAnswers(acme_folder(settings), settings.tls.acme.names), reactor, settings.http, budget, settings.limits
        ),
    ]
    turn = TurnHandover(reactor, settings.limits)
    counted = Counted(
        rooms,
        signaling,
        room,
        sites,
        turn,
        owners,
        people,
        ice,
        basis.tls,
        basis.orders,
        threads,
        cluster.ended,
        cluster.round_trips,
        lag,
        identities.revocations,
        lambda: [family for relay in relays for family in relay.families()],
    )
    administered = Administered(rooms, signaling, people.logins, people.links, cluster.nodes)
    observed = Observed(readiness.report, lambda: succeed(list(counted.families())), administered.execute, stop_as_told)
    factories: dict[str, IProtocolFactory] = dict(zip(SERVED, (sites[0], signaling, *sites[1:]), strict=True))
    if sockets is None:
        factories[ADMIN] = _admin_site(observed, basis, settings, reactor)
    listeners = open_all(reactor, settings.keyed_listeners(), factories, basis.tls, sockets, turn)
    live = LiveSettings(
        settings,
        [
            *(signaling.changed, room.changed, ice.changed),
            *(login_limits.changed, pairing_limits.changed, guest_limits.changed),
            *(each.changed for each in sites),
            *(relay.changed for relay in relays),
            turn.changed,
        ],
    )
    read_again |= renewals(live, basis.tls, tokens, basis.turn_secret, basis.admin_key, read)
    watches = [_watch(settings, reactor, basis.tls, read_again, relay) for relay in relays]
    orders = [] if sockets is not None else _renewal(settings, reactor, basis.orders, read_again)
    return Daemon(
        listeners,
        [signaling, room],
        rooms,
        cluster,
        database,
        threads,
        people.change_feed,
        [people.historian, owners.roster, people.sleepers, *deliveries, *watches, *orders, *relays, lag],
        [owners.preferences, owners.accounts, owners.waker, *people.senders],
        readiness,
        observed,
        ServiceManager(os.environ if sockets is None else {}, reactor),
        live,
        _greeting(settings, listeners) if sockets is None else (),
        read_again,
        reactor,
    )


def _notice(events: CallEvents, store: ICallStore, call: CallRecord) -> None:
    events.notice(dated(call, store.date_of(0.0)))


def _compose_parent(
    settings: Settings, reactor: IDaemonReactor, basis: _Basis, count: int, read: Callable[[], Settings]
) -> Supervisor:
    """Make the parent of workers, which opens the listeners for them and serves the operator's alone."""
    read_again: dict[str, Callable[[], bool]] = {}
    relay = _relay(settings, reactor, read_again)
    workers = Workers(
        count, settings, reactor, lambda: [of_log(log_queue.dropped), of_orders(basis.orders), *relay.families()]
    )
    factories: dict[str, IProtocolFactory] = dict.fromkeys(SERVED, _Held())
    factories[ADMIN] = _admin_site(workers.observed, basis, settings, reactor)
    listeners = open_all(reactor, settings.keyed_listeners(), factories, basis.tls)
    live = LiveSettings(settings, [relay.changed])
    own = renewals(live, basis.tls, basis.identities.tokens, basis.turn_secret, basis.admin_key, read)
    read_again |= {name: partial(workers.renew, name, renew) for name, renew in own.items()}
    watch = _watch(settings, reactor, basis.tls, read_again, relay)
    orders = _renewal(settings, reactor, basis.orders, read_again)
    manager = ServiceManager(os.environ, reactor)
    greeted = _greeting(settings, listeners)
    return Supervisor(workers, listeners, [watch, relay], orders, manager, settings, greeted, read_again, reactor)


def _admin_site(observed: Observed, basis: _Basis, settings: Settings, clock: IReactorTime) -> admin.AdminSite:
    root = admin.root(observed, basis.admin_key, _DASHBOARD, clock)
    return admin.AdminSite(root, clock, settings.http, settings.admin.hosts)


def _relay(settings: Settings, reactor: IDaemonReactor, read_again: Mapping[str, Callable[[], bool]]) -> Relay:
    """Make the relay. The secret is read again, by the workers as well, whenever there is another one."""

    def secret_changed() -> bool:
        return read_again["turn"]()

    return Relay(settings, partial(certificate_files, settings), secret_changed, reactor, time.time, has_way_out)


def _watch(
    settings: Settings,
    clock: IReactorTime,
    tls: ServerTls,
    read_again: dict[str, Callable[[], bool]],
    relay: Relay,
) -> CertificateWatch:
    """Look after the certificate, which from now on is read again by whoever does, and then by the relay."""
    own = not (settings.tls.certificate or settings.tls.acme.names)
    watched = (str(acme_folder(settings).certificate),) if settings.tls.acme.names else certificate_files(settings)
    renew = partial(_renew_with_relay, read_again["certificate"], relay)
    watch = CertificateWatch(watched, own, tls, renew, clock, lambda: datetime.now(UTC))
    read_again["certificate"] = watch.renew
    return watch


def _renew_with_relay(renew: Callable[[], bool], relay: Relay) -> bool:
    good = renew()
    if good:
        relay.certificate_renewed()
    return good


def _renewal(
    settings: Settings,
    reactor: IDaemonReactor,
    outcomes: Counter[str],
    read_again: dict[str, Callable[[], bool]],
) -> Sequence[Renewal]:
    """Have a certificate ordered, if it is to come by ACME."""
    acme = settings.tls.acme
    if not acme.names:
        return ()
    renewal = Renewal(
        acme_folder(settings),
        acme.names,
        partial(order, settings.state_dir, acme, reactor),
        read_again["certificate"],
        outcomes,
        reactor,
        lambda: datetime.now(UTC),
        SystemRandom().random,
    )
    read_again["certificate order"] = renewal.retry
    return (renewal,)


class _Held(Factory):
    """Stands for what the workers serve."""

    noisy = False


def _greeting(settings: Settings, listeners: Sequence[OpenListener]) -> Iterator[str]:
    certificate = certificate_files(settings)[0]
    self_signed = certificate if certificate in self_signed_files(settings.state_dir) else None
    is_open = settings.accounts.open_enrolment_on_network
    without_secret = _devices_open_to_others(settings)
    on_terminal = sys.stdout.isatty()
    return greeting(listeners, site.PHONE, site.PAGE, self_signed, is_open, without_secret, sys.argv[0], on_terminal)


def _devices_open_to_others(settings: Settings) -> int:
    """The number of known devices that a login from the network needs neither a secret nor a code for."""
    accounts = settings.accounts
    asks_for_codes = accounts.enrolment == "otp" and accounts.otp.code_without_secret
    if accounts.enrolment == "open" or asks_for_codes or not is_exposed(settings.listeners):
        return 0
    with closing(Database(settings.database.url)) as database:
        return devices_without_secret(database)


def _readiness(
    settings: Settings, cluster: ClusterHandle, ping: Callable[[], Deferred[None]], clock: IReactorTime
) -> Readiness:
    questions: dict[str, Question] = {"database": Remembered(lambda: ping().addCallback(lambda _: None), clock)}
    if settings.redis.url:
        questions["redis"] = cluster.why_away
    return Readiness(questions, clock)


def _cluster(settings: Settings, reactor: IDaemonReactor) -> ClusterHandle:
    """This node alone, or as one of many that meet over Redis."""
    if not settings.redis.url:
        return open_alone(reactor, time.time)
    target = redis_url.parse(settings.redis)
    from callnet.redis.store import open_shared  # importing txredisapi installs a reactor

    return open_shared(target, settings.redis.prefix, reactor, settings.calls)


def _keys(settings: TokenSettings) -> KeyRing:
    if settings.signing_key:
        return KeyRing.of(key_from_secret(settings.signing_key.encode(), "tokens.signing_key"))
    return load_or_make_keys(settings.signing_key_file)


def _vapid(settings: PushSettings) -> Vapid | None:
    """The key that identifies callnet to push services, if Web Push is on."""
    return Vapid(load_or_make_key(settings.vapid_key_file), settings.subject) if settings.allowed_hosts else None


def _prepare_database(settings: DatabaseSettings, one_machine: bool) -> None:
    """Make it ready for use, and leave no connection behind: there must be none when `twistd` forks."""
    with closing(Database(settings.url)) as database:
        if not one_machine:
            database.refuse_many_machines()
        if database.in_memory:
            raise StartError("database.url: an in-memory database is for tests only; name a file")
        database.prepare(settings.upgrade_on_start)
