"""The ends of calls that nobody knows of here.

A device may have left a node that was cut off, with a call that only that node knew of, and hang up at another
one, or cancel it. The first says so when it is back, and then the call is over.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Final, TypeAlias

from twisted.internet.defer import Deferred

from callnet.calls import events
from callnet.calls.retries import Retries
from callnet.calls.rules import Decision
from callnet.calls.transitions import NoSuchCall
from callnet.errors import Unavailable
from callnet.failures import logged_unless_unavailable
from callnet.logger import Logger
from callnet.model import DeviceAddress

_PAUSES: Final = (1.0, 2.0, 3.0, 4.0, 5.0)
"""Seconds between two tries: a node that was away for longer finds its calls ended."""

End: TypeAlias = events.HangUp | events.Cancel

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "ending a call again")
"""It stops waiting with ``Unavailable`` when the node stops."""


class UnknownCalls:
    """Of each device the newest such call, for a while.

    :param settle: decides on it.
    """

    def __init__(self, retries: Retries, settle: Callable[[End], Coroutine[object, object, Decision]]) -> None:
        self._retries = retries
        self._settle = settle
        self._ends: dict[DeviceAddress, End] = {}

    def keep(self, end: End) -> None:
        """Try it again for a while."""
        is_waiting = end.device in self._ends
        self._ends[end.device] = end
        if not is_waiting:
            Deferred.fromCoroutine(self._try_again(end.device)).addErrback(_log_unless_unavailable)

    async def _try_again(self, device: DeviceAddress) -> None:
        try:
            for pause in _PAUSES:
                await self._retries.pause(pause)
                if not await self._is_unknown(device):
                    break
        finally:
            del self._ends[device]

    async def _is_unknown(self, device: DeviceAddress) -> bool:
        try:
            decision = await self._settle(self._ends[device])
        except Unavailable:
            return True
        return isinstance(decision.reply, NoSuchCall)
