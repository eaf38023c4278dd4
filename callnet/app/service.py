"""One process that serves devices, as a service of Twisted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall

from callnet.accounts.change_feed import ChangeFeed
from callnet.app.reload import LiveSettings
from callnet.calls.rooms import RoomManager
from callnet.ops.listening import ADMIN, OpenListener, close_all
from callnet.ops.metrics import Observed
from callnet.ops.process import Garbage, Renewals, ServiceManager, ignore_hangups, on_hangup
from callnet.ops.readiness import Readiness
from callnet.storage.database import Database, IThreadsReactor, Threads
from callnet.store.cluster_handle import ClusterHandle
from callnet.util import short_path
from callnet.util.logger import Logger
from callnet.util.short_path import shorten
from callnet.util.timers import PeriodicTask
from callnet.ws.factory import Draining, ServerSocketFactory

_LOOK_AGAIN: Final = 0.1
"""Seconds between two looks at whether the other nodes are reached, at a start."""


class Stoppable(Protocol):
    """Something that waits for others, and is told to do so no more."""

    def stop(self) -> None:
        """Wait no more."""


class Daemon(Service):
    """Everything that serves. Its listeners are open already; connections are taken when the reactor runs.

    :param chores: what goes on beside serving.
    :param readiness: it is told when connections are taken.
    :param manager: it tells systemd how this process is.
    :param live: what may be changed while it serves.
    :param renewals: what is read again at SIGHUP.
    """

    name = "callnet"
    _log = Logger()

    def __init__(
        self,
        listeners: Sequence[OpenListener],
        sockets: Sequence[ServerSocketFactory],
        rooms: RoomManager,
        cluster: ClusterHandle,
        database: Database,
        threads: Threads,
        change_feed: ChangeFeed,
        chores: Sequence[PeriodicTask],
        impatient: Sequence[Stoppable],
        readiness: Readiness,
        observed: Observed,
        manager: ServiceManager,
        live: LiveSettings,
        greeting: Iterable[str],
        renewals: Renewals,
        reactor: IThreadsReactor,
    ) -> None:
        self.listeners: Final = listeners
        self.observed: Final = observed
        self.renewals: Final = renewals
        self._sockets = sockets
        self._garbage = Garbage(lambda: sum(len(factory.sockets) for factory in sockets), reactor)
        self._rooms = rooms
        self._cluster = cluster
        self._database = database
        self._threads = threads
        self.change_feed: Final = change_feed
        self._chores = chores
        self._impatient = impatient
        self._readiness = readiness
        self._manager = manager
        self.live: Final = live
        self._draining = Draining(sockets, reactor)
        self._greeting = "\n".join(greeting)
        self._reactor = reactor
        self._greets: IDelayedCall | None = None

    def startService(self) -> None:
        """Begin."""
        super().startService()  # type: ignore[no-untyped-call]
        self._garbage.begin()
        shorten(self._reactor)
        if short_path.ON and not short_path.IS_TRIED:
            self._log.warn("direct socket writes are off: untested version of Twisted")
        on_hangup(self._reactor, lambda: self.reload(self.renewals))
        self._threads.start()
        self.change_feed.start()
        self._cluster.start()
        self._rooms.start()
        for chore in self._chores:
            chore.start()
        self.change_feed.begun.addCallback(lambda _: self._open())
        self._manager.start(self.observed)

    def reload(self, what: Iterable[str]) -> None:
        """Read these things again."""
        for name in what:
            self.renewals[name]()

    def stopService(self) -> Deferred[None]:
        """Open no more sockets, wait for calls to end, tell every device and page, and fire when all are gone (5 s
        at most).
        """
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    def hurry(self) -> None:
        """Wait for no call any more; it was told to stop."""
        self._draining.hurry()

    def _open(self) -> None:
        """Let devices be sent here: it is known who may not come in."""
        self._readiness.open()
        if self._greeting:
            self._greet()

    def _greet(self) -> None:
        """Greet, as soon as what the greeting asks to try can work."""
        self._greets = None
        if self._cluster.why_away() is None:
            self._log.info("{greeting}", greeting=self._greeting)
        else:
            self._greets = self._reactor.callLater(_LOOK_AGAIN, self._greet)

    async def _stop(self) -> None:
        if self._greets is not None:
            self._greets.cancel()
        ignore_hangups()
        drain_deadline = self.live.settings.drain_deadline
        self._manager.stopping(drain_deadline)
        self._readiness.drain()
        self._rooms.refuse_calls()
        served = [each for each in self.listeners if each.service != ADMIN]
        await close_all([each for each in served if each.is_of_systemd])
        await self._draining.begin(drain_deadline)
        closed = close_all([each for each in served if not each.is_of_systemd])
        await gatherResults([sockets.shut_down() for sockets in self._sockets])
        self._threads.stop_soon()
        await closed
        self._rooms.stop()
        await gatherResults([chore.stop() for chore in self._chores])
        await self._cluster.stop()
        await close_all([each for each in self.listeners if each.service == ADMIN])
        self._manager.end()
        self.change_feed.stop()
        for waiting in self._impatient:
            waiting.stop()
        self._threads.stop()
        self._database.close()
        self._garbage.end()
