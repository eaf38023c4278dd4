"""Who on this node waits for the outcome of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from callnet.model import DeviceAddress, Outcome, RoomId, Withdrawn
from callnet.records import CallRecord

Told: TypeAlias = Callable[[Outcome, CallRecord | None], object]
"""Takes the outcome of a call, and its record if there is one that says just this."""


class Waiters:
    """At most one for each call, and for each caller."""

    def __init__(self) -> None:
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

    def fire(self, call: CallRecord, outcome: Outcome, record: CallRecord | None) -> None:
        """Tell whoever waits for a call."""
        if self._placed.get(call.caller) == call.room:
            del self._placed[call.caller]
        self.waiting.pop(call.room)(outcome, record)

    def withdraw(self, caller: DeviceAddress) -> None:
        """Let nobody wait any more for the outcome of the call that ``caller`` placed."""
        room = self._placed.pop(caller, None)
        told = None if room is None else self.waiting.pop(room, None)
        if told is not None:
            told(Withdrawn(), None)
