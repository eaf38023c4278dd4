"""Writes ended calls to the history of both phones (protocol §1, ``/calls/history``), and their webhook events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.accounts.call_events import CallEvents
from callnet.accounts.past_calls import sides
from callnet.calls.ports import IEndedCalls
from callnet.calls.records import CallRecord, Over
from callnet.errors import Unavailable
from callnet.model import is_guest
from callnet.storage.history import SqlHistory
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.timers import PeriodicRuns

WRITE_EVERY: Final = 1.0
"""Seconds between two writes."""
AT_ONCE: Final = 500
"""The maximum number of calls in one transaction."""
_FORGET_EVERY: Final = 3600.0
"""Seconds between two removals of expired history."""
_DAY: Final = 86400.0

C = TypeVar("C", bound=CallRecord)

log = Logger()
_failed = logged_unless_unavailable(log, "failed to write ended calls", CancelledError)


class Historian:
    """Writes ended calls every second. While the database is away they are kept.

    :param events: the events of calls.
    :param now: the time, in seconds since 1970.
    :param days: the retention of the history; 0: none is written.
    """

    def __init__(
        self,
        ended: IEndedCalls,
        history: SqlHistory,
        events: CallEvents,
        clock: IReactorTime,
        now: Callable[[], float],
        days: int,
    ) -> None:
        self._ended = ended
        self._history = history
        self._events = events
        self._clock = clock
        self._now = now
        self._days = days
        self._rounds = PeriodicRuns(self.write, clock, WRITE_EVERY)
        self._forget_at = clock.seconds()

    def start(self) -> None:
        """Start the writes."""
        self._rounds.start()

    def stop(self) -> Deferred[None]:
        """Write the calls ended until now, if possible, and stop. Fires when that is done."""
        return self._rounds.stop().addCallback(lambda _: self._write_the_rest())

    def _write_the_rest(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._write()).addErrback(_not_written).addErrback(_failed)

    def write(self) -> Deferred[None]:
        """Write ended calls. Fires when that is done or has failed; it does not fail itself."""
        return Deferred.fromCoroutine(self._write()).addErrback(_failed)

    async def _write(self) -> None:
        while noticed := self._events.take_noticed(AT_ONCE):
            try:
                await _written("webhook events of calls in progress", noticed, self._events.write)
            except Unavailable:
                self._events.put_back(noticed)
                raise
        while ended := await self._ended.take(AT_ONCE):
            calls = [one.call for one in ended if not _rang_nobody(one.call)]
            if self._days:
                await _written("the history", calls, self._write_histories)
            await _written("webhook events of ended calls", calls, self._events.write)
            await self._ended.done(ended)
            if len(ended) < AT_ONCE:
                break
        if self._days and self._clock.seconds() >= self._forget_at:
            await self._history.forget(self._now() - self._days * _DAY)
            self._forget_at = self._clock.seconds() + _FORGET_EVERY

    def _write_histories(self, calls: Sequence[CallRecord[Over]]) -> Deferred[None]:
        return self._history.write([sides(call) for call in calls], self._now())


def _rang_nobody(call: CallRecord) -> bool:
    """Return whether a guest called nobody: neither its link nor it is known."""
    return call.target.phone == call.caller.phone and is_guest(call.caller.phone) is not None


async def _written(what: str, calls: Sequence[C], write: Callable[[Sequence[C]], Deferred[None]]) -> None:
    """Write calls with ``write``.

    :raises Unavailable: the database cannot be reached.
    """
    if not calls:
        return
    try:
        await write(calls)
    except Unavailable:
        raise
    except Exception:  # noqa: BLE001  whatever it is, these calls must not keep those that follow from being written
        log.failure("failed to write {what}; dropped {count} calls", what=what, count=len(calls))


def _not_written(failure: Failure) -> None:
    failure.trap(Unavailable)
    log.warn("stopped before the last ended calls were written: {cause}", cause=failure.getErrorMessage())
