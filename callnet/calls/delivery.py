"""Delivery: waiters for the outcomes of calls, and buffers for messages to arriving devices.

The answer ``offline`` (protocol §2.1) is sent a fixed time after the call was read: its delay must not reveal whether a
device is connected, known, or has blocked the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from twisted.internet.interfaces import IReactorTime

from callnet.calls.counts import CallCounts
from callnet.calls.outage import Retries
from callnet.calls.records import Active, CallRecord, Displaced, Over
from callnet.calls.telling import outcome_of
from callnet.model import DeviceAddress, Failed, Outcome, Refused, RoomId, Withdrawn
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.timers import EarliestTimer

if TYPE_CHECKING:
    from callnet.calls.session import Session

log = Logger()
_log_offline = logged_unless_unavailable(log, "failed to answer that a device is offline")
"""Waiting ends with ``Unavailable`` when the node stops."""

Respond: TypeAlias = Callable[[Outcome, CallRecord | None], object]
"""Takes the outcome of a call, and its record if the record says exactly this."""


class OutcomeWaiters:
    """The waiters for outcomes: at most one for each call and for each caller."""

    def __init__(self, counts: CallCounts, clock: IReactorTime, retries: Retries) -> None:
        self._counts = counts
        self._clock = clock
        self._retries = retries
        self.waiting: Final[dict[RoomId, Respond]] = {}
        """Callbacks by room, each called once with the outcome of the call, possibly before the call is placed."""
        self._placed: dict[DeviceAddress, RoomId] = {}
        self.offline: Final[set[DeviceAddress]] = set()
        """Callers that will be told that the callee is offline."""

    def placed(self, caller: DeviceAddress, room: RoomId) -> None:
        """Record that ``caller`` placed the call. It waits for this one only."""
        if caller in self._placed:
            self.withdraw(caller)
        if room in self.waiting:
            self._placed[caller] = room

    def not_placed(self, room: RoomId) -> bool:
        """Drop the waiter of a failed placement. Return whether there was one."""
        return self.waiting.pop(room, None) is not None

    def tell(self, call: CallRecord, session: Session | None) -> None:
        """Report a call's outcome to its waiter, and then any later change to the caller's session."""
        outcome = outcome_of(call)
        is_all = outcome is not None and not (isinstance(call.state, Over) and isinstance(call.state.was, Active))
        if outcome is not None:
            if self._placed.get(call.caller) == call.room:
                del self._placed[call.caller]
            if isinstance(outcome, (Failed, Refused)) and call.targets:
                self._counts.failed[outcome.reason] += 1
            self.waiting.pop(call.room)(outcome, call if is_all else None)
        if session is not None and not is_all:
            session.deliver(call)

    def tell_at(self, at: float, caller: DeviceAddress, room: RoomId, outcome: Failed) -> None:
        """Report that the callee is offline at a time in seconds on the reactor's clock, or now if that is past."""
        self.placed(caller, room)
        self.offline.add(caller)
        left = at - self._clock.seconds()
        if left <= 0.0:
            self._tell_offline(None, caller, room, outcome)
        else:
            self._retries.pause(left).addCallbacks(self._tell_offline, _log_offline, (caller, room, outcome))

    def _tell_offline(self, _: None, caller: DeviceAddress, room: RoomId, outcome: Failed) -> None:
        if self._placed.get(caller) == room:
            del self._placed[caller]
            self.offline.discard(caller)
            self.waiting.pop(room)(outcome, None)

    def withdraw(self, caller: DeviceAddress) -> None:
        """Withdraw the waiter for the call of ``caller``."""
        self.offline.discard(caller)
        room = self._placed.pop(caller, None)
        respond = None if room is None else self.waiting.pop(room, None)
        if respond is not None:
            respond(Withdrawn(), None)


_AT_ONCE: Final = 50
"""Connections closed in one turn of the reactor: thousands may have left a node that was suspended."""

M = TypeVar("M")


class ArrivalBuffers(Generic[M]):
    """Buffers of messages for addressees during the commit of their arrival.

    :param receive: takes the kept messages after the arrival was committed or failed.
    """

    def __init__(self, receive: Callable[[M], None]) -> None:
        self._receive = receive
        self.kept: Final[dict[Hashable, list[M]]] = {}
        """Keyed by addressee."""

    def begin(self, addressee: Hashable) -> None:
        """Keep messages for ``addressee`` until :meth:`end`."""
        self.kept[addressee] = []

    def end(self, addressee: Hashable) -> None:
        """Receive the kept messages."""
        for message in self.kept.pop(addressee):
            self._receive(message)

    def keep(self, addressee: Hashable, message: M) -> bool:
        """Keep a message if ``addressee`` is arriving, and return whether it is."""
        kept = self.kept.get(addressee)
        if kept is None:
            return False
        kept.append(message)
        return True


class DisplacedConnections:
    """Closes displaced connections in the next turn of the reactor. A frame that the device sent to this node before it
    left, and that a suspended node has yet to read, is handled first.

    :param close: closes the connection, if it is an older one.
    """

    def __init__(self, clock: IReactorTime, close: Callable[[Displaced], None]) -> None:
        self._close = close
        self._waiting: deque[Displaced] = deque()
        self._timer = EarliestTimer(clock, self._close_some)
        self.stop: Final = self._timer.stop

    def add(self, message: Displaced) -> None:
        """Queue one connection."""
        self._waiting.append(message)
        self._timer.set_in(0.0)

    def _close_some(self) -> None:
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            self._close(self._waiting.popleft())
        if self._waiting:
            self._timer.set_in(0.0)
