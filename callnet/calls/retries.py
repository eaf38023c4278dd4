"""What could not be done since the store was away: it is tried again until the store has answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from heapq import heappop, heappush
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from callnet.calls import events
from callnet.errors import Unavailable
from callnet.logger import Logger
from callnet.model import DeviceAddress

AGAIN: Final = 0.5
"""How often what was kept is tried, in seconds."""

log = Logger()


class Retries:
    """One timer for everything that waits.

    :param settle: decides on an event; raises ``Unavailable`` if the store has not answered.
    """

    def __init__(self, clock: IReactorTime, settle: Callable[[events.Event], Coroutine[Any, Any, object]]) -> None:
        self._clock = clock
        self._settle = settle
        self.kept: Final[dict[Hashable, events.Event]] = {}
        """By key."""
        self._try_at: float | None = None
        self._trying = False
        self._pauses: list[tuple[float, int, Deferred[None]]] = []
        """A heap: when each ends, and in which order they began."""
        self._begun = 0
        self._timer: IDelayedCall | None = None
        self._wakes_at: float | None = None
        self._stopped = False

    def keep(self, event: events.Event, key: Hashable | None = None) -> None:
        """Try an event until the store has answered.

        :param key: in the place of what was kept under it before; without one the event is its own key.
        """
        if self._stopped:
            return
        self.kept[event if key is None else key] = event
        self._try_again()

    def keep_failed(self, event: events.Event, failure: Failure, key: Hashable | None = None) -> None:
        """Try an event again that failed since the store was away; a fault of ours is logged."""
        if not _is_hopeless(failure):
            self.keep(event, key)

    def keeps(self, key: Hashable, event: events.Event | None = None) -> bool:
        """Tell whether something is kept under ``key``; if an event is given, whether it is that one."""
        kept = self.kept.get(key)
        return kept is not None and event in (None, kept)

    def kept_for(self, device: DeviceAddress) -> tuple[Any, ...]:
        """The record of a device that hung up, cancelled or answered a call, or was told that it failed."""
        keys = ((kind, device) for kind in (events.HangUp, events.Cancel, events.Accept, events.Place))
        return tuple(self.kept[key] for key in keys if key in self.kept)

    def forget(self, key: Hashable) -> None:
        """Try no more what was kept under ``key``, if anything was."""
        self.kept.pop(key, None)

    def pause(self, seconds: float) -> Deferred[None]:
        """Fires after a while, with ``Unavailable`` if this is stopped before."""
        paused: Deferred[None] = Deferred()
        if self._stopped:
            paused.errback(Unavailable("this node stops"))
        else:
            self._begun += 1
            heappush(self._pauses, (self._clock.seconds() + seconds, self._begun, paused))
            self._set_timer()
        return paused

    def stop(self) -> None:
        """Try nothing any more."""
        self._stopped = True
        self.kept.clear()
        pauses, self._pauses = self._pauses, []
        self._try_at = None
        self._set_timer()
        for _, _, paused in sorted(pauses):
            paused.errback(Unavailable("this node stops"))

    def _set_timer(self) -> None:
        at = self._try_at
        if self._pauses and (at is None or self._pauses[0][0] < at):
            at = self._pauses[0][0]
        if at == self._wakes_at:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = self._clock.callLater(max(at - self._clock.seconds(), 0.0), self._wake)
        self._wakes_at = at

    def _wake(self) -> None:
        self._timer = self._wakes_at = None
        now = self._clock.seconds()
        ended = []
        while self._pauses and self._pauses[0][0] <= now:
            ended.append(heappop(self._pauses)[2])
        if self._try_at is not None and self._try_at <= now:
            self._try_at, self._trying = None, True
            DeferredList([self._try(key, event) for key, event in list(self.kept.items())]).addCallback(self._tried)
        self._set_timer()
        for paused in ended:
            paused.callback(None)

    def _try(self, key: Hashable, event: events.Event) -> Deferred[None]:
        settled = Deferred.fromCoroutine(self._settle(event))
        return settled.addCallbacks(lambda _: True, _is_hopeless).addCallback(self._let_go, key, event)

    def _let_go(self, done: bool, key: Hashable, event: events.Event) -> None:
        if done and self.kept.get(key) is event:
            del self.kept[key]

    def _tried(self, _: object) -> None:
        self._trying = False
        self._try_again()

    def _try_again(self) -> None:
        if self.kept and self._try_at is None and not self._trying:
            self._try_at = self._clock.seconds() + AGAIN
            self._set_timer()


def _is_hopeless(failure: Failure) -> bool:
    """Tell whether it would be in vain to try again."""
    if failure.check(Unavailable):
        return False
    log.failure("doing again what could not be done before", failure)
    return True
