"""Deadlines: the one timer that looks at what is due."""

from __future__ import annotations

from itertools import islice
from typing import Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from callnet.calls import events
from callnet.calls.decisions import Decisions
from callnet.failures import logged_unless_unavailable
from callnet.interfaces import ICallStore
from callnet.logger import Logger
from callnet.records import CallRecord, DeviceRecord, SeatsRecord

_LOOK_EVERY: Final = 0.25
"""How often the store is asked for what is due, in seconds."""
_AT_ONCE: Final = 50
"""So much is acted on before others have their turn: after a power cut thousands are due together."""

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "acting on what is due")
"""What could not be done is due still, and the next look tries again."""


class Deadlines:
    """Has the rules decide on whatever is due."""

    def __init__(self, store: ICallStore, decisions: Decisions, clock: IReactorTime) -> None:
        self._store = store
        self._decisions = decisions
        self._clock = clock
        self._look: IDelayedCall | None = None
        self._running = False

    def start(self) -> None:
        """Begin to look."""
        self._running = True
        self._look_again()

    def stop(self) -> None:
        """Look no more."""
        self._running = False
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_again(self) -> None:
        if self._running:
            self._look = self._clock.callLater(_LOOK_EVERY, self._look_at_due)

    def _look_at_due(self) -> None:
        self._look = None
        done = Deferred.fromCoroutine(self._act_on_due())
        done.addErrback(_log_unless_unavailable)
        done.addCallback(lambda _: self._look_again())

    async def _act_on_due(self) -> None:
        due = iter(await self._store.due(self._store.now()))
        while self._running and (some := list(islice(due, _AT_ONCE))):
            await DeferredList(
                [Deferred.fromCoroutine(self._act_on(one)).addErrback(_log_unless_unavailable) for one in some]
            )
            if len(some) == _AT_ONCE:
                await self._turn()

    def _turn(self) -> Deferred[None]:
        """Fires in the next turn of the reactor."""
        turn: Deferred[None] = Deferred()
        self._clock.callLater(0, turn.callback, None)
        return turn

    async def _act_on(self, record: DeviceRecord | CallRecord | SeatsRecord) -> None:
        await self._decisions.settled(_due_event(record))


def _due_event(record: DeviceRecord | CallRecord | SeatsRecord) -> events.Event:
    if isinstance(record, DeviceRecord):
        return events.DeviceDue(record.address)
    return events.CallDue(record.room) if isinstance(record, CallRecord) else events.SeatsDue(record.room)
