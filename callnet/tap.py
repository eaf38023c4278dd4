"""The daemon, composed: the one place that knows every other module.

Whatever can stop a start does so in :func:`makeService`, before `twistd` turns into a daemon and nobody
reads its errors: by then the settings are read, the database is ready and every listener is open.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, cast

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python import usage

import callnet
from callnet.accounts.enrolment import phone_rule
from callnet.accounts.keys import key_from_secret, load_or_make_signing_key
from callnet.accounts.service import AccountService
from callnet.accounts.tokens import Key, Tokens
from callnet.calls.rooms import RoomManager
from callnet.cluster import redis_url
from callnet.cluster.membership import Membership
from callnet.cluster.memory import open_alone
from callnet.config import DatabaseSettings, Settings, TokenSettings, load
from callnet.errors import StartError
from callnet.operations import certificates, files
from callnet.operations.certificates import SELF_SIGNED, ServerTls, server_context
from callnet.operations.greeting import greeting
from callnet.operations.listening import OpenListener, close_all, open_all
from callnet.signaling.factory import SignalingFactory
from callnet.storage.database import Database
from callnet.storage.sql import SqlAccounts, SqlContacts
from callnet.storage.threads import Threads
from callnet.web import site
from callnet.web.api import AccountApi
from callnet.web.http import CappedSite
from callnet.web.room import RoomSocketFactory
from callnet.websocket import ServerSocketFactory

_STATIC: Final = os.path.join(os.path.dirname(callnet.__file__), "static")


class IDaemonReactor(IReactorTime, IReactorFromThreads):
    """What the daemon needs of a reactor, apart from the listening that its endpoints do."""


class Options(usage.Options):
    """The options of ``twistd callnet``."""

    optParameters: Final = [
        ["config", "c", None, "The TOML file with the settings. Without it, CALLNET_CONFIG names one."]
    ]
    longdesc: Final = (
        "A server for one-to-one video calls. Without any settings it listens on this machine alone"
        " and keeps what it needs in ~/.local/state/callnet."
    )


class Daemon(Service):
    """Everything that runs. Its listeners are open already; connections are taken when the reactor runs."""

    name = "callnet"
    _log = Logger()

    def __init__(
        self,
        listeners: Sequence[OpenListener],
        sockets: Sequence[ServerSocketFactory],
        rooms: RoomManager,
        cluster: Membership,
        database: Database,
        threads: Threads,
        greeting: Iterable[str],
    ) -> None:
        self.listeners: Final = listeners
        self._sockets = sockets
        self._rooms = rooms
        self._cluster = cluster
        self._database = database
        self._threads = threads
        self._greeting = "\n".join(greeting)

    def startService(self) -> None:
        """Begin."""
        super().startService()  # type: ignore[no-untyped-call]
        self._threads.start()
        self._cluster.start()
        self._rooms.start()
        self._log.info("{greeting}", greeting=self._greeting)

    def stopService(self) -> Deferred[None]:
        """Take no more connections, tell every device and page, and fire when all are gone (5 s at most)."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._rooms.refuse_calls()
        closed = close_all(self.listeners)
        await gatherResults([sockets.shut_down() for sockets in self._sockets])
        await closed
        self._rooms.stop()
        await self._cluster.stop()
        self._threads.stop()
        self._database.close()


def makeService(options: Options, reactor: IDaemonReactor | None = None) -> IService:
    """Make the daemon of ``twistd callnet``.

    :raises SystemExit: it cannot start; the exit status is 1, and one line on stderr says why.
    """
    if reactor is None:
        from twisted.internet import reactor as installed  # importing it installs it

        reactor = cast(IDaemonReactor, installed)
    try:
        return compose(load(options["config"], os.environ), reactor)
    except StartError as error:
        raise SystemExit(f"callnet: {error}") from None


def compose(settings: Settings, reactor: IDaemonReactor) -> Daemon:
    """Make the daemon that the settings ask for.

    :raises StartError: it cannot start.
    """
    files.make_private_directory(settings.state_dir, "state_dir")
    tokens = Tokens(
        [_signing_key(settings.tokens)],
        settings.tokens.lifetime,
        time.time,
        split_user_name=settings.accounts.phone_format == "cn-mobile",
    )
    is_phone = phone_rule(settings.accounts.phone_format)
    tls = ServerTls(server_context(_certificate(settings)))
    database = _database(settings.database)
    threads = Threads(reactor, database.threads)

    cluster = _cluster(settings, reactor)
    rooms = RoomManager(cluster.store, cluster.bus, reactor, settings.calls)
    service = AccountService(
        SqlAccounts(database, threads.run), SqlContacts(database, threads.run), cluster.presence, tokens, is_phone
    )
    accounts = AccountApi(service).resource()
    signaling = SignalingFactory(rooms, tokens.verify, reactor, settings.signaling.allowed_origins)
    room = RoomSocketFactory(rooms, reactor)
    pages = site.root(accounts, signaling.web_resource(), room.web_resource(), _STATIC)
    listeners = open_all(
        reactor,
        settings.listeners,
        {
            "account": CappedSite(accounts, reactor),
            "signaling": signaling,
            "site": site.Site(pages, reactor, settings.site.hsts),
        },
        tls,
    )
    self_signed = None if settings.tls.certificate else os.path.join(settings.state_dir, SELF_SIGNED)
    hello = greeting(listeners, site.PAGE, self_signed, settings.accounts.open_enrolment_on_network, sys.argv[0])
    return Daemon(listeners, [signaling, room], rooms, cluster, database, threads, hello)


def _cluster(settings: Settings, reactor: IDaemonReactor) -> Membership:
    """This node alone, or as one of many that meet over Redis."""
    if not settings.redis.url:
        return open_alone(reactor)
    target = redis_url.parse(settings.redis)
    from callnet.cluster.over_redis import open_shared  # importing txredisapi installs a reactor

    return open_shared(target, settings.redis.prefix, reactor, settings.calls)


def _signing_key(settings: TokenSettings) -> Key:
    if settings.signing_key:
        return key_from_secret(settings.signing_key.encode(), "tokens.signing_key")
    return load_or_make_signing_key(settings.signing_key_file)


def _certificate(settings: Settings) -> certificates.Pair:
    if settings.tls.certificate:
        return certificates.configured(settings.tls)
    return certificates.self_signed(settings.state_dir, datetime.now(UTC))


def _database(settings: DatabaseSettings) -> Database:
    """The database, ready for use, and not connected: a connection must not be there when `twistd` forks."""
    database = Database(settings.url)
    if database.in_memory:
        raise StartError("database.url: a database in memory is for tests alone; name a file")
    try:
        if settings.upgrade_on_start:
            database.upgrade()
        else:
            database.check()
    finally:
        database.close()
    return database
