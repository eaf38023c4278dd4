"""Tells extended devices that data of their phones have changed (protocol §2.5, ``changed``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice
from math import inf
from typing import Final

from twisted.internet.interfaces import IReactorTime

from callnet.calls.sessions import DeviceSession, Onlooker
from callnet.model import DeviceAddress, Topic
from callnet.util.timers import EarliestTimer

EVERY: Final = 2.0
"""Seconds between two notices to a device, at least: it reads its data again after each."""
_AT_ONCE: Final = 500
"""Devices that are told in one turn of the reactor, so that nothing else has to wait."""


class ChangeNotices:
    """Gathers changes, and tells the devices of this node.

    :param here: the newest connections of devices on this node.
    """

    def __init__(self, clock: IReactorTime, here: Mapping[DeviceAddress, DeviceSession]) -> None:
        self._clock = clock
        self._here = here
        self._topics: dict[Onlooker, set[Topic]] = {}
        self._told_at = -inf
        self._alarm = EarliestTimer(clock, self._tell)

    def note(self, onlooker: Onlooker, topics: Collection[Topic]) -> None:
        """Tell a device soon."""
        self._topics.setdefault(onlooker, set()).update(topics)
        self._alarm.set_in(max(self._told_at + EVERY - self._clock.seconds(), 0.0))

    def stop(self) -> None:
        """Tell nobody any more."""
        self._alarm.stop()

    def _tell(self) -> None:
        self._told_at = self._clock.seconds()
        for onlooker in list(islice(self._topics, _AT_ONCE)):
            topics = self._topics.pop(onlooker)
            if self._here.get(onlooker.address) is onlooker:
                onlooker.changed(topics)
        if self._topics:
            self._alarm.set_in(0.0)
