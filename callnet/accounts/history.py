"""Has calls that are over written down, for both phones (protocol §1, ``/calls/history``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from callnet.errors import Unavailable
from callnet.interfaces import IEndedCalls
from callnet.model import Reason
from callnet.records import CallRecord
from callnet.storage_interfaces import IHistory, PastCall

WRITE_EVERY: Final = 1.0
"""Seconds."""
AT_ONCE: Final = 500
"""Calls that are written in one transaction."""
_FORGET_EVERY: Final = 3600.0
"""Seconds after which what is too old is removed."""
_DAY: Final = 86400.0
_DECLINED: Final = (Reason.REFUSED, Reason.BUSY)
"""Why a call that rang is over if somebody whom it rang did not want it."""

log = Logger()


def sides(call: CallRecord) -> tuple[PastCall, PastCall]:
    """A call that is over, as its caller's phone sees it, and the phone that was called.

    A ring that nobody answered was missed, and so was a call that found nobody free, or nobody there.
    """
    ended_at = call.placed_at if call.ended_at is None else call.ended_at
    reason, callee = call.reason or Reason.INTERNAL, call.callee
    if callee is not None:
        went_out = came_in = "answered"
    else:
        went_out = reason.value
        came_in = "refused" if call.rung and reason in _DECLINED else "missed"
    asked = callee or (call.ended_by if came_in == "refused" else None) or call.asked
    common = call.answered_at, ended_at
    return (
        PastCall(
            call.caller.phone,
            call.placed_at,
            call.room,
            False,
            call.caller.device_id,
            callee or call.asked,
            *common,
            went_out,
            call.answered_by_itself,
        ),
        PastCall(
            asked.phone,
            call.placed_at,
            call.room,
            True,
            asked.device_id,
            call.caller,
            *common,
            came_in,
            call.answered_by_itself,
            rang=bool(call.rung),
        ),
    )


class Historian:
    """Looks every second for what has ended. While the database is away it is kept.

    :param now: the time, in seconds since 1970.
    :param days: for how long history is kept; 0: nothing is written down.
    """

    def __init__(
        self, ended: IEndedCalls, history: IHistory, clock: IReactorTime, now: Callable[[], float], days: int
    ) -> None:
        self._ended = ended
        self._history = history
        self._clock = clock
        self._now = now
        self._days = days
        self._next: IDelayedCall | None = None
        self._writing: Deferred[None] = succeed(None)
        self._goes_on = False
        self._forget_at = 0.0

    def start(self) -> None:
        """Begin to look."""
        self._goes_on = True
        self._look()

    def stop(self) -> Deferred[None]:
        """Write down what has ended until now, if that can be, and look no more. Fires when that is done."""
        self._goes_on = False
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._writing.addCallback(lambda _: self.write())
        return self._writing

    def _look(self) -> None:
        self._next = None
        self._writing = self.write().addCallback(lambda _: self._wait())

    def _wait(self) -> None:
        if self._goes_on:
            self._next = self._clock.callLater(WRITE_EVERY, self._look)

    def write(self) -> Deferred[None]:
        """Write down what has ended. Fires when that is done, or cannot be done just now; it does not fail."""
        return Deferred.fromCoroutine(self._write()).addErrback(_failed)

    async def _write_down(self, calls: list[PastCall]) -> None:
        try:
            await self._history.write(calls)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001  whatever it is, these calls must not keep those that follow from being written
            log.failure("writing down {count} sides of calls, which are lost to the history", count=len(calls))

    async def _write(self) -> None:
        while ended := await self._ended.take(AT_ONCE):
            if self._days:
                await self._write_down([side for one in ended for side in sides(one.call)])
            await self._ended.done(ended)
            if len(ended) < AT_ONCE:
                break
        if self._days and self._now() >= self._forget_at:
            await self._history.forget(self._now() - self._days * _DAY)
            self._forget_at = self._now() + _FORGET_EVERY


def _failed(failure: Failure) -> None:
    if not failure.check(Unavailable, CancelledError):
        log.failure("writing down which calls have ended", failure)
