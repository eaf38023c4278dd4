"""Has this node look every second at what has changed in the database, and act on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from callnet.accounts.preferences import KnownPreferences
from callnet.accounts.revocations import Revocations
from callnet.errors import Unavailable
from callnet.logger import Logger
from callnet.model import DeviceAddress
from callnet.soon import Soon, or_else
from callnet.storage_interfaces import IChanges, IRevocations, Revocation

LOOK_EVERY: Final = 1.0
"""Seconds."""
_FORGET_EVERY: Final = 600.0
"""Seconds after which what has expired is forgotten."""

log = Logger()


class News:
    """What this node has heard of changes, whoever made them. While the database is away it goes by what it knows.

    :param now: the time, in seconds since 1970.
    :param forget: called with phones about which something has changed.
    :param preferences: have these phones looked at again, be there any or not.
    """

    def __init__(
        self,
        changes: IChanges,
        revoked: IRevocations,
        revocations: Revocations,
        clock: IReactorTime,
        now: Callable[[], float],
        forget: Callable[[Collection[str]], None],
        preferences: KnownPreferences,
    ) -> None:
        self._changes = changes
        self._revoked = revoked
        self._revocations = revocations
        self._clock = clock
        self._now = now
        self._forget = forget
        self._preferences = preferences
        self._one_look = DeferredLock()
        self._looking: Deferred[None] = succeed(None)
        self._next: IDelayedCall | None = None
        self._goes_on = False
        self._has_begun = False
        self.begun: Final[Deferred[None]] = Deferred()
        """Fires when it is known who may not come in, and who may call whom."""
        self._unread: set[str] = set()
        """Phones that have changed, and could not be read since."""
        self._expired_at = 0.0
        self.close: Callable[[Collection[str]], None]
        """Has the sockets of these phones closed that were opened with tokens which are revoked."""
        self.lists_changed: Callable[[Collection[str]], None] = _nobody_looks
        """Have what these phones list looked at again."""
        self.leave: Callable[[DeviceAddress], Soon[None]]
        """Has a device that is not connected leave its call; ``*``: all such devices of a phone."""

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
        now = self._now()
        if now - self._expired_at >= _FORGET_EVERY:
            self._expired_at = now
            self._revocations.forget_expired(now)
        self._unread.update(await self._changes.new())
        if not self._has_begun:
            await self._preferences.begin()
            known = await self._revoked.revoked(now)
            self._has_begun = True
            self._revocations.know(known)
            self.close(known.keys())
            self.begun.callback(None)
        phones = frozenset(self._unread)
        self._preferences.look_again(phones)
        if phones:
            found = await self._revoked.revoked(now, phones)
            self._unread -= phones
            self._forget(phones)
            self.lists_changed(phones)
            self._act_on(self._revocations.know(found))

    def _act_on(self, new: Sequence[Revocation]) -> None:
        if new:
            self.close({revoked.device.phone for revoked in new})
        for revoked in new:
            or_else(self.leave(revoked.device), _failed)


def _failed(failure: Failure) -> None:
    if not failure.check(Unavailable, CancelledError):
        log.failure("acting on what has changed", failure)


def _nobody_looks(phones: Collection[str]) -> None:
    """Do nothing."""
