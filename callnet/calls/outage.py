"""Retries of requests after an outage of the store or a failed notification.

A device may leave a node that was cut off, with a call that only that node knew of, and hang up or cancel it at another
node. The first node announces the call when it is back, and then the call ends.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.calls import events
from callnet.calls.transitions import NoSuchCall
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, RoomId
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.timers import EarliestTimer

AGAIN: Final = 0.5
"""Seconds between attempts for kept events."""
_ORPHAN_PAUSES: Final = (1.0, 2.0, 3.0, 4.0, 5.0)
"""Seconds between attempts for ends of unknown calls: a node that was away for longer finds its calls ended."""

End: TypeAlias = events.HangUp | events.Cancel

log = Logger()
_log_retries = logged_unless_unavailable(log, "failed to retry an event")
"""Waiting ends with ``Unavailable`` when the node stops."""


class Retries:
    """Retries of events, with one timer.

    :param decide: returns the reply to an event; raises ``Unavailable`` if the store has not answered.
    """

    def __init__(self, clock: IReactorTime, decide: Callable[[events.Event], Coroutine[Any, Any, Any]]) -> None:
        self._clock = clock
        self._decide = decide
        self.kept: Final[dict[Hashable, events.Event]] = {}
        """Keyed by the caller's key, or the event."""
        self._orphans: dict[DeviceAddress, End | None] = {}
        """``None``: there is no need of it any more."""
        self._trying = False
        self._pauses: list[tuple[float, int, Deferred[None]]] = []
        """A heap of the end of each pause and its serial number."""
        self._numbers = count()
        self._timer = EarliestTimer(clock, self._wake)
        self._stopped = False

    async def settle(self, event: events.Event) -> None:
        """Decide on an event, now or when the store is back."""
        try:
            await self._decide(event)
        except Unavailable:
            self.keep(event)

    def keep(self, event: events.Event, key: Hashable | None = None) -> None:
        """Retry an event until the store has answered.

        :param key: replaces the event kept under it before; without one the event is its own key.
        """
        if self._stopped:
            return
        self.kept[event if key is None else key] = event
        if not self._trying:
            self._trying = True
            Deferred.fromCoroutine(self._try_all()).addErrback(_log_retries)

    def keep_failed(self, event: events.Event, failure: Failure, key: Hashable | None = None) -> None:
        """Retry an event after an outage of the store; log any other failure."""
        if failure.check(Unavailable):
            self.keep(event, key)
        else:
            log.failure("failed to retry an event", failure)

    def keeps(self, key: Hashable, room: RoomId | None = None) -> bool:
        """Return whether an event, or one of this room, is kept under ``key``."""
        kept = self.kept.get(key)
        return kept is not None and (room is None or (isinstance(kept, events.RoomEvent) and kept.room == room))

    def kept_for(self, device: DeviceAddress) -> tuple[Any, ...]:
        """The kept hangup, cancellation, answer and failed call of a device."""
        keys = ((kind, device) for kind in (events.HangUp, events.Cancel, events.Accept, events.Place))
        return tuple(self.kept[key] for key in keys if key in self.kept)

    def forget(self, key: Hashable, room: RoomId | None = None) -> None:
        """Stop retrying the event kept under ``key``; if a room is given, only one of this room."""
        if self.keeps(key, room):
            del self.kept[key]

    def forget_end(self, device: DeviceAddress, room: RoomId) -> None:
        """Stop retrying the hangup of a device that is in the call again."""
        self.forget((events.HangUp, device), room)
        orphan = self._orphans.get(device)
        if isinstance(orphan, events.HangUp) and orphan.room == room:
            self._orphans[device] = None

    def pause(self, seconds: float) -> Deferred[None]:
        """Fires after ``seconds``; fails with ``Unavailable`` if this is stopped before."""
        paused: Deferred[None] = Deferred()
        if self._stopped:
            paused.errback(Unavailable("this node is stopping"))
        else:
            heappush(self._pauses, (self._clock.seconds() + seconds, next(self._numbers), paused))
            self._timer.set_in(seconds)
        return paused

    def stop(self) -> None:
        """Stop all retries."""
        self._stopped = True
        self.kept.clear()
        self._timer.stop()
        pauses, self._pauses = self._pauses, []
        for _, _, paused in sorted(pauses):
            paused.errback(Unavailable("this node is stopping"))

    def _wake(self) -> None:
        now = self._clock.seconds()
        ended = []
        while self._pauses and self._pauses[0][0] <= now:
            ended.append(heappop(self._pauses)[2])
        if self._pauses:
            self._timer.set_in(self._pauses[0][0] - now)
        for paused in ended:
            paused.callback(None)

    async def _try_all(self) -> None:
        try:
            while self.kept:
                await self.pause(AGAIN)
                tries = [self._try(key, event) for key, event in self.kept.items()]
                await DeferredList([Deferred.fromCoroutine(one) for one in tries])
        finally:
            self._trying = False

    async def _try(self, key: Hashable, event: events.Event) -> None:
        try:
            reply = await self._decide(event)
            if isinstance(event, End) and isinstance(reply, NoSuchCall):
                self.keep_orphan(event)
        except Unavailable:
            return
        except Exception:  # noqa: BLE001  it would fail again
            log.failure("failed to retry an event")
        if self.kept.get(key) is event:
            del self.kept[key]

    def keep_orphan(self, end: End) -> None:
        """Retry the end of an unknown call for 15 s: of each device the newest."""
        is_waiting = end.device in self._orphans
        self._orphans[end.device] = end
        if not is_waiting:
            Deferred.fromCoroutine(self._try_orphan(end.device)).addErrback(_log_retries)

    async def _try_orphan(self, device: DeviceAddress) -> None:
        try:
            for pause in _ORPHAN_PAUSES:
                await self.pause(pause)
                end = self._orphans[device]
                with suppress(Unavailable):
                    if end is None or not isinstance(await self._decide(end), NoSuchCall):
                        break
        finally:
            del self._orphans[device]
