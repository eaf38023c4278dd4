"""Calls that nobody could be told of: the nodes of all whom they ring do not listen, or are dead."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from callnet.calls import events
from callnet.calls.decisions import Decisions
from callnet.calls.retries import Retries
from callnet.errors import Unavailable
from callnet.failures import logged_unless_unavailable
from callnet.logger import Logger
from callnet.model import DeviceAddress
from callnet.records import CallRecord, Changes, Ringing

_PAUSE: Final = 1.2
"""Seconds until such a call rings again: a node that had lost its subscription may have it back. A caller is told
of the failure within 2 s, and what is kept to be tried again has its turn after half a second."""

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "ringing again")


class RingingAgain:
    """Rings once more, then gives up."""

    def __init__(self, decisions: Decisions, retries: Retries) -> None:
        self._decisions = decisions
        self._retries = retries

    def unreached(self, changes: Changes, addresses: tuple[DeviceAddress, ...]) -> None:
        """Take note of those whom a commit could not tell."""
        for call in changes.calls:
            if isinstance(call.state, Ringing) and set(addresses).issuperset(call.state.devices):
                if call.version == 1:
                    Deferred.fromCoroutine(self._ring_again(call)).addErrback(_log_unless_unavailable)
                else:
                    self._retries.keep(events.Unreachable(call.room, call.version))

    async def _ring_again(self, call: CallRecord) -> None:
        await self._retries.pause(_PAUSE)
        try:
            await self._decisions.settled(events.RangInVain(call.room, call.version))
        except Unavailable:
            self._retries.keep(events.Unreachable(call.room, call.version))
