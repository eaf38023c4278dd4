"""The waiters for outcomes of calls on this node, and the answer ``offline`` (protocol §2.1).

That answer leaves a fixed time after the call was read: the time that it takes to find out must not tell who is
there, who is known, and whom they have blocked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from twisted.internet.interfaces import IReactorTime

from callnet.calls.counts import CallCounts
from callnet.calls.outage import Retries
from callnet.calls.sessions import DeviceSession
from callnet.calls.telling import outcome_of
from callnet.failures import logged_unless_unavailable
from callnet.logger import Logger
from callnet.model import DeviceAddress, Failed, Outcome, RoomId, Withdrawn
from callnet.records import Active, CallRecord, Over

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "telling that a device is offline")
"""It stops waiting with ``Unavailable`` when the node stops."""

Told: TypeAlias = Callable[[Outcome, CallRecord | None], object]
"""Takes the outcome of a call, and its record if there is one that says just this."""


class Waiters:
    """At most one for each call, and for each caller."""

    def __init__(self, counts: CallCounts) -> None:
        self._counts = counts
        self.waiting: Final[dict[RoomId, Told]] = {}
        """By room, who is to be called once with the outcome of a call; that may come before it is placed."""
        self._placed: dict[DeviceAddress, RoomId] = {}

    def placed(self, caller: DeviceAddress, room: RoomId) -> None:
        """Take note that the call was placed, by ``caller``, who waits for this one only."""
        if caller in self._placed:
            self.withdraw(caller)
        if room in self.waiting:
            self._placed[caller] = room

    def not_placed(self, room: RoomId) -> bool:
        """Take note that it was not. Tells whether anybody waits still."""
        return self.waiting.pop(room, None) is not None

    def tell(self, call: CallRecord, session: DeviceSession | None) -> None:
        """Tell whoever waits for a call its outcome, and then the session of its caller what came after it."""
        outcome = outcome_of(call)
        is_all = outcome is not None and not (isinstance(call.state, Over) and isinstance(call.state.was, Active))
        if outcome is not None:
            if self._placed.get(call.caller) == call.room:
                del self._placed[call.caller]
            self._counts.told(outcome)
            self.waiting.pop(call.room)(outcome, call if is_all else None)
        if session is not None and not is_all:
            session.told(call)

    def withdraw(self, caller: DeviceAddress) -> None:
        """Let nobody wait any more for the outcome of the call that ``caller`` placed."""
        room = self._placed.pop(caller, None)
        told = None if room is None else self.waiting.pop(room, None)
        if told is not None:
            told(Withdrawn(), None)


class OfflineAnswers:
    """At most one for each caller: who calls another hears no more of the call before, as if that had rung."""

    def __init__(self, clock: IReactorTime, retries: Retries) -> None:
        self._clock = clock
        self._retries = retries
        self.owed: Final[dict[DeviceAddress, Failed]] = {}
        """By caller."""

    def tell_at(self, at: float, caller: DeviceAddress, outcome: Failed, told: Told) -> None:
        """Tell the caller then, in seconds on the reactor's clock, or now if that is past."""
        left = at - self._clock.seconds()
        if left <= 0.0:
            told(outcome, None)
        else:
            self.owed[caller] = outcome
            self._retries.pause(left).addCallbacks(self._tell, _log_unless_unavailable, (caller, outcome, told))

    def withdraw(self, caller: DeviceAddress) -> None:
        """Tell it nothing more."""
        self.owed.pop(caller, None)

    def _tell(self, _: None, caller: DeviceAddress, outcome: Failed, told: Told) -> None:
        if self.owed.get(caller) is outcome:
            del self.owed[caller]
            told(outcome, None)
