"""Checks the database for changes every second, and applies them to this node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from callnet.accounts.ports import IChanges, IRevocations, Revocation
from callnet.accounts.preferences import KnownPreferences
from callnet.accounts.revocations import Revocations
from callnet.errors import Unavailable
from callnet.model import DeviceAddress
from callnet.util.deferreds import Soon, or_else
from callnet.util.logger import Logger

LOOK_EVERY: Final = 1.0
"""Seconds."""
_AT_ONCE: Final = 500
"""Phones of which revocations are taken over in one go, so that nobody waits for it."""

log = Logger()


class News:
    """The changes in the database that this node has applied. While the database is away it uses what it knows.

    :param forget: called with phones about which something has changed; ``None``: with any.
    :param preferences: have these phones looked at again, even if there are none.
    :param close: has the sockets of these phones closed that were opened with tokens which are revoked.
    :param leave: has a device that is not connected leave its call; ``*``: all such devices of a phone.
    :param lists_changed: has what these phones, or with ``None`` all, list looked at again.
    """

    def __init__(
        self,
        changes: IChanges,
        revoked: IRevocations,
        revocations: Revocations,
        clock: IReactorTime,
        forget: Callable[[Collection[str] | None], None],
        preferences: KnownPreferences,
        close: Callable[[Collection[str]], None],
        leave: Callable[[DeviceAddress], Soon[None]],
        lists_changed: Callable[[Collection[str] | None], None],
    ) -> None:
        self._changes = changes
        self._revoked = revoked
        self._revocations = revocations
        self._clock = clock
        self._forget = forget
        self._preferences = preferences
        self._one_look = DeferredLock()
        self._looking: Deferred[None] = succeed(None)
        self._next: IDelayedCall | None = None
        self._goes_on = False
        self.begun: Final[Deferred[None]] = Deferred()
        """Fires when revocations and policies are loaded."""
        self._unread: set[str] = set()
        """Phones that have changed, and could not be read since."""
        self._must_read_all = False
        """Anything may have changed, and could not be read since."""
        self._close = close
        self._leave = leave
        self._lists_changed = lists_changed

    def start(self) -> None:
        """Begin to look."""
        self._goes_on = True
        self._look_again()

    def stop(self) -> None:
        """Look no more, nor wait for what is being looked at."""
        self._goes_on = False
        self._looking.cancel()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look_again(self) -> None:
        self._next = None
        self.look().addCallback(lambda _: self._wait())

    def _wait(self) -> None:
        if self._goes_on:
            self._next = self._clock.callLater(LOOK_EVERY, self._look_again)

    def look(self) -> Deferred[None]:
        """Look now. Fires when this node acts on all that was there to see; it does not fail."""
        looked: Deferred[None] = self._one_look.run(self._begin_look)
        return looked.addErrback(_failed)

    def _begin_look(self) -> Deferred[None]:
        self._looking = Deferred.fromCoroutine(self._look())
        return self._looking

    async def _look(self) -> None:
        changed = await self._changes.new()
        self._unread.update(changed.phones)
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
        """Believe nothing of what is known."""
        await self._preferences.begin()
        revoked = await self._revoked.revoked()
        self._must_read_all = False
        self._unread.clear()
        self._forget(None)
        self._lists_changed(None)
        phones = iter(revoked)
        while some := list(islice(phones, _AT_ONCE)):
            self._take_over({phone: revoked[phone] for phone in some})
            if len(some) == _AT_ONCE:
                await deferLater(self._clock, 0.0)

    async def _read(self, phones: frozenset[str]) -> None:
        self._preferences.look_again(phones)
        if phones:
            found = await self._revoked.revoked(phones)
            self._unread -= phones
            self._forget(phones)
            self._lists_changed(phones)
            self._take_over(found)

    def _take_over(self, revoked: Mapping[str, Collection[Revocation]]) -> None:
        new = self._revocations.know(revoked)
        if new:
            self._close({one.device.phone for one in new})
        if self.begun.called:
            for one in new:
                or_else(self._leave(one.device), _failed)


def _failed(failure: Failure) -> None:
    if not failure.check(Unavailable, CancelledError):
        log.failure("failed to apply changes from the database", failure)
