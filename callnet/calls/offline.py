"""The answer ``offline``, which leaves a fixed time after the call was read (protocol §2.1).

The time that it takes to find out must not tell who is there, who is known, and whom they have blocked.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

from callnet.calls.retries import Retries
from callnet.calls.waiters import Told
from callnet.failures import logged_unless_unavailable
from callnet.logger import Logger
from callnet.model import DeviceAddress, Failed

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "telling that a device is offline")
"""It stops waiting with ``Unavailable`` when the node stops."""


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
