"""Reads changes in the database every second, and applies them to this node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from callnet.accounts.preferences import KnownPreferences
from callnet.accounts.tokens import Revocations
from callnet.model import DeviceAddress, Topic
from callnet.storage.changes import SqlChanges
from callnet.storage.revoking import Revocation, SqlRevocations
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.timers import PeriodicRuns

LOOK_EVERY: Final = 1.0
"""Seconds between two reads."""
_AT_ONCE: Final = 500
"""Phones whose revocations are applied in one turn of the reactor, so that nothing else has to wait."""

log = Logger()
_failed = logged_unless_unavailable(log, "failed to apply changes from the database", CancelledError)


class ChangeFeed:
    """Applies changes by any node to this one. While the database is away the known state holds.

    :param forget: called with phones that have changed; ``None``: any may have.
    :param preferences: read again for changed phones, and for phones that could not be read before.
    :param close: closes the sockets of these phones that were opened with revoked tokens.
    :param leave: removes a device that is not connected from its call; ``*``: all such devices of a phone.
    :param data_changed: applies changes to the extended devices of these phones; ``None``: anything may have changed.
    """

    def __init__(
        self,
        changes: SqlChanges,
        revoked: SqlRevocations,
        revocations: Revocations,
        clock: IReactorTime,
        forget: Callable[[Collection[str] | None], None],
        preferences: KnownPreferences,
        close: Callable[[Collection[str]], None],
        leave: Callable[[DeviceAddress], Deferred[None]],
        data_changed: Callable[[Mapping[str, Collection[Topic]] | None], None],
    ) -> None:
        self._changes = changes
        self._revoked = revoked
        self._revocations = revocations
        self._clock = clock
        self._forget = forget
        self._preferences = preferences
        self._one_look = DeferredLock()
        self._looking: Deferred[None] = succeed(None)
        self._looks = PeriodicRuns(self.look, clock, LOOK_EVERY)
        self.start: Final = self._looks.start
        self.begun: Final[Deferred[None]] = Deferred()
        """Fires when revocations and policies are known."""
        self._unread: dict[str, set[Topic]] = {}
        """Changed phones that could not be read since, with what their devices are to read again."""
        self._must_read_all = False
        """Anything may have changed, and could not be read since."""
        self._close = close
        self._leave = leave
        self._data_changed = data_changed

    def stop(self) -> None:
        """Stop the reads, and cancel the present one."""
        self._looks.stop()
        self._looking.cancel()

    def look(self) -> Deferred[None]:
        """Read now. Fires when this node has applied the changes, or failed to; it does not fail itself."""
        looked: Deferred[None] = self._one_look.run(self._begin_look)
        return looked.addErrback(_failed)

    def _begin_look(self) -> Deferred[None]:
        self._looking = Deferred.fromCoroutine(self._look())
        return self._looking

    async def _look(self) -> None:
        changed = await self._changes.new()
        for phone, topics in changed.phones.items():
            self._unread.setdefault(phone, set()).update(topics)
        self._must_read_all = self._must_read_all or changed.is_all
        if self._must_read_all:
            await self._read_all()
        else:
            await self._read(frozenset(self._unread))
        self._revocations.as_of = changed.time
        self._revocations.forget_expired(changed.time)
        if not self.begun.called:
            self.begun.callback(None)

    async def _read_all(self) -> None:
        """Read everything again."""
        await self._preferences.begin()
        revoked = await self._revoked.revoked()
        self._must_read_all = False
        self._unread.clear()
        self._forget(None)
        self._data_changed(None)
        phones = iter(revoked)
        while some := list(islice(phones, _AT_ONCE)):
            self._take_over({phone: revoked[phone] for phone in some})
            if len(some) == _AT_ONCE:
                await deferLater(self._clock, 0.0)

    async def _read(self, phones: frozenset[str]) -> None:
        cached = frozenset(phone for phone in phones if self._unread[phone] != {Topic.HISTORY})
        self._preferences.look_again(cached)
        found = await self._revoked.revoked(cached) if cached else {}
        topics = {phone: self._unread.pop(phone) for phone in phones}
        if topics:
            self._forget(cached)
            self._data_changed(topics)
            self._take_over(found)

    def _take_over(self, revoked: Mapping[str, Collection[Revocation]]) -> None:
        new = self._revocations.know(revoked)
        if new:
            self._close({one.device.phone for one in new})
        if self.begun.called:
            for one in new:
                self._leave(one.device).addErrback(_failed)
